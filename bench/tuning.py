"""How fast are the tuning metrics beside a library call per unit?

  python bench/tuning.py               # 3072 units, a few minutes
  python bench/tuning.py --units 512   # quicker
  python bench/tuning.py --layers      # every layer of a size1m recording
  python bench/tuning.py --rivals      # what the comparison with rivals costs

The reference computes the same metrics as published analyses do: pynapple for
curves and information (whole layer, and once per fold and half), scipy's
correlate2d and labels unit by unit. It is timed on a part of the units, since
its cost per unit does not depend on their number; the part is in the output.
Both take turns on the same data in this process; medians of the rounds count,
in seconds of CPU time, since other work on the machine stretches the clock.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import statistics
import sys
import time
import warnings
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
import psutil
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.stats

from dreamerv3.analysis.explain.covariates import Steps
from dreamerv3.analysis.tuning import block, table
from dreamerv3.analysis.tuning.maps import wall_profiles
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.border import find_walls
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Samples, Track
from tests import synthetic

AREA = (32, 32)
# Layers of a size1m agent and their units; 64 for each of the small ones.
SIZE1M = (8192, 3072, 1024, 256, 256, 128, 512, 64, 64, 64, 64, 64, 64)


def path(steps: int, episodes: int = 100) -> Track:
  """Random walks of `steps` in all."""
  rng = np.random.default_rng(0)
  tiles = synthetic.world(AREA, tuple((15, y) for y in range(5, 20)))
  length = steps // episodes
  pos, facing, _ = zip(
    *(synthetic.walk(tiles, length, rng) for _ in range(episodes)), strict=True
  )
  return Track(
    np.concatenate(pos),
    np.repeat(np.arange(episodes), length),
    np.tile(np.arange(1, length + 1), episodes),
    np.concatenate(facing).astype(np.int8),
  )


def activity(track: Track, units: int) -> np.ndarray:
  """Place fields in noise."""
  rng = np.random.default_rng(1)
  centre = rng.uniform(0, AREA, (units, 2))
  X = rng.random((len(track), units), np.float32)
  for start in range(0, units, 256):
    some = np.s_[start : start + 256]
    gap = ((track.pos[:, None] - centre[some]) ** 2).sum(-1)
    X[:, some] += np.exp(-gap / 8)
  return X


def reference(X: np.ndarray, design: Design, walls: np.ndarray) -> dict:
  """The metrics by calls of pynapple and scipy; seconds of each part."""
  clock = [time.process_time()]
  maps, _, _ = table.reference(X, design)
  clock.append(time.process_time())
  part = design.part
  for fold in np.unique(design.fold):
    test = design.fold[part] == fold
    curves = curves_of(X[~test], rows(design, ~test))
    predicted = curves[:, *design.track.pos[test].T].T
    known = np.isfinite(predicted).all(1)
    residual = X[test][known] - predicted[known]
    residual.var(0), X[test][known].var(0)
  odd = design.half[part] == 1
  halves = [curves_of(X[x], rows(design, x)) for x in (~odd, odd)]
  clock.append(time.process_time())
  curves_of(X, design, facing=True)  # place given facing, facing given place
  clock.append(time.process_time())
  both = np.isfinite(halves[0][0]) & np.isfinite(halves[1][0])
  for unit in range(X.shape[1]):
    np.corrcoef(halves[0][unit][both], halves[1][unit][both])
    autocorrelation(np.nan_to_num(maps[unit]))
    mutual(X[:, unit], design)
  clock.append(time.process_time())
  for unit in range(X.shape[1]):
    curve = design.from_map(maps[unit])
    shapes(curve, design, walls)
  clock.append(time.process_time())
  names = (
    'curves, information',
    'folds, halves',
    'place x facing',
    'autocorrelation, MI',
    'field and wall fits',
  )
  return dict(zip(names, np.diff(clock), strict=True))


def shapes(curve: np.ndarray, design: Design, walls: np.ndarray) -> None:
  """Border contrast, wall profiles, and one fitted field of one unit."""
  for distance in walls:
    near, far = curve[distance <= 1].mean(), curve[distance >= 3].mean()
    (near - far) / (near + far)
    for profile in wall_profiles.PROFILES:
      np.corrcoef(profile(distance), curve)
  x, y = np.divmod(design.classes, design.grid.height)

  def field(_: None, a: float, b: float, cx: float, cy: float, s: float) -> np.ndarray:
    return a + b * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * s**2))

  top = curve.argmax()
  start = (curve.min(), np.ptp(curve), x[top], y[top], 2.0)
  with contextlib.suppress(RuntimeError):  # no convergence costs time, too
    scipy.optimize.curve_fit(field, None, curve, start, maxfev=200)


def rows(design: Design, mask: np.ndarray) -> Design:
  """The design of some of its timesteps."""
  return Design.build(design.track.rows(mask), design.grid)


def curves_of(X: np.ndarray, design: Design, facing: bool = False) -> np.ndarray:
  """Tuning curves (D, W, H) or (D, 4) by pynapple."""
  import pynapple as nap

  t = np.arange(len(X), dtype=np.float64)
  data = nap.TsdFrame(t=t, d=X.astype(np.float64))
  columns, bins = design.track.pos, list(design.grid.shape)
  if facing:
    columns = np.column_stack([columns, design.heading])
    bins = [*bins, 4]
  features = nap.TsdFrame(t=t, d=columns.astype(np.float64))
  return nap.compute_tuning_curves(
    data,
    features,
    bins=bins,
    range=[(-0.5, n - 0.5) for n in bins],
    feature_names=['x', 'y', 'heading'][: len(bins)],
  ).to_numpy()


def autocorrelation(curve: np.ndarray) -> None:
  """Peaks, size and asymmetry of one unit's autocorrelation."""
  acg = scipy.signal.correlate2d(curve, curve)
  acg /= acg.max()
  top = (scipy.ndimage.maximum_filter(acg, 3) == acg) & (acg > 0.15)
  scipy.ndimage.label(top)
  label, _ = scipy.ndimage.label(acg > 0.5)
  core = np.argwhere(label == label[tuple(np.array(acg.shape) // 2)])
  if len(core) > 1:
    np.linalg.eigvalsh(np.cov(core.T))


def mutual(x: np.ndarray, design: Design) -> None:
  """Mutual information of one unit in three levels with the tile."""
  level = np.searchsorted(np.quantile(x, [1 / 3, 2 / 3]), x)
  joint = np.bincount(level * design.n_tiles + design.tile)
  scipy.stats.entropy(joint, base=2)


def seconds(
  function: Callable[..., object],
  *args: object,
  clock: Callable[[], float] = time.perf_counter,
) -> float:
  """Seconds that a call takes by `clock`."""
  start = clock()
  function(*args)
  return clock() - start


def compare(args: argparse.Namespace, track: Track) -> None:
  """Prints both times of each metric, and their ratio."""
  design = Design.build(track, Grid(*AREA))
  walkable = np.ones(AREA, bool)
  walkable[15, 5:20] = False
  walls = find_walls(walkable)
  X = activity(track, args.units)
  samples = Samples('layer', X, track)
  part = min(args.part, args.units)
  bare = Setup.build(design, walls, n_shuffles=0)
  tested = Setup.build(design, walls, n_shuffles=args.nulls)
  distance = design.from_map(np.stack([x.distance for x in walls]))
  reference(X[:, :8], design, distance)  # imports and compilation
  table.measure(samples, bare, units=np.arange(8))
  ours, theirs, clocks = [], [], []
  for _ in range(args.rounds):
    ours.append(seconds(table.measure, samples, bare, clock=time.process_time))
    start = time.perf_counter()
    parts = reference(X[:, :part], design, distance)
    clocks.append((time.perf_counter() - start) * args.units / part)
    theirs.append({k: v * args.units / part for k, v in parts.items()})
  with block.workers(bare, args.jobs) as workers:
    rounds = [
      seconds(table.measure, samples, bare, None, None, workers)
      for _ in range(args.rounds + 1)
    ]
  both = statistics.median(rounds[1:])  # without the start of the processes
  with block.workers(tested, args.jobs) as workers:
    table.measure(samples, tested, None, np.arange(8), workers)
    null = seconds(table.measure, samples, tested, None, None, workers)
  a = statistics.median(ours)
  b = statistics.median(sum(x.values()) for x in theirs)
  print(f'{args.units} units, {len(track)} timesteps, {AREA[0]}x{AREA[1]} tiles')
  for name in theirs[0]:
    middle = statistics.median(x[name] for x in theirs)
    print(f'reference: {name:24}{middle:9.2f} s')
  print(f'reference, {part} units timed       {b:9.2f} s')
  print(f'ours                               {a:9.2f} s  {b / a:.0f} times')
  c = statistics.median(clocks)
  print(
    f'by the clock, ours in {args.jobs} processes: reference {c:.2f} s, '
    f'ours {both:.2f} s, {c / both:.0f} times'
  )
  print(f'ours, {args.nulls} nulls, {args.jobs} processes, wall {null:9.2f} s')


def rivals(args: argparse.Namespace, track: Track) -> None:
  """CPU time with the rivals of place, and with facing alone, as it once was."""
  design = Design.build(track, Grid(*AREA))
  tiles = synthetic.world(AREA, tuple((15, y) for y in range(5, 20)))
  grass = synthetic.MATERIALS.index('grass')
  walls = find_walls(tiles == grass)
  samples = Samples('layer', activity(track, args.units), track)
  steps = Steps.of_track(track, tiles, (grass,))
  whole = Setup.build(design, walls, steps, n_shuffles=args.nulls)
  plain = Setup.build(design, walls, n_shuffles=args.nulls, brief=True)
  alone = plain.scorer.cells[:, :1]  # without the cells of the rivals
  scorer = dataclasses.replace(plain.scorer, rivals=None, cells=alone)
  plain = dataclasses.replace(plain, scorer=scorer)
  spent: dict[str, list[float]] = {'with': [], 'without': []}
  for _ in range(args.rounds):
    for name, setup in (('with', whole), ('without', plain)):
      spent[name].append(
        seconds(table.measure, samples, setup, clock=time.process_time)
      )
  a, b = (statistics.median(spent[x]) for x in ('with', 'without'))
  print(
    f'{args.units} units, {args.nulls} nulls, CPU time: with rivals {a:.1f} s, '
    f'without {b:.1f} s, {a / b:.1f} times'
  )


def layers(args: argparse.Namespace, track: Track) -> None:
  """All layers of a recording; one at a time in memory, as the script does."""
  design = Design.build(track, Grid(*AREA))
  walls = find_walls(np.ones(AREA, bool))
  start = time.perf_counter()
  setup = Setup.build(design, walls, n_shuffles=args.nulls)
  spent = time.perf_counter() - start
  me = psutil.Process()
  with block.workers(setup, args.jobs) as workers:
    for units in SIZE1M:
      samples = Samples('layer', activity(track, units), track)
      start = time.perf_counter()
      table.measure(samples, setup, workers=workers)
      spent += time.perf_counter() - start
      print(f'{units:6} units, {spent:8.2f} s so far', flush=True)
    others = me.children()
    times = [x.cpu_times() for x in others]
    cpu = sum(x.user + x.system for x in times)
    peaks = [peak(x.pid) for x in (me, *others)]
  largest = max(SIZE1M) * len(track) * 4 / 2**20
  print(f'{cpu:.0f} s of CPU time in {len(others)} other processes')
  print(
    f'largest layer {largest:.0f} MiB; peak of each process, all with what '
    f'they import: {", ".join(f"{x:.0f}" for x in peaks)} MiB'
  )


def peak(pid: int) -> float:
  """Largest resident memory [MiB] since the program started."""
  status = pathlib.Path(f'/proc/{pid}/status').read_text()
  return int(status.partition('VmHWM:')[2].split()[0]) / 1024


def main() -> None:
  """Measures the tuning of a planted layer."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--units', type=int, default=3072)
  parser.add_argument('--steps', type=int, default=20000)
  parser.add_argument('--nulls', type=int, default=200)
  parser.add_argument('--part', type=int, default=384)
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--jobs', type=int, default=2)
  parser.add_argument('--layers', action='store_true')
  parser.add_argument('--rivals', action='store_true')
  args = parser.parse_args()
  warnings.simplefilter('ignore')  # of pynapple, about empty bins
  track = path(args.steps)
  chosen = layers if args.layers else rivals if args.rivals else compare
  chosen(args, track)


if __name__ == '__main__':
  main()
