"""Are planted units called what they are? The confusion table of the classes.

  python bench/classes.py                    # minutes on one core
  python bench/classes.py --seeds 1 --noise 0.1
  python bench/classes.py --calibration      # noise alone, more paths

Every class, clear in noise of 0.1 and 0.2 of the amplitude and drowned in twice
the amplitude, in an open and an obstructed world, on random walks and on walks
that string the moves of real recordings together. Also how often noise passes
each test at 5 %.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from dreamerv3.analysis.tuning import cell_types, table
from dreamerv3.analysis.tuning.cell_types import NAMES, Thresholds
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.border import find_walls
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Samples
from tests.analysis import planted, planted_kinds

RECORDINGS = pathlib.Path(__file__).resolve().parents[1] / 'tests/fixtures/recordings'
Found = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]


def classify(
  seed: int, obstructed: bool, real: bool, noise: float, each: int, nulls: int
) -> Found:
  """Truth and found class of planted units, and p of those that are noise."""
  rng = np.random.default_rng(seed)
  tiles = planted.world(obstructed=obstructed)
  track = (
    planted_kinds.replayed(tiles, rng, RECORDINGS)
    if real
    else planted.track(tiles, rng, 50)
  )
  units = planted_kinds.kinds(tiles, track, rng, each=each, noise=noise)
  design = Design.build(track, Grid(*tiles.shape))
  walls = find_walls(planted.free(tiles))
  setup = Setup.build(design, walls, units.steps, n_shuffles=nulls, seed=seed)
  found = table.measure(units.samples, setup)
  ids = cell_types.by_test(found.metrics, found.q, Thresholds(), found.p)
  silent = units.truth == cell_types.UNTUNED
  return units.truth, ids, {k: p[silent] for k, p in found.p.items()}


def show(truth: np.ndarray, ids: np.ndarray) -> None:
  """Prints the confusion table; right is untuned or weak for drowned units."""
  n = len(NAMES)
  counts = np.bincount(truth * n + ids, minlength=n * n).reshape(n, n)
  columns = np.flatnonzero(counts.sum(0))
  print('| true | ' + ' | '.join(NAMES[k] for k in columns) + ' | right |')
  print('|---|' + '--:|' * (len(columns) + 1))
  for k in np.flatnonzero(counts.sum(1)):
    right = counts[k, k]
    if k == cell_types.WEAK:
      right += counts[k, cell_types.UNTUNED]
    name = {cell_types.WEAK: 'drowned', cell_types.UNTUNED: 'noise'}.get(
      int(k), NAMES[k]
    )
    cells = ' | '.join(str(counts[k, j]) for j in columns)
    print(f'| {name} | {cells} | {right / counts[k].sum():.1%} |')


def calibrate(recordings: int = 12) -> None:
  """Prints how much noise passes each test at 5 %, with its error over paths."""
  passed: dict[str, list[float]] = {}
  for seed in range(recordings):
    rng = np.random.default_rng(100 + seed)
    tiles = planted.world((16, 16), obstructed=False)
    tiles[5, 5:9] = tiles[11, 3:6] = 3
    track = (
      planted.track(tiles, rng, 30, 160)
      if seed % 2
      else planted_kinds.replayed(tiles, rng, RECORDINGS, 30, 160)
    )
    steps = planted_kinds.last_actions(track, tiles, rng)
    noise = [planted.slow_noise(track, 60, rho, rng) for rho in (0.9, 0.98)]
    samples = Samples('noise', np.concatenate(noise, 1).astype(np.float32), track)
    design = Design.build(track, Grid(*tiles.shape))
    setup = Setup.build(design, (), steps, n_shuffles=99, seed=seed, brief=True)
    for name, p in table.measure(samples, setup).p.items():
      passed.setdefault(name, []).append(float((p <= 0.05).mean()))
  print(f'noise with p <= 0.05, {recordings} paths of 120 units:')
  for name, found in passed.items():
    error = np.std(found) / np.sqrt(len(found))
    print(f'  {name:16}{np.mean(found):.1%} +- {error:.1%}')


def main() -> None:
  """Prints the table of each noise level."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--seeds', type=int, default=2)
  parser.add_argument('--each', type=int, default=12)
  parser.add_argument('--nulls', type=int, default=200)
  parser.add_argument('--noise', type=float, nargs='+', default=(0.1, 0.2))
  parser.add_argument('--calibration', action='store_true')
  args = parser.parse_args()
  if args.calibration:
    calibrate()
    return
  for noise in args.noise:
    found = [
      classify(seed, obstructed, real, noise, args.each, args.nulls)
      for seed in range(args.seeds)
      for obstructed in (False, True)
      for real in (False, True)
    ]
    print(f'\nnoise {noise} of the amplitude, {len(found)} recordings')
    show(*(np.concatenate([x[k] for x in found]) for k in (0, 1)))
    passed = {
      k: np.mean(np.concatenate([x[2][k] for x in found]) <= 0.05) for k in found[0][2]
    }
    text = ', '.join(f'{k} {v:.1%}' for k, v in passed.items())
    print(f'noise with p <= 0.05: {text}')


if __name__ == '__main__':
  main()
