"""Ridge regression on one-hot covariates, tested on episodes that were held out.

  ridge = Ridge(visits, cross, inner)               # counts of the path
  sums = ridge.sums(squares, place, other)          # of D units
  left = ridge.left(columns, True, sums)            # (P, D), with a mean per tile

All fits need the same sums. With w the weights of the columns and t0 the shrunken mean
of each tile, the normal equations eliminate the tiles,

  t = t0 - S B w,  S = 1 / (n + RIDGE),  B the counts of tile and column,

so that what a model leaves on a held-out part is a quadratic form in w,

  left = squares - c - 2 h'w + w'Q w,

with c and h sums of the units, and Q counts of the path alone. A model of some columns
takes the rows and columns of h and Q that are its own.
"""

import dataclasses

import numpy as np
import scipy.linalg

from dreamerv3.analysis.tuning.maps.binned_path import FOLDS

RIDGE = 4.0  # samples that pull a column's weight towards 0


@dataclasses.dataclass(frozen=True)
class RidgeSums:
  """What fits and tests need of D units; P parts, F folds, K columns.

  Two forms of each: without, and with the mean of each tile.

  Attributes:
    squares: (P, D) sum of squares of each part.
    tiles: (2, P, D) what the tiles' means explain of them, c; 0 without.
    slope: (2, P, K, D) h of each part.
    right: (2, F, K, D) right side of the normal equations of each fold.
  """

  squares: np.ndarray
  tiles: np.ndarray
  slope: np.ndarray
  right: np.ndarray

  def units(self, index: np.ndarray) -> 'RidgeSums':
    """The sums of some units."""
    return RidgeSums(
      self.squares[:, index],
      self.tiles[..., index],
      self.slope[..., index],
      self.right[..., index],
    )


class Ridge:
  """The columns of a path, ready to be fitted to any units.

  Args:
    visits: (P, V) samples of each part and tile.
    cross: (P, V, K) counts of tile and column. inner: (P, K, K) of two columns.
  """

  def __init__(self, visits: np.ndarray, cross: np.ndarray, inner: np.ndarray):
    parts, _, width = cross.shape
    self._folds = min(FOLDS, parts)
    self._visits, self._cross = visits.astype(float), cross
    self._scaled = []  # S B of each fold, (V, K)
    self._curved = np.zeros((2, parts, width, width))  # Q of each part
    self._normal = np.zeros((2, self._folds, width, width))
    self._solvers: dict[tuple[bytes, bool, int], np.ndarray] = {}
    every, products = cross.sum(0, dtype=float), inner.sum(0, dtype=float)
    self._curved[0] = inner
    for fold in range(self._folds):
      inside = slice(fold, None, FOLDS)
      between = every - cross[inside].sum(0)
      scaled = between * self._scale(fold)[:, None]
      self._scaled.append(scaled)
      self._normal[0, fold] = products - inner[inside].sum(0)
      self._normal[1, fold] = self._normal[0, fold] - between.T @ scaled
      for part in range(fold, parts, FOLDS):
        turned = cross[part].T @ scaled
        seen = scaled.T @ (scaled * self._visits[part][:, None])
        self._curved[1, part] = inner[part] - turned - turned.T + seen

  def _scale(self, fold: int) -> np.ndarray:
    """(V,) 1 / (samples + RIDGE) of the other folds' tiles."""
    n = self._visits.sum(0) - self._visits[fold::FOLDS].sum(0)
    scale: np.ndarray = 1 / (n + RIDGE)
    return scale

  def sums(
    self, squares: np.ndarray, place: np.ndarray, other: np.ndarray
  ) -> RidgeSums:
    """Sums of D units.

    Args:
      squares: (P, D). place: (P, V, D) sums over tiles; other: (P, K, D) over columns.
    """
    parts, width, units = other.shape
    tiles = np.zeros((2, parts, units))
    slope = np.zeros((2, parts, width, units))
    right = np.zeros((2, self._folds, width, units))
    slope[0] = other
    total, beside = place.sum(0, dtype=float), slope[0].sum(0)
    for fold in range(self._folds):
      inside = slice(fold, None, FOLDS)
      mean = total - place[inside].sum(0)
      right[0, fold] = beside - slope[0, inside].sum(0)
      right[1, fold] = right[0, fold] - self._scaled[fold].T @ mean
      mean *= self._scale(fold)[:, None]
      for part in range(fold, parts, FOLDS):
        seen = np.flatnonzero(self._visits[part])
        n, m, own = self._visits[part][seen, None], mean[seen], place[part][seen]
        rest = own - n * m
        tiles[1, part] = np.einsum('vd,vd->d', m, own + rest)
        slope[1, part] -= self._cross[part][seen].T @ m
        slope[1, part] -= self._scaled[fold][seen].T @ rest
      slope[1, inside] += slope[0, inside]
    return RidgeSums(squares, tiles, slope, right)

  def left(self, columns: np.ndarray, placed: bool, sums: RidgeSums) -> np.ndarray:
    """Squares (P, D) that a model leaves on each part, fitted on other folds.

    Args:
      columns: of the model. placed: whether each tile has a mean, too.
    """
    form, own = int(placed), np.ix_(columns, columns)
    out: np.ndarray = sums.squares - sums.tiles[form]
    for fold in range(self._folds):
      weight = self._solver(columns, placed, fold) @ sums.right[form, fold, columns]
      for part in range(fold, len(out), FOLDS):
        gain = 2 * sums.slope[form, part, columns]
        gain -= self._curved[form, part][own] @ weight
        out[part] -= np.einsum('kd,kd->d', weight, gain)
    return out

  def _solver(self, columns: np.ndarray, placed: bool, fold: int) -> np.ndarray:
    """Inverse of the normal equations of some columns, kept."""
    key = columns.tobytes(), placed, fold
    if key not in self._solvers:
      matrix = self._normal[int(placed), fold][np.ix_(columns, columns)]
      self._solvers[key] = scipy.linalg.inv(matrix + RIDGE * np.eye(len(columns)))
    solver: np.ndarray = self._solvers[key]
    return solver
