"""Learning curves of one run, and of several seeds of the same condition.

  curves = learning.curves(MetricsLog.open('logdir/run'), window=50)
  band = learning.band([curves.score, other_seed.score])

All curves are over environment steps.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from dreamerv3.analysis.crafter_score import (
  ACHIEVEMENTS,
  BUDGET,
  crafter_score,
  running_sums,
  window_of,
  windowed_score,
)
from dreamerv3.data.metrics_log import MetricsLog

UNLOCK = 'episode/achievement_'
# The mean over the episodes of an interval of how often each was earned.
COUNT = ('epstats/log/achievement_', '/max')

LOSS = 'train/loss/'
# What the world model and the critic expect, per step of imagination.
SIGNALS = {
  'train/rew': 'reward',
  'train/ret': 'return',
  'train/val': 'value',
}

# The window of these panels is smaller: one record is a mean over many steps.
RECORDS_PER_WINDOW = 10


@dataclasses.dataclass(frozen=True)
class Curve:
  """A value over steps.

  Attributes:
    step: (N,) environment steps, never decreasing.
    value: (N,) NaN where unknown.
    raw: (N,) before smoothing; None for curves that are not smoothed.
  """

  step: np.ndarray
  value: np.ndarray
  raw: np.ndarray | None = None

  def __post_init__(self) -> None:
    for name in ('value', 'raw'):
      array = getattr(self, name)
      if array is not None and array.shape != self.step.shape:
        raise ValueError(f'{name} has shape {array.shape}; expected {self.step.shape}.')


@dataclasses.dataclass(frozen=True)
class Curves:
  """Everything that the log of a run allows.

  Attributes:
    path: logdir of the run.
    score: return of each episode, smoothed over episodes.
    reward: summed return since the start.
    crafter_score: [percent]; None without the achievements.
    unlocks: {achievement: share of episodes}, in the order of ACHIEVEMENTS.
    losses: {name: curve}, signals: {reward, return, value: curve}.
    episodes: number of them.
    summary: single numbers of the run.
    lacks: what the log does not allow and why, one line each.
    bound: unlocks are upper bounds, from mean counts instead of episodes.
    window: episodes that means are taken over.
  """

  path: str
  score: Curve | None
  reward: Curve | None
  crafter_score: Curve | None
  unlocks: Mapping[str, Curve]
  losses: Mapping[str, Curve]
  signals: Mapping[str, Curve]
  episodes: int
  summary: Mapping[str, float]
  lacks: tuple[str, ...] = ()
  bound: bool = False
  window: int = 50


def smooth(values: np.ndarray, window: int) -> np.ndarray:
  """Centred moving mean over up to `window` records, (N, ...) -> (N, ...).

  The window is cut at both ends, so that the curve reaches the newest record;
  NaN is left out of the mean.
  """
  if window < 1:
    raise ValueError(f'window is {window}; expected at least 1.')
  values = np.asarray(values, np.float64)
  known = np.isfinite(values)
  sums = running_sums(np.where(known, values, 0.0))
  counts = running_sums(known.astype(np.float64))
  start, stop = window_of(len(values), window)
  total, count = sums[stop] - sums[start], counts[stop] - counts[start]
  mean = np.full(total.shape, np.nan)
  np.divide(total, count, out=mean, where=count > 0)
  return mean


def widest(log: MetricsLog) -> int:
  """Most episodes of a mean whose curve still shows a change: a fifth."""
  if 'episode/score' not in log.keys:
    return sys.maxsize
  return max(len(log.curve('episode/score')[0]) // 5, 1)


def curves(log: MetricsLog, window: int = 50) -> Curves:
  """All learning curves of a run.

  Args:
    window: episodes that a mean is taken over; the records of the losses and
      signals are means themselves, their window is a tenth of it.
  """
  lacks: list[str] = []
  score = reward = None
  if 'episode/score' in log.keys:
    steps, returns = log.curve('episode/score')
    score = Curve(steps, smooth(returns, window), returns)
    reward = Curve(steps, np.cumsum(np.nan_to_num(returns)))
  else:
    lacks.append('no episode/score: no score and no cumulative reward')
  steps, rates, bound = _unlocked(log, lacks)
  few = max(window // RECORDS_PER_WINDOW, 1)
  means = smooth(rates, few if bound else window)
  crafter = None
  if rates.size:
    exact = not bound and np.isfinite(rates).all()
    found = windowed_score(rates, window) if exact else crafter_score(means.clip(0, 1))
    crafter = Curve(steps, found)
  losses = _each(log, log.select(LOSS), few)
  if not losses:
    lacks.append(f'no {LOSS}*: no losses')
  signals = _each(log, {k: v for k, v in SIGNALS.items() if k in log.keys}, few)
  if not signals:
    lacks.append(f'no {", ".join(SIGNALS)}: no reward, return and value')
  return Curves(
    path=str(log.path),
    score=score,
    reward=reward,
    crafter_score=crafter,
    unlocks={
      x: Curve(steps, means[:, i]) for i, x in enumerate(ACHIEVEMENTS) if rates.size
    },
    losses=losses,
    signals=signals,
    episodes=0 if score is None else len(score.step),
    summary=_summary(log, score, steps, rates, bound, window),
    lacks=tuple(lacks),
    bound=bound,
    window=window,
  )


@dataclasses.dataclass(frozen=True)
class Band:
  """The mean of several runs and its interval, over shared steps (N,)."""

  step: np.ndarray
  mean: np.ndarray
  low: np.ndarray
  high: np.ndarray


def band(runs: Sequence[Curve], points: int = 200) -> Band | None:
  """Mean over runs with its 95 % interval by Student's t, where all runs have data.

  mean +- t(n - 1) * s / sqrt(n) with n runs, each interpolated linearly: runs
  are the unit of independence, steps are not. None for fewer than two runs,
  or runs without steps in common.
  """
  runs = [x for x in runs if np.isfinite(x.value).any()]
  if len(runs) < 2:
    return None
  known = [np.isfinite(x.value) for x in runs]
  first = max(x.step[k][0] for x, k in zip(runs, known, strict=True))
  last = min(x.step[k][-1] for x, k in zip(runs, known, strict=True))
  if last < first:
    return None
  step = np.linspace(first, last, points if last > first else 1)
  values = np.stack(
    [np.interp(step, x.step[k], x.value[k]) for x, k in zip(runs, known, strict=True)]
  )
  n = len(runs)
  half = stats.t.ppf(0.975, n - 1) * values.std(0, ddof=1)
  half /= np.sqrt(n)
  mean = values.mean(0)
  return Band(step, mean, mean - half, mean + half)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
  """Mean, low and high (95 %) of one number per run; NaN bounds for one run."""
  array = np.asarray(values, np.float64)
  mean = float(array.mean())
  if len(array) < 2:
    return mean, np.nan, np.nan
  half = stats.t.ppf(0.975, len(array) - 1) * stats.sem(array)
  return mean, mean - float(half), mean + float(half)


def rows(runs: Sequence[Curves], points: int = 300) -> list[dict[str, str | float]]:
  """Every curve as a table, with the mean of the runs where there are several.

  Each curve keeps at most `points` records, its first and last among them.
  """
  table: list[dict[str, str | float]] = []

  def add(run: str, name: str, curve: Curve | Band) -> None:
    count = len(curve.step)
    keep = np.unique(np.linspace(0, count - 1, min(points, count)).astype(int))
    for i in keep:
      row: dict[str, str | float] = {'run': run, 'curve': name}
      row['step'] = int(curve.step[i])
      if isinstance(curve, Band):
        row |= {'value': curve.mean[i], 'low': curve.low[i]}
        row['high'] = curve.high[i]
      else:
        row |= {'value': curve.value[i], 'low': np.nan, 'high': np.nan}
      table.append(row)

  named = [_named(x) for x in runs]
  for run, found in zip(runs, named, strict=True):
    for name, curve in found.items():
      add(run.path, name, curve)
  for name in named[0]:
    mean = band([x[name] for x in named if name in x])
    if mean is not None:
      add(f'mean of {len(runs)}', name, mean)
  return table


def _named(run: Curves) -> dict[str, Curve]:
  single = {
    'score': run.score,
    'cumulative_reward': run.reward,
    'crafter_score': run.crafter_score,
  }
  return {
    **{k: v for k, v in single.items() if v is not None},
    **{f'unlock/{k}': v for k, v in run.unlocks.items()},
    **{f'loss/{k}': v for k, v in run.losses.items()},
    **{f'signal/{k}': v for k, v in run.signals.items()},
  }


def _each(log: MetricsLog, keys: Mapping[str, str], window: int) -> dict[str, Curve]:
  found = {}
  for key, name in keys.items():
    steps, values = log.curve(key)
    found[name] = Curve(steps, smooth(values, window), values)
  return found


def _unlocked(log: MetricsLog, lacks: list[str]) -> tuple[np.ndarray, np.ndarray, bool]:
  """Steps (N,), unlocks (N, 22) in 0..1, and whether they are bounds."""
  per_episode = [UNLOCK + x for x in ACHIEVEMENTS]
  if all(x in log.keys for x in per_episode):
    steps, values = log.table(per_episode)
    return steps, (values > 0).astype(np.float64), False
  counts = [x.join(COUNT) for x in ACHIEVEMENTS]
  if all(x in log.keys for x in counts):
    steps, values = log.table(counts)
    return steps, np.clip(values, 0, 1), True
  prefix = UNLOCK if set(per_episode) & set(log.keys) else COUNT[0]
  some = len(log.select(prefix)) // (1 if prefix == UNLOCK else 3)
  lacks.append(
    f'{some or "no"} achievements of {len(ACHIEVEMENTS)}: no Crafter score and '
    'no unlock rates'
  )
  return np.zeros(0), np.zeros((0, len(ACHIEVEMENTS))), False


def _summary(
  log: MetricsLog,
  score: Curve | None,
  steps: np.ndarray,
  rates: np.ndarray,
  bound: bool,
  window: int,
) -> dict[str, float]:
  """Numbers over all episodes, over the benchmark's budget, and of the last."""
  values: dict[str, float] = {'last_step': log.last_step}
  if score is not None and score.raw is not None:
    returns = score.raw[np.isfinite(score.raw)]
    values['episodes'] = len(score.raw)
    if len(returns):
      values['return_mean'] = float(returns.mean())
      values['return_recent'] = float(returns[-window:].mean())
  if rates.size and not bound:
    values['crafter_score'] = float(crafter_score(rates.mean(0)))
    within = steps <= BUDGET
    if within.any() and steps[-1] >= BUDGET:
      values['crafter_score_1e6'] = float(crafter_score(rates[within].mean(0)))
    recent = rates[-window:].mean(0)
    values['crafter_score_recent'] = float(crafter_score(recent))
  return values
