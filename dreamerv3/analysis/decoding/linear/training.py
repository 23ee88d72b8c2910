"""The training rows of one decoder: features, tiles and validation groups.

  data = Training.make(features, X, rows, labels, groups, pos, stopped)
  data.error(solve(data.moments(0), penalty=0.1), data.validation(0))

For `fit`, which chooses its ridge and its iterations by it.
"""

import dataclasses
from collections.abc import Callable
from typing import Self

import numpy as np
import torch

from dreamerv3.analysis.decoding.linear.discriminant import (
  CHUNK,
  Features,
  Moments,
  Solution,
  chunks,
  gather,
  total,
)
from dreamerv3.data.grid import manhattan

MOST_CHECKED = 1000  # validation rows per group


class Stopped(Exception):
  """The fit was given up, since whoever asked for it is gone."""


@dataclasses.dataclass(frozen=True)
class Training:
  """Training rows as features, in validation groups."""

  Z: torch.Tensor  # (M, k) float32, features minus shift
  shift: torch.Tensor  # (k,) float64
  labels: torch.Tensor  # (M,)
  groups: np.ndarray  # (M,)
  pos: np.ndarray  # (C, 2) tile of each label
  parts: tuple[Moments, ...]  # one per group that has rows
  stopped: Callable[[], bool]

  @classmethod
  def make(
    cls,
    features: Features,
    X: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    pos: np.ndarray,
    stopped: Callable[[], bool],
  ) -> Self:
    """Features and moments of rows; `labels` (M,) are rows of `pos` (C, 2)."""
    Z = torch.empty(len(rows), features.width, device=features.scale.device)
    for z, part in zip(torch.split(Z, CHUNK), chunks(rows), strict=True):
      z.copy_(features(X[part]))
    shift = Z.mean(0, dtype=torch.float64)
    Z -= shift.to(Z)
    y = torch.from_numpy(labels).to(Z.device)
    parts = []
    for group in np.unique(groups):
      index = np.flatnonzero(groups == group)
      parts.append(gather(Z, y, index, len(pos), shift))
    return cls(Z, shift, y, groups, pos, tuple(parts), stopped)

  def check(self) -> None:
    """Raises Stopped once nobody waits for the fit any more."""
    if self.stopped():
      raise Stopped

  def visits(self) -> np.ndarray:
    """(C,) training rows on each tile."""
    return np.bincount(self.labels.cpu().numpy(), minlength=len(self.pos))

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
    return total(parts)

  def validation(self, group: int) -> torch.Tensor:
    """At most MOST_CHECKED rows of a group, evenly spaced."""
    index = np.flatnonzero(self.groups == np.unique(self.groups)[group])
    stride = max(1, -(-len(index) // MOST_CHECKED))
    return torch.from_numpy(index[::stride]).to(self.Z.device)

  def logits(self, weights: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(R, C) of some rows under weights (k, C) on features."""
    offset = (self.shift @ weights).to(self.Z)
    return self.Z[rows] @ weights.to(self.Z) + offset

  def error(self, solution: Solution, rows: torch.Tensor) -> float:
    """Mean distance [tiles] of the most probable tile from the true one."""
    logits = self.logits(solution.weights, rows)
    logits[:, ~solution.present] = -torch.inf
    best = self.pos[logits.argmax(1).cpu().numpy()]
    true = self.pos[self.labels[rows].cpu().numpy()]
    return float(manhattan(best, true).mean())

  def entropy(self, solution: Solution, rows: torch.Tensor) -> float:
    """Mean cross-entropy [nats] of rows on tiles that were trained on."""
    rows = rows[solution.present[self.labels[rows]]]
    if not len(rows):
      return float('nan')
    logits = self.logits(solution.weights, rows)
    logits[:, ~solution.present] = -torch.inf
    loss = torch.nn.functional.cross_entropy(logits, self.labels[rows])
    return float(loss)
