"""Which sequences can be sampled, and where their steps are.

For the replay and its selectors. A step has an address (chunk serial and
index in one integer); an item is the address at which a full sequence starts.
Items are numbered in order of insertion and leave in that order.

  index = Index(length=65); index.insert(address); index.segments(address, 65)
"""

from typing import Any

import numpy as np

from .chunk import Chunk

SHIFT = 20
MASK = (1 << SHIFT) - 1

Segment = tuple[Chunk, int, int]  # rows [start, stop) of a chunk


def address_of(chunk: Chunk, index: int) -> int:
  """One integer for a step of a chunk."""
  return chunk.serial << SHIFT | index


class Fifo:
  """A queue of integers in one array: 8 bytes each, random access."""

  def __init__(self, values: np.ndarray | None = None) -> None:
    self._data = np.zeros(1024, np.int64)
    self._head = self._tail = 0
    if values is not None and len(values):
      self._data = np.array(values, np.int64)
      self._tail = len(values)

  def __len__(self) -> int:
    return self._tail - self._head

  def __getitem__(self, position: Any) -> Any:
    return self._data[self._head + position]

  def append(self, value: int) -> None:
    """Adds a value at the end."""
    if self._tail == len(self._data):
      live = self.array()
      # Half of the room is free after a move, so moves are rare.
      room = max(1024, 2 * len(live))
      self._data = np.zeros(room, np.int64)
      self._data[: len(live)] = live
      self._head, self._tail = 0, len(live)
    self._data[self._tail] = value
    self._tail += 1

  def popleft(self) -> int:
    """Takes the oldest value out."""
    value = int(self._data[self._head])
    self._head += 1
    return value

  def array(self) -> np.ndarray:
    """All values from old to new, i64 (N,), a copy."""
    return self._data[self._head : self._tail].copy()


class Index:
  """Chunks, their links, and the items that start in them.

  Args:
    length: Steps of a sequence.
  """

  def __init__(self, length: int) -> None:
    self.length = length
    self.chunks: dict[int, Chunk] = {}
    self.serials: dict[bytes, int] = {}  # by uuid
    self.next_serial = 0
    self.items = Fifo()
    self.first = 0  # number of the oldest item

  def new_chunk(self, size: int, prev: Chunk | None) -> Chunk:
    """An empty chunk that follows `prev`."""
    chunk = Chunk(self.next_serial, size)
    if prev is not None:
      prev.succ, chunk.prev = chunk, prev
    self.put(chunk)
    return chunk

  def put(self, chunk: Chunk) -> None:
    """Takes a chunk in."""
    self.chunks[chunk.serial] = chunk
    self.serials[chunk.uuid.value] = chunk.serial
    self.next_serial = max(self.next_serial, chunk.serial + 1)

  def close(self, chunk: Chunk) -> None:
    """No further steps will come to this chunk."""
    chunk.open = False
    self.release(chunk)

  def insert(self, address: int) -> int:
    """Add an item; returns its number."""
    self.items.append(address)
    return self.first + len(self.items) - 1

  def evict(self) -> int:
    """Remove the oldest item and what only it needs; returns its address."""
    address = self.items.popleft()
    self.first += 1
    chunk = self.chunks[address >> SHIFT]
    chunk.refs -= 1
    self.release(chunk)
    return address

  def release(self, chunk: Chunk | None) -> None:
    """Forget a chunk, and those after it, that no item can reach."""
    # A chunk without starts may still be the end of sequences that start in
    # the one before it.
    while chunk and not (chunk.refs or chunk.open or chunk.prev):
      del self.chunks[chunk.serial]
      del self.serials[chunk.uuid.value]
      succ = chunk.succ
      if succ is not None:
        succ.prev = None
      chunk = succ

  def addresses(self, numbers: np.ndarray) -> np.ndarray:
    """Start addresses of items by their numbers."""
    return self.items[numbers - self.first]

  def segments(self, address: int, count: int) -> list[Segment]:
    """Where `count` steps from an address on are; fewer if the stream ends."""
    chunk: Chunk | None = self.chunks.get(address >> SHIFT)
    start = address & MASK
    result = []
    while chunk is not None and count > 0:
      stop = min(start + count, chunk.length)
      if stop > start:
        result.append((chunk, start, stop))
        count -= stop - start
      chunk, start = chunk.succ, 0
    return result

  def back(self, address: int, count: int) -> tuple[int, int]:
    """The address up to `count` steps earlier, and how many it really is."""
    chunk, index = self.chunks[address >> SHIFT], address & MASK
    done = 0
    while index < count - done and chunk.prev is not None:
      done += index
      chunk = chunk.prev
      index = chunk.length
    moved = min(index, count - done)
    return address_of(chunk, index - moved), done + moved

  def starts(self, chunk: Chunk) -> int:
    """How many of a chunk's steps have a whole sequence after them."""
    ahead, succ = 0, chunk.succ
    while succ is not None and ahead < self.length - 1:
      ahead += succ.length
      succ = succ.succ
    return max(0, min(chunk.length, chunk.length + ahead - self.length + 1))

  @property
  def nbytes(self) -> int:
    """Memory of chunks and items [bytes]."""
    return sum(x.nbytes for x in self.chunks.values()) + 8 * len(self.items)
