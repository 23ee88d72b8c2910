"""How do recordings and analyses of large networks grow? Laws, and projections.

  python bench/scale.py                           # small cases of size1m and size12m
  python bench/scale.py --cases size50m:100x300:0 # one large case, all units
  python bench/scale.py --stages tuning --memory 8 # promise 8 GiB, as SLURM does

A case is PRESET:EPISODESxSTEPS:UNITS, UNITS being a random sample of each layer for
tuning, 0 for all. Its recording is written by the project's own Recorder: the layers
of the preset's network, random walks in a world of 64x64 tiles, and activations that
follow 16 features of the place, with noise. It lies in a temporary folder and is
deleted after the case. Each stage is a process of its own, of which peak memory and
CPU seconds are those that the kernel counted, children included.

  record    the Recorder alone, once the network's layers are known
  layers    decode_position.py --mode layers of --layers, at most 500 iterations
  tuning    tuning_curve.py of all layers, with --nulls pairings, without figures
  geometry  manifold_analysis.py of dyn/deter, 20 pairings
  plots     plot_trajectories.py --plot heatmap

The laws are sums of what a stage counts (units, rows, tiles), each with a
non-negative factor, fitted to the cases by least squares of relative errors. They are
printed with their worst error on the cases themselves; beyond, they extrapolate.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import scipy.optimize

from dreamerv3.analysis.decoding.linear.discriminant import SKETCH
from dreamerv3.base.amounts import duration, size
from dreamerv3.data import layers as names
from dreamerv3.data.trajectories import Trajectories

CASES = (
  'size1m:10x100:24',
  'size1m:40x100:24',
  'size1m:30x300:24',
  'size1m:30x100:96',
  'size12m:20x100:24',
)
TARGETS = ('size50m:100x300', 'size200m:100x500', 'size200m:1000x500')
LAYERS = ('enc/cnn0', 'dyn/deter', 'pol/mlp/linear0')
FEATURES = 16
# Rows that cost a null as much as a visited tile; in small cases both grow together.
TILE_ROWS = 20
# Units of all layers and of the widest: linear in the preset's width.
WIDTHS = {
  'size1m': 64,
  'size12m': 256,
  'size25m': 384,
  'size50m': 512,
  'size200m': 1024,
}
UNITS, WIDEST, OTHERS = 418, 128, 21


class SizeCase(NamedTuple):
  """A recording to be made: of how many units each layer is tuned, 0 for all."""

  preset: str
  episodes: int
  steps: int
  units: int

  @classmethod
  def parse(cls, text: str) -> 'SizeCase':
    """Reads PRESET:EPISODESxSTEPS[:UNITS]."""
    found = re.fullmatch(r'(\w+):(\d+)x(\d+)(?::(\d+))?', text)
    if not found:
      raise SystemExit(f'{text} is no case; expected PRESET:EPISODESxSTEPS:UNITS.')
    preset, *numbers = found.groups()
    return cls(preset, *(int(x or 0) for x in numbers))

  def __str__(self) -> str:
    return f'{self.preset}:{self.episodes}x{self.steps}:{self.units}'


class Spent(NamedTuple):
  """What a process took: CPU seconds, peak bytes, bytes given to the disk."""

  seconds: float
  peak: float
  written: float


class Counts(NamedTuple):
  """What the laws count: rows, visited tiles, and units of layers.

  tuned: units that were tuned; decoded: those of the layers that were decoded.
  """

  rows: float
  tiles: float
  total: float
  widest: float
  tuned: float
  decoded: float


# What the CPU seconds, and the bytes, of each stage are sums of.
Terms = Callable[[Counts], list[float]]
LAWS: dict[str, tuple[str, Terms, str, Terms]] = {
  'record': (
    '1, rows units',
    lambda x: [1, x.rows * x.total],
    '1, units',
    lambda x: [1, x.total],
  ),
  'layers': (
    '1, rows units, (tiles + 512)^3',
    lambda x: [1, min(x.rows, 1e4) * x.decoded, (x.tiles + SKETCH) ** 3],
    '1, tiles units, (tiles + 512)^2',
    lambda x: [1, x.tiles * x.widest, (x.tiles + SKETCH) ** 2],
  ),
  'tuning': (
    '1, tiles, tuned (tiles + rows / 20)',
    lambda x: [1, x.tiles, x.tuned * (x.tiles + x.rows / TILE_ROWS)],
    '1, tiles, tuned',
    lambda x: [1, x.tiles, x.tuned],
  ),
  'geometry': (
    '1, rows',
    lambda x: [1, min(x.rows, 4000)],
    '1, rows',
    lambda x: [1, x.rows],
  ),
  'plots': ('1, rows', lambda x: [1, x.rows], '1, rows', lambda x: [1, x.rows]),
}


def spend(words: Sequence[str], memory: float) -> Spent:
  """Runs a command, with the job's memory promised as SLURM does."""
  known = {**os.environ, 'OMP_NUM_THREADS': '1', 'JAX_PLATFORMS': 'cpu'}
  if memory:
    known['SLURM_MEM_PER_NODE'] = f'{memory:.0f}G'
  command = [sys.executable, *words]
  with tempfile.TemporaryFile('w+') as out:
    process = subprocess.Popen(command, cwd=ROOT, env=known, stdout=out, stderr=out)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    out.seek(0)
    text = out.read()
  if status:
    raise SystemExit(f'{" ".join(command)} failed:\n{text[-2000:]}')
  for line in text.splitlines():
    if line.startswith('Plan: '):
      print(f'    {line}')
  seconds = used.ru_utime + used.ru_stime
  return Spent(seconds, 1024.0 * used.ru_maxrss, 512.0 * used.ru_oublock)


def commands(case: SizeCase, folder: pathlib.Path, nulls: int) -> dict[str, list[str]]:
  """{stage: words of its command}."""
  data = str(folder / 'trajectories')

  def program(name: str, *words: str) -> list[str]:
    return [
      f'dreamerv3/{name}.py',
      '--data',
      data,
      '--save',
      str(folder / name),
      *words,
    ]

  decode = ['--mode', 'layers', '--layers', *LAYERS, '--n_iters', '500']
  tune = ['--n_shuffles', str(nulls), '--no_plots', '--no_intervals']
  tune += ['--max_neurons', str(case.units)] if case.units else []
  return {
    'layers': program('decode_position', *decode, '--no-perception'),
    'tuning': program('tuning_curve', *tune),
    'geometry': program('manifold_analysis', '--n_shuffles', '20', '--n_boot', '50'),
    'plots': program('plot_trajectories', '--plot', 'heatmap'),
  }


def measure(
  case: SizeCase, args: argparse.Namespace
) -> tuple[Counts, dict[str, Spent]]:
  """Makes a recording, does the stages, and deletes it."""
  memory = args.memory
  with tempfile.TemporaryDirectory(prefix='scale', dir=args.folder) as name:
    folder = pathlib.Path(name)
    print(case)
    bare = spend([__file__, '--make', str(folder / 'none'), '--cases', str(case)], 0)
    make = [__file__, '--make', str(folder / 'trajectories'), '--cases', str(case)]
    made = spend([*make, '--write'], memory)
    found = {'record': made._replace(seconds=max(made.seconds - bare.seconds, 0.1))}
    data = Trajectories.open(folder / 'trajectories')
    nbytes = sum(x.stat().st_size for x in (folder / 'trajectories').iterdir())
    print(f'    {size(nbytes)}, disk saw {made.written / nbytes:.2f} times as much')
    for stage, words in commands(case, folder, args.nulls).items():
      if stage not in args.stages:
        continue
      found[stage] = spend(words, memory)
      x = found[stage]
      print(f'    {stage:9} {x.seconds:8.1f} CPU s  peak {size(x.peak)}', flush=True)
    return counts(case, data), found


def counts(case: SizeCase, data: Trajectories) -> Counts:
  """What the laws count of a recording."""
  sizes, track = data.layers(), data.track()
  own = [v for k, v in sizes.items() if k not in dict(names.same_bytes(sizes))]
  return Counts(
    rows=len(track),
    tiles=float((data.grid.count(track.pos) > 0).sum()),
    total=sum(sizes.values()),
    widest=max(sizes.values()),
    tuned=sum(min(x, case.units or x) for x in own),
    decoded=sum(sizes[x] for x in LAYERS),
  )


def target(case: SizeCase, tiles: float) -> Counts:
  """The counts of a recording that is not made."""
  width = WIDTHS[case.preset]
  total, rows = UNITS * width + OTHERS, case.episodes * (case.steps - 1)
  return Counts(rows, tiles, total, WIDEST * width, total, (WIDEST + 9) * width)


def fit(terms: Terms, cases: Sequence[Counts], values: Sequence[float]) -> np.ndarray:
  """Non-negative factors of the terms, by least squares of relative errors."""
  A = np.array([terms(x) for x in cases], float) / np.array(values)[:, None]
  scale = A.max(0)
  factors: np.ndarray = scipy.optimize.nnls(A / scale, np.ones(len(A)))[0] / scale
  return factors


def report(found: Sequence[tuple[Counts, dict[str, Spent]]]) -> None:
  """Prints the laws, their errors on the cases, and the projections."""
  cases = [x for x, _ in found]
  most = max(x.tiles for x in cases)
  for stage, (time, seconds, room, peaks) in LAWS.items():
    if stage not in found[0][1]:
      continue
    spent = [x[stage] for _, x in found]
    for what, of, terms, values in (
      ('CPU s', time, seconds, [x.seconds for x in spent]),
      ('bytes', room, peaks, [x.peak for x in spent]),
    ):
      factors = fit(terms, cases, values)
      guess = np.array([terms(x) for x in cases]) @ factors
      worst = float(abs(guess / np.array(values) - 1).max())
      law = ', '.join(f'{x:.3g}' for x in factors)
      print(f'{stage:9} {what}: ({law}) x ({of}); worst error {worst:.0%}')
      for text in TARGETS:
        there = target(SizeCase.parse(text), most)
        value = float(np.dot(terms(there), factors))
        said = duration(value) if what == 'CPU s' else size(value)
        print(f'            {text:20} {said}')


def make(case: SizeCase, folder: pathlib.Path, write: bool) -> None:
  """Writes the recording of a case; without `write`, all but the writing."""
  from bench.record import RecordBench
  from dreamerv3.recording.recorder import VALUES, Recorder
  from tests import synthetic

  agent = RecordBench(case.preset, '.*', 'cpu', task='crafter')
  rng = np.random.default_rng(0)
  widths: dict[str, int] = {}
  for x in agent.columns:
    widths[x.group] = max(widths.get(x.group, 0), x.stop)
  dtypes = {x.group: x.dtype for x in agent.columns}
  mix = {
    k: rng.normal(size=(FEATURES, v)).astype(np.float32)
    for k, v in widths.items()
    if k != 'image'
  }
  tiles = synthetic.world((64, 64))
  ways = [synthetic.walk(tiles, case.steps, rng) for _ in range(case.episodes)]
  if not write:
    return
  centres = rng.uniform(0, 64, (FEATURES, 2))
  image = np.zeros(widths['image'], np.uint8)
  blank = {k: np.ones(v[1]) for k, v in VALUES.items()}
  with Recorder(folder, agent.metadata, agent.columns) as recorder:
    for k, (pos, facing, action) in enumerate(ways):
      writing = recorder.begin(k + 1)
      near = np.exp(-((pos[:, None] - centres) ** 2).sum(2) / 200)
      near += 0.2 * rng.normal(size=near.shape)
      for t in range(case.steps):
        rows = {n: (near[t] @ v).astype(dtypes[n]) for n, v in mix.items()}
        values = {
          **blank,
          'player_pos': pos[t],
          'player_facing': facing[t],
          'action': action[t],
          'achievements': {},
        }
        writing.add({'image': image, **rows}, values)
      writing.end(seed=0)
    recorder.flush()


def main() -> None:
  """Measures the cases, or makes one of them."""
  parser = argparse.ArgumentParser(description=str(__doc__).split('\n', 1)[0])
  parser.add_argument('--cases', nargs='+', default=CASES)
  parser.add_argument('--nulls', type=int, default=200)
  parser.add_argument('--stages', nargs='+', default=list(LAWS), choices=list(LAWS))
  parser.add_argument('--memory', type=float, default=0, help='GiB; 0: as it is')
  parser.add_argument('--folder', help='Where recordings lie for a while.')
  parser.add_argument('--make', help=argparse.SUPPRESS)
  parser.add_argument('--write', action='store_true', help=argparse.SUPPRESS)
  args = parser.parse_args()
  cases = [SizeCase.parse(x) for x in args.cases]
  if args.make:
    make(cases[0], pathlib.Path(args.make), args.write)
    return
  found = [measure(x, args) for x in cases]
  if len(found) > 3:  # more than a law has factors
    report(found)


if __name__ == '__main__':
  main()
