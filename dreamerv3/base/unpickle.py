"""Reads pickles of numpy arrays and plain containers, and nothing else.

A pickle is a program: opened with `pickle.load`, a file from a stranger can
run any code. `load` refuses every name that is not needed to rebuild arrays.

`scan` reads such a file without its large arrays: they come back as
`LazyArray`, a dtype, a shape and a place in the file. Opening a recording thus
costs its small values alone, and one layer is read without the others.

  episode = scan('trajectories/episode_001.pkl')
  deter = episode['act/dyn/deter'].read()
"""

import dataclasses
import io
import os
import pathlib
import pickle
from typing import Any

import numpy as np

from dreamerv3.base.errors import UserError

# Arrays below this many bytes are read at once: a seek costs more.
LAZY_BYTES = 4096


@dataclasses.dataclass(frozen=True)
class LazyArray:
  """An array that is still on disk."""

  path: pathlib.Path
  offset: int  # [bytes] from the start of the file
  shape: tuple[int, ...]
  dtype: np.dtype
  fortran: bool = False

  @property
  def nbytes(self) -> int:
    return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

  def read(self) -> np.ndarray:
    count = int(np.prod(self.shape, dtype=np.int64))
    flat = np.fromfile(self.path, self.dtype, count, offset=self.offset)
    if flat.size != count:
      raise UserError(
        f'{self.path} is truncated: an array of {count} values has '
        f'{flat.size}; record or copy the file again.'
      )
    return flat.reshape(self.shape, order='F' if self.fortran else 'C')


def load(path: str | os.PathLike) -> Any:
  """The content of a pickle of arrays and plain containers.

  Raises:
    UserError: missing, truncated, not a pickle, or made of anything else.
  """
  with _errors(path), open(path, 'rb') as file:
    return _finish(_Unpickler(file, _Source(pathlib.Path(path))).load())


def scan(path: str | os.PathLike) -> Any:
  """As `load`, with every large array left on disk as a `LazyArray`."""
  path = pathlib.Path(path)
  with _errors(path), open(path, 'rb') as file:
    source = _Source(path)
    skipping = _SkippingFile(file, source, os.path.getsize(path))
    value = _Unpickler(skipping, source).load()
    if not source.skipped:
      return _finish(value)
  return load(path)  # A large value that is no array: needed after all.


class _Source:
  """Payloads that were skipped and are not yet claimed by an array."""

  def __init__(self, path: pathlib.Path):
    self.path = path
    self.skipped: list[tuple[int, int]] = []  # (offset, bytes)


class _SkippingFile(io.RawIOBase):
  """Seeks over large payloads instead of reading them.

  The unpickler asks for headers and frames with `read` and for the payload of
  a large bytes object with `readinto`, into fresh memory that stays untouched.
  """

  def __init__(self, file: io.BufferedReader, source: _Source, size: int):
    self._file = file
    self._source = source
    self._size = size

  def read(self, size: int = -1) -> bytes:
    return self._file.read(size)

  def readline(self, size: int | None = -1) -> bytes:
    return self._file.readline(-1 if size is None else size)

  def readinto(self, buffer: Any) -> int:
    size = len(buffer)
    if size < LAZY_BYTES:
      return self._file.readinto(buffer)
    offset = self._file.tell()
    if offset + size > self._size:
      raise EOFError('payload runs over the end of the file')
    self._source.skipped.append((offset, size))
    self._file.seek(size, os.SEEK_CUR)
    return size


class _Array:
  """What an array is while the unpickler builds it."""

  def __init__(self, source: _Source):
    self._source = source
    self.value: np.ndarray | LazyArray | None = None

  def __setstate__(self, state: Any) -> None:
    _, shape, dtype, fortran, raw = state
    if isinstance(raw, list):
      array = np.empty(len(raw), object)
      array[:] = [_finish(x) for x in raw]
      self.value = array.reshape(shape, order='F' if fortran else 'C')
    else:
      self.value = _from_bytes(self._source, raw, dtype, shape, fortran)


def _from_bytes(
  source: _Source, raw: Any, dtype: Any, shape: Any, fortran: bool
) -> np.ndarray | LazyArray:
  if not isinstance(dtype, np.dtype) or dtype.hasobject:
    raise pickle.UnpicklingError(f'an array of dtype {dtype}')
  if source.skipped and source.skipped[-1][1] == len(raw):
    offset, _ = source.skipped.pop()
    return LazyArray(source.path, offset, tuple(shape), dtype, fortran)
  array = np.frombuffer(bytearray(raw), dtype)
  return array.reshape(shape, order='F' if fortran else 'C')


class _Unpickler(pickle.Unpickler):
  def __init__(self, file: Any, source: _Source):
    super().__init__(file)
    self._source = source

  def find_class(self, module: str, name: str) -> Any:
    module = module.replace('numpy.core.', 'numpy._core.')
    if (module, name) == ('numpy._core.multiarray', '_reconstruct'):
      return lambda *_: _Array(self._source)
    if (module, name) == ('numpy._core.numeric', '_frombuffer'):
      return self._frombuffer
    try:
      return _ALLOWED[module, name]
    except KeyError:
      raise _Foreign(f'{module}.{name}') from None

  def _frombuffer(self, raw: Any, dtype: Any, shape: Any, order: str) -> _Array:
    array = _Array(self._source)
    array.value = _from_bytes(self._source, raw, dtype, shape, order == 'F')
    return array


def _scalar(dtype: np.dtype, raw: bytes) -> Any:
  return np.frombuffer(raw, dtype)[0]


def _encode(text: str, encoding: str) -> bytes:
  if encoding != 'latin1':
    raise pickle.UnpicklingError(f'text encoding {encoding}')
  return text.encode('latin1')


_ALLOWED = {
  ('numpy._core.multiarray', 'scalar'): _scalar,
  ('numpy', 'ndarray'): np.ndarray,
  ('numpy', 'dtype'): np.dtype,
  ('_codecs', 'encode'): _encode,
  ('collections', 'OrderedDict'): dict,
  ('__builtin__', 'bytes'): lambda: b'',  # how protocol 2 writes b''
}


class _Foreign(pickle.UnpicklingError):
  pass


class _errors:
  """Turns every way in which a file can be bad into one clear line."""

  def __init__(self, path: str | os.PathLike):
    self.path = path

  def __enter__(self) -> None:
    pass

  def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
    if error is None or isinstance(error, UserError):
      return
    if isinstance(error, _Foreign):
      raise UserError(
        f'{self.path} holds {error}, which is neither a numpy array nor a '
        'plain container. Such a file could run code and was not opened; '
        'use files of this project.'
      ) from error
    if isinstance(error, IsADirectoryError):
      names = sorted(x.name for x in pathlib.Path(self.path).glob('*.pkl'))
      raise UserError(
        f'{self.path} is a folder; expected a file'
        + (f' in it, one of {", ".join(names)}.' if names else '.')
      ) from error
    if isinstance(error, OSError):
      raise UserError(
        f'Cannot read {self.path} ({error.strerror}); check the path.'
      ) from error
    if isinstance(error, _BROKEN):
      raise UserError(
        f'{self.path} is truncated or not a pickle of arrays ({error}); '
        'record or copy the file again.'
      ) from error


_BROKEN = (
  pickle.UnpicklingError,
  EOFError,
  ValueError,
  TypeError,
  AttributeError,
  IndexError,
  KeyError,
  UnicodeError,
  OverflowError,
  MemoryError,
  RecursionError,
)


def _finish(value: Any) -> Any:
  """Replaces the builders inside containers by what they built."""
  if isinstance(value, _Array):
    return value.value
  if isinstance(value, dict):
    return {k: _finish(v) for k, v in value.items()}
  if isinstance(value, list):
    return [_finish(x) for x in value]
  if isinstance(value, tuple):
    return tuple(_finish(x) for x in value)
  return value
