"""Everything that is measured of a block of units, in one pass.

  setup = Setup.build(design, walls)          # once for all layers
  values = measure_block(setup, (X, None))    # {metric: (D,)}, curves, nulls

`tuning.measure` cuts a layer into blocks and puts the results together.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from dreamerv3.analysis import nulls
from dreamerv3.analysis.parallel import Workers
from dreamerv3.analysis.tuning import (
  border,
  fields,
  head_direction,
  information,
  significance,
)
from dreamerv3.analysis.tuning.binned_path import Design
from dreamerv3.analysis.tuning.border import Wall
from dreamerv3.analysis.tuning.reliability import (
  HALF_WEIGHT,
  Parts,
  transfer,
  weighted_squares,
)

MI_NULLS = 10  # pairings that the bias of the mutual information is from


@dataclasses.dataclass(frozen=True)
class Setup:
  """What all layers of a recording share.

  Attributes:
    design: of the analysed samples.
    walls: of the world; empty without a map.
    faced: rows whose facing is known, None if it is for all or for none.
    scorer: tests units, see `significance`.
    pairings: (n, N') null permutations of the tested rows; n = 0 for none.
    mi_pairings: (n', N) of all rows, for the bias of mutual information.
    sigma: smoothing of the maps [tiles]; 0 for none.
    hd: whether to analyse head direction.
  """

  design: Design
  walls: tuple[Wall, ...]
  scorer: significance.Scorer
  faced: np.ndarray | None
  pairings: np.ndarray
  mi_pairings: np.ndarray
  sigma: float = 0.0
  hd: bool = True

  @classmethod
  def build(
    cls,
    design: Design,
    walls: Sequence[Wall] = (),
    *,
    n_shuffles: int = 200,
    null: str = 'session',
    seed: int = 0,
    sigma: float = 0.0,
    hd: bool = True,
  ) -> 'Setup':
    """Args: see the flags of tuning_curve.py; `seed` draws the nulls."""
    known = design.heading >= 0
    hd = hd and bool(known.any())
    faced = known if hd and not known.all() else None
    tested = design
    if not hd:
      blind = np.full_like(design.heading, -1)
      tested = dataclasses.replace(design, heading=blind)
    elif faced is not None:
      tested = Design.build(design.track.rows(faced), design.grid)
    scorer = significance.Scorer.build(tested, _distances(walls, tested))

    def draw(design: Design, count: int) -> np.ndarray:
      rng = np.random.default_rng([seed, 20])
      rows = nulls.permutations(design.track.episode, null, count, rng)
      none = np.zeros((0, len(design)), np.int32)
      return np.array([*rows], np.int32) if count else none

    return cls(
      design=design,
      walls=tuple(walls),
      scorer=scorer,
      faced=faced,
      pairings=draw(tested, n_shuffles).reshape(-1, len(tested)),
      mi_pairings=draw(design, min(MI_NULLS, n_shuffles)).reshape(-1, len(design)),
      sigma=sigma,
      hd=hd,
    )

  def workers(self, n_jobs: int = 1) -> Workers:
    """Processes that measure blocks of units; for `measure`."""
    return Workers(measure_block, self, n_jobs)


def measure_block(
  setup: Setup, block: tuple[np.ndarray, tuple[np.ndarray, Design] | None]
) -> dict[str, np.ndarray]:
  """Curves, metrics and tested scores of some units, first axis D."""
  raw, test = block
  design = setup.design
  mean = raw.mean(0, dtype=np.float64)
  X = raw - mean.astype(np.float32)
  squares = weighted_squares(np.ones(len(X)), X)
  spread = np.sqrt(squares / len(X))
  alive = spread > 1e-6 * (1e-3 + np.abs(mean))
  floor = information.floor_of(raw)
  parts = Parts.build(design, X)
  total = parts.total().astype(np.float64)
  place = total / design.visits[:, None]
  rates = np.maximum(place + mean - floor, 0)
  out = {
    'mean': mean,
    'SI': information.spatial(rates, design.visits),
    'EVs': _held_out(parts, total, X, squares, test, mean),
    'MI': _mutual(raw, setup),
  }
  out['stability'], out['map_reliability'] = parts.stability()
  hd_curves, heading = _heading(X, mean, floor, setup)
  out |= heading
  maps = design.to_map(place + mean)
  if setup.sigma:
    maps = fields.smooth(maps, design.occupancy, setup.sigma)
    smoothed = design.from_map(maps).T - floor
    out['SI_smoothed'] = information.spatial(smoothed, design.visits)
  out |= _shape(maps, floor, setup)
  out |= _border(rates, setup)
  out |= _fits(place, setup, floor < 0, out['map_reliability'])
  out = {k: np.where(_blank(alive, v), np.nan, v) for k, v in out.items()}
  out['mean'] = mean
  out['curves'] = maps.astype(np.float32)
  out['hd_curves'] = hd_curves
  if len(setup.pairings):
    tested = raw if setup.faced is None else raw[setup.faced]
    observed, null = setup.scorer.test(tested, setup.pairings)
    out['_observed'] = observed.T
    out['_null'] = null.transpose(2, 0, 1)
  return out


def _held_out(parts, total, X, squares, test, mean):
  if test is None:
    return parts.held_out(X, squares)
  values, design = test
  return transfer(parts.design, total, design, values - mean)


def _mutual(raw: np.ndarray, setup: Setup) -> np.ndarray:
  """Mutual information [bits] minus its bias: nulls' mean, or analytic."""
  design = setup.design
  packed = information.pack(raw, design.visits.max())
  tiles = design.by_tile.astype(packed.dtype)

  def histogram(rows: np.ndarray | None = None) -> np.ndarray:
    summing = tiles
    if rows is not None:  # Each tile's columns, re-paired.
      parts = (summing.data, rows[summing.indices], summing.indptr)
      summing = scipy.sparse.csr_array(parts, shape=summing.shape)
    return information.unpack(summing @ packed, design.visits)

  joint = histogram()
  naive = information.mutual(joint)
  if not len(setup.mi_pairings):
    return naive - information.miller_madow(joint)
  bias = [information.mutual(histogram(x)) for x in setup.mi_pairings]
  return naive - np.mean(bias, 0)


def _heading(X, mean, floor, setup) -> tuple[np.ndarray, dict]:
  """Facing curves (D, 4); facing alone and given place, place given facing."""
  design, bins = setup.design, head_direction.BINS
  nothing = np.full(X.shape[1], np.nan)
  if not setup.hd:
    return np.tile(nothing[:, None], bins), {k: nothing for k in _HEADING}
  visits = (design.by_cell @ np.ones(len(X), np.float32)).reshape(-1, bins)
  sums = (design.by_cell @ X).reshape(-1, bins, X.shape[1])
  n = visits.sum(0)
  seen = n > 0
  curves = np.full((bins, X.shape[1]), np.nan)
  curves[seen] = sums.sum(0, dtype=np.float64)[seen] / n[seen, None] + mean
  rates = np.maximum(np.nan_to_num(curves - floor), 0)
  length, preferred = head_direction.vector(rates)
  bits = information.spatial(rates[seen], n[seen])
  means = sums / np.maximum(visits, 1)[..., None]
  means += (mean - floor).astype(means.dtype)
  given_place, given_hd, full = head_direction.standardise(means, visits)
  conditioned = (nothing, nothing, nothing)
  if full.any():
    given_place = np.maximum(given_place, 0)
    conditioned = (
      information.spatial(given_place, np.ones(bins)),
      head_direction.vector(given_place)[0],
      information.spatial(np.maximum(given_hd, 0), visits[full].sum(1)),
    )
  values = (bits, length, preferred, *conditioned)
  return curves.T, dict(zip(_HEADING, values, strict=True))


_HEADING = (
  'HD_info',
  'HD_length',
  'HD_preferred',
  'HD_info_given_place',
  'HD_length_given_place',
  'SI_given_HD',
)


def _shape(maps, floor, setup) -> dict[str, np.ndarray]:
  """The autocorrelation's metrics, on maps counted from `floor`."""
  above = np.maximum(maps - floor[:, None, None], 0)
  acg = fields.autocorrelation(above)
  size, asymmetry = fields.extent(acg)
  return {
    'pf_peaks': fields.peaks(acg),
    'fieldsize': size,
    'fieldasymmetry': asymmetry,
  }


def _border(rates, setup) -> dict[str, np.ndarray]:
  """Border scores of all walls, of the edge's and of the obstacles'."""
  distance = _distances(setup.walls, setup.design)
  inner = np.array([x.inner for x in setup.walls], bool)
  out = {}
  for name, chosen in (
    ('border_score', np.ones(len(inner), bool)),
    ('border_edge', ~inner),
    ('border_inner', inner),
  ):
    if not chosen.any():
      out[name] = np.full(rates.shape[1], np.nan)
      continue
    best = border.score(rates, border.Contrast.build(distance[chosen]))
    out[name] = best.score
    if name == 'border_score':
      out['border_wall'] = best.wall.astype(float)
  return out


def _fits(place, setup, signed, reliability) -> dict[str, np.ndarray]:
  """How well one round field, and one wall, explain the map."""
  design = setup.design
  weight = design.visits / (design.visits + HALF_WEIGHT)
  grid = np.zeros(design.grid.size)
  grid[design.classes] = weight
  grid = grid.reshape(design.grid.shape)
  maps = design.to_map(place)
  field = fields.fit_field(maps, grid, signed)
  noise = 1 - np.nan_to_num(reliability)
  second = fields.second_field(maps, grid, signed, field, noise)
  wall = border.fit(place, weight, _distances(setup.walls, design), signed)
  return {
    'field_r2': field.r2,
    'field_x': field.centre[:, 0].astype(float),
    'field_y': field.centre[:, 1].astype(float),
    'field_width': field.width,
    'field_second': second.astype(float),
    'wall_r2': wall.score,
    'wall': wall.wall.astype(float),
  }


def _distances(walls: Sequence[Wall], design: Design) -> np.ndarray:
  """Distance of each visited tile from each wall, (G, V)."""
  if not walls:
    return np.zeros((0, design.n_tiles))
  return design.from_map(np.stack([x.distance for x in walls]))


def _blank(alive: np.ndarray, values: np.ndarray) -> np.ndarray:
  return ~alive.reshape(-1, *[1] * (values.ndim - 1))
