"""How the samples of a recording fall on tiles, facings and episodes.

Everything here depends on the path alone, so it is built once and shared by
all units of all layers; the curves of any activations are then one sparse
product.

  design = Design.build(samples.track, grid)
  sums = design.by_tile @ samples.X           # (V, D), V visited tiles
  maps = design.to_map(sums / design.visits)  # (D, W, H), NaN = unvisited
"""

import dataclasses
import functools

import numpy as np
import scipy.sparse

from dreamerv3.analysis.tuning.maps import head_direction
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Track

FOLDS = 5


@dataclasses.dataclass(frozen=True)
class Design:
  """Where each of N samples lies; V tiles are visited.

  Attributes:
    grid: the world.
    track: the samples' positions, episodes, times and facings.
    classes: (V,) tiles that were visited, as classes of the grid.
    tile: (N,) index into `classes`.
    heading: (N,) 0..3 for right, left, up, down; -1 where unknown.
  """

  grid: Grid
  track: Track
  classes: np.ndarray
  tile: np.ndarray
  heading: np.ndarray

  @classmethod
  def build(cls, track: Track, grid: Grid) -> 'Design':
    """Bins the track; UserError where a position lies outside the grid."""
    classes, tile = np.unique(grid.to_class(track.pos), return_inverse=True)
    heading = head_direction.to_bin(track.facing)
    return cls(grid, track, classes, tile.astype(np.int32), heading)

  def __len__(self) -> int:
    return len(self.tile)

  @property
  def n_tiles(self) -> int:
    """Number of visited tiles V."""
    return len(self.classes)

  @functools.cached_property
  def visits(self) -> np.ndarray:
    """Samples per visited tile, (V,)."""
    return np.bincount(self.tile, minlength=self.n_tiles)

  @property
  def occupancy(self) -> np.ndarray:
    """Samples per tile, (W, H); 0 where unvisited."""
    counts = np.zeros(self.grid.size, np.int64)
    counts[self.classes] = self.visits
    return counts.reshape(self.grid.shape)

  @functools.cached_property
  def by_tile(self) -> scipy.sparse.csr_array:
    """(V, N) float64 of 0 and 1: sums samples over each tile."""
    return indicator(self.tile, self.n_tiles)

  @functools.cached_property
  def by_cell(self) -> scipy.sparse.csr_array:
    """(V * 4, N) float32: sums over each tile and facing; unknown on none."""
    bins = head_direction.BINS
    cell = self.tile.astype(np.int64) * bins + self.heading
    cell = np.where(self.heading >= 0, cell, -1)
    return indicator(cell, self.n_tiles * bins).astype(np.float32)

  @functools.cached_property
  def part(self) -> np.ndarray:
    """(N,) group of the sample for folds and halves, see `fold`, `half`."""
    episodes = np.unique(self.track.episode, return_inverse=True)[1]
    if episodes[-1] == 0:  # One episode: runs of time instead.
      return np.arange(len(self)) * 2 * FOLDS // len(self)
    return episodes % (2 * FOLDS)

  @property
  def fold(self) -> np.ndarray:
    """(parts,) fold of each part; whole episodes, about equally many."""
    return np.arange(self.part.max() + 1) % FOLDS

  @property
  def half(self) -> np.ndarray:
    """(parts,) 0 for even and 1 for odd episodes."""
    return np.arange(self.part.max() + 1) % 2

  @functools.cached_property
  def by_part(self) -> scipy.sparse.csr_array:
    """(parts * V, N) float32: sums samples over each tile of each part."""
    parts = int(self.part.max()) + 1
    where = self.part * self.n_tiles + self.tile
    return indicator(where, parts * self.n_tiles).astype(np.float32)

  def to_map(self, values: np.ndarray) -> np.ndarray:
    """Values per visited tile (V, D) as maps (D, W, H), NaN elsewhere."""
    maps = np.full((values.shape[1], self.grid.size), np.nan, values.dtype)
    maps[:, self.classes] = values.T
    return maps.reshape(-1, *self.grid.shape)

  def from_map(self, maps: np.ndarray) -> np.ndarray:
    """Maps (..., W, H) at the visited tiles, (..., V)."""
    return maps.reshape(*maps.shape[:-2], -1)[..., self.classes]


def often_visited(track: Track, grid: Grid, min_visits: int) -> np.ndarray:
  """(N,) whether the sample's tile has at least `min_visits` samples.

  Raises:
    UserError: no tile has that many.
  """
  counts = grid.count(track.pos)
  keep: np.ndarray = counts[track.pos[:, 0], track.pos[:, 1]] >= min_visits
  if not keep.any():
    raise UserError(
      f'--min_visits {min_visits} leaves no tile; the most visited one has '
      f'{counts.max()} samples.'
    )
  return keep


def indicator(row: np.ndarray, rows: int) -> scipy.sparse.csr_array:
  """(rows, N) with a 1 at [row[n], n]; negative rows are left out."""
  columns = np.flatnonzero(row >= 0)
  shape = (rows, len(row))
  ones = np.ones(len(columns))
  return scipy.sparse.csr_array((ones, (row[columns], columns)), shape=shape)
