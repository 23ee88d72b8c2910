"""How far is a recording? Episodes, timesteps per second and the mean return.

with EpisodeBar(100) as bar: bar.step(); bar.episode(score)
"""

import time

from dreamerv3.base.progress import ProgressBar


class EpisodeBar(ProgressBar):
  """Shows episodes; see `ProgressBar` for where and how often.

  Args:
    total: episodes to come.
    every: seconds between two lines where there is no terminal.
  """

  def __init__(self, total: int, every: float = 60.0):
    super().__init__(total, 'episode', every)
    self.steps = 0
    self.score = 0.0

  def step(self) -> None:
    """A timestep was recorded."""
    self.steps += 1
    self.tell(self._state())

  def episode(self, score: float) -> None:
    """An episode has ended with this return."""
    self.score += score
    self.update(1, self._state(1))

  def _state(self, ended: int = 0) -> str:
    rate = self.steps / max(1e-3, time.monotonic() - self.began)
    done = self.done + ended
    mean = f'{self.score / done:.2f}' if done else '-'
    return f'{self.steps} steps, {rate:.0f} steps/s, mean return {mean}'
