"""How far is the run? A bar on a terminal, a line now and then in a file."""

import sys
import time
from typing import Any

import tqdm

from dreamerv3.base.progress import duration


class Progress:
  """Shows steps, score, rates and time left.

  Args:
    total: Steps of the whole run.
    initial: Steps done before this start, which say nothing of the rate.
    every: Seconds between lines when there is no terminal.
  """

  def __init__(
    self, total: float, initial: int = 0, every: float = 60.0, file: Any = None
  ):
    self.total = int(total)
    self.initial = initial
    self.every = every
    self.file = file or sys.stderr
    self.score: float | None = None
    self.updates = 0
    self.began = self.last = time.monotonic()
    self.bar = None
    if self.file.isatty():
      self.bar = tqdm.tqdm(
        total=self.total,
        initial=initial,
        unit='step',
        file=self.file,
        dynamic_ncols=True,
        smoothing=0.05,
      )

  def learn(self) -> None:
    """Counts a train step of this start."""
    self.updates += 1

  def update(self, step: int) -> None:
    """Tells the environment steps of the whole run."""
    now = time.monotonic()
    if self.bar is not None:
      self.bar.set_postfix_str(self._state(now), refresh=False)
      self.bar.update(step - self.bar.n)
    elif now - self.last >= self.every:
      self.last = now
      self.print(self._line(step, now))

  def episode(self, score: float) -> None:
    """Smooths the score over about ten episodes."""
    old = score if self.score is None else self.score
    self.score = old + 0.1 * (score - old)

  def print(self, text: str) -> None:
    """Prints a line without tearing the bar."""
    if self.bar is not None:
      self.bar.write(text, file=self.file)
    else:
      print(text, file=self.file, flush=True)

  def close(self) -> None:
    """Ends the bar."""
    if self.bar is not None:
      self.bar.close()

  def _state(self, now: float) -> str:
    rate = self.updates / max(1e-3, now - self.began)
    score = '-' if self.score is None else f'{self.score:.2f}'
    return f'score {score}, {rate:.2f} updates/s'

  def _line(self, step: int, now: float) -> str:
    rate = (step - self.initial) / max(1e-3, now - self.began)
    left = (self.total - step) / rate if rate > 0 else float('inf')
    share = 100 * step / max(1, self.total)
    return (
      f'{step}/{self.total} steps ({share:.1f}%), {self._state(now)}, '
      f'{rate:.1f} steps/s, {duration(left)} left'
    )
