"""An episode that is still being played: in memory, and on disk what has no room.

For the recorder. Steps come in one at a time, all keys together; what is
wanted in the end is one array per key. So steps are gathered in blocks, which stay
in memory while there is room, so that the disk sees every byte once. Others go to a
temporary file, key by key. At the end each key is taken from all blocks in turn.

  spool = Spool('folder', columns, Room(1e9)); full = spool.add(rows)
  if full: spool.write(full)          # in another thread, if you like
  spool.pieces('act/dyn/deter')       # arrays (n, units), in order

The temporary file has no name: whatever happens to the process, it is gone.
"""

import dataclasses
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import numpy as np

from dreamerv3.data.columns import Column

BLOCK_BYTES = 2 << 20


@dataclasses.dataclass(frozen=True)
class StepBlock:
  """Some consecutive steps: {group: (steps, values)} and how many are set."""

  arrays: dict[str, np.ndarray]
  steps: int

  @property
  def nbytes(self) -> int:
    """Bytes that it holds, those of steps that were not set included."""
    return sum(x.nbytes for x in self.arrays.values())

  def rows(self, column: Column) -> np.ndarray:
    """The values of a column (steps, units), in one piece."""
    found = self.arrays[column.group][: self.steps, column.start : column.stop]
    assert found.dtype == column.dtype, (column, found.dtype)
    return np.ascontiguousarray(found)


class Room:
  """Memory that the episodes of a recording share, in bytes.

  Attributes:
    left: what is still free.
  """

  def __init__(self, most: float):
    self.left = most

  def take(self, count: int) -> bool:
    """Takes some bytes, if there are as many."""
    if count > self.left:
      return False
    self.left -= count
    return True

  def give(self, count: int) -> None:
    """Gives them back."""
    self.left += count


class Spool:
  """Collects the steps of one episode.

  Args:
    folder: where the temporary file is; the recording's own, so that its disk
      is the only one that has to be large.
    columns: in the order in which they are written; named by their keys.
    room: memory for blocks, shared with other episodes; all in the writing thread.
    block_bytes: size of a block in memory.

  Attributes:
    length: steps added so far.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    columns: Sequence[Column],
    room: Room,
    block_bytes: int = BLOCK_BYTES,
  ):
    self.columns = tuple(columns)
    self.length = 0
    self._folder = os.fspath(folder)
    self._room = room
    self._file: IO[bytes] | None = None
    # In the order of time: blocks in memory, and the steps of those in the file.
    self._blocks: list[StepBlock | int] = []
    step = sum(x.nbytes for x in self.columns)
    self._size = max(1, block_bytes // max(step, 1))
    self._block: dict[str, np.ndarray] | None = None
    self._filled = 0

  def add(self, rows: Mapping[str, np.ndarray]) -> StepBlock | None:
    """Takes one step, {group: values}; returns a block when it is full."""
    if self._block is None:
      self._block = {
        k: np.empty((self._size, v.size), v.dtype) for k, v in rows.items()
      }
    for group, values in rows.items():
      self._block[group][self._filled] = values.reshape(-1)
    self._filled += 1
    self.length += 1
    return self.take() if self._filled == self._size else None

  def take(self) -> StepBlock | None:
    """The steps that are not yet in a block, if any."""
    if not self._filled:
      return None
    assert self._block is not None
    block = StepBlock(self._block, self._filled)
    self._block, self._filled = None, 0
    return block

  def write(self, block: StepBlock) -> None:
    """Keeps a block, in memory or in the file; blocks come in order."""
    if self._room.take(block.nbytes):
      self._blocks.append(block)
      return
    if self._file is None:
      self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
    self._file.seek(0, os.SEEK_END)
    for x in self.columns:
      self._file.write(block.rows(x).data)
    self._blocks.append(block.steps)

  def pieces(self, key: str) -> Iterator[bytes | memoryview]:
    """The values of one key in the order of time, as bytes."""
    place = [x.name for x in self.columns].index(key)
    column = self.columns[place]
    before = sum(x.nbytes for x in self.columns[:place])
    step = sum(x.nbytes for x in self.columns)
    offset = 0
    for block in self._blocks:
      if isinstance(block, StepBlock):
        yield block.rows(column).data
        continue
      assert self._file is not None
      self._file.seek(offset + before * block)
      yield self._file.read(column.nbytes * block)
      offset += step * block

  def close(self) -> None:
    """Lets memory and the temporary file go."""
    for block in self._blocks:
      if isinstance(block, StepBlock):
        self._room.give(block.nbytes)
    self._blocks = []
    if self._file is not None:
      self._file.close()
