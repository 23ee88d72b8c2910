"""How far is a run? Its score, its rates and the time that is left.

  progress = RunProgress(1_100_000, done=2000)
  progress.reach(2016)

For the loops of embodied.run; `ProgressBar` says where and how often.
"""

import time
from typing import IO

from dreamerv3.base.progress import ProgressBar, duration


class RunProgress(ProgressBar):
  """Shows environment steps, score, rates and time left.

  Args:
    total: steps of the whole run.
    done: steps before this start, which say nothing of the rate.
    every: seconds between two lines where there is no terminal.
    file: where to; standard error if None.
  """

  def __init__(
    self,
    total: float,
    done: int = 0,
    every: float = 60.0,
    file: IO[str] | None = None,
  ):
    super().__init__(int(total), 'step', every, file, done)
    self.initial = done
    self.score: float | None = None
    self.updates = 0

  def learn(self) -> None:
    """Counts a train step of this start."""
    self.updates += 1

  def reach(self, step: int) -> None:
    """Tells the environment steps of the whole run."""
    rate = self.updates / self._seconds()
    score = '-' if self.score is None else f'{self.score:.2f}'
    self.update(step - self.done, f'score {score}, {rate:.2f} updates/s')

  def episode(self, score: float) -> None:
    """Smooths the score over about ten episodes."""
    old = score if self.score is None else self.score
    self.score = old + 0.1 * (score - old)

  def line(self) -> str:
    """Where it stands, and for how long it will go on."""
    rate = (self.done - self.initial) / self._seconds()
    left = (self.total - self.done) / rate if rate > 0 else float('inf')
    share = 100 * self.done / max(1, self.total)
    return (
      f'{self.done}/{self.total} steps ({share:.1f}%), {self.state}, '
      f'{rate:.1f} steps/s, {duration(left)} left'
    )

  def _seconds(self) -> float:
    return max(1e-3, time.monotonic() - self.began)
