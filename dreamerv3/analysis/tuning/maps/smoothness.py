"""Is a map smooth? Spatial autocorrelation of neighbouring tiles.

  I, C, G = moran(maps), geary(maps), getis_ord(maps)   # (D,) each

Neighbours are visited tiles that share a side. Without structure I is near
-1 / (n - 1) and C near 1; of a smooth map I comes near 1 and C near 0, of a
chequerboard -1 and 2. G tells whether high values lie together.
"""

from collections.abc import Callable

import numpy as np


def moran(maps: np.ndarray) -> np.ndarray:
  """Moran's I (Moran 1950, doi:10.2307/2332142), -1 to 1; NaN for constant maps.

  I = n / W sum_ij w_ij z_i z_j / sum_i z_i^2, z the map minus its mean over the n
  visited tiles, w_ij = 1 for neighbours, W their sum.

  Args:
    maps: (D, width, height), NaN where not visited.
  """
  z, squares, n = _centred(maps)
  total, pairs = _summed(np.multiply, z)
  return _ratio(n * total, pairs * squares)


def geary(maps: np.ndarray) -> np.ndarray:
  """Geary's C (Geary 1954, doi:10.2307/2986645), 0 to about 2; NaN for constant maps.

  C = (n - 1) / (2 W) sum_ij w_ij (x_i - x_j)^2 / sum_i z_i^2.
  """
  z, squares, n = _centred(maps)
  total, pairs = _summed(lambda a, b: np.square(a - b), z)
  return _ratio((n - 1) * total, 2 * pairs * squares)


def getis_ord(maps: np.ndarray) -> np.ndarray:
  """General G over its mean by chance; NaN for constant maps, 1 without structure.

  G = sum_ij w_ij x_i x_j / sum_{i != j} x_i x_j, x the map counted from its lowest
  value, and the mean by chance W / (n (n - 1)) (Getis & Ord 1992,
  doi:10.1111/j.1538-4632.1992.tb00261.x). Above 1 where high values are neighbours.
  """
  maps = np.asarray(maps, np.float64)
  known = np.isfinite(maps)
  x = maps - np.where(known, maps, np.inf).min((1, 2), keepdims=True)
  n, total = known.sum((1, 2)), np.nansum(x, (1, 2))
  near, pairs = _summed(np.multiply, x)
  # Each pair counts in both orders above and below, which cancels.
  all_pairs = (total**2 - np.nansum(x * x, (1, 2))) / 2
  return _ratio(near * n * (n - 1) / 2, pairs * all_pairs)


def _centred(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  known = np.isfinite(maps)
  n = known.sum((1, 2))
  mean = np.where(known, maps, 0).sum((1, 2)) / np.maximum(n, 1)
  z = np.asarray(maps, np.float64) - mean[:, None, None]
  return z, np.nansum(z * z, (1, 2)), n


def _summed(
  of: Callable[[np.ndarray, np.ndarray], np.ndarray], z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Sum (D,) of a function of two neighbours over all pairs, and their number (D,)."""
  across, down = of(z[:, 1:], z[:, :-1]), of(z[:, :, 1:], z[:, :, :-1])
  total = np.nansum(across, (1, 2)) + np.nansum(down, (1, 2))
  return total, np.isfinite(across).sum((1, 2)) + np.isfinite(down).sum((1, 2))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
  ratio = np.full(len(above), np.nan)
  np.divide(above, below, out=ratio, where=below > 1e-12)
  return ratio
