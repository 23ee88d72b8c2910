"""The training log of one run: scores.jsonl and metrics.jsonl of its logdir.

  log = MetricsLog.open('logdir/run')
  steps, score = log.curve('episode/score')

A log can be read while the run writes it, again and again by `Following`: a last
line that is cut short is left for the next time. A run that was resumed from an
older checkpoint goes back in steps; what it had logged from there on describes
training that was undone, and is dropped.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from dreamerv3.base import regular
from dreamerv3.base.errors import UserError

# Later files take precedence where both hold a key.
FILES = ('metrics.jsonl', 'scores.jsonl')

END = 1 << 16  # bytes of a log in which its last lines are

Record = dict[str, float]


@dataclasses.dataclass(frozen=True)
class MetricsLog:
  """Scalars of a run over its environment steps.

  Attributes:
    path: the logdir.
    records: per file, one dict of scalars per line; `step` is in each and
      never decreases.
    keys: {key: file it is read from}.
    notes: what was left out of the files and why, one line each.
  """

  path: pathlib.Path
  records: dict[str, list[Record]]
  keys: dict[str, str]
  notes: tuple[str, ...] = ()

  @classmethod
  def open(cls, logdir: str | os.PathLike[str]) -> 'MetricsLog':
    """Reads the logs of a logdir, finished or still being written.

    Raises:
      UserError: no folder, no log in it, or nothing to read in its logs.
    """
    return Following(logdir).read()

  @property
  def last_step(self) -> int:
    """The latest step that any line reports [environment steps]."""
    return int(max(x[-1]['step'] for x in self.records.values() if x))

  def curve(self, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (N,) and values (N,) of one scalar."""
    steps, values = self.table([key])
    return steps, values[:, 0]

  def table(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Steps (N,) and values (N, K) of the lines that hold all of `keys`.

    Raises:
      UserError: a key that the log does not have.
    """
    lost = [x for x in keys if x not in self.keys]
    if lost:
      raise UserError(f'{self.path} logs no {lost[0]}.')
    (name, *others) = dict.fromkeys(self.keys[x] for x in keys)
    if others:
      raise UserError(
        f'{self.path}: {", ".join(keys)} lie in different files; read them one by one.'
      )
    rows = [x for x in self.records[name] if all(k in x for k in keys)]
    steps = np.array([x['step'] for x in rows], np.float64)
    values = np.array([[x[k] for k in keys] for x in rows], np.float64)
    return steps, values.reshape(len(rows), len(keys))

  def select(self, prefix: str, suffix: str = '') -> dict[str, str]:
    """{key: what stands between prefix and suffix}, sorted by key."""
    return {
      key: key.removeprefix(prefix).removesuffix(suffix)
      for key in sorted(self.keys)
      if key.startswith(prefix) and key.endswith(suffix)
    }


class Following:
  """The log of a run that goes on: what was read once is not read again.

  following = Following('logdir/run'); log = following.read()
  """

  def __init__(self, logdir: str | os.PathLike[str]):
    self.path = pathlib.Path(logdir).expanduser()
    self._files = {x: _Growing(self.path / x) for x in FILES}

  def read(self) -> MetricsLog:
    """The log as it is now; raises as `MetricsLog.open` does."""
    path = self.path
    if not path.is_dir():
      raise UserError(f'{path} is no folder; give the logdir of a run.')
    there = [x for x in FILES if (path / x).is_file()]
    if not there:
      raise UserError(
        f'{path} has neither {" nor ".join(FILES)}; give the logdir of a run '
        'that was trained.'
      )
    notes: list[str] = []
    records = {x: self._files[x].read(notes) for x in there}
    if not any(records.values()):
      raise UserError(
        f'{path}: {" and ".join(there)} hold no complete line yet; try again '
        'once the run has finished an episode.'
      )
    keys = {
      key: name
      for name in there
      for record in records[name]
      for key in record
      if key != 'step'
    }
    return MetricsLog(path, records, keys, tuple(notes))


def last_step(logdir: str | os.PathLike[str]) -> int:
  """The latest step of a run's log, from the ends of its files; 0 without one."""
  steps = [0.0]
  for path in (pathlib.Path(logdir, x) for x in FILES):
    if path.is_file():
      with regular.opened(path) as file:
        size = regular.size_of(file)
        end = regular.read_at(file, max(0, size - END), END)
      found = [x for x in map(_parse, end.split(b'\n')) if x]
      steps += [x['step'] for x in found[-1:]]
  return int(max(steps))


def drop_undone(records: Iterable[Record]) -> tuple[list[Record], int]:
  """Records whose steps never decrease, and how many were dropped.

  Where the step goes back to s, earlier records with a step >= s are dropped.
  """
  kept: list[Record] = []
  dropped = 0
  for record in records:
    if kept and record['step'] < kept[-1]['step']:
      while kept and kept[-1]['step'] >= record['step']:
        kept.pop()
        dropped += 1
    kept.append(record)
  return kept, dropped


class _Growing:
  """A file to which lines are added; another one in its place is read anew."""

  def __init__(self, path: pathlib.Path):
    self.path = path
    self._begin(0)

  def _begin(self, inode: int) -> None:
    self._inode, self._end, self._lost = inode, 0, 0
    self._lines: list[Record] = []

  def read(self, notes: list[str]) -> list[Record]:
    """All records so far; `notes` gets a line for what is left out."""
    tail = self._advance()
    last = [x for x in [_parse(tail)] if x]
    if tail.strip() and not last:
      notes.append(f'{self.path.name}: the last line is still being written')
    if self._lost:
      count = self._lost + len(self._lines) + len(last)
      notes.append(f'{self.path.name}: {self._lost} of {count} lines are unreadable')
    kept, dropped = drop_undone([*self._lines, *last])
    if dropped:
      notes.append(
        f'{self.path.name}: the run was resumed from an earlier step; {dropped} '
        'records of undone training are left out'
      )
    return kept

  def _advance(self) -> bytes:
    """Takes in the whole lines that are new; returns what is behind them."""
    with regular.opened(self.path) as file:
      inode, size = os.fstat(file.fileno()).st_ino, regular.size_of(file)
      if inode != self._inode or size < self._end:
        self._begin(inode)
      new = regular.read_at(file, self._end, size - self._end)
    whole, end, tail = new.rpartition(b'\n')
    self._end += len(whole + end)
    # A kill or a full disk can leave any bytes; they cost one line each.
    found = [_parse(x) for x in whole.split(b'\n') if x.strip()]
    self._lines += [x for x in found if x is not None]
    self._lost += found.count(None)
    return tail


def _parse(line: bytes) -> Record | None:
  """The numbers of a line; None unless it is an object with a step."""
  try:
    values = json.loads(line)
    if not isinstance(values, dict):
      return None
    scalars = {
      str(k): float(v)
      for k, v in values.items()
      if isinstance(v, int | float) and not isinstance(v, bool)
    }
  except (ValueError, OverflowError, RecursionError):
    return None
  step = scalars.get('step', np.nan)
  return scalars if np.isfinite(step) and step >= 0 else None
