"""Scores of the rivals of a spatial code, for the comparison with chance.

  rivals = Rivals.build(covariates.labels(track, steps))
  rivals.scores(sums, total)                 # (R, D), one per label

As `significance.Scorer`: samples are summed over cells of all labels at once,
and the sums over one label's values follow from them.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import scipy.sparse

from dreamerv3.analysis.tuning.maps.binned_path import indicator


@dataclasses.dataclass(frozen=True)
class Rivals:
  """Sums of N samples over C cells, and of cells over the values of labels.

  Attributes:
    names: of the labels.
    cell: (N,) of each sample.
    count: (C,) samples per cell.
    groups: for each label (G, C), cells to values.
  """

  names: tuple[str, ...]
  cell: np.ndarray
  count: np.ndarray
  groups: tuple[scipy.sparse.csr_array, ...]

  @classmethod
  def build(cls, labels: Mapping[str, np.ndarray]) -> 'Rivals':
    """Takes labels (N,) by name; -1 where unknown."""
    every = np.stack(list(labels.values()), 1)
    cells, cell = np.unique(every, axis=0, return_inverse=True)
    groups = []
    for column in cells.T:
      ids, value = np.unique(column, return_inverse=True)
      known = np.where(column >= 0, value, -1)
      groups.append(indicator(known, len(ids)).astype(np.float32))
    return cls(
      tuple(labels),
      cell.reshape(-1),
      np.bincount(cell, minlength=len(cells)).astype(np.float32),
      tuple(groups),
    )

  def scores(self, sums: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Share of the variance that the means of each label explain, (R, D).

    Args:
      sums: (C, D) of centred activations over the cells.
      total: (D,) sum of squares; 0 gives 0.
    """
    share = 1 / np.where(total > 0, total, np.inf)
    found = []
    for group in self.groups:
      of_value, n = group @ sums, group @ self.count
      inverse = np.where(n > 0, 1 / np.maximum(n, 1), 0).astype(np.float32)
      explained = np.einsum('gd,gd,g->d', of_value, of_value, inverse)
      found.append(explained * share)
    return np.stack(found)
