"""Follows the instructions of a pickle without running anything.

Python's own unpickler calls what a file names, sets states, and reserves memory
for whatever index a file mentions. This one knows the same instructions and does
with them only what plain containers need; see `records` for names and calls.
Large runs of bytes stay in the file, as `Payload`. `steps` has the instructions,
one small function each; here is what they work on.

  value = Machine(file, Factory(size, payload)).run(steps.TABLE)

For `unpickle` alone. Format: the table in CPython's Lib/pickletools.py.
"""

import io
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from dreamerv3.base import regular
from dreamerv3.base.pickles.records import Factory, Payload, Unbuilt

WINDOW = 1 << 13  # bytes of instructions read at a time
LONGEST = 10  # bytes of an instruction of fixed length
LAZY_BYTES = 4096  # below, a seek costs more than the bytes


class Truncated(ValueError):
  """The file ends before its instructions do."""


class Machine:
  """The state of an unpickler: a stack, marks in it, a memory and a place.

  Args:
    file: open, see `regular.opened`.
    factory: builds arrays.
    lazy: whether large runs of bytes stay in the file.
  """

  def __init__(self, file: io.FileIO, factory: Factory, lazy: bool = True) -> None:
    self.file = file
    self.size = regular.size_of(file)
    self.factory = factory
    self.lazy = lazy
    self.stack: list[Any] = []
    self.marks: list[list[Any]] = []  # the stacks below each mark
    self.memo: dict[int, Any] = {}
    self.buffer = b''
    self.base = 0  # offset of the buffer in the file
    self.place = 0  # of the next instruction in the buffer
    self.edge = -1  # beyond, an instruction may run over the buffer

  def run(self, table: 'Sequence[Step]') -> Any:
    """The value that the file describes.

    Args:
      table: what to do for each of the 256 instructions.

    Raises:
      Foreign: the file asks for something that is not plain.
      ValueError, KeyError, IndexError, OverflowError, struct.error: damaged.
    """
    while True:
      place = self.place
      if place > self.edge:
        place = self._refill()
      code = self.buffer[place]
      # Two of them here, since they are almost half of a recording's.
      if code == _BINPUT:
        self.memo[self.buffer[place + 1]] = self.stack[-1]
        self.place = place + 2
        continue
      if code == _BININT1:
        self.stack.append(self.buffer[place + 1])
        self.place = place + 2
        continue
      self.place = place + 1
      if table[code](self):
        (value,) = self.stack + [x for below in self.marks for x in below]
        return value

  def _refill(self) -> int:
    self.base += self.place
    self.buffer = regular.read_at(self.file, self.base, WINDOW)
    if not self.buffer:
      raise Truncated('it ends too early')
    whole = self.base + len(self.buffer) >= self.size
    self.edge = len(self.buffer) - (1 if whole else LONGEST)
    self.place = 0
    return 0

  def number(self, count: int) -> int:
    """An unsigned integer of `count` bytes."""
    place = self.place
    self.place = place + count
    return int.from_bytes(self.buffer[place : place + count], 'little')

  def take(self, count: int) -> bytes:
    """The next `count` bytes."""
    place = self.place
    stop = place + count
    if stop > len(self.buffer):
      offset = self._skip(count)
      return regular.read_at(self.file, offset, count)
    self.place = stop
    return self.buffer[place:stop]

  def _skip(self, count: int) -> int:
    """Goes on behind `count` bytes; returns where they begin in the file."""
    offset = self.base + self.place
    if offset + count > self.size:
      raise Truncated('it ends too early')
    self.base, self.buffer, self.place, self.edge = offset + count, b'', 0, -1
    return offset

  def payload(self, count: int) -> bytes | Payload:
    """The next bytes, or where they lie if they are many and may stay on disk."""
    if count < LAZY_BYTES or not self.lazy:
      return self.take(count)
    return Payload(self._skip(count), count)

  def line(self) -> bytes:
    """All up to the end of the line, for names and for the oldest protocols."""
    place = self.place
    stop = self.buffer.find(b'\n', place)
    if stop >= 0:
      self.place = stop + 1
      return self.buffer[place:stop]
    parts = []
    while True:
      stop = self.buffer.find(b'\n', self.place)
      parts.append(self.buffer[self.place : stop if stop >= 0 else None])
      if stop >= 0:
        self.place = stop + 1
        return b''.join(parts)
      self.place = len(self.buffer)
      self._refill()

  def items(self) -> list[Any]:
    """What lies above the last mark, which goes away."""
    items = self.stack
    self.stack = self.marks.pop()
    return items

  def get(self, index: int) -> None:
    """Puts an entry of the memo onto the stack."""
    value = self.memo[index]
    if type(value) is Unbuilt and value.value is not None:
      value = value.value
    self.stack.append(value)

  def put(self, index: int) -> None:
    """Notes what is on top of the stack in the memo."""
    self.memo[index] = self.stack[-1]


# What to do for an instruction; True where the instructions end.
Step = Callable[[Machine], bool | None]

_BINPUT = pickle.BINPUT[0]
_BININT1 = pickle.BININT1[0]
