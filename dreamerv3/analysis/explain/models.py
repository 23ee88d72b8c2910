"""Which of several covariates predict a unit on episodes that were held out.

  models = Models.build(design, covariates.build(track, steps))
  found = models.compare(sums)             # X (N, D) centred
  found.alone['view']                         # (D,) held-out variance

Regressions on one-hot columns (`explain.ridge`), and shrunken means of cells. Sums are
kept per part of the episodes, so that fitting on some parts and testing on the others
reads no sample twice. Covariates are added one by one as long as the held-out episodes
gain (Hardcastle et al. 2017, doi:10.1016/j.neuron.2017.03.025).
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse
import scipy.special

from dreamerv3.analysis.explain import covariates
from dreamerv3.analysis.explain.covariates import Covariate, Steps
from dreamerv3.analysis.explain.ridge import RIDGE, Ridge, RidgeSums
from dreamerv3.analysis.tuning.maps.binned_path import FOLDS, Design, indicator

BLOCK = 3  # side of the blocks [tiles] that cells of two variables borrow from
# Least share of the variance that another covariate has to add.
GAIN = 0.01
# Covariates that a model has at most.
MOST = 3
PLACE, JOINT, HALVES = 'place', 'place_x_facing', 'place_x_half'
# Models of cells of their own, which are compared with the others and not added.
CELLS = (JOINT, HALVES)
TURNING = ('facing', 'view', 'ego_boundary')
# Rivals of place that are compared together, too, and what the agent carries along.
TOGETHER = ('speed', 'action', 'view', 'ego_boundary')
INNER = ('time', 'daylight', 'vitals')
# In the order of the bits of `RivalComparison.chosen`.
NAMES = (
  PLACE,
  'facing',
  JOINT,
  'speed',
  'action',
  'view',
  'ego_boundary',
  'boundary',
  'time',
  'daylight',
  'vitals',
  HALVES,
)


@dataclasses.dataclass(frozen=True)
class RivalComparison:
  """Held-out shares of variance of D units.

  Attributes:
    alone: {covariate: (D,)} explained by each alone, and by the `rivals` together.
    given_place: {covariate: (D,)} what each adds to place.
    chosen: (D,) sum of 2^i over the i in `NAMES` that were selected.
    best: (D,) explained by those together; 0 where none was.
  """

  alone: Mapping[str, np.ndarray]
  given_place: Mapping[str, np.ndarray]
  chosen: np.ndarray
  best: np.ndarray


def names_of(chosen: float) -> str:
  """The covariates of a model by its number, joined by '+'; '' for none."""
  bits = int(chosen) if np.isfinite(chosen) else 0
  return '+'.join(x for i, x in enumerate(NAMES) if bits >> i & 1)


@dataclasses.dataclass(frozen=True)
class Sums:
  """What fits and tests need of a block of D units.

  Attributes:
    ridge: of the regressions on columns, with and without place.
    place: (P, V, D) sums over tiles.
    cells: (P, C, D) over tiles x facings, and over tiles x halves of the recording.
  """

  ridge: RidgeSums
  place: np.ndarray
  cells: Mapping[str, np.ndarray]


class Models:
  """The covariates of a path, ready to be fitted to any units.

  Args:
    design: of the N samples.
    rivals: the covariates besides place, whose columns are the design's tiles.
    brief: whether to leave out the selection, for classes alone.
  """

  def __init__(self, design: Design, rivals: Sequence[Covariate], brief: bool = False):
    self.design = design
    self.brief = brief
    self.covariates = tuple(rivals)
    sizes = [x.size for x in self.covariates]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    self._columns = {
      x.name: np.arange(a, a + x.size)
      for x, a in zip(self.covariates, starts, strict=False)
    }
    self._width = int(starts[-1])
    self._parts = int(design.part.max()) + 1
    self._other = self._by_part(_one_hot(self.covariates, starts), self._width)
    self._visits = _counts(design.part, design.tile, self._parts, design.n_tiles)
    self._cells = self._cell_products()
    self._parents = {
      k: self._blocks(v.shape[0] // self._parts // design.n_tiles)
      for k, v in self._cells.items()
    }
    self._ridge = Ridge(self._visits, *self._products())

  @classmethod
  def build(
    cls, design: Design, steps: Steps, hd: bool = True, brief: bool = False
  ) -> 'Models':
    """The models of a path; without `hd`, what turns with the player is left out."""
    known = covariates.build(design.track, steps)
    return cls(design, [x for x in known if hd or x.name not in TURNING], brief)

  @property
  def names(self) -> tuple[str, ...]:
    """Covariates that are compared, place first."""
    return (PLACE, *self._cells, *self._columns)

  @functools.cached_property
  def cell_visits(self) -> dict[str, np.ndarray]:
    """Samples of each tile and facing, and of each tile and half, (P, C)."""
    ones = np.ones(len(self.design), np.float32)
    return {k: (v @ ones).reshape(self._parts, -1) for k, v in self._cells.items()}

  def sums(self, X: np.ndarray, place: np.ndarray) -> Sums:
    """Sums of centred activations X (N, D); place: (P, V, D) of the same."""
    units = X.shape[1]
    part = indicator(self.design.part, self._parts).astype(np.float32)
    squares = (part @ X**2).astype(np.float64)
    other = (self._other @ X).reshape(self._parts, -1, units)
    cells = {k: (v @ X).reshape(self._parts, -1, units) for k, v in self._cells.items()}
    return Sums(self._ridge.sums(squares, place, other), place, cells)

  def compare(self, sums: Sums) -> RivalComparison:
    """Held-out variance of every covariate, and the model that is selected."""
    total = np.maximum(sums.ridge.squares.sum(0), 1e-12)
    left = {x: self._columns_left((x,), sums.ridge) for x in self._columns}
    left |= {x: self._groups_left(x, sums) for x in (PLACE, *self._cells)}
    left = {x: left[x] for x in self.names}
    alone = {k: 1 - v.sum(0) / total for k, v in left.items()}
    both = tuple(x for x in TOGETHER if x in self._columns)
    if len(both) > 1:
      alone['rivals'] = 1 - self._columns_left(both, sums.ridge).sum(0) / total
    given = {}
    for name in self._columns:
      if name in ('facing', *INNER) or not self.brief:  # the classes need these
        beside = self._columns_left((PLACE, name), sums.ridge)
        given[name] = (left[PLACE] - beside).sum(0) / total
    given |= {x: alone[x] - alone[PLACE] for x in self._cells}
    if self.brief:
      return RivalComparison(alone, given, np.full(len(total), np.nan), 0 * total)
    chosen, best = self._select(sums, left, total)
    return RivalComparison(alone, given, chosen, best)

  def _select(
    self, sums: Sums, alone: Mapping[str, np.ndarray], total: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """Forward selection; numbers of the models (D,) and what they explain."""
    now = sums.ridge.squares.copy()
    chosen = np.zeros(len(total), np.int64)
    self._add(chosen, now, alone, np.arange(len(total)), total)
    for _ in range(1, MOST):
      for bits in np.unique(chosen):
        picked = names_of(bits).split('+') if bits else []
        if not picked or picked[0] in CELLS or picked[-1] in CELLS:
          continue
        (units,) = np.nonzero(chosen == bits)
        some = sums.ridge.units(units)
        rest = [x for x in self.names if x not in (*CELLS, *picked)]
        left = {x: self._columns_left((*picked, x), some) for x in rest}
        self._add(chosen, now, left, units, total)
    (units,) = np.nonzero(chosen > 0)  # what two tell only together
    crossed = {x: alone[x][:, units] for x in self._cells}
    self._add(chosen, now, crossed, units, total, True)
    return chosen.astype(float), np.where(chosen > 0, 1 - now.sum(0) / total, 0)

  def _add(
    self,
    chosen: np.ndarray,
    now: np.ndarray,
    left: Mapping[str, np.ndarray],
    units: np.ndarray,
    total: np.ndarray,
    replace: bool = False,
  ) -> None:
    """Adds the covariate that leaves the least, where all parts gain enough."""
    names = list(left)
    if not names or not len(units):
      return
    rest = np.stack([left[x] for x in names])  # (M, P, units)
    top = rest.sum(1).argmin(0)
    best = rest[top, :, np.arange(len(units))].T
    gains = now[:, units] - best
    good = consistent(gains) & (gains.sum(0) > GAIN * total[units])
    bits = np.array([1 << NAMES.index(x) for x in names])[top]
    old = 0 if replace else chosen[units]
    chosen[units] = np.where(good, old | bits, chosen[units])
    now[:, units] = np.where(good, best, now[:, units])

  def _columns_left(self, names: tuple[str, ...], sums: RidgeSums) -> np.ndarray:
    """Squares (P, D) that a regression on these leaves, each a set of columns."""
    own = sorted((x for x in names if x != PLACE), key=NAMES.index)
    columns = np.concatenate([self._columns[x] for x in own])
    return self._ridge.left(columns, PLACE in names, sums)

  def _groups_left(self, name: str, sums: Sums) -> np.ndarray:
    """Squares (P, D) that the means of tiles, or of cells, leave."""
    if name == PLACE:
      return _shrunk(sums.place, self._visits, sums.ridge.squares)
    parents, visits = self._parents[name], self.cell_visits[name]
    return _shrunk(sums.cells[name], visits, sums.ridge.squares, parents)

  def _blocks(self, values: int) -> scipy.sparse.csr_array:
    """(B, V * values): cells of 3 x 3 tiles with the same second value."""
    x, y = np.divmod(self.design.classes, self.design.grid.height)
    tile = x // BLOCK * self.design.grid.height + y // BLOCK
    block = tile[:, None] * values + np.arange(values)
    ids, index = np.unique(block.ravel(), return_inverse=True)
    return indicator(index, len(ids)).astype(np.float32)

  def _cell_products(self) -> dict[str, scipy.sparse.csr_array]:
    """{model: (P * C, N)} that sum samples over the cells of two variables."""
    design, found = self.design, {}
    if 'facing' in self._columns:
      found[JOINT] = self._by_part(design.by_cell, design.by_cell.shape[0])
    episode = np.unique(design.track.episode, return_inverse=True)[1]
    late = 2 * episode > episode.max()
    if late.any() and len(np.unique(design.part[late])) == self._parts:
      cells = indicator(2 * design.tile.astype(np.int64) + late, 2 * design.n_tiles)
      found[HALVES] = self._by_part(cells, cells.shape[0])
    return found

  def _products(self) -> tuple[np.ndarray, np.ndarray]:
    """Counts of tile and column (P, V, K), and of two columns (P, K, K)."""
    shape = (self._parts, self._width, len(self.design))
    cross = np.zeros((self._parts, self.design.n_tiles, self._width), np.float32)
    inner = np.zeros((self._parts, self._width, self._width), np.float32)
    tiles = self.design.by_tile.astype(np.float32)
    for part in range(self._parts):
      rows = slice(part * shape[1], (part + 1) * shape[1])
      own = self._other[rows]
      cross[part] = (tiles @ own.T).toarray()
      inner[part] = (own @ own.T).toarray()
    return cross, inner

  def _by_part(
    self, columns: scipy.sparse.sparray, size: int
  ) -> scipy.sparse.csr_array:
    """(P * size, N): the rows of `columns` (size, N) apart for each part."""
    coo = columns.tocoo()
    row = self.design.part[coo.col] * size + coo.row
    shape = (self._parts * size, len(self.design))
    ones = coo.data.astype(np.float32)
    return scipy.sparse.csr_array((ones, (row, coo.col)), shape=shape)


def consistent(gains: np.ndarray) -> np.ndarray:
  """Whether gains (P, D) of P parts are above 0 by a t test at 5 %, (D,)."""
  n = len(gains)
  if n < 3:
    return np.zeros(gains.shape[1], bool)
  spread = gains.std(0, ddof=1) / np.sqrt(n)
  limit = scipy.special.stdtrit(n - 1, 0.95)
  above: np.ndarray = gains.mean(0) > limit * spread
  return above


def _shrunk(
  sums: np.ndarray,
  visits: np.ndarray,
  squares: np.ndarray,
  blocks: scipy.sparse.csr_array | None = None,
) -> np.ndarray:
  """Squares (P, D) that shrunken means of disjoint groups leave on held-out parts.

  Args:
    sums: (P, C, D) of each part and group; visits: (P, C). squares: (P, D).
    blocks: (B, C) sums groups over blocks, whose means they are drawn to.
  """
  out = squares.copy()
  visits = visits.astype(np.float32)
  every, total = visits.sum(0), sums.sum(0)
  for fold in range(min(FOLDS, len(sums))):
    inside = slice(fold, None, FOLDS)
    n, train = every - visits[inside].sum(0), total - sums[inside].sum(0)
    if blocks is not None:  # towards the mean of the block, not towards 0
      mean = (blocks @ train) / (blocks @ n + np.float32(RIDGE))[:, None]
      train += blocks.T @ (np.float32(RIDGE) * mean)
    train /= (n + np.float32(RIDGE))[:, None]
    for part in range(fold, len(sums), FOLDS):
      out[part] -= 2 * np.einsum('vd,vd->d', train, sums[part])
    out[inside] += visits[inside] @ np.square(train)
  return out


def _one_hot(rivals: Sequence[Covariate], starts: np.ndarray) -> scipy.sparse.csc_array:
  """(K, N) of all columns of all covariates."""
  row, col = [], []
  for x, start in zip(rivals, starts, strict=False):
    sample, which = np.nonzero(x.columns >= 0)
    row.append(x.columns[sample, which] + start)
    col.append(sample)
  rows, cols = np.concatenate(row), np.concatenate(col)
  shape = (int(starts[-1]), len(rivals[0].columns) if rivals else 0)
  return scipy.sparse.csc_array((np.ones(len(rows)), (rows, cols)), shape=shape)


def _counts(part: np.ndarray, label: np.ndarray, parts: int, labels: int) -> np.ndarray:
  """Samples of each label in each part, (P, L)."""
  return np.bincount(part * labels + label, minlength=parts * labels).reshape(
    parts, labels
  )
