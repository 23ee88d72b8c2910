"""Scores of few runs, as rliable reports them: trimmed mean, who wins a draw.

  interquartile_mean(np.array([3.1, 2.9, 7.0, 3.0]))  # 3.05
  improvement(np.array([3.0, 4.0]), np.array([3.5]))  # 0.5

Agarwal et al. 2021, arXiv:2108.13264.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

from dreamerv3.analysis.conditions.hierarchy import ENOUGH

NAN = float('nan')


def interquartile_mean(values: np.ndarray) -> float:
  """Mean of the runs (n,) without the lowest and the highest quarter.

  Of fewer than four runs nothing is left out.
  """
  return float(stats.trim_mean(values, 0.25))


def improvement(first: np.ndarray, second: np.ndarray) -> float:
  """P(X > Y) + P(X = Y) / 2 of a run X of the first (n,) and Y of the second (m,)."""
  gap = first[:, None] - second[None]
  return float((gap > 0).mean() + (gap == 0).mean() / 2)


def bounds(
  statistic: Callable[..., float],
  groups: tuple[np.ndarray, ...],
  n_boot: int,
  seed: int,
) -> tuple[float, float]:
  """95 % percentile interval, runs drawn within each group; NaN for few runs."""
  if min(len(x) for x in groups) < ENOUGH:
    return NAN, NAN
  rng = np.random.default_rng(seed)
  drawn = [
    statistic(*(x[rng.integers(len(x), size=len(x))] for x in groups))
    for _ in range(n_boot)
  ]
  low, high = np.percentile(drawn, (2.5, 97.5))
  return float(low), float(high)
