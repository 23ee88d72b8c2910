"""The measures of a block of units, each a function of its activations.

  bits = mutual(X, setup)                     # (D,) [bits]
  curves, scores = heading(X, mean, floor, setup)

Each takes arrays with D units in the last axis and gives arrays (D,) by name;
docs/science.md defines the names.
"""

from collections.abc import Mapping

import numpy as np
import scipy.sparse

from dreamerv3.analysis.explain.models import JOINT
from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.maps import (
  border,
  fields,
  grids,
  head_direction,
  information,
  smoothness,
)
from dreamerv3.analysis.tuning.maps.reliability import PartSums, tile_weight
from dreamerv3.analysis.tuning.setup import Setup


def mutual(raw: np.ndarray, setup: Setup) -> np.ndarray:
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
    analytic: np.ndarray = naive - information.miller_madow(joint)
    return analytic
  bias = [information.mutual(histogram(x)) for x in setup.mi_pairings]
  corrected: np.ndarray = naive - np.mean(bias, 0)
  return corrected


def heading(
  X: np.ndarray, mean: np.ndarray, floor: np.ndarray, setup: Setup
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
  """Facing curves (D, 4); facing alone and given place, place given facing."""
  design, bins = setup.design, head_direction.BINS
  nothing = np.full(X.shape[1], np.nan)
  if not setup.hd:
    return np.tile(nothing[:, None], bins), dict.fromkeys(_HEADING, nothing)
  visits = (design.by_cell @ np.ones(len(X), np.float32)).reshape(-1, bins)
  sums = (design.by_cell @ X).reshape(-1, bins, X.shape[1])
  n = visits.sum(0)
  seen = n > 0
  curves = np.full((bins, X.shape[1]), np.nan)
  curves[seen] = sums.sum(0, dtype=np.float64)[seen] / n[seen, None] + mean
  rates = np.maximum(curves - floor, 0)  # NaN where a facing never came
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


def shape(maps: np.ndarray, floor: np.ndarray) -> dict[str, np.ndarray]:
  """The autocorrelation's metrics, on maps counted from `floor`."""
  above = np.maximum(maps - floor[:, None, None], 0)
  acg = fields.autocorrelation(above)
  size, asymmetry = fields.extent(acg)
  return {
    'pf_peaks': fields.peaks(acg),
    'fieldsize': size,
    'fieldasymmetry': asymmetry,
    'morans_i': smoothness.moran(maps),
    'gearys_c': smoothness.geary(maps),
  }


def walls(rates: np.ndarray, setup: Setup) -> dict[str, np.ndarray]:
  """Border scores of all walls, of the edge's and of the obstacles'."""
  out: dict[str, np.ndarray] = {}
  for name in border.SCORES:
    if name not in setup.contrasts:
      out[name] = np.full(rates.shape[1], np.nan)
      continue
    best = border.score(rates, setup.contrasts[name])
    out[name] = best.score
    if name == 'border_score':
      out['border_wall'] = best.wall.astype(float)
  return out


def fits(
  place: np.ndarray, setup: Setup, signed: np.ndarray, reliability: np.ndarray
) -> dict[str, np.ndarray]:
  """How well one round field, and one wall, explain the map."""
  design = setup.design
  weight = tile_weight(design)
  grid = np.zeros(design.grid.size)
  grid[design.classes] = weight
  grid = grid.reshape(design.grid.shape)
  maps = design.to_map(place)
  field = fields.fit_field(maps, grid, signed)
  noise = 1 - np.nan_to_num(reliability)
  second = fields.second_field(maps, grid, signed, field, noise)
  along = setup.profiles.fit(place, signed)
  wall, band = along.wall, along.band
  vector = setup.vectors.fit(place, signed)
  return {
    'field_r2': field.r2,
    'field_x': field.centre[:, 0].astype(float),
    'field_y': field.centre[:, 1].astype(float),
    'field_width': field.width,
    'field_second': second.astype(float),
    'slope_r2': slope(place, weight, design.grid.to_pos(design.classes)),
    'wall_r2': wall.score,
    'wall': wall.wall.astype(float),
    'band_r2': band.score,
    'band_wall': band.wall.astype(float),
    'band_distance': along.band_distance,
    'vector_r2': vector.r2,
    'vector_distance': vector.distance,
    'vector_angle': vector.angle,
  }


def slope(place: np.ndarray, weight: np.ndarray, at: np.ndarray) -> np.ndarray:
  """Share of maps (V, D) that the best plane a + b x + c y explains, (D,).

  Args:
    weight: (V,) of the tiles; at: (V, 2) where they lie.
  """
  root = np.sqrt(weight / weight.sum())[:, None]
  columns = root * np.concatenate([np.ones((len(at), 1)), at - at.mean(0)], 1)
  values = root * (place - (weight / weight.sum()) @ place)
  basis, size, _ = np.linalg.svd(columns, full_matrices=False)
  basis = basis[:, size > 1e-9 * size[0]]  # tiles in a row have no slope across it
  total = np.square(values).sum(0)
  found: np.ndarray = np.square(basis.T @ values).sum(0) / np.maximum(total, 1e-20)
  return found


def explained(X: np.ndarray, parts: PartSums, setup: Setup) -> dict[str, np.ndarray]:
  """Held-out variance of each covariate, of the selected model, and how well
  the curves of facing and of tile x facing hold."""
  models = setup.models
  sums = models.sums(X, parts.sums)
  found = models.compare(sums)
  out = {f'EV_{k}': v for k, v in found.alone.items()}
  out |= {f'gain_{k}': v for k, v in found.given_place.items()}
  out |= {'best_model': found.chosen, 'EV_best': found.best}
  if JOINT in found.alone:
    joint, visits = sums.cells[JOINT], models.cell_visits[JOINT]
    halves = PartSums(parts.design, joint, visits)
    out['joint_reliability'] = halves.stability()[1]
    cells = joint.reshape(len(joint), -1, head_direction.BINS, X.shape[1])
    visits = visits.reshape(len(joint), -1, head_direction.BINS)
    out['HD_reliability'] = spread_reliability(cells.sum(1), visits.sum(1))
  return out


def lattices(
  maps: np.ndarray, known: Mapping[str, np.ndarray], setup: Setup
) -> dict[str, np.ndarray]:
  """Grid scores of units whose map holds and is neither one field nor one wall."""
  reliable = np.nan_to_num(known['map_reliability'])
  one = ('field_r2', 'wall_r2', 'band_r2', 'vector_r2')
  shape = np.max([known[x] for x in one], 0)
  several = (shape < cell_types.ONE_SHAPE * reliable) | (known['field_second'] > 0)
  holds = reliable >= cell_types.MIN_RELIABILITY
  holds &= np.nan_to_num(known['EV_place']) >= cell_types.MIN_MAP
  score, p = grids.grid_scores(
    maps, setup.design.occupancy, holds & several, setup.seed
  )
  return {'grid_score': score, 'grid_p': p}


def drifted(scores: np.ndarray, parts: PartSums) -> np.ndarray:
  """Share of the map that changes from the first to the second half, (D,).

    1 - r(first, second) / r(even, odd), clipped to 0..1

  The halves of the even and odd episodes have as many samples as those in
  time, so their correlation says how alike two equal maps would be.
  """
  reliable = parts.stability()[1]
  same = reliable / np.maximum(2 - reliable, 1e-9)  # Spearman & Brown, undone
  ratio = -scores / np.where(same > 0.05, same, np.nan)
  share: np.ndarray = np.clip(1 - ratio, 0, 1)
  return share


def spread_reliability(sums: np.ndarray, visits: np.ndarray) -> np.ndarray:
  """Share of a curve's variance that is not noise, from its spread over parts.

    1 - (mean over bins of s^2 / P) / Var_bins(mean curve), clipped to 0..1

  s is the standard deviation of a bin's mean over the P parts of the episodes.
  For curves of few bins, whose halves correlate by chance.

  Args:
    sums: (P, B, D); visits: (P, B).
  """
  everywhere = (visits > 0).all(0)
  if everywhere.sum() < 2 or len(sums) < 3:
    return np.full(sums.shape[2], np.nan)
  means = sums[:, everywhere] / visits[:, everywhere, None]
  means = means - means.mean(1, keepdims=True)
  noise = means.var(0, ddof=1).mean(0) / len(means)
  spread = means.mean(0).var(0, ddof=1)
  share: np.ndarray = 1 - noise / np.where(spread > 0, spread, np.inf)
  return np.clip(np.where(spread > 0, share, np.nan), 0, 1)
