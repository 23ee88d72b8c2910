"""Reads pickles of numpy arrays and plain containers, and nothing else.

A pickle is a program: opened with `pickle.load`, a file from a stranger can run
any code. Here its instructions are followed without calling what it names, see
`steps` and `records`, and memory is bounded by the size of the file.

`scan` reads such a file without its large arrays: they come back as
`LazyArray`, a dtype, a shape and a place in the file. Opening a recording thus
costs its small values alone, and one layer is read without the others.

  episode = scan('trajectories/episode_001.pkl')
  deter = episode['act/dyn/deter'].read()
"""

import dataclasses
import itertools
import os
import pathlib
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from dreamerv3.base import regular
from dreamerv3.base.errors import Unreadable, short
from dreamerv3.base.pickles import arrays, containers
from dreamerv3.base.pickles.instructions import Machine
from dreamerv3.base.pickles.records import Factory, Foreign, Payload
from dreamerv3.base.pickles.steps import TABLE

ADVICE = 'record or copy the file again'
SKIP = 16 * 2**10  # bytes between two pieces that are worth a call of the system
RUN = 4 * 2**20  # bytes that are read at once, at most


@dataclasses.dataclass(frozen=True)
class LazyArray(containers.OnDisk):
  """An array that is still on disk.

  Attributes:
    path: of the file.
    offset: of its first byte in the file [bytes].
    shape, dtype: of the array; they fit to bytes that are there.
    fortran: whether the first axis varies fastest.
    axes: which axis on disk each axis is; () as they are.
  """

  path: pathlib.Path
  offset: int
  shape: tuple[int, ...]
  dtype: np.dtype[Any]
  fortran: bool = False
  axes: tuple[int, ...] = ()

  @property
  def nbytes(self) -> int:
    """Bytes of the array."""
    return arrays.count_of(self.shape) * self.dtype.itemsize

  def read(self) -> np.ndarray:
    """The array; Unreadable where the file has changed meanwhile."""
    flat = np.empty(arrays.count_of(self.shape), self.dtype)
    with regular.opened(self.path) as file:
      _fill(self.path, file, self.offset, flat)
    if self.axes:
      there = [self.shape[self.axes.index(i)] for i in range(len(self.axes))]
      return flat.reshape(there).transpose(self.axes)
    return flat.reshape(self.shape, order='F' if self.fortran else 'C')

  def mapped(self) -> np.ndarray:
    """The array, of which what is looked at is read; of an array as it lies there.

    It stays what it is when a new file takes the path's place.
    """
    order: arrays.Order = 'F' if self.fortran else 'C'
    if self.axes or self.dtype.kind in 'bU' or not self.nbytes:  # to be checked
      return self.read()
    with regular.opened(self.path) as file:
      if self.offset + self.nbytes > regular.size_of(file):
        raise damaged(self.path, ValueError('an array is cut short'))
      raw = np.memmap(file, self.dtype, 'r', self.offset, self.shape, order)
    return np.asarray(raw)

  def part(self, rows: np.ndarray, columns: slice | np.ndarray) -> np.ndarray:
    """Some rows and columns (n, d) of the array seen as (T, D), in bounded memory.

    What lies between them is skipped where that is more than a few pages, and read
    along where a call of the system would cost more than the bytes.

    Args:
      rows: (n,) in ascending order.
      columns: a slice, or (d,) in any order.

    Raises:
      Unreadable: the file has changed meanwhile.
    """
    width = arrays.count_of(self.shape[1:])
    if self.axes or self.fortran:
      found: np.ndarray = self.read().reshape(len(self), width)[rows][:, columns]
      return found
    within = np.arange(width)[columns]
    out = np.empty((len(rows), len(within)), self.dtype)
    if not out.size:
      return out
    first, last = int(within.min()), int(within.max()) + 1
    there: slice | np.ndarray = within - first
    whole = False
    if isinstance(columns, slice):
      there, whole = slice(None, None, columns.step), columns == slice(None)
    size = self.dtype.itemsize
    with regular.opened(self.path) as file:
      for a, b in _runs(rows, width * size, (last - first) * size):
        top, count = int(rows[a]), int(rows[b - 1]) - int(rows[a])
        if whole and (np.diff(rows[a:b]) == 1).all():
          place = self.offset + top * width * size
          _fill(self.path, file, place, out[a:b].reshape(-1))
          continue
        flat = np.empty((count + 1) * width, self.dtype)
        place = self.offset + (top * width + first) * size
        _fill(self.path, file, place, flat[: count * width + last - first])
        lines = flat.reshape(count + 1, width)[:, : last - first]
        out[a:b] = lines[rows[a:b] - top][:, there]
    return out

  def __len__(self) -> int:
    return self.shape[0]

  def transpose(self, axes: tuple[int, ...]) -> 'LazyArray':
    """As of numpy, for an array in C order."""
    shape = tuple(self.shape[i] for i in axes)
    return dataclasses.replace(self, shape=shape, axes=axes)


def load(path: str | os.PathLike[str]) -> Any:
  """The content of a pickle of arrays and plain containers.

  Raises:
    Unreadable: missing, truncated, not a pickle, or made of anything else.
  """
  path = pathlib.Path(path)
  with regular.opened(path) as file:

    def read(
      raw: Payload, dtype: np.dtype[Any], shape: tuple[int, ...], order: arrays.Order
    ) -> np.ndarray:
      flat = np.empty(arrays.count_of(shape), dtype)
      _fill(path, file, raw.offset, flat)
      return flat.reshape(shape, order=order)

    return _run(path, file, read)


def scan(path: str | os.PathLike[str]) -> Any:
  """As `load`, with every large array left on disk as a `LazyArray`."""
  path = pathlib.Path(path)

  def leave(
    raw: Payload, dtype: np.dtype[Any], shape: tuple[int, ...], order: arrays.Order
  ) -> LazyArray:
    return LazyArray(path, raw.offset, shape, dtype, order == 'F')

  with regular.opened(path) as file:
    return _run(path, file, leave)


def at_hand(value: Any) -> Any:
  """What `scan` gave, with all arrays in its dicts and lists read."""
  if isinstance(value, LazyArray):
    return value.read()
  if isinstance(value, dict):
    return {k: at_hand(v) for k, v in value.items()}
  if isinstance(value, list):
    return [at_hand(x) for x in value]
  return value


def _run(path: pathlib.Path, file: Any, payload: Callable[..., Any]) -> Any:
  size = regular.size_of(file)
  try:
    try:
      value = Machine(file, Factory(size, payload)).run(TABLE)
      containers.check(value, size)
    except containers.Stray as e:
      if not isinstance(e.value, Payload):
        raise
      # A large value that is no array: all bytes are needed after all.
      value = Machine(file, Factory(size, payload), lazy=False).run(TABLE)
      containers.check(value, size)
  except (Foreign, containers.Stray) as e:
    why = f'it holds {e}'
    raise Unreadable(
      path,
      why,
      'use files of this project',
      f'{path} holds {e}, which is neither a numpy array nor a plain container. '
      'Such a file could run code and was not opened; use files of this project.',
    ) from e
  except _DAMAGED as e:
    raise damaged(path, e) from e
  return value


def damaged(path: pathlib.Path, error: Exception) -> Unreadable:
  """The line about a file whose content does not fit together."""
  why = short(error, 160)
  text = f'{path} is truncated or not a pickle of arrays ({why}); {ADVICE}.'
  return Unreadable(path, why, ADVICE, text)


# What instructions run into that do not fit to each other. Memory that is lacking
# is not the fault of the file, and stays what it is.
_DAMAGED = (
  ArithmeticError,
  AttributeError,
  LookupError,
  TypeError,
  ValueError,
  struct.error,
)


def _runs(rows: np.ndarray, width: int, used: int) -> list[tuple[int, int]]:
  """Ranges of `rows` that are read in one piece each.

  Args:
    rows: (n,) ascending; width: bytes of a row; used: those from the first to the
      last that is wanted.
  """
  apart = np.diff(rows) * width - used > SKIP
  apart |= np.diff(rows // max(1, RUN // max(width, 1))) > 0
  cuts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(rows)]
  return list(itertools.pairwise(cuts))


def _fill(path: pathlib.Path, file: Any, offset: int, flat: np.ndarray) -> None:
  if not regular.fill(file, offset, flat):
    raise damaged(path, ValueError(f'an array of {flat.nbytes} bytes is cut short'))
  try:
    arrays.check_values(flat)
  except arrays.BadArray as e:
    raise damaged(path, e) from e
