"""Scores of the rivals of a spatial code, for the comparison with chance.

  rivals = Rivals.build(covariates.labels(track, steps))
  rivals.scores(sums, 1 / total)             # (R, D), one per label

As `significance.Scorer`: samples are summed over cells of all labels at once,
and the sums over one label's values follow from them.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import scipy.linalg
import scipy.sparse

from dreamerv3.analysis.arrays import Array, Arrays
from dreamerv3.analysis.tuning.maps.binned_path import indicator


@dataclasses.dataclass(frozen=True)
class Rivals:
  """Sums of N samples over C cells, and of cells over the values of labels.

  Attributes:
    names: of the labels.
    cell: (N,) of each sample.
    count: (C,) samples per cell.
    values: (G, C), cells to the values of all labels.
    inverse: (R, G) 1 / samples of the values of each of R labels.
  """

  names: tuple[str, ...]
  cell: np.ndarray
  count: np.ndarray
  values: scipy.sparse.csr_array
  inverse: Array

  @classmethod
  def build(cls, labels: Mapping[str, np.ndarray]) -> 'Rivals':
    """Takes labels (N,) by name; -1 where unknown."""
    every = np.stack(list(labels.values()), 1)
    cells, cell = np.unique(every, axis=0, return_inverse=True)
    count = np.bincount(cell.reshape(-1), minlength=len(cells)).astype(np.float32)
    groups = []
    for column in cells.T:
      ids, value = np.unique(column, return_inverse=True)
      known = np.where(column >= 0, value, -1)
      groups.append(indicator(known, len(ids)).astype(np.float32))
    return cls(
      tuple(labels),
      cell.reshape(-1),
      count,
      scipy.sparse.vstack(groups, 'csr'),
      scipy.linalg.block_diag(*[reciprocal(x @ count) for x in groups]),
    )

  def on(self, arrays: Arrays) -> 'Rivals':
    """The same where other arrays compute."""
    values, inverse = arrays.sparse(self.values), arrays.put(self.inverse)
    return dataclasses.replace(self, values=values, inverse=inverse)

  def scores(self, sums: Array, share: Array) -> Array:
    """Share of the variance that the means of each label explain, (R, D).

    Args:
      sums: (C, D) of centred activations over the cells.
      share: (D,) 1 / sum of squares; 0 of silent units.
    """
    found: Array = explained(self.values @ sums, self.inverse) * share
    return found


def explained(sums: Array, inverse: Array) -> Array:
  """Sum of squares that the means of groups explain, (B, D) -> (D,) or (R, D).

  Args:
    sums: (B, D) of centred activations.
    inverse: (B,) 1 / samples of each group, see `reciprocal`; or (R, B) of R groupings.
  """
  found: Array = inverse @ (sums * sums)
  return found


def reciprocal(n: np.ndarray) -> np.ndarray:
  """1 / n as float32, 0 of groups without samples."""
  return np.where(n > 0, 1 / np.maximum(n, 1), 0).astype(np.float32)
