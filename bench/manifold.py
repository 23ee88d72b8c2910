"""Time and memory of the pairwise similarity, beside scipy's distances of all pairs.

  python bench/manifold.py                  # 4,000 and 20,000 rows, a few minutes
  python bench/manifold.py --rows 2000 --units 128

Each side runs in a process of its own, so that its peak is its own. scipy's side is
what a notebook does: `pdist` of the activations (cosine) and of the places, and
Spearman's correlation of the two. Ours works through blocks, leaves out the pairs of
one episode and sums up what intervals, partial correlation and histogram need. At
20,000 rows scipy's distances fill 3.2 GB; their ranks are left out (`--ranks`: 16 GB).
"""

import argparse
import multiprocessing
import pathlib
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

SIDE = 32  # [tiles] of the world
LENGTH = 150  # timesteps of an episode
RANKED = 8000  # rows up to which scipy ranks, too


def planted(rows: int, units: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Activations (N, D) that tell the place in part, places (N, 2), episodes (N,)."""
  rng = np.random.default_rng(0)
  pos = rng.integers(SIDE, size=(rows, 2))
  plan = rng.standard_normal((2, units))
  X = np.tanh(pos / SIDE @ plan) + rng.standard_normal((rows, units))
  return X.astype(np.float32), pos, np.arange(rows) // LENGTH


def ours(rows: int, units: int, ranks: bool) -> float:
  """SRSA between episodes, with all that is summed up beside it."""
  del ranks
  from dreamerv3.analysis.geometry import space
  from dreamerv3.analysis.geometry.similarity import Similarity
  from dreamerv3.data.grid import Grid

  X, pos, episode = planted(rows, units)
  grid = Grid(SIDE, SIDE)
  t = np.arange(rows) % LENGTH
  found = Similarity.of(X, grid.to_class(pos), space.straight(grid), episode, t)
  return found.srsa


def scipys(rows: int, units: int, ranks: bool) -> float:
  """Distances of all pairs, and their rank correlation where it fits."""
  from scipy.spatial.distance import pdist
  from scipy.stats import spearmanr

  X, pos, _ = planted(rows, units)
  code, apart = pdist(X, 'cosine'), pdist(pos)
  if rows > RANKED and not ranks:
    return float('nan')
  return float(spearmanr(code, apart).statistic)


def measured(
  work: Callable[[int, int, bool], float], rows: int, units: int, ranks: bool
) -> tuple[float, float, float]:
  """What work finds, its CPU time [s] and its peak memory [MiB], in a fresh process."""
  context = multiprocessing.get_context('spawn')
  here, there = context.Pipe(duplex=False)
  process = context.Process(target=_run, args=(there, work, rows, units, ranks))
  process.start()
  there.close()
  found, seconds, peak = here.recv()
  process.join()
  return found, seconds, peak


def _run(
  pipe: Connection,
  work: Callable[[int, int, bool], float],
  rows: int,
  units: int,
  ranks: bool,
) -> None:
  work(2 * LENGTH, 8, False)  # imports, and what libraries set up once
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  start = time.process_time()
  found = work(rows, units, ranks)
  seconds = time.process_time() - start
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
  pipe.send((found, seconds, peak / 1024))


def main() -> None:
  """Prints a table with the ratios."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').partition('\n')[0])
  parser.add_argument('--rows', type=int, nargs='+', default=[4000, 20000])
  parser.add_argument('--units', type=int, default=512)
  parser.add_argument('--ranks', action='store_true', help='rank all pairs in scipy')
  args = parser.parse_args()
  print('| rows | | CPU time [s] | peak beyond imports [MiB] | sRSA |')
  print('|---|---|---|---|---|')
  for rows in args.rows:
    sides = [measured(x, rows, args.units, args.ranks) for x in (ours, scipys)]
    for name, (found, seconds, peak) in zip(('ours', 'scipy'), sides, strict=True):
      print(f'| {rows} | {name} | {seconds:.1f} | {peak:.0f} | {found:.4f} |')
    times, peaks = (sides[1][k] / max(sides[0][k], 1e-9) for k in (1, 2))
    print(f'| {rows} | scipy / ours | {times:.1f} | {peaks:.1f} | |', flush=True)


if __name__ == '__main__':
  main()
