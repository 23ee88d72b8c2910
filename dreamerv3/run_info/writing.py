"""Writes run_info.json: an entry before the work, completed after it.

  with noting('results', 'tuning_curve', args, inputs={'data': path}) as note:
    note.outputs.append(path)
    note.extra['units'] = 12

Whatever ends the work leaves an entry: a failure its error, Ctrl-C and SIGTERM
the word "stopped", a kill the word "running". Only a user's mistake that is found
before anything was written leaves nothing, as everywhere. Several processes may
write at once, also where files cannot be locked; a file that cannot be read is
kept aside.
"""

import contextlib
import dataclasses
import datetime
import json
import math
import os
import pathlib
import shlex
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

from dreamerv3.base import files, regular
from dreamerv3.base.errors import Unreadable, UserError, reading
from dreamerv3.base.host.locks import Lock
from dreamerv3.base.version import code, versions
from dreamerv3.run_info import inputs as sources
from dreamerv3.run_info import leftovers
from dreamerv3.run_info.entries import BESIDE, FORMAT, NAME, Entry, identify

Paths = Iterable[str | os.PathLike]
Inputs = Mapping[str, str | os.PathLike | Iterable[str | os.PathLike] | None]

WAIT = 60.0  # seconds for which another writer is waited for
_STARTED = time.time()
_SLURM = (
  'SLURM_JOB_ID',
  'SLURM_JOB_NAME',
  'SLURM_ARRAY_JOB_ID',
  'SLURM_ARRAY_TASK_ID',
  'SLURM_RESTART_COUNT',
  'SLURM_JOB_PARTITION',
  'SLURM_JOB_NODELIST',
  'SLURM_CLUSTER_NAME',
)


@dataclasses.dataclass
class Note:
  """What a command adds to its entry while it works.

  Attributes:
    outputs: every file that it wrote; what is to come may be listed before.
    extra: numbers and facts that vary by stage.
    status: how it ends if nothing goes wrong; set 'stopped' where a signal was
      obeyed and the work is not whole.
  """

  outputs: list[pathlib.Path]
  extra: dict[str, Any]
  status: str = 'done'


@contextlib.contextmanager
def noting(
  save_dir: str | os.PathLike,
  stage: str,
  args: Any = None,
  inputs: Inputs | None = None,
  outputs: Paths = (),
  extra: Mapping[str, Any] | None = None,
  replaces: Callable[[Entry], bool] | None = None,
  keep: Collection[str] = (),
) -> Iterator[Note]:
  """Notes a command in `save_dir/run_info.json` while it works.

  To be entered when nothing is left to refuse, before the work.

  Args:
    save_dir: folder that holds the outputs; created if missing.
    stage: pipeline stage, e.g. 'decode_position'.
    args: all settings, a mapping or a dataclass.
    inputs: {setting: file or folder, or several} that the command reads; empty
      ones are left out.
    outputs, extra: what is known of them before.
    replaces: which earlier entries of the stage this run replaces, upon success:
      what only they list is deleted, see `leftovers.clear`. None: nothing.
    keep: patterns of files that stay nevertheless.

  Raises:
    UserError: the folder cannot be written to.
  """
  folder = files.make_folder(save_dir).resolve()
  note = Note([pathlib.Path(x) for x in outputs], dict(extra or {}))
  values = _begin(folder, stage, args, inputs or {})
  _put(folder, {**values, **_of(note, folder)})
  process = os.getpid()
  status, error, refused = 'failed', '', False
  try:
    with _stoppable(), _naming(inputs or {}):
      yield note
    status = note.status
  except BaseException as e:
    status, error = _ending(e)
    refused = isinstance(e, UserError) and not note.outputs
    raise
  finally:
    if os.getpid() != process:  # a child that leaves through here
      pass
    elif refused:
      _drop(folder, values['id'])
      files.unmake_folder(save_dir)
    else:
      _end(folder, {**values, **_of(note, folder)}, status, error)
      if replaces is not None and status == 'done':
        leftovers.clear(folder, stage, note.outputs, replaces, keep)


def log_run_info(
  save_dir: str | os.PathLike,
  stage: str,
  args: Any = None,
  outputs: Paths = (),
  extra: Mapping[str, Any] | None = None,
) -> pathlib.Path:
  """Appends an entry of work that is done; returns the path of run_info.json.

  Args:
    save_dir: folder that holds the outputs; created if missing.
    stage: pipeline stage, e.g. 'decode_position'.
    args: all settings, a mapping or a dataclass; those with the names of ours
      that lead to files, such as `data`, are described as inputs.
    outputs: every file the run wrote.
    extra: numbers and facts that vary by stage.
  """
  folder = files.make_folder(save_dir).resolve()
  note = Note([pathlib.Path(x) for x in outputs], dict(extra or {}))
  known: dict[str, list[str]] = {}
  for role, path in sources.named(plain(args or {}), note.extra):
    if pathlib.Path(path).expanduser().resolve() != folder:
      known.setdefault(role, []).append(path)
  values = {**_begin(folder, stage, args, known), **_of(note, folder)}
  ended = {'status': 'done', 'ended': values['timestamp']}
  _put(folder, {**values, **ended, 'duration_s': round(time.time() - _STARTED, 1)})
  return folder / NAME


def plain(value: Any) -> Any:
  """The value as JSON types; what JSON lacks becomes its text."""
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    value = dataclasses.asdict(value)
  if isinstance(value, Mapping):
    return {str(k): plain(v) for k, v in value.items()}
  if isinstance(value, list | tuple | set | frozenset):
    return [plain(x) for x in value]
  if hasattr(value, 'tolist'):  # numpy arrays and scalars
    return plain(value.tolist())
  if isinstance(value, float) and not math.isfinite(value):
    return str(value)
  if value is None or isinstance(value, str | int | float | bool):
    return value
  return str(value)


def _begin(
  folder: pathlib.Path, stage: str, args: Any, inputs: Inputs
) -> dict[str, Any]:
  """What an entry says from the first moment on."""
  return {
    'format': FORMAT,
    'id': uuid.uuid4().hex[:12],
    'stage': stage,
    'status': 'running',
    'error': None,
    'timestamp': _now(),
    'ended': None,
    'duration_s': 0.0,
    'git_sha': code().sha,
    'git_dirty': code().dirty,
    'command': shlex.join(sys.orig_argv),
    'cwd': str(pathlib.Path.cwd()),
    'folder': str(folder),
    'host': socket.gethostname(),
    'pid': os.getpid(),
    'slurm_job_id': os.environ.get('SLURM_JOB_ID'),
    'slurm': {k: v for k, v in os.environ.items() if k in _SLURM},
    'args': plain(args or {}),
    'inputs': [dataclasses.asdict(x) for x in sources.describe_all(inputs, folder)],
    'versions': versions(),
  }


def _of(note: Note, folder: pathlib.Path) -> dict[str, Any]:
  return {
    'outputs': [sources.relative(x, folder) for x in note.outputs],
    'extra': plain(note.extra),
  }


def _now() -> str:
  return datetime.datetime.now().astimezone().isoformat('T', 'seconds')


def _ending(error: BaseException) -> tuple[str, str]:
  """The status and the line that an exception stands for."""
  if isinstance(error, SystemExit) and not error.code:
    return 'done', ''
  if isinstance(error, SystemExit):
    return 'stopped', f'exit code {error.code}'
  if isinstance(error, KeyboardInterrupt):
    return 'stopped', 'interrupted'
  name = '' if isinstance(error, UserError) else f'{type(error).__name__}: '
  return 'failed', ' '.join(f'{name}{error}'.split())[:500]


def _end(folder: pathlib.Path, values: dict[str, Any], status: str, error: str) -> None:
  """Completes an entry; what hinders it is a line, never the end of the work."""
  began = datetime.datetime.fromisoformat(values['timestamp']).timestamp()
  ended = {
    'status': status,
    'error': error or None,
    'ended': _now(),
    'duration_s': round(max(0.0, time.time() - began), 1),
  }
  try:
    _put(folder, {**values, **ended})
  except (OSError, UserError) as e:
    print(
      f'Cannot complete {folder / NAME} ({e}): this run stays "running" in it.',
      file=sys.stderr,
    )


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
  """SIGTERM leaves by SystemExit, so that the end of the work is noted."""

  def leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)

  main = threading.current_thread() is threading.main_thread()
  if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
    yield
    return
  signal.signal(signal.SIGTERM, leave)
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _naming(inputs: Inputs) -> contextlib.AbstractContextManager[None]:
  """Names the results that are drawn again, where they cannot be drawn."""
  again = inputs.get('from_pkl')
  if not isinstance(again, str | os.PathLike) or not again:
    return contextlib.nullcontext()
  return reading(again, 'results of this program; make them again')


def _put(folder: pathlib.Path, entry: Mapping[str, Any]) -> None:
  """Adds an entry, or replaces the one of its id."""
  path = folder / NAME
  beside = folder / BESIDE.replace('*', entry['id'])
  doing = f'writes {path}'
  try:
    with Lock(folder / '.run_info.lock', doing, wait=WAIT, sign=False) as lock:
      if not lock.exclusive:  # others may write here now, and drop ours
        files.save_json(beside, [entry])
      _merge(path, entry, fold=lock.exclusive)
  except Unreadable:  # what lies there is no file
    raise
  except UserError:  # held for all that time
    files.save_json(beside, [entry])


def _merge(path: pathlib.Path, entry: Mapping[str, Any], fold: bool) -> None:
  """Writes the array with an entry in it, and those that lie beside.

  Args:
    fold: nobody else writes, so that what lies beside can go.
  """
  parts = sorted(path.parent.glob(BESIDE))
  known = {identify(x): x for x in _read(path)}
  for part in parts:
    with contextlib.suppress(OSError, ValueError):
      known |= {identify(x): x for x in json.loads(part.read_text())}
  files.save_json(path, list({**known, entry['id']: entry}.values()))
  for part in parts if fold else ():
    part.unlink(missing_ok=True)


def _drop(folder: pathlib.Path, name: str) -> None:
  """Takes an entry out again, and the file if it was the only one."""
  path, lock = folder / NAME, folder / '.run_info.lock'
  busy = Lock(lock, f'writes {path}', wait=WAIT, sign=False)
  with contextlib.suppress(OSError, UserError), busy:
    rest = [x for x in _read(path) if identify(x) != name]
    if rest:
      files.save_json(path, rest)
      return
    for left in (path, folder / BESIDE.replace('*', name), lock):
      left.unlink(missing_ok=True)


def _read(path: pathlib.Path) -> list[dict[str, Any]]:
  if not path.exists():
    return []
  try:
    entries = json.loads(regular.read_bytes(path))
    if isinstance(entries, list) and all(isinstance(x, dict) for x in entries):
      return entries
  except Unreadable:
    raise
  except ValueError:
    pass
  stamp = datetime.datetime.now().strftime('%Y%m%dT%H%M%SF%f')
  aside = path.with_name(f'run_info.corrupt-{stamp}.json')
  path.replace(aside)
  print(
    f'{path} is not a JSON array of entries; kept it as {aside.name} and began a '
    'new one.',
    file=sys.stderr,
  )
  return []
