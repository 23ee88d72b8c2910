"""Activity along walls: what depends on the distance from one wall, fitted to maps.

  profiles = WallProfiles.build(distance, weight)    # (G, V) steps, (V,)
  found = profiles.fit(maps, signed)                 # maps (V, D)
  found.wall, found.band, found.band_distance

Two families are compared. Activity that falls off from a wall, so that a place field
beside a wall is told from a border field by which of both explains more; and bands at
some distance from it, the rate of a boundary vector cell at one wall (Lever et al.
2009, doi:10.1523/JNEUROSCI.1319-09.2009). Distances are whole steps, so that a map is
summed once over the tiles at each distance from each wall, for all profiles.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import scipy.sparse

from dreamerv3.analysis.tuning.maps.border import Best

# Profiles over the distance d >= 1 from a wall that fall off.
PROFILES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
  lambda d: (d <= 1).astype(float),
  lambda d: (d <= 2).astype(float),
  lambda d: np.exp(-(d - 1) / 1.5),
  lambda d: np.exp(-(d - 1) / 3),
)
# Preferred distances of bands [steps; 1 beside the wall], and their widths.
DISTANCES = tuple(range(1, 10))
SPREADS = (0.7, 1.0, 1.5, 2.5)
BANDS = tuple((d0, s) for d0 in DISTANCES for s in SPREADS)


@dataclasses.dataclass(frozen=True)
class WallFit:
  """The best wall of each unit, and the best band along one, (D,) each.

  Attributes:
    wall: of the profiles that fall off: share of variance 0..1, and the wall.
    band: of the bands.
    band_distance: preferred distance d0 [steps, 1 beside the wall].
  """

  wall: Best
  band: Best
  band_distance: np.ndarray


@dataclasses.dataclass(frozen=True)
class WallProfiles:
  """All profiles of all walls of a path; S distances, K profiles.

  Attributes:
    at: (G * S, V) the weight of each tile, in the row of a wall and its distance.
    profiles: (K, S) of activity; `PROFILES`, then `BANDS`.
    scale: (K, G) 1 / the profile's weighted standard deviation; 0 for even ones.
    weight: (V,) of the tiles, sum 1.
  """

  at: scipy.sparse.csr_array
  profiles: np.ndarray
  scale: np.ndarray
  weight: np.ndarray

  @classmethod
  def build(cls, distance: np.ndarray, weight: np.ndarray) -> 'WallProfiles':
    """Lays out the walls of a world.

    Args:
      distance: (G, V) steps of each tile from each wall; inf where there is no way.
      weight: (V,) of the tiles.
    """
    weight = weight / weight.sum()
    wall, tile = np.nonzero(np.isfinite(distance))
    steps, at = np.unique(distance[wall, tile], return_inverse=True)
    shape = (len(distance), len(steps))
    rows = shape[1] * wall + at
    layout = scipy.sparse.csr_array(
      (weight[tile], (rows, tile)), (shape[0] * shape[1], len(weight))
    )
    bands = [np.exp(-((steps - d0) ** 2) / (2 * s**2)) for d0, s in BANDS]
    profiles = np.stack([*(f(steps) for f in PROFILES), *bands])
    mass = np.bincount(rows, weight[tile], shape[0] * shape[1]).reshape(shape)
    mean = profiles @ mass.T  # (K, G); where there is no way, activity is 0
    around = (profiles[:, None] - mean[..., None]) ** 2
    variance = (around * mass).sum(2) + mean**2 * (1 - mass.sum(1))
    usable = variance > 1e-9
    scale = np.where(usable, 1 / np.sqrt(np.where(usable, variance, 1)), 0)
    return cls(layout, profiles, scale, weight)

  def fit(self, maps: np.ndarray, signed: np.ndarray) -> WallFit:
    """How well activity by distance from one wall explains each map.

    Weighted squared correlation of the map with the best profile, 0..1, comparable
    with `fields.fit_field`. Only a signed unit may be low where a profile is high.

    Args:
      maps: (V, D) at the tiles.
      signed: (D,) bool.
    """
    units = maps.shape[1]
    walls = self.scale.shape[1]
    if not walls:
      nothing = Best(np.zeros(units), np.full(units, -1))
      return WallFit(nothing, nothing, np.full(units, float(DISTANCES[0])))
    centred = maps - self.weight @ maps
    total = self.weight @ centred**2
    sums = (self.at @ centred).reshape(walls, -1, units)
    product = np.matmul(self.profiles, sums).transpose(1, 0, 2)
    product *= self.scale[..., None]
    first = len(PROFILES)
    wall, _ = _best(product[:first], total, signed)
    band, at = _best(product[first:], total, signed)
    return WallFit(wall, band, np.array([d0 for d0, _ in BANDS], float)[at])


def _best(
  product: np.ndarray, total: np.ndarray, signed: np.ndarray
) -> tuple[Best, np.ndarray]:
  """The best wall and the best profile (D,), of correlations (K, G, D)."""
  r2, top = best_of(product.reshape(-1, product.shape[2]), total, signed)
  profile, wall = np.divmod(top, product.shape[1])
  return Best(r2, wall), profile


def best_of(
  product: np.ndarray, total: np.ndarray, signed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Largest share of variance that one of some shapes explains, and which it is.

  Args:
    product: (K, D) covariances of maps with shapes of variance 1.
    total: (D,) variances of the maps.
    signed: (D,) bool, of units that may be low where the shape is high.

  Returns:
    (D,) 0 to 1, and (D,) index of the shape.
  """
  size = np.where(signed, np.abs(product), np.maximum(product, 0))
  top = size.argmax(0)
  best = size[top, np.arange(len(top))]
  return best**2 / np.where(total > 0, total, np.inf), top
