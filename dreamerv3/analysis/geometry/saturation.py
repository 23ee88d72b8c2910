"""At which distance in space does a code stop to differ more?

curve = hill_fit(distance, mean_code_distance, pairs)
"""

import dataclasses

import numpy as np
from scipy import optimize


@dataclasses.dataclass(frozen=True)
class Hill:
  """h(x) = d0 + (d_inf - d0) x^n / (x_half^n + x^n).

  Attributes:
    d0, d_inf: distance of the code at none and at any distance in space.
    x_half: distance in space [tiles] with half of the difference.
    n: steepness.
    r2: share of the variance of the means that it explains; NaN if no fit was found.
  """

  d0: float
  d_inf: float
  x_half: float
  n: float
  r2: float

  def __call__(self, x: np.ndarray) -> np.ndarray:
    """The curve at distances x."""
    return _hill(np.asarray(x, float), self.d0, self.d_inf, self.x_half, self.n)


def hill_fit(x: np.ndarray, y: np.ndarray, pairs: np.ndarray) -> Hill:
  """Least squares, each distance weighted by the square root of its pairs.

  Args:
    x: (S,) distances in space [tiles]; y: mean distance of the code at each.
    pairs: (S,) number of pairs behind each mean; distances without are left out.
  """
  keep = (pairs > 0) & np.isfinite(y)
  x, y, n = x[keep].astype(float), y[keep], pairs[keep].astype(float)
  nan = float('nan')
  none = Hill(nan, nan, nan, nan, nan)
  if len(x) < 5 or np.ptp(y) <= 0:
    return none
  start = y[0], y[-1], max(float(np.median(x)), 0.5), 1.5
  low, high = (-1, -1, 1e-2, 0.1), (2, 3, 10 * x[-1] + 1, 12)
  try:
    found, _ = optimize.curve_fit(
      _hill, x, y, np.clip(start, low, high), 1 / np.sqrt(n), bounds=(low, high)
    )
  except RuntimeError:  # no minimum within the allowed number of steps
    return none
  mean = np.average(y, weights=n)
  left = np.average(np.square(y - _hill(x, *found)), weights=n)
  r2 = 1 - left / np.average(np.square(y - mean), weights=n)
  d0, d_inf, half, steep = map(float, found)
  return Hill(d0, d_inf, half, steep, float(r2))


def _hill(x: np.ndarray, d0: float, d_inf: float, half: float, n: float) -> np.ndarray:
  with np.errstate(over='ignore'):
    power = np.power(x, n)
    found: np.ndarray = d0 + (d_inf - d0) * power / (half**n + power)
  return found
