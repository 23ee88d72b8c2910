"""How far is it? A bar on a terminal, a line now and then in a log file.

  with ProgressBar(100, 'episode') as progress:
    progress.update(1, '3 steps/s')

For every command that works for longer than a few seconds.
"""

import sys
import time
from types import TracebackType
from typing import IO, Self

import tqdm


class ProgressBar:
  """Shows how many of a known number are done.

  Args:
    total: how many there will be.
    unit: what is counted, singular.
    every: seconds between two lines where there is no terminal.
    file: where to; standard error if None.
    done: how many were before this start.

  Attributes:
    done: how many are.
    began: time.monotonic() of the beginning.
  """

  def __init__(
    self,
    total: int,
    unit: str,
    every: float = 60.0,
    file: IO[str] | None = None,
    done: int = 0,
  ):
    self.total, self.unit, self.every = total, unit, every
    self.file = file or sys.stderr
    self.done = done
    self.state = ''
    self.began = self._last = time.monotonic()
    self.bar = tqdm.tqdm(
      total=total,
      initial=done,
      unit=unit,
      file=self.file,
      dynamic_ncols=True,
      smoothing=0.05,
      disable=not self.file.isatty(),
    )

  def __enter__(self) -> Self:
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
  ) -> None:
    self.close()

  def close(self) -> None:
    """Leaves the bar as it is."""
    self.bar.close()

  def update(self, count: int, state: str = '') -> None:
    """So many more are done; `state` says more of it."""
    self.done += count
    self.bar.set_postfix_str(state, refresh=False)
    self.bar.update(count)
    self.tell(state)

  def tell(self, state: str) -> None:
    """Says how it goes, where it is time to."""
    self.state = state
    now = time.monotonic()
    if now - self._last < (self.every if self.bar.disable else 1):
      return
    self._last = now
    if self.bar.disable:
      self.print(self.line())
    else:
      self.bar.set_postfix_str(state)

  def print(self, text: str) -> None:
    """Prints a line without tearing the bar."""
    if self.bar.disable:
      print(text, file=self.file, flush=True)
    else:
      self.bar.write(text, file=self.file)

  def line(self) -> str:
    """Where it stands, e.g. '3/100 episodes, 12 steps/s'."""
    more = f', {self.state}' if self.state else ''
    return f'{self.done}/{self.total} {self.unit}s{more}'


def duration(seconds: float) -> str:
  """3700 -> '1h 1m'."""
  if seconds == float('inf'):
    return 'unknown time'
  minutes, rest = divmod(int(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  days, hours = divmod(hours, 24)
  parts = [(days, 'd'), (hours, 'h'), (minutes, 'm'), (rest, 's')]
  while len(parts) > 1 and not parts[0][0]:
    parts.pop(0)
  return ' '.join(f'{n}{unit}' for n, unit in parts[:2])
