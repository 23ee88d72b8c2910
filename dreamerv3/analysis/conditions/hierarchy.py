"""How sure is the mean of a condition? Drawn over its agents, then their episodes.

  group = Group(values, within, seeds=(0, 1, 2))
  low, high = interval(group, n_boot=2000, seed=0)
  effect = difference(first, second, paired=False, n_boot=2000, seed=0)

The agent is the unit: n is the number of runs, whatever was measured of each
(docs/studies.md). Fewer than ENOUGH of them give no interval and no p.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from scipy import special

from dreamerv3.analysis.differences import exchanged, flipped

ENOUGH = 3  # runs of a condition, for an interval and a test
PAIRS = 6  # pairs from which on flips of signs can show p <= 0.05
LEVEL = 0.95


@dataclasses.dataclass(frozen=True)
class Group:
  """The n runs of a condition, L numbers of each.

  Attributes:
    values: (L, n) of the runs.
    within: (L, n, P) how far P draws of a run's episodes lie off its value; 0 where
      it has none.
    seeds: (n,) of their training; None where unknown.
  """

  values: np.ndarray
  within: np.ndarray
  seeds: tuple[int | None, ...]

  def __post_init__(self) -> None:
    shape = (*self.values.shape[:1], len(self.seeds))
    if self.values.shape != shape or self.within.shape[:2] != shape:
      raise ValueError(
        f'values {self.values.shape}, within {self.within.shape}; expected (L, n) '
        f'and (L, n, P) with {len(self.seeds)} runs.'
      )

  @property
  def n(self) -> int:
    """Number of runs."""
    return len(self.seeds)

  @property
  def mean(self) -> np.ndarray:
    """(L,) over runs."""
    mean: np.ndarray = self.values.mean(1)
    return mean

  def by_seed(self) -> 'Group':
    """The same with its runs in the order of their seeds."""
    order = np.argsort([-1 if x is None else x for x in self.seeds], kind='stable')
    seeds = tuple(self.seeds[i] for i in order)
    return Group(self.values[:, order], self.within[:, order], seeds)


class Difference(NamedTuple):
  """First minus second condition, of L numbers; NaN below ENOUGH runs.

  Attributes:
    diff: (L,) of the means over runs.
    low, high: (L,) its 95 % interval.
    g: (L,) Hedges' g, the difference in standard deviations between runs.
    p: (L,) two-sided, of each number alone; p_all: corrected for all L.
    scale: (L,) g per unit of the difference, for intervals in the same units.
  """

  diff: np.ndarray
  low: np.ndarray
  high: np.ndarray
  g: np.ndarray
  p: np.ndarray
  p_all: np.ndarray
  scale: np.ndarray


def match(first: Group, second: Group) -> bool:
  """Whether two conditions have the same seeds, each once."""
  seeds = [x.seeds for x in (first, second)]
  known = all(None not in x and len(set(x)) == len(x) for x in seeds)
  return known and set(seeds[0]) == set(seeds[1])


def interval(group: Group, n_boot: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
  """95 % intervals (L,) of the mean over runs: mean +- t_(n-1) se.

  se is the standard deviation of bootstrap means, in which runs are drawn with
  replacement and then the episodes of each, times sqrt(n / (n - 1)), since draws
  among n vary by (n - 1) / n of the variance. Student's t stands for percentiles: of
  three runs there are ten different means, and their range holds the truth in three
  of four cases only. (Davison & Hinkley 1997, ISBN 978-0-521-57471-6, 3.8; for nested
  data Saravanan et al. 2020, arXiv:2007.07797.)
  """
  error, degrees = _error(group, n_boot, np.random.default_rng(seed))
  half = _reach(degrees) * error
  return group.mean - half, group.mean + half


def difference(
  first: Group, second: Group, paired: bool, n_boot: int, seed: int
) -> Difference:
  """Compares two conditions in L numbers at once.

  Args:
    paired: the runs of one seed belong together, see `match`: signs of their
      differences are flipped; else runs are exchanged between the conditions.
    n_boot: draws behind the intervals; seed: of draws and of exchanges.
  """
  diff = first.mean - second.mean
  if min(first.n, second.n) < ENOUGH:
    nan = np.full(len(diff), np.nan)
    return Difference(diff, *[nan] * 6)
  rng = np.random.default_rng(seed)
  if paired:
    pairs = _pairs(first.by_seed(), second.by_seed())
    p, p_all = flipped(pairs.values, rng)
    error, degrees = _error(pairs, n_boot, rng)
    half = _reach(degrees) * error
  else:
    both = np.concatenate([first.values, second.values], 1)
    p, p_all = exchanged(both, first.n, rng)
    half = _welch_half(first, second, n_boot, rng)
  scale = _scale(first, second)
  return Difference(diff, diff - half, diff + half, diff * scale, p, p_all, scale)


def least_p(first: int, second: int, paired: bool) -> float:
  """The smallest p that a test of so many runs can show."""
  if paired:
    return 2.0 ** (1 - first)
  return (1 + (first == second)) / math.comb(first + second, first)


def _pairs(first: Group, second: Group) -> Group:
  """Differences of the runs of each seed."""
  count = max(first.within.shape[2], second.within.shape[2])
  turns = np.arange(count)
  # Turned, so that one draw of the first meets another of the second.
  within = first.within[:, :, turns % first.within.shape[2]]
  other = second.within[:, :, (turns + 1) % second.within.shape[2]]
  return Group(first.values - second.values, within - other, first.seeds)


def _error(
  group: Group, n_boot: int, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
  """Standard error of the mean (L,), and its degrees of freedom; NaN for few runs."""
  n, (L, _, P) = group.n, group.within.shape
  if n < ENOUGH:
    return np.full(L, np.nan), max(n - 1, 1)
  runs = rng.integers(n, size=(n_boot, n))
  drawn = rng.integers(P, size=(n_boot, n))
  means = np.stack(
    [
      (v[runs] + w[runs, drawn]).mean(1)
      for v, w in zip(group.values, group.within, strict=True)
    ]
  )
  error: np.ndarray = means.std(1) * np.sqrt(n / (n - 1))
  return error, n - 1


def _welch_half(
  first: Group, second: Group, n_boot: int, rng: np.random.Generator
) -> np.ndarray:
  """Half the interval of a difference, with Welch's degrees of freedom."""
  error, degrees = _error(first, n_boot, rng)
  other, others = _error(second, n_boot, rng)
  total = error**2 + other**2
  below = error**4 / degrees + other**4 / others
  known = below > 0
  free = np.where(known, total**2 / np.where(known, below, 1), min(degrees, others))
  half: np.ndarray = special.stdtrit(free, (1 + LEVEL) / 2) * np.sqrt(total)
  return half


def _reach(degrees: int) -> float:
  return float(special.stdtrit(degrees, (1 + LEVEL) / 2))


def _scale(first: Group, second: Group) -> np.ndarray:
  """J / s (L,): what makes a difference Hedges' g; NaN where runs do not differ.

  s is the pooled standard deviation between runs and J = 1 - 3 / (4 d - 1) with
  d = n + m - 2 (Hedges 1981, doi:10.3102/10769986006002107), paired or not, so that
  both are on one scale.
  """
  free = first.n + second.n - 2
  squares = sum((x.n - 1) * x.values.var(1, ddof=1) for x in (first, second))
  spread = np.sqrt(squares / free)
  known = spread > 1e-12 * np.maximum(np.abs(first.mean), np.abs(second.mean))
  return np.where(known, (1 - 3 / (4 * free - 1)) / np.where(known, spread, 1), np.nan)
