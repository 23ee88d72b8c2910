"""Scores of few runs, as rliable reports them: trimmed mean, who wins a draw.

  interquartile_mean(np.array([3.1, 2.9, 7.0, 3.0]))  # 3.05
  improvement(np.array([3.0, 4.0]), np.array([3.5]))  # 0.5

Agarwal et al. 2021, arXiv:2108.13264. Axes before the last one are many draws.
"""

from collections.abc import Callable

import numpy as np

from dreamerv3.analysis.conditions.hierarchy import ENOUGH

NAN = float('nan')
Statistic = Callable[..., np.ndarray]


def interquartile_mean(values: np.ndarray) -> np.ndarray:
  """Mean of the runs (..., n) without the lowest and the highest quarter, (...).

  Of fewer than four runs nothing is left out.
  """
  n = values.shape[-1]
  cut = n // 4
  mean: np.ndarray = np.sort(values, -1)[..., cut : n - cut].mean(-1)
  return mean


def improvement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """P(X > Y) + P(X = Y) / 2 of runs X of the first (..., n) and Y of the second."""
  gap = first[..., :, None] - second[..., None, :]
  share: np.ndarray = ((np.sign(gap) + 1) / 2).mean((-2, -1))
  return share


def bounds(
  statistic: Statistic, groups: tuple[np.ndarray, ...], n_boot: int, seed: int
) -> tuple[float, float]:
  """95 % percentile interval, runs drawn within each group; NaN for few runs."""
  if min(len(x) for x in groups) < ENOUGH:
    return NAN, NAN
  rng = np.random.default_rng(seed)
  drawn = [x[rng.integers(len(x), size=(n_boot, len(x)))] for x in groups]
  low, high = np.percentile(statistic(*drawn), (2.5, 97.5))
  return float(low), float(high)
