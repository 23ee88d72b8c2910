"""Does the code of space come before the score, or after it?

  point = measure(12000, data, 'dyn/deter', GrowthOptions())
  growth = Growth('logdir/run', tuple(points), curves.score)
  print(which_first([growth, *others]))

Checkpoints of a run that were led along one path are compared at their steps, beside
the learning curve. Agents are the unit of what is said of the order.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dreamerv3.analysis import differences
from dreamerv3.analysis.bootstrap import ENOUGH
from dreamerv3.analysis.decoding import run
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.analysis.decoding.protocol import Protocol, make_plan
from dreamerv3.analysis.decoding.result import summary
from dreamerv3.analysis.geometry.study import Estimate, GeometryOptions, study
from dreamerv3.analysis.learning import Curve
from dreamerv3.data.trajectories import Trajectories

SEVERAL = 3  # runs from which on something is said of the order
MOST = 300  # points of the learning curve in a table
NAN = float('nan')
UNKNOWN = Estimate(NAN)


@dataclasses.dataclass(frozen=True)
class GrowthOptions:
  """How a checkpoint is measured.

  Attributes:
    geometry: sRSA too, of at most `max_wake_samples` timesteps.
    n_iters: of each fit; n_jobs: fits at a time.
    n_boot: draws of episodes behind the intervals; seed: of splits and draws.
  """

  geometry: bool = False
  max_wake_samples: int = 2000
  n_iters: int = 5000
  n_jobs: int = 1
  n_boot: int = 500
  seed: int = 0


@dataclasses.dataclass(frozen=True)
class CheckpointCode:
  """What the code of a checkpoint is worth on the common path.

  Attributes:
    step: environment steps of its training; 0 for the untrained network.
    error: held-out decoding error [tiles].
    constant: error of the best constant position [tiles], the same for all.
    srsa: similarity of distances in code and space; NaN if not asked for.
  """

  step: int
  error: Estimate
  constant: float
  srsa: Estimate = UNKNOWN


@dataclasses.dataclass(frozen=True)
class Growth:
  """A run over its training.

  Attributes:
    run: its name.
    codes: of its checkpoints, by step.
    score: its learning curve; None without one.
  """

  run: str
  codes: tuple[CheckpointCode, ...]
  score: Curve | None


class Halves(NamedTuple):
  """When a run is half-way from its first to its last checkpoint; NaN if it is not.

  Attributes:
    code, score: environment steps.
  """

  code: float
  score: float


def measure(
  step: int, data: Trajectories, layer: str, options: GrowthOptions
) -> CheckpointCode:
  """Decodes the position from a layer, by cross-validation over episodes."""
  protocol = Protocol(mode='layers', layers=(layer,), holdout_frac=0, seed=options.seed)
  plan = make_plan(data, None, protocol)
  fit = FitOptions(n_iters=options.n_iters, seed=options.seed)
  job = run.FitJob(fit, options.n_jobs, n_boot=options.n_boot, seed=options.seed)
  with contextlib.closing(run.work(plan, plan.chosen, job)) as work:
    result, _ = next(work)
  row = summary(result, options.n_boot, options.seed)
  srsa = _similarity(data, layer, options) if options.geometry else UNKNOWN
  return CheckpointCode(
    step=step,
    error=Estimate(row['mean'], row['low'], row['high']),
    constant=row['best_constant'],
    srsa=srsa,
  )


def _similarity(data: Trajectories, layer: str, options: GrowthOptions) -> Estimate:
  wanted = GeometryOptions(
    max_wake_samples=options.max_wake_samples,
    no_isomap=True,
    no_hill=True,
    n_shuffles=0,
    n_boot=options.n_boot,
    seed=options.seed,
  )
  return next(iter(study(data, [layer], wanted))).geometry.srsa


def halves(growth: Growth) -> Halves:
  """When code and score have made half of their way between first and last checkpoint.

  Errors count where the last lies below the first and outside of its interval;
  scores where the curve rises. Between two checkpoints a straight line is assumed.
  """
  codes = growth.codes
  if len(codes) < 2 or growth.score is None:
    return Halves(NAN, NAN)
  steps = np.array([x.step for x in codes], float)
  first, last = codes[0].error, codes[-1].error
  fell = last.value < first.value and not last.value >= first.low
  errors = np.array([x.error.value for x in codes])
  known = np.isfinite(growth.score.value)
  at, value = growth.score.step[known], growth.score.value[known]
  within = (at >= steps[0]) & (at <= steps[-1])
  return Halves(
    half_way(steps, -errors) if fell else NAN, half_way(at[within], value[within])
  )


def same(first: Growth, second: Growth) -> bool:
  """Whether two runs hold the same errors, as one run under two names does."""
  errors = [[(x.step, x.error.value) for x in y.codes] for y in (first, second)]
  return errors[0] == errors[1]


def half_way(step: np.ndarray, value: np.ndarray) -> float:
  """First step at which a curve is half-way up from its first to its last value.

  Args:
    step, value: (N,).

  Returns:
    NaN for a curve that does not rise.
  """
  if len(value) < 2 or not value[-1] > value[0]:
    return NAN
  middle = (value[0] + value[-1]) / 2
  after = int(np.argmax(value >= middle))
  low, high = value[after - 1], value[after]
  share = (middle - low) / (high - low)
  return float(step[after - 1] + share * (step[after] - step[after - 1]))


def which_first(runs: Sequence[Growth]) -> str:
  """One sentence on the order, or why there is none."""
  found = [x for x in map(halves, runs) if x.code == x.code and x.score == x.score]
  if len(found) < SEVERAL:
    return (
      f'Which comes first, the code or the score, is not said of {len(found)} '
      f'{"run" if len(found) == 1 else "runs"} in which both grow; it takes '
      f'{SEVERAL} at least.'
    )
  ahead = np.array([x.score - x.code for x in found])
  code, score = (float(np.median([x[i] for x in found])) for i in (0, 1))
  count, first = len(found), int((ahead > 0).sum())
  tested = 'too few to test'
  if count >= ENOUGH:
    p = float(differences.paired(ahead[None], np.arange(count), 0, 0).p[0])
    tested = f'p = {p:.3g}, signs flipped over runs'
  return (
    f'The code is half-way at step {code:,.0f} and the score at {score:,.0f} (medians '
    f'of {count} runs); the code comes first in {first} of {count} ({tested}).'
  )


def rows(growth: Growth) -> Iterator[Mapping[str, Any]]:
  """A run as a table in long form: code at checkpoints, score along training."""
  for x in growth.codes:
    kinds = {'error': x.error, 'constant': Estimate(x.constant), 'srsa': x.srsa}
    for name, of in kinds.items():
      if of.value == of.value:
        yield _row(growth.run, x.step, name, of)
  if growth.score is not None:
    count = len(growth.score.step)
    for i in np.unique(np.linspace(0, count - 1, min(MOST, count)).astype(int)):
      value = float(growth.score.value[i])
      yield _row(growth.run, int(growth.score.step[i]), 'score', Estimate(value))


def _row(run: str, step: int, name: str, of: Estimate) -> Mapping[str, Any]:
  return {
    'run': run,
    'step': step,
    'quantity': name,
    'value': of.value,
    'low': of.low,
    'high': of.high,
  }


def from_rows(table: Sequence[Mapping[str, str]]) -> list[Growth]:
  """Reads what `rows` made, as csv has it: a growth per run; ValueError for none."""
  if not table:
    raise ValueError('it has no rows')
  found = []
  for name in dict.fromkeys(x['run'] for x in table):
    mine = [x for x in table if x['run'] == name]
    by_step: dict[int, dict[str, Estimate]] = {}
    for x in mine:
      of = Estimate(*(float(x[k]) for k in ('value', 'low', 'high')))
      by_step.setdefault(int(x['step']), {})[x['quantity']] = of
    codes = tuple(
      CheckpointCode(k, v['error'], v['constant'].value, v.get('srsa', UNKNOWN))
      for k, v in sorted(by_step.items())
      if 'error' in v
    )
    scores = [(k, v['score'].value) for k, v in sorted(by_step.items()) if 'score' in v]
    curve = None
    if scores:
      step, value = np.array(scores, float).T
      curve = Curve(step, value)
    found.append(Growth(name, codes, curve))
  return found
