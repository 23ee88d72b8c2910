"""The tuning of every layer of a recording.

tables = run(Trajectories.open(path), Options())
tables['dyn/deter'].metrics['EVs']
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from dreamerv3.analysis.compatible import check_same
from dreamerv3.analysis.explain.covariates import Steps
from dreamerv3.analysis.tuning import block, table
from dreamerv3.analysis.tuning.maps import binned_path, border
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.base.progress import ProgressBar
from dreamerv3.data import layers
from dreamerv3.data.samples import Track
from dreamerv3.data.trajectories import Trajectories


@dataclasses.dataclass(frozen=True)
class Options:
  """How to measure; the flags of the same names in tuning_curve.py."""

  max_neurons: int = 0
  no_hd: bool = False
  n_shuffles: int = 200
  null: str = 'session'
  min_visits: int = 1
  sigma: float = 0.0
  n_jobs: int = 1
  seed: int = 0


def run(
  data: Trajectories,
  options: Options,
  names: Sequence[str] = (),
  test: Trajectories | None = None,
) -> dict[str, table.TuningTable]:
  """Measures layers one after another; one is in memory at a time.

  Args:
    names: of layers; all by default. A layer that holds the same numbers as
      another (see `layers.same_bytes`) is measured once.
    test: recording that held-out variance is computed on.

  Raises:
    UserError: no such layer, or a test recording of another world or network.
  """
  sizes = data.layers()
  names = list(names) or list(sizes)
  if test is not None:
    check_same(data, test, names)
  track = data.track()
  keep = binned_path.often_visited(track, data.grid, options.min_visits)
  steps = Steps.gather(data).rows(keep)
  setup = prepare(data, track.rows(keep), steps, options)
  held_out = None
  if test is not None:
    test_track = test.track()
    held_out = test_track, Design.build(test_track, test.grid)
  copies = dict(layers.same_bytes(sizes))
  copies = {k: v for k, v in copies.items() if {k, v} <= set(names)}
  chosen = {x: _sample(sizes[x], options) for x in names}
  own = [x for x in names if x not in copies]
  tables: dict[str, table.TuningTable] = {}
  with (
    ProgressBar(sum(len(chosen[x]) for x in own), 'unit') as progress,
    block.workers(setup, options.n_jobs) as workers,
  ):
    for name in own:
      step = functools.partial(progress.update, state=name)
      samples = data.layer(name, track)
      if not keep.all():
        samples = samples.rows(keep)
      other = None
      if test is not None and held_out is not None:
        other = test.layer(name, held_out[0]), held_out[1]
      tables[name] = table.measure(samples, setup, other, chosen[name], workers, step)
      del samples, other  # Before the next layer is read.
  for copy, original in copies.items():
    tables[copy] = dataclasses.replace(tables[original], layer=copy)
  return {x: tables[x] for x in names}


def prepare(
  data: Trajectories,
  track: Track,
  steps: Steps,
  options: Options,
  brief: bool = False,
) -> Setup:
  """What all layers share, of a recording's samples that are analysed."""
  walkable = data.metadata.walkable()
  walls = [] if walkable is None else border.find_walls(walkable)
  return Setup.build(
    Design.build(track, data.grid),
    walls,
    steps,
    n_shuffles=options.n_shuffles,
    null=options.null,
    seed=options.seed,
    sigma=options.sigma,
    hd=not options.no_hd,
    brief=brief,
  )


def _sample(units: int, options: Options) -> np.ndarray:
  """A random sample of units, sorted, or all of them."""
  if not 0 < options.max_neurons < units:
    return np.arange(units)
  rng = np.random.default_rng([options.seed, units])
  return np.sort(rng.choice(units, options.max_neurons, replace=False))
