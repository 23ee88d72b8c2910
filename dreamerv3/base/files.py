"""Files that are whole or absent: atomic writing of every form we use.

with atomic('results.pkl') as file: pickle.dump(results, file)
"""

import contextlib
import csv
import errno
import hashlib
import io
import itertools
import json
import os
import pathlib
import platform
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.base.pickles import large

PROTOCOL = 4  # numpy arrays as plain bytes; any Python >= 3.4 reads it
PROBE = 512  # bytes that a folder to write to must take: a block of a disk or quota


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str], mode: str = 'wb') -> Iterator[IO[Any]]:
  """Opens a file that appears under `path` only once it is complete.

  Writes beside the target, flushes to disk and renames; an exception or a
  kill in between leaves the old file, if any, untouched. What a kill leaves
  beside it goes with `clear_unfinished`.

  Raises:
    OSError: with `path` as its filename, also where a library that writes to the
      file says it in words of its own.
  """
  with atomic_path(path) as temp:
    raw = _Raw(temp, 'wb')
    try:
      with _opened(raw, mode) as file:
        yield file
    except OSError:
      raise
    except Exception as e:
      if raw.failure is None:
        raise
      # A library that writes says it in its own words, or not at all.
      raise OSError(raw.failure.errno, raw.failure.strerror) from e
    finally:
      with contextlib.suppress(OSError):
        raw.close()


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
  """As `atomic`, for libraries that open files themselves: yields where to write."""
  path = pathlib.Path(path)
  temp = path.with_name(f'.{path.name}.{_writer()}.tmp')
  try:
    yield temp
    with temp.open('rb') as file:
      os.fsync(file.fileno())
    temp.replace(path)
  except OSError as e:
    if e.filename is not None and str(e.filename) != str(temp):
      raise
    raise OSError(e.errno, e.strerror, str(path)) from e
  finally:
    with contextlib.suppress(OSError):
      temp.unlink(missing_ok=True)


class _Raw(io.FileIO):
  """A file that remembers why it could not be written."""

  failure: OSError | None = None

  def write(self, data: Any) -> int:
    try:
      return super().write(data) or 0
    except OSError as e:
      self.failure = e
      raise


def _opened(raw: _Raw, mode: str) -> IO[Any]:
  buffered = io.BufferedWriter(raw)
  if 'b' in mode:
    return buffered
  return io.TextIOWrapper(buffered, 'utf-8', 'backslashreplace', newline='')


UNFINISHED = re.compile(r'\..+\.([0-9a-f]{2})([0-9a-f]{6})\.tmp')  # see `_writer`
DAY = 86400  # seconds


def clear_unfinished(folder: str | os.PathLike[str]) -> None:
  """Removes what killed processes began to write with `atomic` in a folder.

  Files of processes that live stay; those of other machines go after a day.
  """
  for path in pathlib.Path(folder).glob('.*.tmp'):
    match = UNFINISHED.fullmatch(path.name)
    with contextlib.suppress(OSError):
      if match and not _lives(match[1], int(match[2], 16), path):
        path.unlink()


def _writer() -> str:
  """This process on this machine, in 8 hexadecimal digits."""
  return f'{_machine()}{os.getpid() & 0xFFFFFF:06x}'


def _machine() -> str:
  return hashlib.sha256(platform.node().encode()).hexdigest()[:2]


def _lives(machine: str, pid: int, path: pathlib.Path) -> bool:
  if machine != _machine():
    return time.time() - path.stat().st_mtime < DAY
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  except OSError:
    return True
  return True


def make_folder(path: str | os.PathLike[str]) -> pathlib.Path:
  """Creates a folder to write to, parents included, or raises UserError.

  What killed processes left unfinished in it goes, see `clear_unfinished`.
  """
  path = pathlib.Path(path).expanduser()
  check_writable(path)
  new = [x for x in (path.absolute(), *path.absolute().parents) if not x.exists()]
  try:
    path.mkdir(parents=True, exist_ok=True)
    _MADE.update(new)
    clear_unfinished(path)
  except OSError as e:
    raise UserError(
      f'Cannot write to {path} ({e.strerror}); choose another folder.'
    ) from e
  return path


_MADE: set[pathlib.Path] = set()  # by this process, absolute


def unmake_folder(path: str | os.PathLike[str]) -> None:
  """Removes a folder, and those above it, that `make_folder` made and nobody used."""
  path = pathlib.Path(path).expanduser().absolute()
  with contextlib.suppress(OSError):  # not empty
    while path in _MADE:
      path.rmdir()
      _MADE.remove(path)
      path = path.parent


def check_writable(folder: str | os.PathLike[str]) -> None:
  """UserError unless a file could be written to a folder, made or still to make.

  Writes some bytes, since a full disk and a used-up quota still give names, and
  takes them away again.
  """
  folder = place = pathlib.Path(folder).expanduser().absolute()
  while not place.exists() and place != place.parent:
    place = place.parent
  probe = place / f'.probe.{_writer()}.tmp'
  try:
    try:
      with probe.open('wb') as file:
        file.write(bytes(PROBE))
        file.flush()
        os.fsync(file.fileno())
    finally:
      probe.unlink(missing_ok=True)
  except OSError as e:
    full = e.errno in (errno.ENOSPC, errno.EDQUOT)
    raise UserError(
      f'Cannot write to {folder} ({e.strerror}); '
      f'{"free space, or " if full else ""}choose another folder.'
    ) from e


def save_pickle(path: str | os.PathLike[str], value: Any) -> pathlib.Path:
  """Writes plain containers and arrays, for `unpickle.load`."""
  with atomic(path) as file:
    large.dump(value, file, PROTOCOL)
  return pathlib.Path(path)


def save_json(path: str | os.PathLike[str], value: Any) -> pathlib.Path:
  """Writes JSON types, indented."""
  with atomic(path, 'w') as file:
    json.dump(value, file, indent=2)
    file.write('\n')
  return pathlib.Path(path)


def save_csv(
  path: str | os.PathLike[str], rows: Iterable[Mapping[str, Any]]
) -> pathlib.Path:
  """Writes rows with the columns of the first; floats with 6 digits."""
  rows = iter(rows)
  first = list(itertools.islice(rows, 1))
  columns = list(first[0]) if first else []
  with atomic(path, 'w') as file:
    writer = csv.DictWriter(file, columns, lineterminator='\n')
    writer.writeheader()
    for row in itertools.chain(first, rows):
      writer.writerow({k: _short(v) for k, v in row.items()})
  return pathlib.Path(path)


def save_figure(
  path: str | os.PathLike[str], figure: Any, dpi: int = 300
) -> pathlib.Path:
  """Saves a matplotlib figure, as large as it is; the form is the suffix of `path`."""
  form = pathlib.Path(path).suffix.lstrip('.')
  with atomic(path) as file:
    figure.savefig(file, format=form, dpi=dpi, metadata=_UNDATED.get(form))
  return pathlib.Path(path)


# A file depends on what is drawn alone, not on the hour.
_UNDATED = {'pdf': {'CreationDate': None}, 'svg': {'Date': None}}


def _short(value: Any) -> Any:
  real = isinstance(value, float | np.floating)
  return f'{value:.6g}' if real else value
