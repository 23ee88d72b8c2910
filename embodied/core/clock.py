"""When something is due: by seconds, or as a ratio of steps.

For the training loops. One meaning for all clocks: 0 is never, a negative
interval is always, and the first call only starts the clock. State is saved,
so a resumed run neither logs at once nor gets an extra update.

  due = Clock(120); due()  # False; True at the first call after 120 s
"""

import time
from collections.abc import Callable
from typing import Any


class Clock:
  """Due when `every` seconds have passed since it was due last."""

  def __init__(self, every: float, now: Callable[[], float] = time.monotonic) -> None:
    self.every = every
    self._now = now
    self._since: float | None = None

  def __call__(self) -> bool:
    """Whether it is time again."""
    if self.every <= 0:
      return self.every < 0
    now = self._now()
    if self._since is None:
      self._since = now
      return False
    if now - self._since < self.every:
      return False
    self._since = now
    return True

  def save(self) -> dict[str, Any]:
    """The time since it was due last [s]."""
    if self._since is None:
      return {'elapsed': None}
    return {'elapsed': self._now() - self._since}

  def load(self, data: dict[str, Any]) -> None:
    """Continues a saved clock."""
    elapsed = data['elapsed']
    self._since = None if elapsed is None else self._now() - elapsed


class Ratio:
  """How many updates are due: `ratio` per step, fractions carried over.

  The first call returns 1 and sets the origin: steps before it are not made
  up for. ratio 0 gives 0 updates, a negative ratio 1 update per call.
  """

  def __init__(self, ratio: float) -> None:
    self.ratio = ratio
    self._origin: int | None = None
    self._done = 0  # updates since the origin

  def __call__(self, step: int) -> int:
    """How many updates are due at a step, which then count as done."""
    due = self.due(step)
    if self.ratio > 0 and self._origin is None:
      self._origin = int(step)
    elif self.ratio > 0:
      self._done += due
    return due

  def due(self, step: int) -> int:
    """How many updates a call at this step would find due."""
    if self.ratio <= 0:
      return int(self.ratio < 0)
    if self._origin is None:
      return 1
    return max(0, int((int(step) - self._origin) * self.ratio) - self._done)

  def save(self) -> dict[str, Any]:
    """The updates done so far, and since which step."""
    return {'ratio': self.ratio, 'origin': self._origin, 'done': self._done}

  def load(self, data: dict[str, Any], step: int | None = None) -> None:
    """Continue from `save`.

    With another ratio than the saved one, counting starts afresh at `step`
    (the environment step now), so a changed flag is not applied backwards.
    """
    self._origin, self._done = data['origin'], data['done']
    if data['ratio'] != self.ratio and self._origin is not None:
      if step is None:
        raise ValueError(
          f'The saved ratio is {data["ratio"]}, this one {self.ratio}: '
          'pass the current step to load().'
        )
      self._origin, self._done = int(step), 0
