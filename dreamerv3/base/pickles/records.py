"""What the names in a pickle stand for: inert records, never the things themselves.

A pickle calls functions by name. Here a name is a member of `Name`, which does
nothing; a call is answered by the few functions below, which know what numpy and
the plain containers write of themselves, and build that from checked parts.

  Factory(size=100, payload=print).call(find('collections', 'OrderedDict'), ())  # {}
"""

import collections
import enum
from collections.abc import Callable
from typing import Any

import numpy as np

from dreamerv3.base.errors import short
from dreamerv3.base.pickles import arrays
from dreamerv3.base.pickles.arrays import BadArray
from dreamerv3.base.pickles.containers import check_keys


class Foreign(ValueError):
  """The file names something that is no array and no plain container."""


class Name(enum.Enum):
  """The names that a pickle of arrays and plain containers needs."""

  RECONSTRUCT = '_reconstruct'
  FROMBUFFER = '_frombuffer'
  SCALAR = 'scalar'
  NDARRAY = 'ndarray'
  DTYPE = 'dtype'
  ENCODE = 'encode'
  BYTES = 'bytes'
  ORDERED = 'OrderedDict'
  SET = 'set'
  FROZENSET = 'frozenset'
  DEQUE = 'deque'
  BFLOAT16 = 'bfloat16'


NAMES = {
  ('numpy', 'ndarray'): Name.NDARRAY,
  ('numpy', 'dtype'): Name.DTYPE,
  ('_codecs', 'encode'): Name.ENCODE,
  ('collections', 'OrderedDict'): Name.ORDERED,
  ('collections', 'deque'): Name.DEQUE,
  ('ml_dtypes', 'bfloat16'): Name.BFLOAT16,
}
for _core in ('numpy.core', 'numpy._core'):  # numpy 1 and 2
  NAMES[f'{_core}.multiarray', '_reconstruct'] = Name.RECONSTRUCT
  NAMES[f'{_core}.multiarray', 'scalar'] = Name.SCALAR
  NAMES[f'{_core}.numeric', '_frombuffer'] = Name.FROMBUFFER
for _builtins in ('builtins', '__builtin__'):  # protocols 3 and up, and 2
  NAMES[_builtins, 'bytes'] = Name.BYTES
  NAMES[_builtins, 'set'] = Name.SET
  NAMES[_builtins, 'frozenset'] = Name.FROZENSET


def find(module: Any, name: Any) -> Name:
  """The record of a name in a pickle.

  Raises:
    Foreign: any other name; nothing is imported.
  """
  found = NAMES.get((module, name)) if type(name) is type(module) is str else None
  if found is None:
    raise Foreign(short(f'{module}.{name}'))
  return found


class Payload:
  """A large run of bytes in the file, not read yet."""

  __slots__ = ('offset', 'size')

  def __init__(self, offset: int, size: int) -> None:
    self.offset = offset
    self.size = size

  def __len__(self) -> int:
    return self.size


class Unbuilt:
  """An array or a dtype between its two instructions, REDUCE and BUILD."""

  __slots__ = ('code', 'value')

  def __init__(self, code: Any = None) -> None:
    self.code = code  # of a dtype; None for an array
    self.value: Any = None


class Factory:
  """Builds what a file describes, within what the file can pay for.

  Args:
    size: bytes of the file. Arrays, and bytes made from text, have their own in
      it, so all of them together are no more than twice that; a file that uses
      its bytes again and again is refused.
    payload: makes an array of a large run of bytes in the file; it gets that, and
      the dtype, the shape and the order, which fit to it.
  """

  def __init__(self, size: int, payload: Callable[..., Any]) -> None:
    self.left = 2 * size
    self.payload = payload

  def spend(self, count: int) -> None:
    """Takes from what the file can pay for [bytes or values]."""
    self.left -= count
    if self.left < 0:
      raise BadArray('more values than the file has bytes for')

  def array(
    self, raw: Any, dtype: np.dtype[Any], shape: Any, order: arrays.Order
  ) -> Any:
    """An array of checked parts, from bytes or from what `payload` makes."""
    if type(raw) not in (bytes, bytearray, Payload):
      raise BadArray(f'an array of {type(raw).__name__}: of objects')
    self.spend(len(raw))
    if type(raw) is Payload:
      arrays.check_shape(shape, dtype, raw.size)
      return self.payload(raw, dtype, shape, order)
    return arrays.from_bytes(raw, dtype, shape, order)

  def call(self, name: Any, args: Any) -> Any:
    """What REDUCE puts in the place of a name and its arguments."""
    if type(name) is not Name or name not in _CALLS or type(args) is not tuple:
      raise Foreign('a call of what is no function of numpy')
    return _CALLS[name](self, args)

  def build(self, target: Any, state: Any) -> Any:
    """What BUILD puts in the place of an unbuilt array or dtype.

    The argument is never asked for a `__setstate__`.
    """
    if type(target) is not Unbuilt or target.value is not None:
      raise Foreign('a state for what has none')
    if target.code is not None:
      target.value = _dtype_of(target.code, state)
    else:
      _, shape, dtype, fortran, raw = _items(state, 5, 'array')
      target.value = self.array(raw, plain(dtype), shape, 'F' if fortran else 'C')
    return target.value


def plain(dtype: Any) -> np.dtype[Any]:
  """The dtype itself; BadArray for anything else, also for one not built."""
  dtype = dtype.value if type(dtype) is Unbuilt else dtype
  if not isinstance(dtype, np.dtype):
    raise BadArray('an array without a dtype')
  return dtype


def _items(value: Any, count: int, what: str) -> tuple[Any, ...]:
  if type(value) is not tuple or len(value) != count:
    raise BadArray(f'the {what} is described in another way than numpy does')
  return value


def _dtype_of(code: str, state: Any) -> np.dtype[Any]:
  """Of `dtype.__reduce__`: (version, order, subarray, names, fields, ...)."""
  _, order, subarray, names, fields, size, _, _ = _items(state, 8, 'dtype')
  if subarray is not None or names is not None or fields is not None:
    raise BadArray('an array of records or of arrays')
  dtype = arrays.plain_dtype(code, order)
  if size not in (-1, dtype.itemsize):
    raise BadArray(f'a dtype {dtype} of {size!r} bytes')
  return dtype


def _reconstruct(factory: Factory, args: tuple[Any, ...]) -> Unbuilt:
  kind, shape, code = _items(args, 3, 'array')
  if kind is not Name.NDARRAY or shape != (0,) or code not in (b'b', 'b'):
    raise BadArray('an array of a kind of its own')
  return Unbuilt()


def _dtype(factory: Factory, args: tuple[Any, ...]) -> Unbuilt:
  code, *_ = _items(args, 3, 'dtype')
  code = 'bfloat16' if code is Name.BFLOAT16 else code
  arrays.plain_dtype(code)
  return Unbuilt(code)


def _frombuffer(factory: Factory, args: tuple[Any, ...]) -> Any:
  raw, dtype, shape, order, *axes = args
  if order == 'K':
    array = factory.array(raw, plain(dtype), shape, 'C')
    (turned,) = axes
    if type(turned) is not tuple or sorted(turned) != list(range(len(shape))):
      raise BadArray(f'an array whose axes are {turned!r}')
    return array.transpose(turned)
  if order not in ('C', 'F'):
    raise BadArray(f'an array of order {order!r}')
  return factory.array(raw, plain(dtype), shape, order)


def _scalar(factory: Factory, args: tuple[Any, ...]) -> np.generic:
  dtype, raw = _items(args, 2, 'number')
  value: np.generic = np.asarray(factory.array(raw, plain(dtype), (1,), 'C'))[0]
  return value


def _encode(factory: Factory, args: tuple[Any, ...]) -> bytes:
  text, encoding = _items(args, 2, 'text')
  if type(text) is not str or encoding not in ('latin1', 'latin-1'):
    raise Foreign(short(f'text in the encoding {encoding}'))
  factory.spend(len(text))
  return text.encode('latin1')


def _bytes(factory: Factory, args: tuple[Any, ...]) -> bytes:
  _items(args, 0, 'text')  # how protocol 2 writes b''
  return b''


def _ordered(factory: Factory, args: tuple[Any, ...]) -> dict[Any, Any]:
  _items(args, 0, 'dict')
  return {}


def _set(kind: Callable[[Any], Any]) -> Callable[[Factory, tuple[Any, ...]], Any]:
  def call(factory: Factory, args: tuple[Any, ...]) -> Any:
    (items,) = args or ([],)
    if type(items) is not list:
      raise BadArray('a set of what is no list')
    factory.spend(len(items))
    check_keys(items)
    return kind(items)

  return call


def _deque(factory: Factory, args: tuple[Any, ...]) -> collections.deque[Any]:
  items, most = (*args, None, None)[:2]
  if items not in (None, ()) or not (most is None or (type(most) is int and most >= 0)):
    raise BadArray('a deque that begins with values')
  return collections.deque(maxlen=most)


_CALLS: dict[Name, Callable[[Factory, tuple[Any, ...]], Any]] = {
  Name.RECONSTRUCT: _reconstruct,
  Name.FROMBUFFER: _frombuffer,
  Name.SCALAR: _scalar,
  Name.DTYPE: _dtype,
  Name.ENCODE: _encode,
  Name.BYTES: _bytes,
  Name.ORDERED: _ordered,
  Name.SET: _set(set),
  Name.FROZENSET: _set(frozenset),
  Name.DEQUE: _deque,
}
