"""The training rows of one decoder: features, tiles and validation groups.

  data = Training.make(features, X, rows, labels, groups, pos, stopped)
  data.error(data.discriminant(0).solve(penalty=0.1), data.validation(0))

For `fit`, which chooses its ridge and its iterations by it.
"""

import dataclasses
from collections.abc import Callable
from typing import Self

import numpy as np

from dreamerv3.analysis.arrays import Array, Arrays
from dreamerv3.analysis.decoding.linear.discriminant import (
  CHUNK,
  Discriminant,
  Features,
  Moments,
  Solution,
  chunks,
  gather,
  total,
)
from dreamerv3.data.activations import Matrix
from dreamerv3.data.grid import manhattan

MOST_CHECKED = 1000  # validation rows per group


class Stopped(Exception):
  """The fit was given up, since whoever asked for it is gone."""


@dataclasses.dataclass(frozen=True)
class Training:
  """Training rows as features, in validation groups."""

  arrays: Arrays
  Z: Array  # (M, k) float32, features minus shift
  shift: Array  # (k,) float64
  labels: Array  # (M,)
  groups: np.ndarray  # (M,)
  pos: np.ndarray  # (C, 2) tile of each label
  parts: tuple[Moments, ...]  # one per group that has rows
  stopped: Callable[[], bool]

  @classmethod
  def make(
    cls,
    features: Features,
    X: Matrix,
    rows: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    pos: np.ndarray,
    stopped: Callable[[], bool],
  ) -> Self:
    """Features and moments of rows; `labels` (M,) are rows of `pos` (C, 2)."""
    arrays = features.arrays
    Z = arrays.empty(len(rows), features.width)
    for i, part in enumerate(chunks(rows)):
      Z[i * CHUNK : (i + 1) * CHUNK] = features(X[part])
    shift = arrays.mean(Z)
    Z -= arrays.single(shift)
    parts = []
    for group in np.unique(groups):
      index = np.flatnonzero(groups == group)
      parts.append(gather(arrays, Z, labels, index, len(pos), shift))
    y = arrays.put(labels)
    return cls(arrays, Z, shift, y, groups, pos, tuple(parts), stopped)

  def check(self) -> None:
    """Raises Stopped once nobody waits for the fit any more."""
    if self.stopped():
      raise Stopped

  def visits(self, left_out: int | None = None) -> np.ndarray:
    """(C,) training rows on each tile; of all rows, or of all but one group."""
    labels = self.arrays.host(self.labels)[self.others(left_out)]
    return np.bincount(labels, minlength=len(self.pos))

  def others(self, group: int | None) -> np.ndarray:
    """(M,) the rows outside a validation group, or all."""
    if group is None:
      return np.ones(len(self.groups), bool)
    other: np.ndarray = self.groups != np.unique(self.groups)[group]
    return other

  @property
  def kept(self) -> int:
    """Number of validation groups that have rows."""
    return len(self.parts)

  def moments(self, left_out: int | None) -> Moments:
    """Of all rows, or of all but one group."""
    parts = [x for i, x in enumerate(self.parts) if i != left_out]
    return total(self.arrays, parts)

  def discriminant(self, left_out: int | None) -> Discriminant:
    """Of all rows, or of all but one group."""
    return Discriminant.of(self.arrays, self.moments(left_out))

  def validation(self, group: int) -> Array:
    """At most MOST_CHECKED rows of a group, evenly spaced."""
    index = np.flatnonzero(self.groups == np.unique(self.groups)[group])
    stride = max(1, -(-len(index) // MOST_CHECKED))
    return self.arrays.put(index[::stride])

  def logits(self, solution: Solution, rows: Array) -> Array:
    """(R, C) of some rows; -inf on tiles that the weights were not trained on."""
    weights = solution.weights
    offset = self.arrays.single(self.shift @ self.arrays.double(weights))
    logits: Array = self.Z[rows] @ self.arrays.single(weights) + offset
    logits[:, ~solution.present] = -np.inf
    return logits

  def error(self, solution: Solution, rows: Array) -> float:
    """Mean distance [tiles] of the most probable tile from the true one."""
    best = self.pos[self.arrays.host(self.logits(solution, rows).argmax(1))]
    return float(manhattan(best, self.true(rows)).mean())

  def true(self, rows: Array) -> np.ndarray:
    """(R, 2) tiles of some rows."""
    tiles: np.ndarray = self.pos[self.arrays.host(self.labels[rows])]
    return tiles

  def entropy(self, solution: Solution, rows: Array) -> float:
    """Mean cross-entropy [nats] of rows on tiles that were trained on."""
    rows = rows[solution.present[self.labels[rows]]]
    if not len(rows):
      return float('nan')
    return self.arrays.cross_entropy(self.logits(solution, rows), self.labels[rows])
