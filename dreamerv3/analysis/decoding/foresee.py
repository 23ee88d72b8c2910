"""What a run of decoding will read, hold and take, before it begins.

  found = foresee([plan, control_plan], FitJob(n_jobs=4), perception=True)
  print(found.line())

Seconds and bytes are laws fitted to measurements, see docs/scale.md.
"""

from collections.abc import Sequence

from dreamerv3.analysis import forecast, parallel
from dreamerv3.analysis.decoding.folds import all_rows, used_rows
from dreamerv3.analysis.decoding.linear.discriminant import SKETCH, fit_bytes
from dreamerv3.analysis.decoding.protocol import Plan
from dreamerv3.analysis.decoding.run import FitJob
from dreamerv3.analysis.forecast import Forecast

VIEW_UNITS = 1500  # of the view of a player, roughly
START = 6.0  # seconds of imports and figures
FIGURES = 250e6  # bytes of intervals, tests and figures, as measured


def foresee(plans: Sequence[Plan], job: FitJob, perception: bool = False) -> Forecast:
  """The work of some plans: the recording's, and its control's.

  Args:
    perception: whether what is seen is decoded as well.
  """
  rows = units = 0
  read = most = 0.0
  seconds = START
  for plan in plans:
    refit = job.save and len(plan.folds) > 1
    again = all_rows(plan.folds, job.most, job.seed) if refit else None
    used = len(used_rows(plan.folds, again))
    trained = max(len(x.split.train) for x in plan.folds)
    trained = max(trained, 0 if again is None else len(again))
    tiles = max(int((x.visits > 0).sum()) for x in plan.folds)
    widths = [plan.data.units(x) for x in plan.chosen]
    fits = 2 * len(plan.folds) + refit
    for width in widths:
      cost = fit_bytes(trained, width, tiles)
      held = 4.0 * used * width
      read += 2.0 * used * width
      most = max(most, cost + (held if held < forecast.AHEAD else 0))
      seconds += fits * _seconds(trained, width, tiles)
    rows, units = rows + used, units + sum(widths)
  if perception:
    seconds += 2 * len(plans[0].folds) * _seconds(trained, VIEW_UNITS, tiles)
  jobs = min(parallel.count(job.n_jobs), fits * len(widths))
  base = forecast.PROGRAM + FIGURES
  least = base + max(
    fit_bytes(trained, plan.data.units(x), tiles) for plan in plans for x in plan.chosen
  )
  memory = max(least, min(base + jobs * most, forecast.budget()))
  return Forecast('decoding', rows, units, read, memory, seconds, least)


def _seconds(rows: int, units: int, tiles: int) -> float:
  """Of one fit: its products grow with the features, a wide layer's with its units."""
  wide = units > tiles + 2 * SKETCH
  k = tiles + SKETCH if wide else units
  share = max(rows / 1e4, 0.1)
  narrowed = 1.5e-6 * units * k * (0.2 + 0.8 * share) if wide else 0.0
  products: float = 3 * (k / 256) ** 1.45 * share
  return products + narrowed
