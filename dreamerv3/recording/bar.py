"""How far is a recording? A bar on a terminal, a line now and then in a file.

with EpisodeBar(100) as bar: bar.step(); bar.episode(score)
"""

import sys
import time
from typing import Any

import tqdm


class EpisodeBar:
  """Shows episodes, timesteps per second and the mean return.

  Args:
    total: episodes to come.
    every: seconds between two lines where there is no terminal.
  """

  def __init__(self, total: int, every: float = 60.0, file: Any = None):
    self.total, self.every = total, every
    self.file = file or sys.stderr
    self.steps = self.done = 0
    self.score = 0.0
    self.began = self.last = time.monotonic()
    self.bar = tqdm.tqdm(
      total=total,
      unit='episode',
      file=self.file,
      dynamic_ncols=True,
      disable=not self.file.isatty(),
    )

  def __enter__(self) -> 'EpisodeBar':
    return self

  def __exit__(self, *error: object) -> None:
    self.bar.close()

  def step(self) -> None:
    """A timestep was recorded."""
    self.steps += 1
    now = time.monotonic()
    if self.bar.disable:
      if now - self.last >= self.every:
        self.last = now
        print(self.line(), file=self.file, flush=True)
    elif now - self.last >= 1:
      self.last = now
      self.bar.set_postfix_str(self._state())

  def episode(self, score: float) -> None:
    """An episode has ended."""
    self.done += 1
    self.score += score
    self.bar.update()

  def line(self) -> str:
    return f'{self.done}/{self.total} episodes, {self._state()}'

  def _state(self) -> str:
    rate = self.steps / max(1e-3, time.monotonic() - self.began)
    mean = f'{self.score / self.done:.2f}' if self.done else '-'
    return f'{self.steps} steps, {rate:.0f} steps/s, mean return {mean}'
