"""How sure is a mean over episodes? A bootstrap that is honest for a few.

low, high = interval(errors, episode, n_boot=2000, seed=0)

The episode is the unit of independence: whole ones are drawn with replacement.
"""

import numpy as np
from scipy import special

# Below this many episodes no bootstrap is worth drawing.
ENOUGH = 5
NONE = f'no interval below {ENOUGH} episodes'


def levels(episodes: int) -> tuple[float, float]:
  """Percentiles [0 to 100] of the draws that bound a 95 % interval.

  The plain ones, 2.5 and 97.5, are too narrow: draws vary by (n - 1) / n of
  the variance, and a normal has shorter tails than Student's t. The expanded
  percentile interval corrects both, 100 Phi(-+ sqrt(n / (n - 1)) t_(n-1))
  (Hesterberg 2015, doi:10.1080/00031305.2015.1089789).
  """
  t = special.stdtrit(episodes - 1, 0.975)
  high = 100 * float(special.ndtr(np.sqrt(episodes / (episodes - 1)) * t))
  return 100 - high, high


def interval(
  errors: np.ndarray, episode: np.ndarray, n_boot: int, seed: int
) -> tuple[float, float]:
  """95 % interval of the mean error, over episodes; NaN below ENOUGH.

  Args:
    errors, episode: (N,) of each timestep.
    n_boot: draws; NaN for 0.
    seed: of the draws.
  """
  _, place = np.unique(episode, return_inverse=True)
  count = place.max() + 1
  if count < ENOUGH or not n_boot:
    return float('nan'), float('nan')
  sums = np.bincount(place, weights=errors)
  sizes = np.bincount(place)
  drawn = np.random.default_rng(seed).integers(count, size=(n_boot, count))
  means = sums[drawn].sum(1) / sizes[drawn].sum(1)
  low, high = np.percentile(means, levels(count))
  return float(low), float(high)
