"""Which runs lie in some folders, and how is it with each?

for path in find([pathlib.Path('logdir')]): print(look(path).word)
"""

import os
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dreamerv3.base import regular, shipped
from dreamerv3.base.errors import UserError
from dreamerv3.base.host.holder import Holder
from dreamerv3.base.host.locks import SILENT
from dreamerv3.data import metrics_log
from dreamerv3.run_info import read_run_info

DEPTH = 3  # folders below one that was named in which runs are looked for
TRAINS = ('train', 'train_eval')
ENDS = {'done': 'finished', 'running': 'was killed', 'stopped': 'stopped'}


class RunState(NamedTuple):
  """How it is with a run.

  Attributes:
    path: its folder; word: in a few words; steps: that it has logged; trains: now.
  """

  path: pathlib.Path
  word: str
  steps: int
  trains: bool


def find(folders: Iterable[pathlib.Path]) -> list[pathlib.Path]:
  """Folders of runs, which have a config.yaml: these themselves, or below them."""
  return list(dict.fromkeys(y for x in folders for y in _below(x, DEPTH)))


def _below(folder: pathlib.Path, depth: int) -> Iterator[pathlib.Path]:
  if (folder / 'config.yaml').is_file():
    yield folder
  elif depth:
    try:
      inner = sorted(x for x in folder.iterdir() if x.is_dir())
    except OSError:  # not ours to read
      return
    for path in inner:
      yield from _below(path, depth - 1)


def look(path: pathlib.Path) -> RunState:
  """How it is with a run; a damaged one says so in its word."""
  try:
    trains = training(path)
    return RunState(path, _word(path, trains), metrics_log.last_step(path), trains)
  except (UserError, OSError) as e:
    return RunState(path, f'cannot be read: {e}', 0, False)


def training(path: pathlib.Path) -> bool:
  """Whether a process that lives trains in it, as its lock says."""
  lock = path / '.lock'
  if not lock.is_file():
    return False
  holder = Holder.read(regular.read_text(lock, 1 << 16))
  if holder is None:
    return False
  alive = holder.alive()
  return time.time() - lock.stat().st_mtime < SILENT if alive is None else alive


def _word(path: pathlib.Path, trains: bool) -> str:
  if trains:
    return 'training now'
  if shipped.is_shipped(path):
    return 'finished'
  entries = [x for x in read_run_info(path) if x.stage in TRAINS]
  if entries and entries[-1].status in ENDS:
    return ENDS[entries[-1].status]
  if entries:
    return f'failed: {entries[-1].error}'
  return 'trained' if (path / 'ckpt' / 'latest').is_file() else 'no checkpoint'


def results_of(path: pathlib.Path) -> pathlib.Path:
  """Where something about a run can be written: in it, or in logdir/<its name>."""
  if not shipped.is_shipped(path) and not os.access(path, os.W_OK):
    return pathlib.Path('logdir', path.resolve().name)
  return shipped.results_of(path)
