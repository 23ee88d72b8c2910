"""The instructions of a pickle: what each does to the stack and the memory.

For `unpickle`. Those that would call, import or set what a file names are refused
or answered by `records`; the other ones build numbers, text and containers.

  value = Machine(file, factory).run(TABLE)
"""

import collections
import pickle
import struct
from collections.abc import Callable
from typing import Any

from dreamerv3.base.errors import short
from dreamerv3.base.pickles.containers import MOST_INT_BYTES, check_keys
from dreamerv3.base.pickles.instructions import Machine, Step, Truncated
from dreamerv3.base.pickles.records import Foreign, Name, Unbuilt, find


def _binget(m: Machine) -> None:
  place = m.place
  m.place = place + 1
  value = m.memo[m.buffer[place]]
  if type(value) is Unbuilt and value.value is not None:
    value = value.value
  m.stack.append(value)


def _memoize(m: Machine) -> None:
  m.memo[len(m.memo)] = m.stack[-1]


def _mark(m: Machine) -> None:
  m.marks.append(m.stack)
  m.stack = []


def _constant(value: Any) -> Step:
  return lambda m: m.stack.append(value)


def _empty(kind: type) -> Step:
  return lambda m: m.stack.append(kind())


def _marked(kind: Callable[[list[Any]], Any]) -> Step:
  """An instruction that makes one value of all above the mark."""

  def step(m: Machine) -> None:
    items = m.items()
    m.stack.append(kind(items))

  return step


def _tuple(count: int) -> Step:
  def step(m: Machine) -> None:
    stack = m.stack
    value = tuple(stack[-count:])
    if len(value) < count:
      raise IndexError('a tuple of what is not there')
    stack[-count:] = [value]

  return step


def _unpack(form: str) -> Step:
  """A number of fixed length, see `struct`."""
  number = struct.Struct(form)

  def step(m: Machine) -> None:
    m.stack.append(number.unpack_from(m.buffer, m.place)[0])
    m.place += number.size

  return step


def _counted(size: int, make: Callable[[Machine, int], Any]) -> Step:
  """A value with its length before it, in `size` bytes."""
  return lambda m: m.stack.append(make(m, m.number(size)))


def _text(form: str) -> Step:
  """Text with its length before it; the most frequent of all."""
  length = struct.Struct(form)

  def step(m: Machine) -> None:
    (count,) = length.unpack_from(m.buffer, m.place)
    place = m.place + length.size
    stop = place + count
    if stop <= len(m.buffer):
      m.place = stop
      raw = m.buffer[place:stop]
    else:
      m.place = place
      raw = m.take(count)
    m.stack.append(raw.decode('utf-8', 'surrogatepass'))

  return step


def _bytearray(m: Machine, count: int) -> Any:
  found = m.payload(count)
  return bytearray(found) if type(found) is bytes else found


def _long(m: Machine, count: int) -> int:
  if count > MOST_INT_BYTES:
    raise ValueError(f'an integer of {count} bytes')
  return int.from_bytes(m.take(count), 'little', signed=True)


def _append(m: Machine) -> None:
  value = m.stack.pop()
  _extend(m, [value])


def _appends(m: Machine) -> None:
  _extend(m, m.items())


def _extend(m: Machine, values: list[Any]) -> None:
  target = m.stack[-1]
  if type(target) not in (list, collections.deque):
    raise ValueError('values appended to what is no list')
  target.extend(values)


def _setitem(m: Machine) -> None:
  value = m.stack.pop()
  _update(m, [m.stack.pop(), value])


def _setitems(m: Machine) -> None:
  _update(m, m.items())


def _update(m: Machine, values: list[Any]) -> None:
  target = m.stack[-1]
  if type(target) is not dict or len(values) % 2:
    raise ValueError('keys and values for what is no dict')
  target.update(_pairs(values, len(target)))


def _pairs(values: list[Any], there: int = 0) -> dict[Any, Any]:
  keys = values[::2]
  check_keys(keys, there)
  return dict(zip(keys, values[1::2], strict=True))


def _additems(m: Machine) -> None:
  values = m.items()
  target = m.stack[-1]
  if type(target) is not set:
    raise ValueError('values added to what is no set')
  check_keys(values, len(target))
  target.update(values)


def _frozenset(values: list[Any]) -> frozenset[Any]:
  check_keys(values)
  return frozenset(values)


_MET: dict[bytes, Name] = {}  # names as files write them; there are few


def _global(m: Machine) -> None:
  place, buffer = m.place, m.buffer
  stop = buffer.find(b'\n', buffer.find(b'\n', place) + 1)
  known = _MET.get(buffer[place:stop])
  if known is not None:
    m.place = stop + 1
  else:
    module, name = m.line(), m.line()
    known = find(module.decode(), name.decode())
    _MET[module + b'\n' + name] = known
  m.stack.append(known)


def _stack_global(m: Machine) -> None:
  name = m.stack.pop()
  m.stack.append(find(m.stack.pop(), name))


def _reduce(m: Machine) -> None:
  args = m.stack.pop()
  m.stack[-1] = m.factory.call(m.stack[-1], args)


def _build(m: Machine) -> None:
  state = m.stack.pop()
  m.stack[-1] = m.factory.build(m.stack[-1], state)


def _inst(m: Machine) -> None:
  module, name = m.line().decode(), m.line().decode()
  raise Foreign(short(f'an instance of {module}.{name}'))


def _foreign(what: str) -> Step:
  def step(m: Machine) -> None:
    raise Foreign(what)

  return step


def _proto(m: Machine) -> None:
  version = m.number(1)
  if version > 5:
    raise ValueError(f'protocol {version}; 5 is the newest known')


def _frame(m: Machine) -> None:
  (size,) = _LONG.unpack_from(m.buffer, m.place)
  m.place += 8
  if m.base + m.place + size > m.size:
    raise Truncated('it ends too early')


def _pop_mark(m: Machine) -> None:
  m.items()


def _pop(m: Machine) -> None:
  if m.stack:
    m.stack.pop()
  else:
    m.items()


def _int(m: Machine) -> None:
  text = m.line()
  # Protocol 0 writes True and False as the numbers 01 and 00.
  known = {b'00': False, b'01': True}
  m.stack.append(known[text] if text in known else _integer(text))


def _decimal(m: Machine) -> None:
  m.stack.append(_integer(m.line().rstrip(b'L')))


def _integer(text: bytes) -> int:
  if len(text) > 2 * MOST_INT_BYTES:
    raise ValueError(f'an integer of {len(text)} digits')
  return int(text)


def _unknown(m: Machine) -> None:
  code = m.buffer[m.place - 1]
  raise ValueError(f'no instruction has the number {code}')


_STEPS: dict[bytes, Step] = {
  pickle.PROTO: _proto,
  pickle.STOP: lambda m: True,
  pickle.FRAME: _frame,
  pickle.MARK: _mark,
  pickle.POP: _pop,
  pickle.POP_MARK: _pop_mark,
  pickle.DUP: lambda m: m.stack.append(m.stack[-1]),
  pickle.NONE: _constant(None),
  pickle.NEWTRUE: _constant(True),
  pickle.NEWFALSE: _constant(False),
  pickle.INT: _int,
  pickle.LONG: _decimal,
  pickle.FLOAT: lambda m: m.stack.append(float(m.line())),
  pickle.UNICODE: lambda m: m.stack.append(m.line().decode('raw-unicode-escape')),
  pickle.BININT2: _unpack('<H'),
  pickle.BININT: _unpack('<i'),
  pickle.LONG1: _counted(1, _long),
  pickle.LONG4: _counted(4, _long),
  pickle.BINFLOAT: _unpack('>d'),
  pickle.SHORT_BINUNICODE: _text('<B'),
  pickle.BINUNICODE: _text('<I'),
  pickle.BINUNICODE8: _text('<Q'),
  pickle.SHORT_BINBYTES: _counted(1, Machine.take),
  pickle.BINBYTES: _counted(4, Machine.payload),
  pickle.BINBYTES8: _counted(8, Machine.payload),
  pickle.BYTEARRAY8: _counted(8, _bytearray),
  pickle.EMPTY_LIST: _empty(list),
  pickle.EMPTY_DICT: _empty(dict),
  pickle.EMPTY_SET: _empty(set),
  pickle.EMPTY_TUPLE: _constant(()),
  pickle.LIST: _marked(list),
  pickle.TUPLE: _marked(tuple),
  pickle.DICT: _marked(_pairs),
  pickle.FROZENSET: _marked(_frozenset),
  pickle.TUPLE1: _tuple(1),
  pickle.TUPLE2: _tuple(2),
  pickle.TUPLE3: _tuple(3),
  pickle.APPEND: _append,
  pickle.APPENDS: _appends,
  pickle.SETITEM: _setitem,
  pickle.SETITEMS: _setitems,
  pickle.ADDITEMS: _additems,
  pickle.BINGET: _binget,
  pickle.LONG_BINGET: lambda m: m.get(m.number(4)),
  pickle.LONG_BINPUT: lambda m: m.put(m.number(4)),
  pickle.GET: lambda m: m.get(int(m.line())),
  pickle.PUT: lambda m: m.put(int(m.line())),
  pickle.MEMOIZE: _memoize,
  pickle.GLOBAL: _global,
  pickle.STACK_GLOBAL: _stack_global,
  pickle.REDUCE: _reduce,
  pickle.BUILD: _build,
  pickle.INST: _inst,
  pickle.OBJ: _foreign('an instance of a class'),
  pickle.NEWOBJ: _foreign('an instance of a class'),
  pickle.NEWOBJ_EX: _foreign('an instance of a class'),
  pickle.PERSID: _foreign('a reference to something outside of it'),
  pickle.BINPERSID: _foreign('a reference to something outside of it'),
  pickle.EXT1: _foreign('a name by number'),
  pickle.EXT2: _foreign('a name by number'),
  pickle.EXT4: _foreign('a name by number'),
  pickle.NEXT_BUFFER: _foreign('a reference to something outside of it'),
  pickle.READONLY_BUFFER: _foreign('a reference to something outside of it'),
  pickle.STRING: _foreign('text of Python 2'),
  pickle.BINSTRING: _foreign('text of Python 2'),
  pickle.SHORT_BINSTRING: _foreign('text of Python 2'),
}
_LONG = struct.Struct('<Q')
TABLE = [_STEPS.get(bytes([i]), _unknown) for i in range(256)]
