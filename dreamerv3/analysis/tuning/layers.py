"""The tuning of every layer of a recording.

tables = run(Trajectories.open(path), Options())
tables['dyn/deter'].metrics['EVs']
"""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from dreamerv3.analysis import devices, forecast, parallel
from dreamerv3.analysis.compatible import check_same
from dreamerv3.analysis.explain import covariates
from dreamerv3.analysis.explain.covariates import Steps
from dreamerv3.analysis.forecast import Forecast
from dreamerv3.analysis.tuning import block, results, table
from dreamerv3.analysis.tuning.maps import binned_path, border, drift, grids
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.base.progress import ProgressBar
from dreamerv3.data import layers
from dreamerv3.data.activations import StoredUnits
from dreamerv3.data.metadata import Metadata
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
  device: str = 'cpu'


def run(
  data: Trajectories,
  options: Options,
  names: Sequence[str] = (),
  test: Trajectories | None = None,
  folder: pathlib.Path | None = None,
) -> dict[str, table.TuningTable]:
  """Measures layers one after another; blocks of units are read as they are needed.

  Args:
    names: of layers; all by default. A layer that holds the same numbers as
      another (see `layers.same_bytes`) is measured once.
    test: recording that held-out variance is computed on.
    folder: on a disk where maps lie until nothing looks at them; in memory without.

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
  setup = prepare(data.metadata, track.rows(keep), steps, options)
  held_out = None
  if test is not None:
    held_out = Design.build(test.track(), test.grid)
  copies = dict(layers.same_bytes(sizes))
  copies = {k: v for k, v in copies.items() if {k, v} <= set(names)}
  chosen = {x: _sample(sizes[x], options) for x in names}
  most = min(forecast.AHEAD, forecast.budget() / 4)
  own = [x for x in names if x not in copies]
  tables: dict[str, table.TuningTable] = {}
  with (
    ProgressBar(sum(len(chosen[x]) for x in own), 'unit') as progress,
    block.workers(setup, options.n_jobs) as workers,
  ):
    for name in own:
      step = functools.partial(progress.update, state=name)
      samples = StoredUnits(name, data.activations(name), keep)
      other = None
      if test is not None and held_out is not None:
        other = StoredUnits(name, test.activations(name)), held_out
      tables[name] = table.measure(
        samples, setup, other, chosen[name], workers, step, most, folder
      )
  for copy, original in copies.items():
    tables[copy] = dataclasses.replace(tables[original], layer=copy)
  return {x: tables[x] for x in names}


def foresee(
  data: Trajectories,
  options: Options,
  names: Sequence[str] = (),
  test: Trajectories | None = None,
  control: Trajectories | None = None,
) -> Forecast:
  """What `run` will need, of a recording and of its control. Args: see `run`.

  Seconds and bytes are laws fitted to measurements, see docs/scale.md.
  """
  sizes = data.layers()
  units = {x: len(_sample(sizes[x], options)) for x in names or sizes}
  track = data.track()
  rows, tiles = len(track), int((data.grid.count(track.pos) > 0).sum())
  every = rows + sum(len(x.track()) for x in (test, control) if x is not None)
  total, widest = sum(units.values()), max(units.values())
  block_units = min(table.block_units(rows), widest)
  nulls, jobs = options.n_shuffles, parallel.count(options.n_jobs)
  ahead = min(forecast.AHEAD, forecast.budget() / 4, 4.0 * rows * widest)
  recordings = 1 if control is None else 2
  maps = 4.0 * recordings * total * data.grid.size  # as they are saved
  if maps > results.WHOLE:
    maps = 4.0 * widest * tiles
  memory = (
    forecast.PROGRAM
    + rows * (4 * nulls + SETUP_ROW)
    + tiles * (SETUP_TILE + jobs * block_units * BLOCK_TILE)
    + max(ahead, 4 * rows * block_units)
    + jobs * block_units * rows * BLOCK_ROW
    + recordings * total * UNIT
    + maps
  )
  gpu, free = 0.0, 0.0
  if options.device != 'cpu':
    gpu = jobs * (CONTEXT + block_units * rows * GPU_ROW)
    free = devices.free(devices.devices(options.device)[0])
    memory += jobs * TORCH
    nulls = 0
  each = unit_seconds(rows, tiles, nulls)
  seconds = START + recordings * (SETUP_TIME * tiles + total * each) + OPENING * every
  read = 2.0 * every * total
  return Forecast('tuning', every, total, read, memory, seconds, gpu=gpu, gpu_free=free)


# Bytes of the setup per row and visited tile; of a unit.
SETUP_ROW, SETUP_TILE, UNIT = 700, 20e3, 3000
# Bytes of a block's arrays per unit and row, and per unit and visited tile.
BLOCK_ROW, BLOCK_TILE = 24, 450
# Bytes that a process holds of torch with CUDA, on the host and on the GPU, by guess;
# those of the GPU per row and unit: activations, those of all cells, and their sums.
TORCH, CONTEXT, GPU_ROW = 2e9, 0.5e9, 24
# CPU seconds of a unit and pairing per row and tile; pairings that all else costs.
ROW, TILE, OTHER = 0.5e-9, 10e-9, 110
# Of imports; of the setup per tile; of reading what is known of a row.
START, SETUP_TIME, OPENING = 2.4, 0.6e-3, 0.2e-3


def unit_seconds(rows: int, tiles: int, nulls: int) -> float:
  """CPU seconds that a unit takes, of an idle core."""
  return (nulls + OTHER) * (ROW * rows + TILE * tiles)


def lacks(data: Trajectories, options: Options) -> list[str]:
  """What the recording lacks for this analysis, and what that costs."""
  lines = [x for x in data.lacks if not x.startswith(_UNUSED)]
  if data.metadata.world_map is None:
    lines.append(
      'without a world map: no border scores, and no view or boundaries to compare '
      'a code of place with'
    )
  faced = any((x.facing != 0).any() for x in data.episodes)
  if not faced and not options.no_hd:
    lines.append('without facing: no head direction, no HD cells, no view')
  if not all('action' in x.arrays for x in data.episodes):
    lines.append('without actions: no cells of the last action')
  track = data.track()
  if not grids.large_enough(data.grid.count(track.pos)):
    lines.append('too little of the world was visited to look for grid cells')
  if drift.uneven(track.episode):
    lines.append(
      'one half of the episodes holds far more timesteps than the other: no test of '
      'remapping'
    )
  if (np.ptp(track.pos, axis=0) <= 2 * covariates.VIEW).all():
    lines.append(
      'no more was visited than the view shows: place, walls and view are one thing '
      'there, and which of them names a unit is chance'
    )
  if len(data) < 2 and options.null == 'session' and options.n_shuffles:
    lines.append('one episode: no other to pair it with, so no tests; try --null shift')
  return lines


_UNUSED = ('no achievements', 'no images')


def prepare(
  about: Metadata,
  track: Track,
  steps: Steps,
  options: Options,
  brief: bool = False,
) -> Setup:
  """What all layers share, of a recording's samples that are analysed."""
  walkable = about.walkable()
  walls = [] if walkable is None else border.find_walls(walkable)
  return Setup.build(
    Design.build(track, about.grid),
    walls,
    steps,
    n_shuffles=options.n_shuffles,
    null=options.null,
    seed=options.seed,
    sigma=options.sigma,
    hd=not options.no_hd,
    brief=brief,
    device=devices.devices(options.device)[0],
  )


def _sample(units: int, options: Options) -> np.ndarray:
  """A random sample of units, sorted, or all of them."""
  if not 0 < options.max_neurons < units:
    return np.arange(units)
  rng = np.random.default_rng([options.seed, units])
  return np.sort(rng.choice(units, options.max_neurons, replace=False))
