"""Writes a recording: episodes as they end, in any order, none twice.

For the commands that record; the files are described in docs/data_format.md.

  with Recorder('trajectories', metadata, columns) as recorder:
    for number in recorder.missing(range(1, 101)):
      writing = recorder.begin(number)
      writing.add(rows, values)  # once per timestep
      writing.end(seed=0)
    recorder.flush()
    recorder.join()

A file is there when it is whole. So a recording that was killed goes on with
the numbers that are missing, and two that differ never share a folder. The folder
is ours from the first whole episode on: what was refused or killed before it does
not stand in the way of another.

Longer than other files: what writes, resumes and joins a recording keeps one state.
"""

import sys

if __name__ == '__main__':  # before what cannot be found from here
  print(
    'This is no command; use python dreamerv3/main.py --logdir RUN '
    '--script eval_trajectory',
    file=sys.stderr,
  )
  sys.exit(2)

import contextlib
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError, short
from dreamerv3.base.host import job
from dreamerv3.base.host.locks import Lock
from dreamerv3.data.columns import Column
from dreamerv3.data.episode import PREFIX, Episode
from dreamerv3.data.metadata import Metadata
from dreamerv3.recording import pickle_stream
from dreamerv3.recording.background import Writer
from dreamerv3.recording.spool import Room, Spool

MEMORY = 2e9  # bytes of episodes in progress
# Small values of a step, kept in memory: dtype and shape of one step.
VALUES: dict[str, tuple[str, tuple[int, ...]]] = {
  'player_pos': ('float32', (2,)),
  'player_facing': ('int32', (2,)),
  'action': ('int32', ()),
  'reward': ('float64', ()),
  'vital_health': ('int64', ()),
  'vital_food': ('int64', ()),
  'vital_drink': ('int64', ()),
  'vital_energy': ('int64', ()),
  'daylight': ('float32', ()),
  'sleeping': ('bool', ()),
  'injury': ('uint8', ()),
  'view_materials': ('uint8', (9, 9)),
  'view_objects': ('uint8', (9, 9)),
}


class Recorder:
  """A folder of episodes in the making.

  Args:
    folder: created if missing; must be empty, or hold episodes of the same
      recording, which `metadata.extra['fingerprint']` decides.
    metadata: what all episodes share.
    columns: the large values of a step, named by their keys. Layers, `act/...`,
      are written flat; `act/dyn/deter` and `act/dyn/stoch` also as `deter` and
      `stoch`, the latter in its own shape.
    memory: bytes that episodes in progress may hold; what is more goes to a
      temporary file. By default an eighth of what is free, at most 2 GB.

  Raises:
    UserError: the folder holds another recording, or one in progress.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    metadata: Metadata,
    columns: Sequence[Column],
    memory: float | None = None,
  ):
    if memory is None:
      memory = min(MEMORY, job.memory().free / 8)
    self._room = Room(memory)
    self._new = not pathlib.Path(folder).expanduser().exists()
    self.folder = files.make_folder(folder)
    self.metadata, self.columns = metadata, tuple(columns)
    self._lock = Lock(
      self.folder / '.recording.lock',
      f'records into {self.folder}',
      'choose another folder',
    ).acquire()
    try:
      self._enter()
    except BaseException:
      self._leave()
      raise
    self._writer = Writer()
    self._writings: set[Writing] = set()

  def __enter__(self) -> 'Recorder':
    return self

  def __exit__(self, kind: Any, *error: object) -> None:
    """Waits for what is written; drops episodes that have not ended."""
    try:
      self._writer.close(check=kind is None)
      if kind is None and self.episodes():
        self._make_ours()
    finally:
      for writing in self._writings:
        writing.spool.close()
      self._leave()

  @property
  def waited(self) -> float:
    """Seconds for which the caller had to wait for the disk."""
    return self._writer.waited

  @property
  def busy(self) -> float:
    """Seconds that the writing thread has worked."""
    return self._writer.busy

  def path(self, number: int) -> pathlib.Path:
    """File of an episode."""
    return self.folder / f'episode_{number:03d}.pkl'

  def missing(self, wanted: Sequence[int]) -> list[int]:
    """Of these numbers, those that have no file yet.

    Raises:
      UserError: a file that is there is damaged; the message names it.
    """
    found = self._numbered()
    for number, path in found.items():
      if number in wanted:
        Episode.open(path)
    return [x for x in wanted if x not in found]

  def begin(self, number: int) -> 'Writing':
    """Starts an episode; several can be in progress."""
    writing = Writing(self, number, Spool(self.folder, self.columns, self._room))
    self._writings.add(writing)
    return writing

  def flush(self) -> None:
    """Waits until every ended episode is on disk; no more can begin."""
    self._writer.close()
    if self.episodes():
      self._make_ours()

  def submit(self, task: Callable[[], None]) -> None:
    """Does something in the writing thread, after what was submitted before."""
    self._writer.submit(task)

  def keep(self, writing: 'Writing', values: Mapping[str, Any]) -> None:
    """Writes an ended episode under its final name, in the background."""
    self._writings.discard(writing)

    def write() -> None:
      path = self.path(writing.number)
      self._make_ours()
      with contextlib.closing(writing.spool), files.atomic(path) as file:
        pickle_stream.write_dict(file, self._items(writing.spool, values))

    self._writer.submit(write)

  def _items(
    self, spool: Spool, values: Mapping[str, Any]
  ) -> Iterator[tuple[str, Any]]:
    yield from values.items()
    for x in self.columns:
      layer = x.name.startswith(PREFIX)
      yield x.name, _array(spool, x, (x.units,) if layer else x.shape)
      if x.name == f'{PREFIX}dyn/deter':
        yield 'deter', pickle_stream.Again()
      if x.name == f'{PREFIX}dyn/stoch':
        yield 'stoch', _array(spool, x, x.shape)

  def episodes(self) -> list[pathlib.Path]:
    """Files of the episodes that are there, in order of their numbers."""
    return list(self._numbered().values())

  def _numbered(self) -> dict[int, pathlib.Path]:
    found = {
      int(match[1]): x
      for x in self.folder.iterdir()
      if (match := re.fullmatch(r'episode_(\d+)\.pkl', x.name))
    }
    return {x: found[x] for x in sorted(found)}

  def join(self) -> pathlib.Path:
    """Writes `all_episodes.pkl` unless it is newer than every episode."""
    path = self.folder / 'all_episodes.pkl'
    paths = self.episodes()
    newest = max(x.stat().st_mtime_ns for x in paths)
    if not path.exists() or path.stat().st_mtime_ns < newest:
      joined = {'episodes': pickle_stream.Joined(paths)}
      items = {**self.metadata.to_dict(), **joined}.items()
      with files.atomic(path) as file:
        pickle_stream.write_dict(file, items)
    return path

  def _enter(self) -> None:
    """Compares with what is in the folder; writes nothing."""
    path, episodes = self.folder / 'metadata.pkl', self.episodes()
    # What is to be written to it with the first episode, if anything is.
    self._mark: dict[str, Any] | None = self.metadata.to_dict()
    if path.exists():
      there = unpickle.load(path)
      held = episodes or (self.folder / 'all_episodes.pkl').exists()
      _compare(self.folder, there, self.metadata, held)
      if held:
        same = there['settings'] == self.metadata.settings  # other episodes wanted
        settings = dict(self.metadata.settings)
        self._mark = None if same else {**there, 'settings': settings}
    elif episodes:
      raise UserError(
        f'{self.folder} holds episodes without metadata.pkl, so what they '
        'are is unknown; choose another folder.'
      )
    # What a killed process was writing.
    for stale in self.folder.glob('.*.pkl.????????.tmp'):
      stale.unlink()

  def _make_ours(self) -> None:
    """Says in the folder what is in it, before an episode is."""
    if self._mark is not None:
      files.save_pickle(self.folder / 'metadata.pkl', self._mark)
      self._mark = None

  def _leave(self) -> None:
    """Lets others in; a folder that we made for nothing goes again."""
    if self._new and {x.name for x in self.folder.iterdir()} <= {self._lock.path.name}:
      self._lock.path.unlink(missing_ok=True)
      with contextlib.suppress(OSError):
        self.folder.rmdir()
    self._lock.release()


class Writing:
  """One episode in progress.

  Attributes:
    number: of the episode, from 1.
    spool: its large values.
  """

  def __init__(self, recorder: Recorder, number: int, spool: Spool):
    self.number, self.spool = number, spool
    self._recorder = recorder
    self._values: dict[str, list[Any]] = {}
    self._achievements: list[dict[str, int]] = []

  def add(self, rows: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
    """Adds one timestep.

    Args:
      rows: {group: values} of the large ones, as the columns say.
      values: keys of VALUES, and `achievements`, {name: count so far}; the same
        ones in every step. What a replayed recording lacks may be missing.
    """
    if not self._values:
      self._values = {k: [] for k in VALUES if k in values}
    for key, kept in self._values.items():
      kept.append(values[key])
    if 'achievements' in values:
      self._unlock(dict(values['achievements']))
    block = self.spool.add(rows)
    if block is not None:
      self._recorder.submit(lambda: self.spool.write(block))

  def _unlock(self, counts: dict[str, int]) -> None:
    # Equal neighbours are one object: nothing changes in most steps.
    same = bool(self._achievements) and self._achievements[-1] == counts
    self._achievements.append(self._achievements[-1] if same else counts)

  def end(self, **more: Any) -> None:
    """Ends the episode; `more` are further keys of its file."""
    block = self.spool.take()
    if block is not None:
      self._recorder.submit(lambda: self.spool.write(block))
    length = self.spool.length
    arrays = {
      k: np.array(v, VALUES[k][0]).reshape((length, *VALUES[k][1]))
      for k, v in self._values.items()
    }
    names = (x.name for x in self._recorder.columns)
    arrays['action'][-1:] = 0  # chosen, but the episode was over
    unlocked: dict[str, Any] = {}
    if self._achievements:
      unlocked['final_achievements'] = self._achievements[-1]
      unlocked['achievements'] = self._achievements
    self._recorder.keep(
      self,
      {
        'episode': self.number,
        'length': length,
        'total_reward': float(arrays['reward'].sum()),
        **more,
        'layer_names': sorted(
          x.removeprefix(PREFIX) for x in names if x.startswith(PREFIX)
        ),
        **unlocked,
        **arrays,
      },
    )


def _array(
  spool: Spool, column: Column, shape: tuple[int, ...]
) -> pickle_stream.ArrayPieces:
  shape = spool.length, *shape
  return pickle_stream.ArrayPieces(
    column.dtype, shape, lambda: spool.pieces(column.name)
  )


def _compare(folder: pathlib.Path, there: Any, here: Metadata, held: object) -> None:
  """UserError unless the two are one recording, or no episode is `held` yet."""
  old = there.get('fingerprint') if isinstance(there, dict) else None
  if not isinstance(old, dict):
    raise UserError(
      f'{folder} holds a recording of another program; choose another folder.'
    )
  new = here.extra['fingerprint']
  kinds = [_kind(x) for x in (old, new)]
  if kinds[0] != kinds[1]:
    raise UserError(
      f'{folder} holds {kinds[0]}, and this is {kinds[1]}; remove it, or choose '
      'another save_path.'
    )
  differ = [
    f'{k} {short(old.get(k), 60)} there, {short(new.get(k), 60)} now'
    for k in sorted({*old, *new})
    if held and old.get(k) != new.get(k)
  ]
  if differ and {**old, 'weights': ''} == {**new, 'weights': ''}:
    steps = there.get('checkpoint_step'), here.extra.get('checkpoint_step')
    if None not in steps and steps[0] != steps[1]:
      raise UserError(
        f'{folder} was recorded at step {steps[0]} of training and the run is '
        f'at step {steps[1]} now; give another save_path.'
      )
  if differ:
    more = f' and {len(differ) - 6} more' if len(differ) > 6 else ''
    raise UserError(
      f'{folder} holds another recording ({"; ".join(differ[:6])}{more}); '
      'choose another folder, or the settings it was begun with.'
    )


def _kind(fingerprint: Mapping[str, Any]) -> str:
  if 'replay_activations.source' in fingerprint:
    return 'a replay of a recording'
  return 'a recording of an agent that acts itself'
