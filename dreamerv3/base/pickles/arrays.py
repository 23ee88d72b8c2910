"""Arrays from raw bytes: only where shape, dtype and bytes agree.

For the readers of pickles and chunks, whose files may come from anyone. numpy is
never asked to build from what a file says: an array is made of a validated shape,
a plain dtype and exactly its bytes, and bytes that no value can have are refused.

  check_shape((3, 2), np.dtype('f4'), nbytes=24)
  array = from_bytes(raw, np.dtype('f4'), (3, 2), order='C')
"""

import functools
import math
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

Order = Literal['C', 'F']

MOST_DIMENSIONS = 32
MOST_EMPTY = 2**24  # bytes that an array without values would have

# Bool, integers, real and complex numbers, text of fixed width.
PLAIN = re.compile(r'b1|[iu][1248]|f[248]|c(8|16)|[SU]\d{1,6}')


class BadArray(ValueError):
  """An array that a file describes and does not hold."""


@functools.lru_cache(maxsize=256)
def plain_dtype(code: Any, byteorder: Any = '=') -> np.dtype[Any]:
  """The dtype of a code such as 'f4' or 'U3'.

  Args:
    code: as numpy writes it, without the order of bytes.
    byteorder: '<', '>', '|' or '='.

  Raises:
    BadArray: no plain number, bool or text; those of objects, of records, of
      arrays in arrays and of times are among them.
  """
  if code == 'bfloat16':
    return _bfloat16()
  if not isinstance(code, str) or not PLAIN.fullmatch(code):
    raise BadArray(f'an array of dtype {code!r}')
  if byteorder not in ('<', '>', '|', '='):
    raise BadArray(f'a dtype with the byte order {byteorder!r}')
  dtype: np.dtype[Any] = np.dtype(byteorder + code)
  return dtype


def check_shape(shape: Any, dtype: np.dtype[Any], nbytes: int) -> tuple[int, ...]:
  """The shape, if an array of it has exactly `nbytes` bytes.

  Raises:
    BadArray: no shape, or one of another number of bytes.
  """
  if type(shape) is not tuple or len(shape) > MOST_DIMENSIONS:
    raise BadArray(f'an array of shape {shape!r}')
  count = nonzero = 1
  for size in shape:
    if type(size) is not int or not 0 <= size < 2**63:
      raise BadArray(f'an array of shape {shape!r}')
    count *= size
    nonzero *= size or 1
  if count * dtype.itemsize != nbytes:
    raise BadArray(
      f'an array of shape {shape!r} and dtype {dtype} needs '
      f'{count * dtype.itemsize} bytes and has {nbytes}'
    )
  # Others would reserve memory for what such a shape promises.
  if not nbytes and max(nonzero, 1) * max(dtype.itemsize, 1) > MOST_EMPTY:
    raise BadArray(f'an empty array of shape {shape!r}')
  if not dtype.itemsize and count > 1:
    raise BadArray(f'an array of shape {shape!r} of values without bytes')
  return shape


def check_values(array: np.ndarray) -> np.ndarray:
  """The array, if its bytes are values of its dtype; bool and text alone may not.

  Raises:
    BadArray: a bool that is neither 0 nor 1, a character beyond Unicode.
  """
  if array.dtype.kind == 'b' and array.size and array.view(np.uint8).max() > 1:
    raise BadArray('an array of bool with a value that is neither 0 nor 1')
  if array.dtype.kind == 'U' and array.size and array.dtype.itemsize:
    codes = array.view(np.dtype('u4').newbyteorder(array.dtype.byteorder))
    if codes.max() > 0x10FFFF:
      raise BadArray('text with a character that there is not')
  return array


def from_bytes(
  raw: Any,
  dtype: np.dtype[Any],
  shape: tuple[int, ...],
  order: Order = 'C',
) -> np.ndarray:
  """A writable array of its own memory; see `check_shape` and `check_values`."""
  check_shape(shape, dtype, len(raw))
  if not dtype.itemsize:
    return np.zeros(shape, dtype)
  flat = np.frombuffer(bytearray(raw), dtype)
  if dtype.kind in 'bU':
    check_values(flat)
  return flat.reshape(shape, order=order)


def count_of(shape: Sequence[int]) -> int:
  """Number of values of an array; exact however large it is."""
  return math.prod(shape)


def _bfloat16() -> np.dtype[Any]:
  try:
    import ml_dtypes  # only where a file holds such numbers
  except ImportError as e:
    raise BadArray('numbers of bfloat16, for which ml_dtypes is missing') from e
  dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
  return dtype
