"""Opens a file that may be anything: only regular files, no waiting, by name.

Every reader of this project opens its files here. A FIFO would wait for ever, a
device may act when it is opened, and a folder or an endless symlink stands where
a careless copy put it; each is one line that names the path.

  with opened('trajectories/episode_001.pkl') as file: file.read(16)
"""

import contextlib
import io
import os
import pathlib
import stat
from collections.abc import Iterator

import numpy as np

from dreamerv3.base.errors import Unreadable, UserError

KINDS = {
  stat.S_IFIFO: 'a FIFO (named pipe)',
  stat.S_IFSOCK: 'a socket',
  stat.S_IFCHR: 'a device',
  stat.S_IFBLK: 'a device',
}


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[io.FileIO]:
  """A regular file, open for reading without a buffer.

  Raises:
    Unreadable: missing, not ours to read, a folder, FIFO, socket or device; the
      same for an error of the system while the file is read.
  """
  try:
    _check(path, pathlib.Path(path).stat())
    flags = os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_BINARY', 0)
    with io.FileIO(os.open(path, flags), 'rb') as file:
      # What lies there may have been exchanged in between.
      _check(path, os.fstat(file.fileno()))
      yield file
  except OSError as e:
    raise Unreadable(path, f'{e.strerror or e}', 'check the path') from e
  except UserError:
    raise
  except ValueError as e:
    if 'null' not in str(e):  # os.stat: embedded null character
      raise
    raise Unreadable(path, 'no name of a file', 'check the path') from e


def size_of(file: io.FileIO) -> int:
  """Bytes of an open file."""
  return os.fstat(file.fileno()).st_size


def read_at(file: io.FileIO, offset: int, count: int) -> bytes:
  """`count` bytes from `offset`, fewer where the file ends before."""
  if hasattr(os, 'pread') and count <= 1 << 20:  # one call of the system, not two
    first = os.pread(file.fileno(), count, offset)
    if len(first) == count:
      return first
  file.seek(offset)
  parts = []
  while count > 0:
    part = file.read(count)
    if not part:
      break
    parts.append(part)
    count -= len(part)
  return parts[0] if len(parts) == 1 else b''.join(parts)


def fill(file: io.FileIO, offset: int, array: np.ndarray) -> bool:
  """Reads a flat array (N,) from `offset`; whether the file holds all of it."""
  view = array.view(np.uint8).data
  file.seek(offset)
  while view.nbytes:
    count = file.readinto(view)
    if not count:
      return False
    view = view[count:]
  return True


def read_bytes(path: str | os.PathLike[str]) -> bytes:
  """All of a regular file, as long as it is when it is opened."""
  with opened(path) as file:
    return read_at(file, 0, size_of(file))


def read_text(path: str | os.PathLike[str], limit: int) -> str:
  """A UTF-8 text of at most `limit` bytes.

  Raises:
    Unreadable: no regular file, larger, or not UTF-8.
  """
  with opened(path) as file:
    raw = read_at(file, 0, limit + 1)
  if len(raw) > limit:
    raise Unreadable(path, f'it has more than {limit} bytes', 'check the path')
  try:
    return raw.decode()
  except UnicodeDecodeError as e:
    raise Unreadable(path, 'it is no UTF-8 text', 'check the path') from e


def _check(path: str | os.PathLike[str], found: os.stat_result) -> None:
  kind = stat.S_IFMT(found.st_mode)
  if kind in KINDS:
    raise Unreadable(path, f'it is {KINDS[kind]}', 'give a file')
  if kind == stat.S_IFDIR:
    names = sorted(x.name for x in pathlib.Path(path).glob('*.pkl'))
    there = f' in it, one of {", ".join(names)}' if names else ''
    raise Unreadable(path, '', '', f'{path} is a folder; expected a file{there}.')
