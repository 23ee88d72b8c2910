"""Provenance: which command, on which code, made the files of a folder.

  log_run_info('results', 'decode_position', vars(args), outputs=[...])
  end_run_info('results')  # where the entry was written before the work

Appends one entry to `results/run_info.json`, a JSON array. Several processes
may append at once; a file that cannot be read is kept aside, never lost.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

import filelock

from dreamerv3.base import files
from dreamerv3.base.errors import reading

PACKAGES = (
  'jax',
  'jaxlib',
  'elements',
  'ninjax',
  'optax',
  'crafter',
  'numpy',
  'scipy',
  'scikit-learn',
  'pynapple',
  'torch',
  'matplotlib',
)

# What readers need of an entry.
_FORM: dict[str, type] = {
  'stage': str,
  'timestamp': str,
  'command': str,
  'cwd': str,
  'args': dict,
  'outputs': list,
  'extra': dict,
}
_STARTED = time.time()
_written: dict[str, Any] = {}  # the entry that this process has made last


def log_run_info(
  save_dir: str | os.PathLike,
  stage: str,
  args: Any = None,
  outputs: Iterable[str | os.PathLike] = (),
  extra: Mapping[str, Any] | None = None,
) -> pathlib.Path:
  """Appends an entry to `save_dir/run_info.json` and returns its path.

  Args:
    save_dir: folder that holds the outputs; created if missing.
    stage: pipeline stage, e.g. 'decode_position'.
    args: all settings, a mapping or a dataclass.
    outputs: every file the run wrote.
    extra: numbers and facts that vary by stage.
  """
  path = files.make_folder(save_dir) / 'run_info.json'
  entry = {
    'stage': stage,
    'timestamp': datetime.datetime.now().astimezone().isoformat('T', 'seconds'),
    'duration_s': _lived(),
    **git_state(),
    'command': shlex.join(sys.orig_argv),
    'cwd': os.getcwd(),
    'slurm_job_id': os.environ.get('SLURM_JOB_ID'),
    'slurm': {k: v for k, v in os.environ.items() if k in _SLURM},
    'args': plain(args or {}),
    'outputs': [str(x) for x in outputs],
    'versions': versions(),
    'extra': plain(extra or {}),
  }
  with filelock.FileLock(path.with_name('.run_info.lock'), timeout=60):
    files.save_json(path, [*_read(path), entry])
  _written.clear()
  _written.update(json.loads(json.dumps(entry)))
  return path


def end_run_info(save_dir: str | os.PathLike) -> None:
  """Set the duration of this process's entry, written at its start, to now."""
  path = pathlib.Path(save_dir) / 'run_info.json'
  with filelock.FileLock(path.with_name('.run_info.lock'), timeout=60):
    entries = _read(path)
    for entry in entries:
      if entry == _written:
        entry['duration_s'] = _lived()
    files.save_json(path, entries)


def _lived() -> float:
  """Seconds since this program started."""
  return round(time.time() - _STARTED, 1)


def read_run_info(save_dir: str | os.PathLike) -> list[dict[str, Any]]:
  """All entries of a folder, oldest first; empty when there are none.

  Raises:
    UserError: the file holds something else.
  """
  path = pathlib.Path(save_dir) / 'run_info.json'
  if not path.exists():
    return []
  with reading(path, 'provenance of this project; move it away'):
    entries = json.loads(path.read_text())
    for entry in entries:
      for key, kind in _FORM.items():
        if not isinstance(entry.setdefault(key, kind()), kind):
          raise TypeError(f'{key} is {entry[key]!r}')
      datetime.datetime.fromisoformat(entry['timestamp'])
      entry['outputs'] = [os.fspath(x) for x in entry['outputs']]
    return entries


def git_state() -> dict[str, Any]:
  """Short SHA of the code in use, and whether it has uncommitted changes."""
  sha = _git('rev-parse', '--short', 'HEAD')
  changes = _git('status', '--porcelain', '--untracked-files=no')
  return {
    'git_sha': sha or 'unknown',
    'git_dirty': None if changes is None else bool(changes),
  }


def versions() -> dict[str, str]:
  """Versions of Python and of the main packages, without importing them."""
  found = {'python': platform.python_version()}
  for name in PACKAGES:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return found


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


def _read(path: pathlib.Path) -> list[Any]:
  if not path.exists():
    return []
  try:
    entries = json.loads(path.read_text())
    if isinstance(entries, list):
      return entries
  except ValueError:
    pass
  stamp = datetime.datetime.now().strftime('%Y%m%dT%H%M%SF%f')
  aside = path.with_name(f'run_info.corrupt-{stamp}.json')
  os.replace(path, aside)
  print(
    f'{path} is not a JSON array; kept it as {aside.name} and began a new one.',
    file=sys.stderr,
  )
  return []


def _git(*args: str) -> str | None:
  folder = pathlib.Path(__file__).resolve().parent
  try:
    done = subprocess.run(
      ['git', '-C', str(folder), *args],
      capture_output=True,
      text=True,
      timeout=20,
      check=True,
    )
  except (OSError, subprocess.SubprocessError):
    return None
  return done.stdout.strip()
