"""Arrays of all environments, in memory that their processes share.

For environments in processes: each writes its rows, the driver reads all.

  shared = SharedRows({'reward': elements.Space(np.float32)}, rows=16)
  other = SharedRows(spaces, rows=16, file=shared.file)   # in another process
  other.arrays['reward'][3] = 1.0
"""

import mmap
import os
import tempfile

import numpy as np

from . import base

_ALIGN = 64  # bytes of a line of a cache


class SharedRows:
  """One array (rows, *shape) by key of some spaces.

  The memory has no name: it is gone with the last process that holds it, however
  that ends.

  Args:
    spaces: shape and dtype of a row by key; the same in all processes.
    rows: of each array.
    file: number of the open file of another's memory; without it, new memory.

  Attributes:
    arrays: the memory, by key.
    file: number of the open file, until `close`.
  """

  def __init__(self, spaces: base.Spaces, rows: int, file: int | None = None) -> None:
    sizes = {
      k: rows * int(np.prod(v.shape)) * v.dtype.itemsize for k, v in spaces.items()
    }
    padded = {k: -(-v // _ALIGN) * _ALIGN for k, v in sizes.items()}
    total = max(1, sum(padded.values()))
    self.file = _anonymous(total) if file is None else file
    memory = mmap.mmap(self.file, total)
    self.arrays: dict[str, np.ndarray] = {}
    start = 0
    for key, space in spaces.items():
      shape = (rows, *space.shape)
      self.arrays[key] = np.ndarray(shape, space.dtype, memory, start)
      start += padded[key]

  def close(self) -> None:
    """Closes the file; the arrays stay until nobody has them any more."""
    os.close(self.file)


def _anonymous(size: int) -> int:
  """A file of so many zeros that is in no folder."""
  if hasattr(os, 'memfd_create'):
    file = os.memfd_create('environments')
  else:
    with tempfile.TemporaryFile() as temporary:
      file = os.dup(temporary.fileno())
  os.ftruncate(file, size)
  return file
