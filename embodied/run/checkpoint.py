"""Where does a run continue? Checkpoint folders, written whole or not at all.

  ckpt/latest                       name of the newest complete folder
  ckpt/20260129T183613F519148/      step.pkl agent.pkl replay.pkl ... done

A save takes a snapshot in the caller's thread and writes it in another, so
that acting never waits for the disk. A folder counts once `done` is in it.

  checkpoint = Checkpoint('logdir/ckpt', {'step': step, 'agent': agent})
  checkpoint.load_latest() or checkpoint.save(int(step))
"""

import concurrent.futures
import contextlib
import datetime
import os
import pathlib
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dreamerv3.base import files, regular, unpickle
from dreamerv3.base.errors import Unreadable, UserError, reading, short

PROTOCOL = 4
NAME = re.compile(r'\d{8}T\d{6}F\d{6}')  # of our folders; others stay

# Files of one content by two names: `train_eval` calls it as published.
OTHER_NAMES = {'replay': 'replay_train', 'replay_train': 'replay'}


class CheckpointError(ValueError):
  """A checkpoint that cannot be used: what it is, what to do."""


class Saveable(Protocol):
  """State with a snapshot. `save` may return a function for the slow part."""

  def save(self) -> Any:
    """Its state, as plain containers and arrays."""

  def load(self, data: Any) -> None:
    """Continues from a saved state."""


class Checkpoint:
  """Saves and restores the parts of a run under their names.

  Args:
    folder: Holds the checkpoint folders and `latest`.
    parts: What to save, by file name. If `save` of a part returns a function,
      this is called in the writing thread and its result is what is saved.
    keep: Which checkpoints stay besides the newest, see `Keep`.
    spare: Keep the checkpoint before the newest, too: the processes of one
      run may not have got equally far when they are killed.
    before_done: Called in the writing thread before `done` is set, e.g. to
      flush logs that this checkpoint must not be ahead of.
  """

  def __init__(
    self,
    folder: str | os.PathLike,
    parts: Mapping[str, Saveable],
    keep: Sequence[float] = (0,),
    before_done: Callable[[], None] = lambda: None,
    spare: bool = False,
  ):
    self.folder = pathlib.Path(folder)
    self.parts = dict(parts)
    self.keep = Keep(keep)
    self.before_done = before_done
    self.spare = spare
    self.last: pathlib.Path | None = None  # written or loaded before
    self.worker = concurrent.futures.ThreadPoolExecutor(1, 'checkpoint')
    self.job: concurrent.futures.Future | None = None

  def busy(self) -> bool:
    """Whether an earlier save is still being written; raises its failure."""
    if self.job is not None and self.job.done():
      self.wait()
    return self.job is not None

  def wait(self) -> None:
    """Waits for the save in the background and raises what it ran into."""
    job, self.job = self.job, None
    if job is not None:
      job.result()

  def save(self, step: int) -> pathlib.Path:
    """Takes a snapshot now and writes it in the background."""
    self.wait()
    snapshot = {name: part.save() for name, part in self.parts.items()}
    stamp = datetime.datetime.now(datetime.UTC).strftime('%Y%m%dT%H%M%SF%f')
    path = self.folder / stamp
    self.keep.add(step)
    self.job = self.worker.submit(self._write, path, snapshot)
    return path

  def load_latest(self) -> pathlib.Path | None:
    """Restores all parts from the newest checkpoint, if there is one."""
    path = latest(self.folder)
    if path:
      self.load(path)
    return path

  def load(self, path: pathlib.Path) -> None:
    """Restores all parts from a checkpoint of this folder."""
    data = {}
    for name in self.parts:
      names = name, OTHER_NAMES.get(name, name)
      there = [x for x in names if (path / f'{x}.pkl').exists()]
      if there:
        data[name] = read(path / f'{there[0]}.pkl')
      else:
        print(f'{path} has no {name}.pkl; {name} starts afresh.')
    for name, value in data.items():
      with _state_of(path / f'{name}.pkl'):
        self.parts[name].load(value)
    # Later ones, if any, belong to a future that is given up.
    earlier = [x for x in complete(self.folder) if x.name <= path.name]
    self.keep.load([step_of(x) for x in earlier])
    self.last = path

  def close(self) -> None:
    """Waits for what is being written."""
    try:
      self.wait()
    finally:
      self.worker.shutdown()

  def _write(self, path: pathlib.Path, snapshot: dict[str, Any]) -> None:
    try:
      path.mkdir(parents=True)
      for name in list(snapshot):
        value = snapshot.pop(name)  # what is on disk need not stay in memory
        _dump(path / f'{name}.pkl', value() if callable(value) else value)
        del value
      self.before_done()
      _sync(path)
      (path / 'done').touch()
      _sync(path)
      with files.atomic(self.folder / 'latest', 'w') as file:
        file.write(path.name)
    except OSError as e:
      shutil.rmtree(path, ignore_errors=True)
      latest = self.folder / 'latest'
      before = (
        f'the one in {latest} is intact' if latest.exists() else 'it was the first'
      )
      raise OSError(
        e.errno,
        f'Cannot save the checkpoint ({e.strerror}); {before}. Free space and run the '
        'same command again',
        str(path),
      ) from e
    self._clean({path, self.last} if self.spare else {path})
    self.last = path

  def _clean(self, needed: set[pathlib.Path | None]) -> None:
    """Removes what neither the schedule nor a resume needs."""
    files.clear_unfinished(self.folder)
    for old in sorted(self.folder.iterdir()):
      ours = NAME.fullmatch(old.name) and old.is_dir()
      if ours and old not in needed and not self._wanted(old):
        # Without `done` first: a kill in between leaves no false checkpoint.
        (old / 'done').unlink(missing_ok=True)
        shutil.rmtree(old, ignore_errors=True)

  def _wanted(self, path: pathlib.Path) -> bool:
    return (path / 'done').exists() and step_of(path) in self.keep.steps


class Keep:
  """Which checkpoints stay on disk for good, by their steps.

  Args:
    spec: (0,) none but the newest, (-1,) all, (N,) the first at or after each
      multiple of N, (A, B, ...) the first at or after each of these.
  """

  def __init__(self, spec: Sequence[float] = (0,)):
    if len(spec) > 1 and any(x <= 0 for x in spec):
      raise ValueError(f'ckpt_keep lists steps above 0, got {list(spec)}.')
    self.spec = tuple(spec)
    self.steps: set[int] = set()
    self.reached = 0

  def milestones(self, step: int) -> int:
    """How many kept checkpoints there should be by `step`."""
    if len(self.spec) > 1:
      return sum(step >= x for x in self.spec)
    every = self.spec[0]
    return int(step // every) if every > 0 else 0

  def due(self, step: int) -> bool:
    """Whether a save is due at `step` so that a milestone is not missed."""
    return self.milestones(step) > self.reached

  def add(self, step: int) -> None:
    """Notes a checkpoint, if it is one to keep."""
    if self.spec == (-1,) or self.due(step):
      self.steps.add(step)
    self.reached = max(self.reached, self.milestones(step))

  def load(self, steps: Sequence[int]) -> None:
    """Recalls which checkpoints are there when a run continues."""
    for step in sorted(steps):
      self.add(step)


def complete(folder: pathlib.Path) -> list[pathlib.Path]:
  """Complete checkpoints under a folder, oldest first."""
  found = (x.parent for x in folder.glob('*/done'))
  return sorted(x for x in found if NAME.fullmatch(x.name))


def latest(folder: pathlib.Path) -> pathlib.Path | None:
  """The checkpoint that a run goes on from, None in a new one."""
  return find(folder) if (folder / 'latest').exists() else None


def step_of(path: pathlib.Path) -> int:
  """The step at which a checkpoint was written."""
  step = read(path / 'step.pkl')
  if not isinstance(step, int | np.integer) or step < 0:
    raise CheckpointError(
      f'{path / "step.pkl"} holds {short(step)}, expected a number of steps; '
      'take another checkpoint.'
    )
  return int(step)


def find(path: str | os.PathLike) -> pathlib.Path:
  """The checkpoint folder that a user's path means.

  Accepts the folder itself, its parent with `latest`, the file `latest`, and
  a logdir with `ckpt/`.

  Raises:
    CheckpointError: not there, or not complete.
  """
  given = pathlib.Path(path).expanduser()
  place = given
  if (place / 'ckpt').is_dir():
    place = place / 'ckpt'
  if place.is_file() and place.name == 'latest':
    place = place.parent
  if (place / 'latest').is_file():
    place = place / _named(place / 'latest')
  if (place / 'done').is_file():
    return place
  if not given.exists():
    raise CheckpointError(f'There is no {given}.')
  if (place / 'agent.pkl').exists():
    raise CheckpointError(
      f'{place} is not complete (without its file done); it is still being written, '
      'or the run was killed meanwhile. Take an older one.'
    )
  raise CheckpointError(
    f'{given} holds no checkpoint: expected a folder with agent.pkl and done, '
    "one with a file 'latest', or a logdir with ckpt/."
  )


def _named(latest: pathlib.Path) -> str:
  """The name in a file `latest`: of a folder beside it and of nothing else."""
  try:
    name = regular.read_text(latest, 4096).strip()
  except Unreadable as e:
    raise CheckpointError(str(e)) from e
  if name != pathlib.PurePath(name).name or name in ('', '..'):
    raise CheckpointError(
      f'{latest} holds {short(name)!r}, expected the name of a folder beside it.'
    )
  return name


@contextlib.contextmanager
def _state_of(path: pathlib.Path) -> Iterator[None]:
  """Names the file whose state a part does not take."""
  try:
    with reading(path, 'state of this program; take another checkpoint'):
      try:
        yield
      except ValueError as e:  # says what does not fit, in its own words
        raise UserError(f'{path}: {e}') from e
  except UserError as e:
    raise CheckpointError(str(e)) from e


def load_agent(agent: Any, path: str | os.PathLike, regex: str = '') -> Any:
  """Puts the agent.pkl of a checkpoint into an agent; returns its folder.

  Args:
    regex: Only the parameters whose names it matches; '' = everything.
  """
  folder = find(path)
  data = read(folder / 'agent.pkl')
  with _state_of(folder / 'agent.pkl'):
    agent.load(data, regex=regex or None)
  print(f'Loaded {folder}')
  return folder


def read(path: pathlib.Path) -> Any:
  """A pickle of arrays and plain containers; anything else is refused."""
  try:
    return unpickle.load(path)
  except Unreadable as e:
    raise CheckpointError(
      f'{path} cannot be read ({e.why or e}); take another checkpoint.'
    ) from e


def _dump(path: pathlib.Path, value: Any) -> None:
  with path.open('wb') as file:
    pickle.dump(value, file, protocol=PROTOCOL)
    file.flush()
    os.fsync(file.fileno())


def _sync(path: pathlib.Path) -> None:
  """Makes names and content survive a crash of the machine."""
  if sys.platform == 'win32':  # cannot open folders
    return
  handle = os.open(path, os.O_RDONLY)
  try:
    os.fsync(handle)
  finally:
    os.close(handle)
