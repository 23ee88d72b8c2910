"""What a command reads, so described that it is known again after a move.

  describe('data', 'run/trajectories', pathlib.Path('run/results').resolve())

A digest tells one from another that lies at the same place later. It takes the
whole of a small file, parts of a large one, and names and sizes of a folder.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.run_info.entries import NAME, Entry, Input, is_path
from dreamerv3.run_info.makers import makers, saved

WHOLE = 1 << 25  # bytes of a file up to which all of it is read
PIECE, PIECES = 1 << 16, 32  # of a larger one
KINDS = {
  'recording': ('metadata.pkl', 'episode_*.pkl', 'all_episodes.pkl'),
  'checkpoint': ('agent.pkl',),
  'run': ('config.yaml', 'ckpt'),
}


# Settings through which commands read, where inputs are not listed.
READS = (
  'data',
  'test_data',
  'control',
  'source_data',
  'dream_data',
  'from_model',
  'from_pkl',
  'resume',
  'decoder_model',
  'compare',
)
# Where a checkpoint was looked for, no matter once it is known which it was.
PLACES = ('logdir', 'from_checkpoint')


def named(args: Any, extra: Mapping[str, Any]) -> list[tuple[str, str]]:
  """(setting, path) of what a command reads, by the names of its settings.

  Args:
    args: its settings, a mapping as JSON has it.
    extra: facts that vary by stage; a `checkpoint` among them is read, too.
  """
  found = []
  checkpoint = extra.get('checkpoint')
  if is_path(checkpoint):
    found.append(('checkpoint', str(checkpoint)))
  places = () if found else PLACES
  for name, value in args.items() if isinstance(args, Mapping) else ():
    last = str(name).rpartition('.')[2]
    if last in READS or last in places:
      each = value if isinstance(value, list) else [value]
      found += [(name, x) for x in each if is_path(x)]
  return found


def describe_all(inputs: Mapping[str, Any], folder: pathlib.Path) -> list[Input]:
  """Each file or folder of {setting: one or several}; empty ones left out."""
  found = []
  for role, paths in inputs.items():
    single = isinstance(paths, str | os.PathLike) or paths is None
    each: Iterable[Any] = [paths] if single else paths
    found += [describe(role, x, folder) for x in each if x]
  return found


def describe(role: str, path: str | os.PathLike, folder: pathlib.Path) -> Input:
  """One input of a command that writes to a folder."""
  whole = pathlib.Path(path).expanduser().resolve()
  kind = kind_of(whole)
  made = _makers(whole)
  return Input(
    role=role,
    path=pathlib.Path(os.path.relpath(whole, folder)).as_posix(),
    absolute=str(whole),
    kind=kind,
    digest=digest(whole, kind),
    identity=identity(whole) if kind == 'recording' else '',
    made_by=tuple(x.id for x in made),
    maker=', '.join(made[-1].lines()) if made else '',
  )


def relative(path: str | os.PathLike, folder: pathlib.Path) -> str:
  """A path from a folder on; from the root where they have little in common.

  Args:
    path: seen from here, or from the folder if it is there alone.
    folder: resolved.
  """
  given = pathlib.Path(path).expanduser()
  whole = given.absolute()
  if not whole.exists() and (folder / given).exists():
    whole = folder / given
  whole = pathlib.Path(os.path.realpath(whole.parent), whole.name)
  near = pathlib.Path(os.path.relpath(whole, folder))
  return str(whole) if near.parts[:3] == ('..',) * 3 else near.as_posix()


def kind_of(path: pathlib.Path) -> str:
  """'file', 'folder' of some kind, or 'missing'."""
  if path.is_file():
    return 'file'
  if not path.is_dir():
    return 'missing'
  for kind, patterns in KINDS.items():
    if any(next(path.glob(x), None) for x in patterns):
      return kind
  return 'folder'


def digest(path: pathlib.Path, kind: str) -> str:
  """'sha256:...' of what is there; empty where it cannot be read."""
  sha = hashlib.sha256()
  try:
    for part in _parts(path, kind):
      sha.update(part)
  except OSError:
    return ''
  return '' if kind == 'missing' else f'sha256:{sha.hexdigest()}'


def identity(path: pathlib.Path) -> str:
  """Of a recording: what decides the content of its episodes, in one word."""
  try:
    found = unpickle.load(path / 'metadata.pkl')
    marks = found.get('fingerprint') if isinstance(found, dict) else None
  except (OSError, UserError):
    return ''
  if not marks:
    return ''
  text = json.dumps(marks, sort_keys=True, default=str)
  return f'sha256:{hashlib.sha256(text.encode()).hexdigest()}'


def same(known: Input, path: pathlib.Path) -> bool | None:
  """Whether something is what a command has read; None if nobody can tell.

  A recording to which episodes were added, or of which only some were copied,
  and what the same command has made, count as the same.
  """
  kind = kind_of(path)
  if kind == 'missing':
    return False
  if known.digest and digest(path, kind) == known.digest:
    return True
  if known.identity and identity(path) == known.identity:
    return True
  if known.made_by and {x.id for x in _makers(path)} & {*known.made_by}:
    return True
  return False if known.digest or known.made_by else None


def _makers(path: pathlib.Path) -> list[Entry]:
  try:
    return makers(path, saved(path))
  except UserError:  # a damaged run_info.json says nothing
    return []


# Files of a folder of each kind that are read; of others names and sizes count.
READ = {
  'checkpoint': ('agent.pkl', 'step.pkl'),
  'recording': ('metadata.pkl',),
  'run': ('config.yaml',),
}
NAMED = {'recording': 'episode_*.pkl', 'folder': '[!.]*'}


def _parts(path: pathlib.Path, kind: str) -> Iterator[bytes]:
  """What the digest is taken of."""
  if kind == 'file':
    yield from _pieces(path)
  for name in READ.get(kind, ()):
    if (path / name).is_file():
      yield from _pieces(path / name)
  found = path.glob(NAMED[kind]) if kind in NAMED else ()
  for each in sorted(x for x in found if x.is_file()):
    if each.name != NAME:
      yield f'{each.name} {each.stat().st_size}\n'.encode()


def _pieces(path: pathlib.Path) -> Iterator[bytes]:
  """A file, or its size and pieces from all over a large one."""
  size = path.stat().st_size
  with path.open('rb') as file:
    if size <= WHOLE:
      while part := file.read(1 << 20):
        yield part
      return
    yield f'{size}\n'.encode()
    for k in range(PIECES):
      file.seek(k * (size - PIECE) // (PIECES - 1))
      yield file.read(PIECE)
