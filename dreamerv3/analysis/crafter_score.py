"""The score of Crafter, over a run and in a window of few episodes.

  score = crafter_score(rates)  # (22,) shares of episodes that unlock each

The benchmark counts the episodes of the first million environment steps (Hafner 2022,
arXiv:2109.06780).
"""

import numpy as np

# The achievements of Crafter, over which its score is a mean.
ACHIEVEMENTS = (
  'collect_coal',
  'collect_diamond',
  'collect_drink',
  'collect_iron',
  'collect_sapling',
  'collect_stone',
  'collect_wood',
  'defeat_skeleton',
  'defeat_zombie',
  'eat_cow',
  'eat_plant',
  'make_iron_pickaxe',
  'make_iron_sword',
  'make_stone_pickaxe',
  'make_stone_sword',
  'make_wood_pickaxe',
  'make_wood_sword',
  'place_furnace',
  'place_plant',
  'place_stone',
  'place_table',
  'wake_up',
)

BUDGET = 1_000_000  # environment steps of the benchmark


def crafter_score(rates: np.ndarray) -> np.ndarray:
  """The official score of Crafter [percent], (..., 22) -> (...).

  exp(mean_i ln(1 + s_i)) - 1 with the success rates s_i in percent, so that
  rare achievements count and an absent one does not make the score zero.
  Hafner 2022, https://arxiv.org/abs/2109.06780.

  Args:
    rates: share of episodes that unlock each achievement, 0 to 1.
  """
  rates = np.asarray(rates, np.float64)
  if rates.shape[-1] != len(ACHIEVEMENTS):
    raise ValueError(
      f'rates has shape {rates.shape}; expected (..., {len(ACHIEVEMENTS)}).'
    )
  inside = np.isnan(rates) | ((rates >= 0) & (rates <= 1))
  if not inside.all():
    raise ValueError(f'A rate is {rates[~inside][0]}; expected 0 to 1.')
  score: np.ndarray = np.expm1(np.log1p(100 * rates).mean(-1))
  return score


def windowed_score(unlocked: np.ndarray, window: int) -> np.ndarray:
  """The score [percent] in a centred window of episodes, freed of its bias.

  ln(1 + s) is concave, so the score of a few episodes lies below that of many: a true
  2.0 reads 1.4 in windows of 50. The jackknife (Quenouille 1956) takes out the part of
  the bias that falls with 1 / n:

    g = n f(k / n) - (n - 1) ((k / n) f((k-1) / (n-1)) + (1 - k / n) f(k / (n-1)))

  of each achievement with k unlocks in n episodes and f(p) = ln(1 + 100 p). What no
  episode of the window unlocked stays unseen.

  Args:
    unlocked: (N, 22) of 0 and 1.
    window: episodes, cut at both ends of the run.

  Returns:
    (N,)
  """
  start, stop = window_of(len(unlocked), window)
  sums = running_sums(np.asarray(unlocked, np.float64))
  k, n = sums[stop] - sums[start], (stop - start)[:, None].astype(np.float64)
  whole = np.log1p(100 * k / n)
  fewer = np.maximum(n - 1, 1)
  hit = np.log1p(100 * np.maximum(k - 1, 0) / fewer)
  miss = np.log1p(100 * np.minimum(k, fewer) / fewer)
  left = n * whole - (n - 1) * (k / n * hit + (1 - k / n) * miss)
  found = np.where(n > 1, left, whole).clip(0, np.log1p(100))
  score: np.ndarray = np.expm1(found.mean(-1))
  return score


def window_of(records: int, window: int) -> tuple[np.ndarray, np.ndarray]:
  """First and behind the last record (N,) of a centred window around each."""
  index = np.arange(records)
  start = np.maximum(index - (window - 1) // 2, 0)
  return start, np.minimum(index + window // 2 + 1, records)


def running_sums(values: np.ndarray) -> np.ndarray:
  """Sums of the first 0, 1, ..., N rows, (N + 1, ...)."""
  zero = np.zeros((1, *values.shape[1:]))
  return np.concatenate([zero, np.cumsum(values, 0)])
