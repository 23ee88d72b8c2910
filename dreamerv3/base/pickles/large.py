"""Pickles whose large arrays are written from where they lie, without a copy.

  dump(value, file, protocol=4)   # the bytes that pickle.dump writes

For `files.save_pickle`: pickle itself copies each array and keeps all the copies
until the end, so that results of gigabytes took twice their memory. Arrays that are
mapped from a file do not stay in memory once they are written.
"""

import mmap
import pickle
import struct
from typing import IO, Any, ClassVar

import numpy as np

LARGE = 2**20  # bytes of an array that is worth it


def dump(value: Any, file: IO[bytes], protocol: int) -> None:
  """Writes plain containers and arrays."""
  kind: Any = _Pickler if _has_large(value) else pickle.Pickler
  kind(file, protocol).dump(value)


def _has_large(value: Any) -> bool:
  """Whether there is a large array in dicts and lists: small values go faster."""
  waiting, seen = [value], set[int]()
  while waiting:
    one = waiting.pop()
    if _is_large(one):
      return True
    if isinstance(one, dict | list | tuple) and id(one) not in seen:
      seen.add(id(one))  # what holds itself would never end
      waiting += one.values() if isinstance(one, dict) else one
  return False


def _is_large(value: Any) -> bool:
  if type(value) is not np.ndarray or value.dtype.hasobject:
    return False
  return bool(value.nbytes >= LARGE and (value.flags.c_contiguous or _fortran(value)))


def _fortran(x: np.ndarray) -> bool:
  return bool(x.flags.f_contiguous and not x.flags.c_contiguous)


class _Bytes:
  """The bytes of an array, in the order in which they lie."""

  def __init__(self, x: np.ndarray):
    self.array = x


_Plain: Any = pickle._Pickler  # in Python, whose steps can be told apart


class _Pickler(_Plain):  # type: ignore[misc]
  """pickle's own, but for the bytes of large arrays."""

  def reducer_override(self, value: Any) -> Any:
    """As arrays reduce themselves, but for their bytes."""
    if not _is_large(value):
      return NotImplemented
    reduced: Any = np.empty(0, value.dtype).__reduce__()
    make, args, (version, *_) = reduced
    state = version, value.shape, value.dtype, _fortran(value), _Bytes(value)
    return make, args, state

  def save_bytes_of(self, raw: _Bytes) -> None:
    """As `save_bytes` of large ones."""
    flat = raw.array.reshape(-1, order='A').view(np.uint8)
    if flat.size > 0xFFFFFFFF:
      head = pickle.BINBYTES8 + struct.pack('<Q', flat.size)
    else:
      head = pickle.BINBYTES + struct.pack('<I', flat.size)
    self._write_large_bytes(head, flat.data)
    self.memoize(raw)
    _let_go(raw.array)

  dispatch: ClassVar[dict[Any, Any]] = {**_Plain.dispatch, _Bytes: save_bytes_of}


def _let_go(x: Any) -> None:
  """What is mapped from a file is read again where it is looked at."""
  while isinstance(x, np.ndarray) and not isinstance(x, np.memmap):
    x = x.base
  if isinstance(x, np.memmap) and x.mode == 'r' and isinstance(x.base, mmap.mmap):
    x.base.madvise(mmap.MADV_DONTNEED)
