"""Where the large values of a timestep lie: in which array, from which place on.

  column = Column('dyn/stoch', 'float16', 512, (32, 4), np.dtype(np.float16))
  column.of(rows)     # (..., 32, 4), of {'float16': (..., values)}

A policy call brings all layers of one dtype side by side in one array, so that
a step is one transfer. For whoever writes such arrays (probe), keeps them
(spool, recorder) or takes them apart (player, dreams).
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Column:
  """A layer, or another large value, of one timestep.

  Attributes:
    name: of the layer, or the key in an episode's file.
    group: name of the array that brings it, one row per step.
    start: its first value in such a row.
    shape: of one step, e.g. (32, 32, 8) for a convolution.
    dtype: of the group, and so of the value.
  """

  name: str
  group: str
  start: int
  shape: tuple[int, ...]
  dtype: np.dtype[Any]

  @property
  def units(self) -> int:
    """Numbers per step."""
    return math.prod(self.shape)

  @property
  def nbytes(self) -> int:
    """Bytes per step."""
    return self.units * self.dtype.itemsize

  @property
  def stop(self) -> int:
    """The place after its last value in a row."""
    return self.start + self.units

  def of(self, rows: Mapping[str, Any]) -> np.ndarray:
    """Its values (..., *shape) in rows {group: (..., values)}; a view."""
    values = np.asarray(rows[self.group])[..., self.start : self.stop]
    return values.reshape((*values.shape[:-1], *self.shape))
