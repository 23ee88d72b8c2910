"""Position decoding beside the protocol it replaces: error, time, memory.

The reference is the softmax of the older protocol: one output per tile of the
world, AdamW (learning rate 1e-3, weight decay 0.3), 5000 iterations, each on
75 % of the training rows drawn with replacement.

  python bench/decode.py quality      # held-out error, 5 folds per problem
  python bench/decode.py standard     # 512 units, 15,900 timesteps, 10 folds
  python bench/decode.py layers       # all layers of size1m, 10,000 timesteps
  python bench/decode.py quality --data trajectories --area 64 64
"""

import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import argparse
import resource
import subprocess
import tempfile
import time

import numpy as np
import torch

from bench import decode_codes
from dreamerv3.analysis.decoding import folds as shared
from dreamerv3.analysis.decoding import layers as decode
from dreamerv3.analysis.decoding import splits
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.base.host import job
from dreamerv3.data.grid import Grid, manhattan
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic

ITERATIONS, RATE, DECAY, SHARE = 5000, 1e-3, 0.3, 0.75
# Layers of the size1m agent, [units].
SIZE1M = {
  'enc/cnn0': 8192,
  'enc/cnn1': 3072,
  'enc/cnn2': 1024,
  'enc/cnn3': 256,
  'dyn/stoch': 128,
  'dyn/deter': 512,
  'dyn/prior0': 64,
  'dyn/prior1': 64,
  'dyn/prior': 128,
  'dyn/obs0': 64,
  'dyn/post': 128,
  'dec/mlp0': 64,
  'dec/space': 1024,
  'rew/mlp/linear0': 64,
  'con/mlp/linear0': 64,
  **{f'{x}/mlp/linear{i}': 64 for x in ('pol', 'val') for i in range(3)},
}


def reference(
  X: np.ndarray,
  y: np.ndarray,
  outputs: int,
  iterations: int,
  device: str,
  seed: int = 0,
) -> tuple[np.ndarray, float]:
  """Weights (D, outputs) after some iterations, and seconds they took."""
  torch.manual_seed(seed)
  inputs, labels = torch.tensor(X).to(device), torch.tensor(y).to(device)
  model = torch.nn.Linear(X.shape[1], outputs, bias=False).to(device)
  adam = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
  start = time.perf_counter()
  for _ in range(iterations):
    rows = torch.randint(len(X), (int(SHARE * len(X)),), device=device)
    loss = torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows])
    adam.zero_grad()
    loss.backward()
    adam.step()
  loss.item()
  return model.weight.detach().T.cpu().numpy(), time.perf_counter() - start


def record(
  folder: pathlib.Path,
  codes: dict[str, decode_codes.Code],
  area: tuple[int, int],
  episodes: int,
  length: int,
  seed: int = 0,
) -> pathlib.Path:
  """Walks from the middle of a world with obstacles, as the agent's start."""
  tiles = synthetic.world(area)
  tiles[np.random.default_rng(seed).random(area) < 0.15] = 3
  centre = (area[0] // 2, area[1] // 2)
  tiles[centre] = synthetic.MATERIALS.index('grass')
  return synthetic.record(
    folder,
    codes,
    episodes=episodes,
    length=length,
    tiles=tiles,
    seed=seed,
    start=centre,
    rest=0.5,
  )


def quality(args: argparse.Namespace, folder: pathlib.Path) -> None:
  """Held-out error of both on the same folds, the reference to its end."""
  if args.data:
    data = Trajectories.open(args.data, args.area)
    for layer in args.layers or ['deter', 'stoch']:
      compare(args, pathlib.Path(args.data).name, data, layer)
    return
  for name in args.layers or decode_codes.PROBLEMS:
    code, units, area, noise = decode_codes.PROBLEMS[name]
    codes = {'dyn/deter': code(units, 1, area, noise)}
    path = record(folder / name, codes, area, episodes=12, length=70)
    compare(args, name, Trajectories.open(path), 'dyn/deter')


def compare(
  args: argparse.Namespace, name: str, data: Trajectories, layer: str
) -> None:
  """One line: errors of both, and their difference over the folds."""
  track, grid = data.track(), data.grid
  parts = splits.folds(track.episode, args.splits, 0)
  folds = shared.make_folds(track, grid, parts, 0)
  options = FitOptions(device=args.device)
  found = decode.decode_layers(data, [layer], folds, options, args.n_jobs)
  result, _ = next(iter(found))
  X = data.layer(layer, track).X
  theirs, ours, floor = [], [], []
  for i, split in enumerate(parts):
    classes, y = np.unique(grid.to_class(track.pos[split.train]), return_inverse=True)
    W, _ = reference(X[split.train], y, len(classes), args.iterations, args.device, i)
    pred = grid.to_pos(classes[(X[split.test] @ W).argmax(1)])
    theirs.append(manhattan(pred, track.pos[split.test]).mean())
    # Of the most probable tile, as the reference's.
    ours.append(result.argmax[result.fold == i].mean())
    floor.append(folds[i].best_constant.mean())
  gap = np.array(ours) - np.array(theirs)
  sem = gap.std(ddof=1) / len(gap) ** 0.5
  print(
    f'{name:14} {layer:10} {X.shape} {len(parts)} folds: ours '
    f'{np.mean(ours):.3f}, reference {np.mean(theirs):.3f}, difference '
    f'{gap.mean():+.3f} +- {sem:.3f} tiles (constant {np.mean(floor):.2f})',
    flush=True,
  )


def standard(args: argparse.Namespace, folder: pathlib.Path) -> None:
  """10 grouped folds of one representation against the reference's."""
  area = (64, 64)
  codes = {'dyn/deter': decode_codes.place_code(512, 1, area, 1.0)}
  path = record(folder, codes, area, episodes=90, length=203)
  data = Trajectories.open(path)
  track, grid = data.track(), data.grid
  parts = splits.folds(track.episode, 10, 0)
  X = data.layer('dyn/deter').X
  train = parts[0].train
  _, seconds = reference(
    X[train],
    grid.to_class(track.pos[train]),
    Grid(*area).size,
    args.its,
    args.device,
  )
  each = seconds / args.its
  start, cpu = time.perf_counter(), time.process_time()
  folds = shared.make_folds(track, grid, parts, 0)
  options = FitOptions(device=args.device)
  found = decode.decode_layers(data, ['dyn/deter'], folds, options, args.n_jobs)
  result, _ = next(iter(found))
  ours, cpu = time.perf_counter() - start, time.process_time() - cpu
  whole = each * ITERATIONS * len(parts)
  print(
    f'{X.shape[0]} timesteps, {X.shape[1]} units, {len(data)} episodes, '
    f'{(result.visits > 0).sum()} tiles of {grid.size} visited, {len(parts)} '
    f'folds, {job.cpus()} cores, {args.device}\n'
    f'reference: {each:.2f} s per iteration over {args.its}; {ITERATIONS} x '
    f'{len(parts)} folds extrapolated: {whole:.0f} s\n'
    f'ours, chance levels included: {ours:.1f} s ({cpu:.1f} s of CPU time), '
    f'error {result.errors.mean():.2f} tiles; ratio {whole / ours:.0f}'
  )


def layers(args: argparse.Namespace, folder: pathlib.Path) -> None:
  """The script on all layers of a size1m-like recording: time and memory."""
  area = (64, 64)
  wide, code = decode_codes.rectified, decode_codes.place_code
  codes = {
    x: (wide if x.startswith('enc') else code)(n, i, area, 1.0)
    for i, (x, n) in enumerate(SIZE1M.items())
  }
  path = record(folder, codes, area, episodes=56, length=204)
  steps = len(Trajectories.open(path).track())
  start = time.perf_counter()
  subprocess.run(
    [
      sys.executable,
      'dreamerv3/decode_position.py',
      '--mode',
      'layers',
      '--data',
      path,
      '--save',
      folder / 'results',
      '--n_jobs',
      str(args.n_jobs),
      '--device',
      args.device,
    ],
    cwd=sys.path[0],
    check=True,
  )
  seconds = time.perf_counter() - start
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  peak, cpu = used.ru_maxrss / 1024, used.ru_utime + used.ru_stime
  largest = steps * max(SIZE1M.values()) * 4 / 2**20
  print(
    f'{len(SIZE1M)} layers, {steps} timesteps, {job.cpus()} cores: '
    f'{seconds:.0f} s ({cpu:.0f} s of CPU time), peak {peak:.0f} MiB; the '
    f'largest layer is '
    f'{largest:.0f} MiB, twice and 500 MB are {2 * largest + 477:.0f} MiB'
  )


def main() -> None:
  """Measures what was asked for and prints a row for each."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('what', choices=('quality', 'standard', 'layers'))
  parser.add_argument('--its', type=int, default=5, help='timed iterations')
  parser.add_argument('--iterations', type=int, default=ITERATIONS)
  parser.add_argument('--splits', type=int, default=5, help='folds')
  parser.add_argument('--data', help='a recording, for quality')
  parser.add_argument('--area', type=int, nargs=2)
  parser.add_argument('--layers', nargs='*', help='layers or problems')
  parser.add_argument('--n_jobs', type=int, default=-1)
  parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
  args = parser.parse_args()
  run = {'quality': quality, 'standard': standard, 'layers': layers}[args.what]
  with tempfile.TemporaryDirectory() as folder:
    run(args, pathlib.Path(folder))


if __name__ == '__main__':
  main()
