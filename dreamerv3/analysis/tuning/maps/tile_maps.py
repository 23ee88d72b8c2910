"""Maps of many units, held on the visited tiles alone.

  maps = TileMaps(values, occupancy > 0)   # (D, V) and (W, H) with V True
  maps[unit]                               # (W, H), NaN on the other tiles
  maps[rows]                               # (d, W, H)
  np.asarray(maps)                         # (D, W, H), all of them

A trained agent visits a quarter to a half of its world; the rest would be NaN in
memory, on disk, and on its way from one process to another.
"""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class TileMaps:
  """Maps of D units, expanded to arrays (..., W, H) where they are looked at.

  Attributes:
    values: (D, V) float, on disk or in memory.
    visited: (W, H) bool with V tiles, in the order of the values.
  """

  values: np.ndarray
  visited: np.ndarray

  def __post_init__(self) -> None:
    shape = (len(self.values), int(self.visited.sum()))
    if self.values.shape != shape or self.visited.ndim != 2:
      raise ValueError(
        f'values {self.values.shape} on tiles {self.visited.shape}, of which '
        f'{shape[1]} were visited; expected (D, V) and (W, H) with V.'
      )

  @classmethod
  def of(cls, maps: np.ndarray) -> 'TileMaps':
    """Maps (D, W, H) as they are; no tile is taken for unvisited."""
    whole = np.ones(maps.shape[1:], bool)
    return cls(maps.reshape(len(maps), -1), whole)

  @property
  def shape(self) -> tuple[int, int, int]:
    """(D, W, H)."""
    w, h = self.visited.shape
    return len(self.values), w, h

  @property
  def nbytes(self) -> int:
    """Bytes of all maps, expanded."""
    return self.values.itemsize * len(self.values) * self.visited.size

  def __len__(self) -> int:
    return len(self.values)

  def __repr__(self) -> str:
    d, w, h = self.shape
    return f'TileMaps({d} units, {self.values.shape[1]} of {w} x {h} tiles visited)'

  def __getitem__(self, units: Any) -> np.ndarray:
    """Maps (W, H) of a unit, (d, W, H) of a slice, a mask or an array of units."""
    values = np.asarray(self.values[units])
    shape = (*values.shape[:-1], *self.visited.shape)
    if self.visited.all():
      return values.reshape(shape)
    maps = np.full(shape, np.nan, np.result_type(values, np.float16))
    maps[..., self.visited] = values
    return maps

  def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """All maps (D, W, H)."""
    return np.array(self[:], dtype, copy=copy)
