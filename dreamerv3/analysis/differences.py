"""Do two errors differ? Compared by episodes, several layers at once.

  found = paired(a - b, episode, n_boot=1000, seed=0)   # (L, N) differences
  found = unpaired(Side(a, constant, episode), Side(b, constant, episode), 1000, 0)
  found.p_all[0]   # corrected for having looked at all L layers

For layers, chance levels, controls and conditions. The episode is the unit of
independence. Where both errors are of the same timesteps, signs of the
episodes' differences are flipped; else episodes are exchanged between the two
recordings. The statistics are studentised, and all layers share each flip or
exchange, so that the largest of them gives p values that hold for all layers
together (max-T: Westfall & Young 1993, ISBN 978-0-471-55761-6).
"""

import dataclasses
import itertools
import math
from typing import NamedTuple

import numpy as np

from dreamerv3.analysis.bootstrap import ENOUGH, levels

DRAWS = 5000  # flips or exchanges, where there are more than these
EXACT = 8192  # all of them, where there are at most these
_SAME = 1 - 1e-9  # equal statistics, up to rounding


class Differences(NamedTuple):
  """Of L comparisons; NaN below ENOUGH episodes on either side.

  Attributes:
    diff: (L,) mean difference, below 0 where the first errs less.
    low, high: (L,) its 95 % interval, a bootstrap over episodes of both sides.
    p: (L,) of each comparison alone, two-sided.
    p_all: (L,) the same, corrected for all L together.
  """

  diff: np.ndarray
  low: np.ndarray
  high: np.ndarray
  p: np.ndarray
  p_all: np.ndarray


@dataclasses.dataclass(frozen=True)
class Side:
  """One recording of two that share no path.

  Attributes:
    errors: (L, N) of each layer and timestep.
    constant: (N,) errors of the best constant, in which errors are counted:
      another path can be easier or harder to guess.
    episode: (N,) of each timestep.
  """

  errors: np.ndarray
  constant: np.ndarray
  episode: np.ndarray

  def __post_init__(self) -> None:
    shapes = self.errors.shape[1:], self.constant.shape, self.episode.shape
    if self.errors.ndim != 2 or len(set(shapes)) != 1:
      raise ValueError(f'Shapes {shapes}; expected (L, N), (N,) and (N,).')


def paired(
  differences: np.ndarray, episode: np.ndarray, n_boot: int, seed: int
) -> Differences:
  """Mean differences of timesteps, by flipped signs of whole episodes.

  Args:
    differences: (L, N) of two errors at the same timesteps.
    episode: (N,) of each timestep.
    n_boot: draws behind the intervals, NaN for 0; seed: of the draws.
  """
  sums, sizes = _by_episode(differences, episode)
  diff, count = sums.sum(1) / sizes.sum(), len(sizes)
  if count < ENOUGH:
    return _unknown(diff)
  rng = np.random.default_rng(seed)
  p, p_all = flipped(sums, rng)
  drawn = _counts(count, n_boot, rng)
  means = (drawn @ sums.T) / (drawn @ sizes)[:, None]
  low, high = _interval(means, count)
  return Differences(diff, low, high, p, p_all)


def unpaired(first: Side, second: Side, n_boot: int, seed: int) -> Differences:
  """Differences of errors as shares of the best constant's, over both sides.

    r = sum of errors / sum of the constant's errors,   difference r1 - r2

  The influence of an episode on r, (e - r c) / mean c with the r of both, is
  exchanged between the sides; Welch's statistic is compared.
  """
  sides = [_shares(x) for x in (first, second)]
  diff = sides[0].share - sides[1].share
  counts = [len(x.constant) for x in sides]
  if min(counts) < ENOUGH:
    return _unknown(diff)
  weight = np.array(counts) / sum(counts)
  both = weight[0] * sides[0].share + weight[1] * sides[1].share
  values = np.concatenate(
    [(x.errors - both[:, None] * x.constant) / x.constant.mean() for x in sides], 1
  )
  rng = np.random.default_rng(seed)
  p, p_all = exchanged(values, counts[0], rng)
  low, high = _share_interval(sides, n_boot, rng)
  return Differences(diff, low, high, p, p_all)


def flipped(
  values: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """p and p_all (L,) of differences (L, n) of n pairs, by flips of their signs.

  All 2^n of them where these are few: p is then exact, and at least 2 / 2^n.
  """
  count = values.shape[1]
  total = _signs(count, rng) @ values.T  # (F, L)
  square = (values**2).sum(1)
  spread = np.maximum(square - total**2 / count, 0)
  # Of a difference that is the same in all pairs the spread is 0.
  tiny = 1e-12 * square + 1e-300
  return _p_values(np.abs(total) / np.sqrt(spread + tiny))


def exchanged(
  values: np.ndarray, first: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """p and p_all (L,) of values (L, n + m), by exchange of the first n with the rest.

  All (n + m)! / (n! m!) choices where these are few: p is then exact, and at least
  one of them, or two where n = m.
  """
  rows = _exchanges(first, values.shape[1] - first, rng)
  return _p_values(_welch(values, rows))


class _Shares(NamedTuple):
  errors: np.ndarray  # (L, E) sums
  constant: np.ndarray  # (E,)
  share: np.ndarray  # (L,)


def _shares(side: Side) -> _Shares:
  errors, _ = _by_episode(side.errors, side.episode)
  constant, _ = _by_episode(side.constant[None], side.episode)
  whole = constant.sum()
  share = errors.sum(1) / whole if whole else np.full(len(errors), np.nan)
  return _Shares(errors, constant[0], share)


def _by_episode(
  values: np.ndarray, episode: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Sums (L, E) over the timesteps of each episode, and their number (E,)."""
  _, place = np.unique(episode, return_inverse=True)
  sizes = np.bincount(place)
  sums = np.stack([np.bincount(place, x, len(sizes)) for x in values])
  return sums, sizes


def _signs(count: int, rng: np.random.Generator) -> np.ndarray:
  """(F, E) of -1 and 1, the first row as it was; all there are, if few."""
  if 2**count <= EXACT:
    bits = np.arange(2**count)[:, None] >> np.arange(count) & 1
    return 1.0 - 2.0 * bits
  signs = rng.choice([-1.0, 1.0], (DRAWS, count))
  signs[0] = 1
  return signs


def _exchanges(first: int, second: int, rng: np.random.Generator) -> np.ndarray:
  """(F, E) of 0 and 1: which episodes count as the first side's."""
  count = first + second
  if math.comb(count, first) <= EXACT:
    chosen = np.array(list(itertools.combinations(range(count), first)))
  else:
    keys = rng.random((DRAWS, count))
    keys[0] = np.arange(count)
    chosen = np.argpartition(keys, first - 1, axis=1)[:, :first]
  rows = np.zeros((len(chosen), count))
  np.put_along_axis(rows, chosen, 1.0, 1)
  return rows


def _welch(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """|t| (F, L) of values (L, E) between the episodes with 1 and those with 0."""
  means, errors = [], []
  for chosen in (rows, 1 - rows):
    n = chosen.sum(1)[:, None]
    mean = chosen @ values.T / n
    square = chosen @ (values**2).T / n
    means.append(mean)
    errors.append(np.maximum(square - mean**2, 0) / (n - 1))
  tiny = 1e-12 * (values**2).mean(1) + 1e-300
  t: np.ndarray = np.abs(means[0] - means[1]) / np.sqrt(sum(errors) + tiny)
  return t


def _p_values(statistic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """From statistics (F, L), of which the first row is the one observed."""
  observed = statistic[0] * _SAME
  known = np.isfinite(statistic).all(0)
  p = (statistic >= observed).mean(0)
  largest = np.where(known, statistic, 0).max(1, initial=0)
  p_all = (largest[:, None] >= observed).mean(0)
  return np.where(known, p, np.nan), np.where(known, p_all, np.nan)


def _counts(count: int, draws: int, rng: np.random.Generator) -> np.ndarray:
  """(B, E) how often each episode is drawn, with replacement."""
  return rng.multinomial(count, np.full(count, 1 / count), draws).astype(np.float64)


def _share_interval(
  sides: list[_Shares], n_boot: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  drawn = []
  for x in sides:
    counts = _counts(len(x.constant), n_boot, rng)
    below = np.maximum(counts @ x.constant, 1e-300)
    drawn.append((counts @ x.errors.T) / below[:, None])
  return _interval(drawn[0] - drawn[1], min(len(x.constant) for x in sides))


def _interval(draws: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
  """95 % intervals of draws (B, L) over so many episodes."""
  if not len(draws):
    nan = np.full(draws.shape[1], np.nan)
    return nan, nan.copy()
  low, high = np.percentile(draws, levels(count), axis=0)
  return low, high


def _unknown(diff: np.ndarray) -> Differences:
  nan = np.full(len(diff), np.nan)
  return Differences(diff, nan, nan, nan, nan)
