"""Grid cells: fields on a triangular lattice, against shuffled fields.

  if large_enough(occupancy):
    score, p = grid_scores(maps, occupancy, candidates)    # (D,) each

The score alone says little: maps of a few fields reach high ones by chance, so
each unit's own fields are thrown about and scored again (Barry & Burgess 2017,
doi:10.1038/s41598-017-03454-y).
"""

import functools

import numpy as np
import scipy.ndimage
import scipy.sparse

from dreamerv3.analysis.tuning.maps import fields

# A lattice shows in a world that holds two of its periods each way.
LEAST_SIDE = 20  # [tiles] of the visited part
LEAST_VISITED = 0.6  # share of that part
ANGLES = 60
# Rings of lags [tiles] that are compared: inner and outer radius.
RINGS = tuple((a, b) for a in (3, 4, 5) for b in range(a + 3, a + 10, 2))
WORTH = 0.3  # score below which no null is drawn
SHUFFLES = 99
PEAK = 0.3  # height of a field's peak, of the map's range
FEWEST = 4  # fields


def large_enough(occupancy: np.ndarray) -> bool:
  """Whether a lattice could show: visited tiles (W, H) of 20 x 20 or more."""
  x, y = np.nonzero(occupancy)
  if not len(x):
    return False
  sides = np.ptp(x) + 1, np.ptp(y) + 1
  return bool(min(sides) >= LEAST_SIDE and len(x) >= LEAST_VISITED * np.prod(sides))


def grid_scores(
  maps: np.ndarray, occupancy: np.ndarray, candidates: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
  """Grid scores and p of the candidates, NaN for other units, (D,) each.

    g = max over rings of min(r60, r120) - max(r30, r90, r150)

  r is the correlation of a ring of the autocorrelogram with itself, turned
  (Sargolini et al. 2006, doi:10.1126/science.1125572); -2 to 2. p is the share
  of 99 maps with the unit's fields at random places that score as high; 1
  where the score is below 0.3 or there are fewer than 4 fields.

  Args:
    maps: (D, W, H), NaN where unvisited.
    occupancy: (W, H) visits.
    candidates: (D,) bool.
    seed: of the shuffled fields, the same draws for every unit.
  """
  score, p = np.full(len(maps), np.nan), np.full(len(maps), np.nan)
  (units,) = np.nonzero(candidates)
  if not len(units):
    return score, p
  smooth = fields.smooth(maps[units], occupancy, 1.0)
  score[units] = gridness(smooth)
  for unit, own in zip(units, smooth, strict=True):
    p[unit] = 1.0
    if score[unit] < WORTH:
      continue
    shuffled = _shuffled(own, np.random.default_rng([seed, 40]))
    if shuffled is not None:
      null = gridness(shuffled)
      p[unit] = (1 + (null >= score[unit]).sum()) / (1 + len(null))
  return score, p


def gridness(maps: np.ndarray) -> np.ndarray:
  """Grid scores (D,) of maps (D, W, H), NaN where unvisited."""
  maps = maps - np.nanmean(maps, (1, 2), keepdims=True)
  acg = np.nan_to_num(fields.autocorrelation(maps))
  shape = acg.shape[1:]
  radii = np.arange(1, min(max(b for _, b in RINGS), min(shape) // 2 - 1) + 1)
  polar = _polar(shape, len(radii)) @ acg.reshape(len(acg), -1).T
  polar = polar.reshape(len(radii), ANGLES, -1)
  found = []
  for inner, outer in RINGS:
    if outer > len(radii):
      continue
    ring = polar[inner - 1 : outer]
    weight = radii[inner - 1 : outer, None, None] / ANGLES
    weight = weight / weight.sum() / ANGLES
    ring = ring - (ring * weight).sum((0, 1))
    total = (ring**2 * weight).sum((0, 1))
    r = {
      turn: (ring * np.roll(ring, turn * ANGLES // 360, 1) * weight).sum((0, 1))
      / np.where(total > 1e-12, total, 1)
      for turn in (30, 60, 90, 120, 150)
    }
    high, low = np.minimum(r[60], r[120]), np.max([r[30], r[90], r[150]], 0)
    found.append(high - low)
  score: np.ndarray = np.max(found, 0)
  return score


@functools.lru_cache(maxsize=4)
def _polar(shape: tuple[int, int], radii: int) -> scipy.sparse.csr_array:
  """(radii * ANGLES, pixels): reads an autocorrelogram at polar lags, bilinear."""
  r, angle = np.meshgrid(
    np.arange(1, radii + 1), 2 * np.pi * np.arange(ANGLES) / ANGLES, indexing='ij'
  )
  x = shape[0] // 2 + (r * np.cos(angle)).ravel()
  y = shape[1] // 2 + (r * np.sin(angle)).ravel()
  x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
  row = np.arange(len(x))
  parts = []
  for dx in (0, 1):
    for dy in (0, 1):
      share = (1 - np.abs(x - x0 - dx)) * (1 - np.abs(y - y0 - dy))
      column = (x0 + dx) % shape[0] * shape[1] + (y0 + dy) % shape[1]
      full = (len(x), shape[0] * shape[1])
      parts.append(scipy.sparse.csr_array((share, (row, column)), shape=full))
  return sum(parts[1:], parts[0])


def _shuffled(own: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
  """Maps with the fields of one at random visited places; None for few fields."""
  low, high = np.nanmin(own), np.nanmax(own)
  filled = np.where(np.isnan(own), low, own)
  top = scipy.ndimage.maximum_filter(filled, 3) == filled
  peaks = np.argwhere(top & (filled > low + PEAK * (high - low)))
  if len(peaks) < FEWEST:
    return None
  gaps = np.hypot(*(peaks[:, None] - peaks).transpose(2, 0, 1))
  np.fill_diagonal(gaps, np.inf)
  reach = max(int(np.median(gaps.min(1)) / 2), 1)
  places = np.argwhere(np.isfinite(own))
  padded = np.pad(filled, reach, constant_values=low)
  size = 2 * reach + 1
  patches = [padded[x : x + size, y : y + size] for x, y in peaks]
  maps = np.full((SHUFFLES, *padded.shape), low)
  for out in maps:
    taken: list[np.ndarray] = []
    for patch in patches:
      at = _free(places, taken, reach, rng)
      taken.append(at)
      part = np.s_[at[0] : at[0] + size, at[1] : at[1] + size]
      out[part] = np.maximum(out[part], patch)
  maps = maps[:, reach:-reach, reach:-reach]
  return np.where(np.isnan(own), np.nan, maps)


def _free(
  places: np.ndarray, taken: list[np.ndarray], reach: int, rng: np.random.Generator
) -> np.ndarray:
  """A place away from those taken, if 20 draws find one."""
  for _ in range(20):
    at: np.ndarray = places[rng.integers(len(places))]
    if all(np.hypot(*(at - x)) > 1.2 * reach for x in taken):
      break
  return at
