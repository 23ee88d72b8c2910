"""What a study of geometry will read, hold and take, before it begins.

  plan = foresee(data, ['dyn/deter'], GeometryOptions(), recordings=2)
  print(plan.line())

Seconds and bytes are laws fitted to measurements, see docs/scale.md.
"""

from collections.abc import Sequence

from dreamerv3.analysis import forecast
from dreamerv3.analysis.forecast import Forecast
from dreamerv3.analysis.geometry.study import GeometryOptions
from dreamerv3.data.trajectories import Trajectories

LIBRARIES = 150e6  # bytes of scikit-learn, beside what others load
COPIES = 6  # of the activations and of the picture's matrix of neighbours
BETWEEN = 24  # bytes of each pair of tiles: distances in space and their ranks


def foresee(
  data: Trajectories,
  layers: Sequence[str],
  options: GeometryOptions,
  recordings: int = 1,
) -> Forecast:
  """The work of `study.study`; `recordings` is 2 with a control."""
  rows = min(len(data.track()), options.max_wake_samples)
  widths = [data.units(x) for x in layers]
  held = 4.0 * rows * max(widths)
  if not options.no_isomap:
    held += 8.0 * rows**2
  memory = forecast.PROGRAM + LIBRARIES + COPIES * held + BETWEEN * data.grid.size**2
  each = 8 + 3e-3 * rows + 0.02 * options.n_shuffles
  read = 2.0 * rows * sum(widths) * recordings
  seconds = each * len(layers) * recordings
  return Forecast('geometry', rows, sum(widths), read, memory, seconds)
