"""Which scores of a unit are more than chance, given how slow signals are.

  scorer = Scorer.build(design, walls)
  observed, null = scorer.test(X, pairings)   # (S, D) and (S, n, D)

A unit's scores under many null pairings of activations and path (`nulls`)
come from one sparse product each: sums over the cells of tile x facing hold
all that the scores need. Some units at a time meet all nulls, as few as leave
those sums in the caches.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import scipy.sparse

from dreamerv3.analysis.explain.chance import Rivals, explained, reciprocal
from dreamerv3.analysis.tuning.maps import border, head_direction, information
from dreamerv3.analysis.tuning.maps.binned_path import Design, indicator
from dreamerv3.analysis.tuning.maps.reliability import weighted_squares

# Scores that are tested; the docstring of `Scorer.scores` defines them.
PLACE = ('EVs', 'SI')
HEADING = ('HD_info', 'place_given_HD', 'HD_given_place')
# The same two questions asked of blocks of 3 x 3 tiles, see `Scorer.scores`.
WIDE = ('place_given_HD_wide', 'HD_given_place_wide')
BLOCK = 3  # [tiles]
BORDER = ('border_score',)
PIECE = 64  # units whose sums over the cells stay near the processor
# Explained variances, kept to take the bias of finite data out of them.
R2 = ('R2_place', 'R2_HD', 'R2_both')


@dataclasses.dataclass(frozen=True)
class Scorer:
  """Sums and scores of one path; N samples, C cells, V tiles.

  Attributes:
    cells: (N, 1 or 2) cell of tile and facing of each sample, and that of the rivals,
      counted on.
    count: (C,) samples per cell.
    visits: (V,) samples per tile.
    seen: (4,) samples per facing; (1,) without facing.
    groups: (V + B, C) makes of the cells' sums the tiles' means, and below them the
      sums of blocks of tiles, each facing apart.
    facings: (4, B) sums blocks over facings.
    block_count: (B,) samples per block.
    block_tiles: (B, V) samples of each block that lie on each tile.
    walls: near and far tiles of the walls; no wall without a map.
    rivals: speed, action and view, see `explain.chance`; None without labels.
  """

  cells: np.ndarray
  count: np.ndarray
  visits: np.ndarray
  seen: np.ndarray
  groups: scipy.sparse.csr_array
  facings: np.ndarray
  block_count: np.ndarray
  block_tiles: scipy.sparse.csr_array
  walls: border.Contrast
  rivals: Rivals | None = None

  @classmethod
  def build(
    cls,
    design: Design,
    distance: np.ndarray,
    labels: Mapping[str, np.ndarray] | None = None,
  ) -> 'Scorer':
    """Builds the sums of a path.

    Args:
      design: of samples whose facing is known for all or for none.
      distance: (G, V) of the walls at the visited tiles.
      labels: (N,) values of the rivals by name.
    """
    faced = bool((design.heading >= 0).all())
    bins = head_direction.BINS if faced else 1
    heading = design.heading.astype(np.int64) if faced else 0
    ids, cell = np.unique(design.tile * bins + heading, return_inverse=True)
    count = np.bincount(cell, minlength=len(ids)).astype(np.float32)
    x, y = np.divmod(design.classes[ids // bins], design.grid.height)
    block = (x // BLOCK * design.grid.height + y // BLOCK) * bins + ids % bins
    found, block = np.unique(block, return_inverse=True)
    tiles = indicator(ids // bins, design.n_tiles)
    blocks = indicator(block, len(found))
    samples = scipy.sparse.diags_array(count).tocsr()
    visits = tiles @ count
    means = scipy.sparse.diags_array(1 / visits) @ tiles
    rivals = Rivals.build(labels) if labels else None
    cells = [cell] if rivals is None else [cell, len(ids) + rivals.cell]
    return cls(
      cells=np.stack(cells, 1).astype(np.int32),
      count=count,
      visits=visits.astype(np.float32),
      seen=np.bincount(ids % bins, count, bins).astype(np.float32),
      groups=scipy.sparse.vstack([means, blocks], 'csr').astype(np.float32),
      facings=indicator(found % bins, bins).toarray().astype(np.float32),
      block_count=(blocks @ count).astype(np.float32),
      block_tiles=(blocks @ samples @ tiles.T).tocsr().astype(np.float32),
      walls=border.Contrast.build(distance),
      rivals=rivals,
    )

  @property
  def names(self) -> tuple[str, ...]:
    """The scores of this path: the rows of `scores`, then the rivals'."""
    faced = (*HEADING, *WIDE) if len(self.seen) > 1 else ()
    walled = BORDER if len(self.walls.wall) else ()
    rivals = self.rivals.names if self.rivals else ()
    return (*PLACE, *faced, *walled, *(R2 if faced else R2[:1]), *rivals)

  def summing(self, rows: np.ndarray | None = None) -> scipy.sparse.csc_array:
    """(C + R, N), which sums X[rows] over the cells and those of the R rivals.

    X is read once and in its own order, so that the cost is linear in the rows;
    taking the rows cell by cell costs three times as much where X is larger than
    the caches.

    Args:
      rows: (N,) a permutation; None for the data.
    """
    cells = self.cells
    if rows is not None:
      whole = np.dtype(f'i{cells.itemsize * cells.shape[1]}')  # of a row: moved at once
      cells = np.empty_like(cells)
      cells.view(whole)[rows] = self.cells.view(whole)
    ones, first = self._columns
    size = len(self.count) + (0 if self.rivals is None else len(self.rivals.count))
    shape = size, len(cells)
    return scipy.sparse.csc_array((ones, cells.ravel(), first), shape=shape)

  @functools.cached_property
  def _columns(self) -> tuple[np.ndarray, np.ndarray]:
    """Entries of `summing`, and the first of each column and beyond the last."""
    n, k = self.cells.shape
    return np.ones(n * k, np.float32), np.arange(0, n * k + 1, k, dtype=np.int32)

  def scores(
    self, sums: np.ndarray, floor: np.ndarray, total: np.ndarray
  ) -> np.ndarray:
    """Scores (S, D) from the cells' sums of centred activations.

    SS_m is the sum of squares that model m explains: the cells' means (both),
    the tiles' (place), the facings' (HD); SST is all.
      EVs             SS_place / SST, in sample: it ranks as the held-out one
      SI, HD_info     Skaggs information of place and of facing
      place_given_HD  (SS_both - SS_HD) / (SST - SS_both)
      HD_given_place  (SS_both - SS_place) / (SST - SS_both)
      border_score    contrast of near and far, the best of the walls

    The two ratios ask what place adds to facing and facing to place. They are
    F statistics up to a constant, which is the same for all nulls. Cells have
    few samples each, which hides what neighbouring tiles agree on; the two
    wide scores therefore put the sums of residuals of 3 x 3 tiles, from the
    other variable's means, in the place of SS_both - SS. Those from facing's are
    SS_blocks - SS_HD, since each block has one facing.

    Args:
      sums: (C, D) of X - mean X.
      floor: (D,) lowest activation minus mean, <= 0: the zero of rates.
      total: (D,) SST.
    """
    share = 1 / np.where(total > 0, total, np.inf)
    grouped = self.groups @ sums
    tiles = len(self.visits)
    means, blocks = grouped[:tiles], grouped[tiles:]
    rates = means - floor
    np.maximum(rates, 0, out=rates)
    ss_place = self.visits @ (means * means) * share
    rows = [ss_place, information.spatial(rates, self.visits)]
    of_models = [ss_place]
    if len(self.seen) > 1:
      facing = (self.facings @ blocks) * self._per_facing[:, None]
      ss_facing = self.seen @ (facing * facing) * share
      ss_both = explained(sums, self._per_cell) * share
      ss_blocks = explained(blocks, self._per_block) * share
      left = np.maximum(1 - ss_both, 1e-6)
      known = self.seen > 0
      # Of four curve points, whose information may be as small as float32 rounds.
      rates_turned = np.maximum(facing[known].astype(np.float64) - floor, 0)
      blocks -= self.block_tiles @ means
      rows += [
        information.spatial(rates_turned, self.seen[known]),
        (ss_both - ss_facing) / left,
        (ss_both - ss_place) / left,
        (ss_blocks - ss_facing) / left,
        explained(blocks, self._per_block) * share / left,
      ]
      of_models += [ss_facing, ss_both]
    if len(self.walls.wall):
      rows.append(border.contrast(rates, self.walls).max(0))
    return np.stack([*rows, *of_models]).astype(np.float32)

  @functools.cached_property
  def _per_cell(self) -> np.ndarray:
    return reciprocal(self.count)

  @functools.cached_property
  def _per_facing(self) -> np.ndarray:
    return reciprocal(self.seen)

  @functools.cached_property
  def _per_block(self) -> np.ndarray:
    return reciprocal(self.block_count)

  def test(self, X: np.ndarray, pairings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observed scores (S, D) and null scores (S, n, D) of units X (N, D).

    Silent units have NaN.

    Args:
      pairings: (n, N) permutations of the rows, see `nulls`.
    """
    observed = np.empty((len(self.names), X.shape[1]), np.float32)
    null = np.empty((len(observed), len(pairings), X.shape[1]), np.float32)
    n = X.shape[1]
    size = -(-n // max(round(n / PIECE), 1))
    for start in range(0, n, size):
      some = slice(start, start + size)
      units = _Units.of(X[:, some])
      found = self._of(self.summing(), units)
      observed[:, some] = np.where(units.total > 0, found, np.nan)
      for i, rows in enumerate(pairings):
        null[:, i, some] = self._of(self.summing(rows), units)
    return observed, null

  def _of(self, summing: scipy.sparse.csc_array, units: '_Units') -> np.ndarray:
    """Scores (S, D) of units whose samples are summed."""
    sums, cells = summing @ units.X, len(self.count)
    found = self.scores(sums[:cells], units.floor, units.total)
    if self.rivals is None:
      return found
    return np.concatenate([found, self.rivals.scores(sums[cells:], units.total)])


@dataclasses.dataclass(frozen=True)
class _Units:
  """Activations of some units as `Scorer.scores` takes them.

  Attributes:
    X: (N, D) float32 minus their mean.
    floor: (D,) lowest activation minus mean, <= 0.
    total: (D,) sum of squares; 0 of silent units.
  """

  X: np.ndarray
  floor: np.ndarray
  total: np.ndarray

  @classmethod
  def of(cls, X: np.ndarray) -> '_Units':
    """Takes activations (N, D)."""
    mean = X.mean(0, dtype=np.float64)
    low = np.minimum(X.min(0), 0)
    X = X - mean.astype(np.float32)
    total = weighted_squares(np.ones(len(X)), X)
    total = np.where(total > 1e-10 * len(X) * (1 + mean**2), total, 0)
    return cls(X, (low - mean).astype(np.float32), total.astype(np.float32))
