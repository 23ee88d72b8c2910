"""Which scores of a unit are more than chance, given how slow signals are.

  scorer = Scorer.build(design, walls)
  observed, null = scorer.test(X, pairings)   # (S, D) and (S, n, D)

A unit's scores under many null pairings of activations and path (`nulls`)
come from one sparse product each: sums over the cells of tile x facing hold
all that the scores need.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np
import scipy.sparse

from dreamerv3.analysis.explain.chance import Rivals
from dreamerv3.analysis.tuning.maps import border, head_direction, information
from dreamerv3.analysis.tuning.maps.binned_path import Design, indicator

# Scores that are tested; the docstring of `Scorer.scores` defines them.
PLACE = ('EVs', 'SI')
HEADING = ('HD_info', 'place_given_HD', 'HD_given_place')
# The same two questions asked of blocks of 3 x 3 tiles, see `Scorer.scores`.
WIDE = ('place_given_HD_wide', 'HD_given_place_wide')
BLOCK = 3  # [tiles]
BORDER = ('border_score',)
# Explained variances, kept to take the bias of finite data out of them.
R2 = ('R2_place', 'R2_HD', 'R2_both')


@dataclasses.dataclass(frozen=True)
class Scorer:
  """Sums and scores of one path; N samples, C cells, V tiles.

  Attributes:
    cells: (N, 1 or 2) cell of tile and facing of each sample, and that of the rivals,
      counted on.
    count: (C,) samples per cell.
    tiles: (V, C) sums cells over tiles.
    headings: (4, C) sums cells over facings; None without facing.
    blocks: (B, C) sums cells over blocks of tiles, each facing apart.
    block_heading: (B,) facing of each.
    walls: near and far tiles of the walls; no wall without a map.
    rivals: speed, action and view, see `explain.chance`; None without labels.
  """

  cells: np.ndarray
  count: np.ndarray
  tiles: scipy.sparse.csr_array
  headings: scipy.sparse.csr_array | None
  blocks: scipy.sparse.csr_array
  block_heading: np.ndarray
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
    tiles = indicator(ids // bins, design.n_tiles).astype(np.float32)
    headings = indicator(ids % bins, bins) if faced else None
    if headings is not None:
      headings = headings.astype(np.float32)
    x, y = np.divmod(design.classes[ids // bins], design.grid.height)
    block = (x // BLOCK * design.grid.height + y // BLOCK) * bins + ids % bins
    found, block = np.unique(block, return_inverse=True)
    rivals = Rivals.build(labels) if labels else None
    cells = [cell] if rivals is None else [cell, len(ids) + rivals.cell]
    return cls(
      cells=np.stack(cells, 1).astype(np.int32),
      count=np.bincount(cell, minlength=len(ids)).astype(np.float32),
      tiles=tiles,
      headings=headings,
      blocks=indicator(block, len(found)).astype(np.float32),
      block_heading=found % bins,
      walls=border.Contrast.build(distance),
      rivals=rivals,
    )

  @property
  def names(self) -> tuple[str, ...]:
    """The scores of this path: the rows of `scores`, then the rivals'."""
    faced = (*HEADING, *WIDE) if self.headings is not None else ()
    walled = BORDER if len(self.walls.wall) else ()
    rivals = self.rivals.names if self.rivals else ()
    return (*PLACE, *faced, *walled, *(R2 if faced else R2[:1]), *rivals)

  def sums(self, X: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Sums (C, D) of X[rows] over cells, and below them over those of the rivals.

    X is read once and in its own order, so that the cost is linear in the rows;
    taking the rows cell by cell costs three times as much where X is larger than
    the caches.

    Args:
      X: (N, D) float32; rows: (N,) a permutation; None for the data.
    """
    cells = self.cells
    if rows is not None:
      cells = np.empty_like(self.cells)
      cells[rows] = self.cells
    n, k = cells.shape
    first = np.arange(0, n * k + 1, k, dtype=np.int32)
    size = len(self.count) + (0 if self.rivals is None else len(self.rivals.count))
    parts = np.ones(n * k, np.float32), cells.ravel(), first
    found: np.ndarray = scipy.sparse.csc_array(parts, shape=(size, n)) @ X
    return found

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
    other variable's means, in the place of SS_both - SS.

    Args:
      sums: (C, D) of X - mean X.
      floor: (D,) lowest activation minus mean, <= 0: the zero of rates.
      total: (D,) SST.
    """
    n, visits = self.count, self.tiles @ self.count
    place = self.tiles @ sums
    share = 1 / np.where(total > 0, total, np.inf)
    ss_place = _explained(place, visits) * share
    rates = np.maximum(place / visits[:, None] - floor, 0)
    rows = [ss_place, information.spatial(rates, visits)]
    explained = [ss_place]
    if self.headings is not None:
      seen = self.headings @ n
      facing = self.headings @ sums
      ss_facing = _explained(facing, seen) * share
      ss_both = _explained(sums, n) * share
      turned = facing / np.maximum(seen, 1)[:, None]
      left = np.maximum(1 - ss_both, 1e-6)
      rates_turned = np.maximum(turned - floor, 0)
      rows += [
        information.spatial(rates_turned[seen > 0], seen[seen > 0]),
        (ss_both - ss_facing) / left,
        (ss_both - ss_place) / left,
        *(self._wide(sums, place / visits[:, None], turned) * share / left),
      ]
      explained += [ss_facing, ss_both]
    if len(self.walls.wall):
      rows.append(border.score(rates, self.walls).score)
    return np.stack([*rows, *explained]).astype(np.float32)

  def _wide(
    self, sums: np.ndarray, place: np.ndarray, facing: np.ndarray
  ) -> np.ndarray:
    """Sums of squares (2, D) of blocks' residuals from facing, from place."""
    n = self.blocks @ self.count
    whole = self.blocks @ sums
    from_facing = whole - n[:, None] * facing[self.block_heading]
    weighted = self.block_tiles @ place
    return np.stack([_explained(from_facing, n), _explained(whole - weighted, n)])

  @functools.cached_property
  def block_tiles(self) -> scipy.sparse.csr_array:
    """(B, V) samples of each block that lie on each tile."""
    cells = scipy.sparse.diags_array(self.count).tocsr()
    return (self.blocks @ cells @ self.tiles.T).tocsr()

  def test(self, X: np.ndarray, pairings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observed scores (S, D) and null scores (S, n, D) of units X (N, D).

    Silent units have NaN.

    Args:
      pairings: (n, N) permutations of the rows, see `nulls`.
    """
    mean = X.mean(0, dtype=np.float64)
    low = np.minimum(X.min(0), 0)
    X = X - mean.astype(np.float32)
    total = np.einsum('nd,nd->d', X, X)
    floor = (low - mean).astype(np.float32)
    total = np.where(total > 1e-10 * len(X) * (1 + mean**2), total, 0)
    total = total.astype(np.float32)

    def score(rows: np.ndarray | None = None) -> np.ndarray:
      sums = self.sums(X, rows)
      found = self.scores(sums[: len(self.count)], floor, total)
      if self.rivals is None:
        return found
      others = self.rivals.scores(sums[len(self.count) :], total)
      return np.concatenate([found, others])

    observed = score()
    null = np.empty((len(observed), len(pairings), X.shape[1]), np.float32)
    for i, rows in enumerate(pairings):
      null[:, i] = score(rows)
    observed[:, total == 0] = np.nan
    return observed, null


def _explained(sums: np.ndarray, n: np.ndarray) -> np.ndarray:
  """Sum of squares that the means of groups explain, (B, D) -> (D,)."""
  inverse = np.where(n > 0, 1 / np.maximum(n, 1), 0).astype(sums.dtype)
  explained: np.ndarray = np.einsum('bd,bd,b->d', sums, sums, inverse, optimize=False)
  return explained
