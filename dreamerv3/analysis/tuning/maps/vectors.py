"""Boundary vector cells: active where a wall is at a distance, in a direction.

  vectors = Vectors.build(walls, design, weight)    # (G, W, H), weight (V,)
  fit = vectors.fit(maps, signed)                   # maps (V, D)
  fit.r2, fit.distance                        # (D,) each

The model of Hartley et al. 2000 (doi:10.1002/1098-1063(2000)10:4<369::AID-HIPO3>3.0.CO;
2-0), for directions that are those of no wall, and walls of which a part is hidden: the
bands of `wall_profiles` know whole walls only.
"""

import dataclasses

import numpy as np

from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.wall_profiles import best_of

RAYS = 48  # directions in which walls are looked for
STEP = 0.25  # [tiles] along a ray
DISTANCES = np.arange(1, 10)  # preferred [steps; 1 beside the wall]
SPREADS = (0.8, 1.6)  # of the distance at the wall [tiles]
GROWTH = 10  # [tiles] at which the spread has doubled
ANGLES = np.arange(16) * np.pi / 8  # preferred [rad], 0 to the right, pi / 2 down
WIDTHS = (12, 28)  # of the angle [degrees]
REACH = DISTANCES[-1] + 2 * SPREADS[-1] * 2  # [tiles] of the longest ray


@dataclasses.dataclass(frozen=True)
class VectorFit:
  """The best boundary vector of each map, (D,) each.

  Attributes:
    r2: share of the map's variance that it explains, 0 to 1.
    distance: preferred [steps, 1 beside the wall]. angle: preferred [rad].
  """

  r2: np.ndarray
  distance: np.ndarray
  angle: np.ndarray


@dataclasses.dataclass(frozen=True)
class Vectors:
  """The maps of all candidates on the visited tiles.

  Attributes:
    maps: (K, V) float32; K = 0 without walls.
    distance: (K,). angle: (K,).
    weight: (V,) of the tiles, sum 1.
    filters: (K, V) the maps less their means, over their standard deviations, times
      the weight: their products with a map are weighted covariances.
  """

  maps: np.ndarray
  distance: np.ndarray
  angle: np.ndarray
  weight: np.ndarray
  filters: np.ndarray

  @classmethod
  def build(cls, walls: np.ndarray, design: Design, weight: np.ndarray) -> 'Vectors':
    """Candidates of a world.

      f(x) = sum_w exp(-(r(x, w) - d)^2 / 2 s(d)^2) exp((cos(w - a) - 1) / b^2)

    r is the distance to the first wall in direction w, s(d) = s0 (1 + d / 10).

    Args:
      walls: (G, W, H) steps from each wall, finite where one can walk.
      weight: (V,) of the visited tiles.
    """
    weight = weight / weight.sum()
    if not len(walls):
      nothing, none = np.zeros(0), np.zeros((0, design.n_tiles), np.float32)
      return cls(none, nothing, nothing, weight, none)
    far = _rays(np.isfinite(walls).any(0), design)
    ways = np.arange(RAYS) * 2 * np.pi / RAYS
    maps, distance, angle = [], [], []
    for width in np.radians(WIDTHS):
      toward = np.exp((np.cos(ways[:, None] - ANGLES) - 1) / width**2)
      for d in DISTANCES:
        for spread in SPREADS:
          s = spread * (1 + d / GROWTH)
          maps.append(np.exp(-((far - d) ** 2) / (2 * s**2)) @ toward)
          distance += [d] * len(ANGLES)
          angle += [*ANGLES]
    every = np.concatenate(maps, 1).T.astype(np.float32)
    filters = every - (every @ weight)[:, None]
    variance = filters**2 @ weight
    usable = variance > 1e-9
    filters *= weight / np.sqrt(np.where(usable, variance, np.inf))[:, None]
    return cls(every, np.array(distance, float), np.array(angle), weight, filters)

  def fit(self, maps: np.ndarray, signed: np.ndarray) -> VectorFit:
    """Weighted squared correlation with the best candidate, as `WallProfiles.fit`.

    Args:
      maps: (V, D) at the visited tiles.
      signed: (D,) bool, of units that may be low where the candidate is high.
    """
    if not len(self.maps):
      nothing = np.zeros(maps.shape[1])
      return VectorFit(nothing, nothing, nothing)
    centred = maps - self.weight @ maps
    total = self.weight @ centred**2
    best, top = best_of(self.filters @ centred, total, signed)
    return VectorFit(best, self.distance[top], self.angle[top])


def _rays(free: np.ndarray, design: Design) -> np.ndarray:
  """Steps (V, RAYS) from each visited tile to the first blocked one, 1 beside it."""
  padded = np.pad(free, 1)
  start = np.stack(np.divmod(design.classes, design.grid.height), 1)
  ways = np.arange(RAYS) * 2 * np.pi / RAYS
  unit = np.stack((np.cos(ways), np.sin(ways)), 1)
  found = np.full((len(start), RAYS), np.inf)
  limit = np.array(free.shape)
  # Points in the middle of steps: none lies on the border of two tiles, which would be
  # one side's for a tile of even x and the other's for its neighbour.
  for far in np.arange(STEP / 2, REACH, STEP):
    ends = start[:, None] + far * unit
    tile = np.rint(ends).astype(int).clip(-1, limit) + 1
    blocked = ~padded[tile[..., 0], tile[..., 1]]
    found[blocked & np.isinf(found)] = far + 0.5 - STEP / 2
  return found
