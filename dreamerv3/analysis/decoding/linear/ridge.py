"""Ridge regression from activations to (x, y), beside the softmax over tiles.

  decoder = solve_ridge(data, features, classes, grid)   # a RidgeDecoder
  decoder.estimate(X)   # (N, 2) real-valued [tiles]

For `fit`, with method 'ridge'. A code that is linear in the place needs two
directions here, where the softmax has one per tile; a code of single places is
read worse. docs/decoding.md compares them.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from dreamerv3.analysis.arrays import Array, Arrays
from dreamerv3.analysis.decoding.linear.decoder import (
  CHUNK,
  Search,
  about,
  read_about,
  visits_of,
)
from dreamerv3.analysis.decoding.linear.discriminant import Features, Moments
from dreamerv3.analysis.decoding.linear.training import Training
from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError, reading
from dreamerv3.data.activations import Matrix
from dreamerv3.data.grid import Grid

TYPE = 'ridge'
# Shares of the mean eigenvalue; infinity is the mean position.
PENALTIES = (float('inf'), *(10.0**x for x in range(3, -7, -1)))


@dataclasses.dataclass(frozen=True)
class RidgeDecoder:
  """(x, y) = X A + b [tiles]; the tile that is named is the nearest one.

  Attributes:
    weights: A (D, 2) float32; they apply to activations as they are recorded.
    offset: b (2,).
    classes: (C,) int64, class of each tile visited in training; without weights
      the first is named.
    grid, layer, held_out, world, trained_on, search: as of `LinearDecoder`.
  """

  weights: np.ndarray
  offset: np.ndarray
  classes: np.ndarray
  grid: Grid
  layer: str
  held_out: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  world: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  trained_on: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  search: Search | None = None

  def __post_init__(self) -> None:
    if self.weights.ndim != 2 or self.weights.shape[1:] != (2,):
      raise ValueError(f'weights are {self.weights.shape}; expected (D, 2).')
    if not np.isfinite(self.weights).all() or not np.isfinite(self.offset).all():
      raise ValueError(f'{self.layer}: the weights are not finite.')
    self.grid.to_pos(self.classes)

  @property
  def units(self) -> int:
    """Width of the layer that it reads."""
    return int(self.weights.shape[0])

  def estimate(self, X: Matrix, rows: np.ndarray | None = None) -> np.ndarray:
    """Real-valued positions (N, 2) [tiles], of some rows, or of all."""
    if len(X.shape) != 2 or X.shape[1] != self.units:
      raise UserError(
        f'The decoder of {self.layer} reads {self.units} units; got '
        f'activations of shape {X.shape}. Is it of another network or layer?'
      )
    rows = np.arange(X.shape[0]) if rows is None else rows
    found = np.empty((len(rows), 2), np.float32)
    for i in range(0, len(rows), CHUNK):
      found[i : i + CHUNK] = X[rows[i : i + CHUNK]] @ self.weights + self.offset
    return found

  def predict(self, X: Matrix, rows: np.ndarray | None = None) -> np.ndarray:
    """The nearest tile of the world, (N, D) to (N, 2)."""
    found = self.estimate(X, rows)
    if not self.weights.any():  # the guess of least |dx| + |dy|, not the mean
      return np.tile(self.grid.to_pos(self.classes[:1]), (len(found), 1))
    edge = np.array(self.grid.shape) - 1
    tiles: np.ndarray = np.clip(np.rint(found), 0, edge).astype(np.int64)
    return tiles

  @property
  def visits(self) -> np.ndarray:
    """Timesteps (W, H) on each tile that it was fitted to, for chance levels."""
    return visits_of(self.grid, self.held_out['visits'])

  def to_dict(self) -> dict[str, Any]:
    """Plain arrays and containers, as they are saved."""
    return {
      'weights': self.weights,
      'offset': self.offset,
      'classes': self.classes,
      'metadata': {'type': TYPE, **about(self)},
    }

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> Self:
    """Reads `to_dict`."""
    return cls(
      np.asarray(values['weights'], np.float32),
      np.asarray(values['offset'], np.float64),
      np.asarray(values['classes'], np.int64),
      **read_about(values['metadata']),
    )

  @classmethod
  def open(cls, path: pathlib.Path) -> Self:
    """Reads a saved decoder; UserError for any other file."""
    values = unpickle.load(path)
    with reading(path, 'saved ridge decoder'):
      decoder = cls.from_dict(values)
      _ = decoder.visits  # they have the form of the grid
    return decoder


class _Eigen(NamedTuple):
  """One eigendecomposition, which serves every penalty."""

  values: Array  # (k,)
  vectors: Array  # (k, k)
  cross: Array  # (k, 2) vectors' covariance with the position
  centre: Array  # (k,) mean feature, less the shift
  mean: Array  # (2,) mean position

  def scales(self, arrays: Arrays) -> Array:
    """(k, P) of 1 / (eigenvalue + penalty), 0 for an infinite one."""
    size = max(float(self.values.mean()), 1e-12)
    scales: Array = 1 / (self.values[:, None] + arrays.put(size * np.array(PENALTIES)))
    return scales


def solve_ridge(
  data: Training, features: Features, classes: np.ndarray, grid: Grid
) -> RidgeDecoder:
  """Chooses the penalty by squared errors on validation groups, then fits all.

  Without groups the penalty is a tenth of the mean eigenvalue.
  """
  best = PENALTIES.index(0.1)
  if data.kept >= 2:
    total = np.zeros(len(PENALTIES))
    for group in range(data.kept):
      data.check()
      total += _squares(data, _eigen(data, data.moments(group)), group)
    best = int(total.argmin())
  whole = _eigen(data, data.moments(None))
  scale = whole.scales(data.arrays)[:, best, None]
  weights = whole.vectors @ (scale * whole.cross)
  offset = whole.mean - (whole.centre + data.shift) @ weights
  return RidgeDecoder(
    np.ascontiguousarray(features.to_raw(weights)),
    data.arrays.host(offset),
    classes,
    grid,
    '',
    search=Search(PENALTIES[best], 1.0, 0, np.zeros((0, 4))),
  )


def _eigen(data: Training, moments: Moments) -> _Eigen:
  pos = data.arrays.put(data.pos.astype(np.float64))  # (C, 2)
  rows = moments.count.sum()
  centre = moments.centre
  mean = moments.count @ pos / rows
  cover = moments.second / rows - centre[:, None] * centre
  cross = moments.first.T @ pos / rows - centre[:, None] * mean
  values, vectors = data.arrays.eigh(cover)
  return _Eigen(values.clip(min=0), vectors, vectors.T @ cross, centre, mean)


def _squares(data: Training, eigen: _Eigen, group: int) -> np.ndarray:
  """(P,) summed squared errors of all penalties on one validation group."""
  rows = data.validation(group)
  z = (data.arrays.double(data.Z[rows]) - eigen.centre) @ eigen.vectors  # (R, k)
  rest = data.arrays.put(data.true(rows).astype(np.float64)) - eigen.mean  # (R, 2)
  scales = eigen.scales(data.arrays)
  errors = np.zeros(len(PENALTIES))
  for axis in (0, 1):
    found = z @ (scales * eigen.cross[:, axis, None])
    errors += data.arrays.host(((found - rest[:, axis, None]) ** 2).sum(0))
  return errors
