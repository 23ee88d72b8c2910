"""Does a map hold on other episodes? Held-out variance and split halves.

parts = PartSums.build(design, X)              # one sparse product
EVs = parts.held_out(X, squares)            # (D,) <= 1, < 0 for noise
stability, reliability = parts.stability()  # (D,) each
"""

import dataclasses
import functools

import numpy as np

from dreamerv3.analysis.tuning.maps.binned_path import FOLDS, Design

# Visits at which a tile counts half as much as one that was visited at will:
# sampling noise falls with visits, a map's own variance does not.
HALF_WEIGHT = 4


@dataclasses.dataclass(frozen=True)
class PartSums:
  """Sums of activations (N, D) over tiles, apart for parts of the episodes.

  Attributes:
    design: of the samples.
    sums: (P, V, D) of X per part and tile.
    visits: (P, V).
  """

  design: Design
  sums: np.ndarray
  visits: np.ndarray

  @classmethod
  def build(cls, design: Design, X: np.ndarray) -> 'PartSums':
    """Sums X (N, D), centred, over the parts of a design of N samples."""
    v = design.n_tiles
    sums = (design.by_part @ X).reshape(-1, v, X.shape[1])
    where = design.part * v + design.tile
    visits = np.bincount(where, minlength=len(sums) * v)
    return cls(design, sums, visits.reshape(-1, v))

  @functools.cached_property
  def by_half(self) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the even and over the odd episodes, (V, D) each."""
    return self.sums[::2].sum(0), self.sums[1::2].sum(0)

  def total(self) -> np.ndarray:
    """Sums over all parts, (V, D)."""
    even, odd = self.by_half
    total: np.ndarray = even + odd
    return total

  def held_out(self, X: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Variance explained on episodes that the map was not made from, (D,).

      EV = 1 - Var(a - m(x)) / Var(a)

    m is the mean activation per tile in the other folds; samples on tiles that
    no other fold visited are left out of both variances. 1 is perfect, noise
    is a little below 0; NaN for a silent unit, or if the folds share no tile.

    Args:
      X: (N, D) centred activations, as for `build`.
      squares: (D,) sum of their squares.
    """
    tally = _Tally(X.shape[1])
    covered = np.zeros(len(X))
    everything, seen = self.total(), self.visits.sum(0)
    for fold in range(min(FOLDS, len(self.sums))):
      sums = self.sums[fold::FOLDS].sum(0)  # parts of one fold: every fifth
      n = self.visits[fold::FOLDS].sum(0)
      train = seen - n
      known = train > 0
      scale = np.where(known, 1 / np.maximum(train, 1), 0)
      curve = (everything - sums) * scale[:, None].astype(sums.dtype)
      sums[~known] = 0
      tally.add(sums, n * known, curve)
      rows = self.design.part % FOLDS == fold
      covered[rows] = known[self.design.tile[rows]]
    if not covered.all():
      squares = weighted_squares(covered, X)
    return tally.explained(squares, covered.sum())

  def halves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps of even and odd episodes on shared tiles, and a weight of those."""
    a, b = self.by_half
    m, n = self.visits[::2].sum(0), self.visits[1::2].sum(0)
    both = (m > 0) & (n > 0)
    m, n = m[both], n[both]
    harmonic = 2 * m * n / (m + n)
    weight = harmonic / (harmonic + HALF_WEIGHT)
    dtype = a.dtype
    a, b = (
      a[both] / m[:, None].astype(dtype),
      b[both] / n[:, None].astype(dtype),
    )
    return a, b, weight

  def stability(self) -> tuple[np.ndarray, np.ndarray]:
    """Split-half stability and reliability of the map, (D,) each.

    stability is Pearson's r of the maps of even and odd episodes, over tiles
    that both visited. reliability is the share of the whole map's variance
    that is not noise, Spearman & Brown's 2 r / (1 + r), with tiles weighted by
    n / (n + 4) since rare ones are noisy; clipped to 0..1.
    """
    a, b, weight = self.halves()
    if len(a) < 3:
      nothing = np.full(self.sums.shape[2], np.nan)
      return nothing, nothing
    even = correlation(a, b, np.ones(len(a)))
    weighted = correlation(a, b, weight)
    lifted = 2 * weighted / np.maximum(1 + weighted, 1e-9)
    return even, np.clip(lifted, 0, 1)


def transfer(
  design: Design,
  sums: np.ndarray,
  test: Design,
  X: np.ndarray,
) -> np.ndarray:
  """As `PartSums.held_out`, with the map of one recording on another, (D,).

  Args:
    design: of the recording the map is made from; sums: (V, D) of it.
    test: of the other recording; X: (N, D) its activations, on the same scale.
  """
  place = {c: i for i, c in enumerate(design.classes)}
  at = np.array([place.get(c, -1) for c in test.classes])
  known = at >= 0
  curve = sums[at[known]] / design.visits[at[known], None]
  tally = _Tally(X.shape[1])
  tally.add((test.by_tile @ X)[known], test.visits[known], curve)
  covered = known[test.tile].astype(np.float64)
  squares = weighted_squares(covered, X)
  return tally.explained(squares, covered.sum())


def correlation(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
  """Weighted Pearson correlation of columns, (V, D) twice -> (D,).

  NaN where a column is constant.
  """
  weight = (weight / weight.sum()).astype(a.dtype)
  a, b = a - weight @ a, b - weight @ b
  spread = (weight @ a**2) * (weight @ b**2)
  known = spread > 1e-24
  r = (weight @ (a * b)) / np.sqrt(np.where(known, spread, 1))
  return np.where(known, r, np.nan)


def tile_weight(design: Design) -> np.ndarray:
  """How far each tile's mean can be relied on, n / (n + 4), (V,)."""
  weight: np.ndarray = design.visits / (design.visits + HALF_WEIGHT)
  return weight


def weighted_squares(weight: np.ndarray, X: np.ndarray) -> np.ndarray:
  """sum_n weight_n X_nd^2 in float64, in pieces that fit into the cache."""
  total = np.zeros(X.shape[1])
  for start in range(0, len(X), 1024):
    rows = slice(start, start + 1024)
    piece = X[rows] * X[rows]
    total += weight[rows].astype(piece.dtype) @ piece
  return total


class _Tally:
  """Adds up sums of x and of the residual x - m over folds."""

  def __init__(self, units: int):
    self.x = np.zeros(units)
    self.residual = np.zeros(units)
    self.cross = np.zeros(units)  # sum (x - m)^2 - x^2

  def add(self, sums: np.ndarray, n: np.ndarray, curve: np.ndarray) -> None:
    n = n.astype(curve.dtype)
    self.x += sums.sum(0)
    self.residual += sums.sum(0) - n @ curve
    # sum (x - m)^2 - x^2 = sum n m^2 - 2 m sum x
    square = np.einsum('v,vd,vd->d', n, curve, curve)
    self.cross += square - 2 * np.einsum('vd,vd->d', sums, curve)

  def explained(self, squares: np.ndarray, n: float) -> np.ndarray:
    if n < 2:
      return np.full(len(self.x), np.nan)
    variance = squares / n - (self.x / n) ** 2
    left = (squares + self.cross) / n - (self.residual / n) ** 2
    alive = variance > 1e-12 * (1 + squares / n)
    return np.where(alive, 1 - left / np.where(alive, variance, 1), np.nan)
