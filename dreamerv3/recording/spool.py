"""An episode that is still being played, on disk instead of in memory.

For the recorder. Steps come in one at a time, all keys together; what is
wanted in the end is one array per key. So steps are gathered in a block, and
a full block goes to a temporary file, key by key. At the end each key is read
from all blocks in turn.

  spool = Spool('folder', columns); full = spool.add(rows)
  if full: spool.write(full)          # in another thread, if you like
  spool.pieces('act/dyn/deter')       # arrays (n, units), in order

The temporary file has no name: whatever happens to the process, it is gone.
"""

import dataclasses
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from dreamerv3.data.columns import Column

BLOCK_BYTES = 2 << 20


@dataclasses.dataclass(frozen=True)
class StepBlock:
  """Some consecutive steps: {group: (steps, values)} and how many are set."""

  arrays: dict[str, np.ndarray]
  steps: int


class Spool:
  """Collects the steps of one episode.

  Args:
    folder: where the temporary file is; the recording's own, so that its disk
      is the only one that has to be large.
    columns: in the order in which they are written; named by their keys.
    block_bytes: size of a block in memory.

  Attributes:
    length: steps added so far.
  """

  def __init__(
    self,
    folder: str | os.PathLike[str],
    columns: Sequence[Column],
    block_bytes: int = BLOCK_BYTES,
  ):
    self.columns = tuple(columns)
    self.length = 0
    self._file = tempfile.TemporaryFile(dir=os.fspath(folder))  # noqa: SIM115
    self._written: list[int] = []  # steps of each block in the file
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
    """Appends a block to the file; blocks are written in order."""
    self._file.seek(0, os.SEEK_END)
    for x in self.columns:
      rows = block.arrays[x.group][: block.steps, x.start : x.stop]
      assert rows.dtype == x.dtype, (x, rows.dtype)
      self._file.write(np.ascontiguousarray(rows).data)
    self._written.append(block.steps)

  def pieces(self, key: str) -> Iterator[bytes]:
    """The values of one key in the order of time, as bytes."""
    self._file.flush()
    place = [x.name for x in self.columns].index(key)
    before = sum(x.nbytes for x in self.columns[:place])
    step = sum(x.nbytes for x in self.columns)
    offset, size = 0, self.columns[place].nbytes
    for steps in self._written:
      self._file.seek(offset + before * steps)
      yield self._file.read(size * steps)
      offset += step * steps

  def close(self) -> None:
    """Lets the temporary file go."""
    self._file.close()
