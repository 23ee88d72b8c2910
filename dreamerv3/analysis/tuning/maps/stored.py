"""Maps of many units that lie on disk while more are measured.

  with StoredMaps(folder) as maps:
    first = maps.put(curves)   # (d, V), read again where it is looked at
    curves = maps.whole()      # (D, V), all that were put, in their order

For `table.measure`: a wide layer of a large world has gigabytes of maps, which
nothing needs until results are written.
"""

import pathlib
import tempfile
from typing import IO, Any, Self

import numpy as np


class StoredMaps:
  """Maps (D, V) float32 in a file without a name, so that a kill leaves none.

  Args:
    folder: on the disk to use; None keeps the maps in memory.
  """

  def __init__(self, folder: pathlib.Path | None):
    self._folder = folder
    self._parts: list[np.ndarray] = []
    self._file: IO[bytes] | None = None
    if folder is not None:
      self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115

  def __enter__(self) -> Self:
    return self

  def __exit__(self, *error: Any) -> None:
    if self._file is not None:
      self._file.close()  # its bytes live as long as the maps

  def put(self, curves: np.ndarray) -> np.ndarray:
    """Adds maps (d, V) float32; returns the same numbers where they now lie.

    Raises:
      OSError: the disk is full, with the folder as its filename.
    """
    if self._file is not None:
      begin = self._file.tell()
      try:
        self._file.write(np.ascontiguousarray(curves).data.cast('B'))
        self._file.flush()
      except OSError as e:
        raise OSError(e.errno, e.strerror, str(self._folder)) from e
      curves = self._mapped(begin, curves.shape)
    self._parts.append(curves)
    return curves

  def whole(self) -> np.ndarray:
    """All maps that were put."""
    if self._file is None:
      return np.concatenate(self._parts)
    count = sum(len(x) for x in self._parts)
    return self._mapped(0, (count, self._parts[0].shape[1]))

  def _mapped(self, begin: int, shape: tuple[int, ...]) -> np.ndarray:
    file: Any = self._file  # whatever numpy's stubs make of it
    return np.asarray(np.memmap(file, np.float32, 'r', begin, shape))
