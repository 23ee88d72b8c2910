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
from typing import Any

import numpy as np
import scipy.sparse

from dreamerv3.analysis import devices
from dreamerv3.analysis.arrays import Array, Arrays
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
# Explained variances, kept to take the bias of finite data out of them.
R2 = ('R2_place', 'R2_HD', 'R2_both')


@dataclasses.dataclass(frozen=True)
class Scorer:
  """Sums and scores of one path; N samples, C cells, V tiles.

  Attributes:
    cells: (N, 1 or 2) cell of tile and facing of each sample, and that of the rivals,
      counted on.
    per_cell: (C,) 1 / samples of each cell.
    visits: (V,) samples per tile.
    seen: (4,) float64 samples per facing; (1,) without facing.
    groups: (V + B, C) makes of the cells' sums the tiles' means, and below them the
      sums of blocks of tiles, each facing apart.
    facings: (4, B) makes of the blocks' sums the facings' means.
    per_block: (B,) 1 / samples of each block.
    block_tiles: (B, V) samples of each block that lie on each tile.
    walls: near and far tiles of the walls; no wall without a map.
    rivals: speed, action and view, see `explain.chance`; None without labels.
    arrays: what computes, see `on`.
  """

  cells: np.ndarray
  per_cell: Array
  visits: Array
  seen: Array
  groups: scipy.sparse.csr_array
  facings: Array
  per_block: Array
  block_tiles: scipy.sparse.csr_array
  walls: border.Contrast
  rivals: Rivals | None = None
  arrays: Arrays = dataclasses.field(default_factory=Arrays)

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
    seen = np.bincount(ids % bins, count, bins)
    return cls(
      cells=np.stack(cells, 1).astype(np.int32),
      per_cell=reciprocal(count),
      visits=visits.astype(np.float32),
      seen=seen,
      groups=scipy.sparse.vstack([means, blocks], 'csr').astype(np.float32),
      facings=indicator(found % bins, bins).toarray().astype(np.float32)
      * reciprocal(seen)[:, None],
      per_block=reciprocal(blocks @ count),
      block_tiles=(blocks @ samples @ tiles.T).tocsr().astype(np.float32),
      walls=border.Contrast.build(distance),
      rivals=rivals,
    )

  def on(self, device: str) -> 'Scorer':
    """The same sums and scores, computed by a device: 'cpu' or 'cuda:k'."""
    arrays = devices.on(device)
    dense = ('per_cell', 'visits', 'seen', 'facings', 'per_block')
    return dataclasses.replace(
      self,
      **{x: arrays.put(getattr(self, x)) for x in dense},
      groups=arrays.sparse(self.groups),
      block_tiles=arrays.sparse(self.block_tiles),
      walls=self.walls.on(arrays),
      rivals=None if self.rivals is None else self.rivals.on(arrays),
      arrays=arrays,
    )

  @property
  def names(self) -> tuple[str, ...]:
    """The scores of this path: the rows of `scores`, then the rivals'."""
    faced = (*HEADING, *WIDE) if len(self.seen) > 1 else ()
    walled = BORDER if len(self.walls.wall) else ()
    rivals = self.rivals.names if self.rivals else ()
    return (*PLACE, *faced, *walled, *(R2 if faced else R2[:1]), *rivals)

  def summing(self, rows: np.ndarray | None = None) -> Any:
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
    size = len(self.per_cell) + (0 if self.rivals is None else len(self.rivals.count))
    parts = ones, cells.ravel(), first
    found = scipy.sparse.csc_array(parts, shape=(size, len(cells)))
    return self.arrays.sparse(found)

  @functools.cached_property
  def _columns(self) -> tuple[np.ndarray, np.ndarray]:
    """Entries of `summing`, and the first of each column and beyond the last."""
    n, k = self.cells.shape
    return np.ones(n * k, np.float32), np.arange(0, n * k + 1, k, dtype=np.int32)

  def scores(self, sums: Array, floor: Array, share: Array) -> Array:
    """Scores (S, D) from the sums of centred activations, in the order of `names`.

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
      sums: (C + R, D) of X - mean X, see `summing`.
      floor: (D,) lowest activation minus mean, <= 0: the zero of rates.
      share: (D,) 1 / SST; 0 of silent units.
    """
    arrays, tiles, cells = self.arrays, len(self.visits), len(self.per_cell)
    others = sums[cells:]
    sums = sums[:cells]
    grouped = self.groups @ sums
    means, blocks = grouped[:tiles], grouped[tiles:]
    rates = arrays.at_least(means - floor, 0)
    ss_place = self.visits @ (means * means) * share
    p = self.visits / self.visits.sum()
    rows, of_models = [ss_place, information.skaggs(rates, p, arrays)], [ss_place]
    if len(self.seen) > 1:
      turned = arrays.double(self.facings @ blocks)  # their information may be small
      ss_facing = self.seen @ (turned * turned) * share
      ss_both = explained(sums, self.per_cell) * share
      ss_blocks = explained(blocks, self.per_block) * share
      blocks -= self.block_tiles @ means
      ss_residual = explained(blocks, self.per_block) * share
      left = arrays.at_least(1 - ss_both, 1e-6)
      p, rates_turned = self.seen / self.seen.sum(), arrays.at_least(turned - floor, 0)
      rows += [
        information.skaggs(rates_turned, p, arrays),
        (ss_both - ss_facing) / left,
        (ss_both - ss_place) / left,
        (ss_blocks - ss_facing) / left,
        ss_residual / left,
      ]
      of_models += [ss_facing, ss_both]
    if len(self.walls.wall):
      rows.append(arrays.highest(border.contrast(rates, self.walls)))
    if self.rivals is not None:
      of_models += [*self.rivals.scores(others, share)]
    return arrays.stack([*rows, *of_models])

  def test(self, X: np.ndarray, pairings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Observed scores (S, D) and null scores (S, n, D) of units X (N, D).

    Silent units have NaN.

    Args:
      pairings: (n, N) permutations of the rows, see `nulls`.
    """
    shape = len(self.names), len(pairings), X.shape[1]
    observed, null = np.empty(shape[::2], np.float32), np.empty(shape, np.float32)
    size = -(-shape[2] // max(round(shape[2] / self.arrays.columns), 1))
    for start in range(0, shape[2], size):
      some = slice(start, start + size)
      units = _Units.of(X[:, some], self.arrays)
      observed[:, some] = np.where(units.silent, np.nan, self._of(None, units))
      for i, rows in enumerate(pairings):
        null[:, i, some] = self._of(rows, units)
    return observed, null

  def _of(self, rows: np.ndarray | None, units: '_Units') -> np.ndarray:
    """Scores (S, D) of units under one pairing."""
    sums = self.summing(rows) @ units.X
    return self.arrays.host(self.scores(sums, units.floor, units.share))


@dataclasses.dataclass(frozen=True)
class _Units:
  """Activations of some units as `Scorer.scores` takes them.

  Attributes:
    X: (N, D) float32 minus their mean.
    floor: (D,) lowest activation minus mean, <= 0.
    share: (D,) 1 / sum of squares; 0 of silent units.
    silent: (D,) bool on the host.
  """

  X: Array
  floor: Array
  share: Array
  silent: np.ndarray

  @classmethod
  def of(cls, X: np.ndarray, arrays: Arrays) -> '_Units':
    """Takes activations (N, D)."""
    mean = X.mean(0, dtype=np.float64)
    low = np.minimum(X.min(0), 0)
    X = X - mean.astype(np.float32)
    total = weighted_squares(np.ones(len(X)), X)
    silent = total <= 1e-10 * len(X) * (1 + mean**2)
    share = (1 / np.where(silent, np.inf, total)).astype(np.float32)
    floor = (low - mean).astype(np.float32)
    return cls(arrays.put(X), arrays.put(floor), arrays.put(share), silent)
