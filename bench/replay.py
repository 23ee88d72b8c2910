"""How fast and how large is the replay? For docs/performance.md.

Adds steps like Crafter's, then samples batches of 16 x 65 in turn with a plain
copy of as many bytes out of as much memory. Both in CPU time of the thread, so
that the ratio holds on a busy machine. Also: saving and loading (wall time),
updates with priorities beside the plain form of them, and memory per million
steps.

  python bench/replay.py --steps 20000 --size size1m
"""

import argparse
import functools
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import numpy as np

from embodied.core.chunk import layout_of, memory_estimate, step_bytes
from embodied.core.replay import Replay
from embodied.tests.plain_priorities import plain

GB = 1024**3
# deter and classes of the recurrent state; stoch is 32 x classes.
SIZES = {'size1m': (512, 4), 'size12m': (2048, 16), 'size200m': (8192, 64)}
BATCH, LENGTH = 16, 65


def make_steps(size: str, count: int = 64) -> list[dict]:
  """A few different steps of Crafter with latents, to add in turn."""
  deter, classes = SIZES[size]
  rng = np.random.default_rng(0)
  return [
    {
      'image': rng.integers(0, 255, (64, 64, 3), np.uint8),
      'reward': np.float32(0),
      'is_first': np.bool_(i == 0),
      'is_last': np.bool_(False),
      'is_terminal': np.bool_(False),
      'action': np.int32(i % 17),
      'dyn/deter': rng.standard_normal(deter, np.float32),
      'dyn/stoch': rng.standard_normal((32, classes), np.float32),
    }
    for i in range(count)
  ]


def seconds(
  fn: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
  """Seconds that a call takes by `clock`."""
  start = clock()
  fn()
  return clock() - start


def in_turn(fns: Sequence[Callable[[], object]], repeats: int) -> list[float]:
  """Median CPU seconds of each function, one after the other, repeatedly."""
  times = [[seconds(x, time.thread_time) for x in fns] for _ in range(repeats)]
  return [statistics.median(column) for column in zip(*times, strict=True)]


def bench_adding(replay: Replay, steps: list[dict], count: int) -> None:
  """Prints the time to add a step."""
  size = sum(np.asarray(v).nbytes for v in steps[0].values())

  def add() -> None:
    for i in range(count):
      replay.add(steps[i % len(steps)], worker=0)

  spent = seconds(add, time.thread_time)
  rate = f'{count * size / spent / GB:6.2f} GB/s'
  print(f'add     {count / spent:12,.0f} steps/s    {rate}')


def bench_sampling(replay: Replay, repeats: int) -> None:
  """Prints the time to draw a batch."""
  example = replay.sample(BATCH)
  size = sum(v.nbytes for v in example.values())
  total = int(replay.stats()['ram_gb'] * GB)
  memory = np.ones(max(total, 2 * size), np.uint8)
  rng = np.random.default_rng(0)

  def copy() -> np.ndarray:
    start = rng.integers(0, len(memory) - size)
    return memory[start : start + size].copy()

  def update() -> None:
    # What training writes back: the latents of all steps but the first.
    latents = ('dyn/deter', 'dyn/stoch')
    replay.update({k: example[k][:, 1:] for k in ('stepid', *latents)})

  spent, plain, back = in_turn([lambda: replay.sample(BATCH), copy, update], repeats)
  for name, value, note in (
    ('sample', spent, f'ratio to memcpy {spent / plain:.2f}'),
    ('memcpy', plain, f'{size / 1e6:.1f} MB, the bytes of a batch'),
    ('update', back, 'latents of a batch'),
  ):
    rate = f'{size / value / GB:6.2f} GB/s' if name != 'update' else ''
    print(f'{name:8}{1 / value:12,.0f} batches/s  {rate:14} {note}')


def bench_priorities(steps: list[dict], count: int, repeats: int) -> None:
  """Prints the time of an update with each way to choose items, in turns.

  An update is two steps added (train_ratio 512), a batch drawn, and its latents and
  priorities written back.
  """
  prio = {'zero_on_sample': True}
  ways = {
    'uniform': Replay(LENGTH, capacity=count),
    'priority': Replay(LENGTH, count, fracs={'priority': 1.0}, prio=prio),
    'plain': plain(Replay(LENGTH, capacity=count), prio),
  }
  for i in range(count + LENGTH):
    for replay in ways.values():
      replay.add(steps[i % len(steps)])
  rng = np.random.default_rng(0)

  def update(replay: Replay) -> None:
    for step in steps[:2]:
      replay.add(step)
    batch = replay.sample(BATCH)
    new = {k: batch[k][:, 1:] for k in ('stepid', 'dyn/deter', 'dyn/stoch')}
    losses = rng.exponential(size=(BATCH, LENGTH - 1)).astype(np.float32)
    replay.update({**new, 'priority': losses})

  updates = [functools.partial(update, x) for x in ways.values()]
  in_turn(updates, count // BATCH // 4)  # until hardly a step is new
  spent = in_turn(updates, repeats)
  uniform, ours, before = (1 / x for x in spent)
  print(
    f'updates {uniform:8,.0f} /s uniform, {ours:,.0f} /s by priority, {before:,.0f} /s '
    f'by priority row by row ({ours / before:.1f} times)'
  )


def bench_saving(replay: Replay, folder: pathlib.Path) -> None:
  """Prints the time to save, first and again."""
  length = replay.length
  snapshot = seconds(replay.save)
  first = seconds(lambda: replay.save()())
  for _ in range(50):
    batch = replay.sample(BATCH)
    replay.update({k: batch[k] for k in ('stepid', 'dyn/deter', 'dyn/stoch')})
  state = {}
  again = seconds(lambda: state.update(replay.save()() or {}))
  disk = sum(x.stat().st_size for x in folder.rglob('*.npz'))
  other = Replay(length, directory=folder)
  load = seconds(lambda: other.load(state))
  print(
    f'save    {snapshot * 1e3:.1f} ms in the caller; in the background '
    f'{first:.2f} s the first time, {again:.2f} s after 50 updates; '
    f'{disk / GB:.2f} GB on disk (noise does not compress)'
  )
  print(f'load    {load:.2f} s for {len(other)} items')


def print_memory() -> None:
  """Prints the memory of each size preset."""
  print('\nmemory per million steps [GB], 64x64 images')
  for size in SIZES:
    step = make_steps(size, 1)[0]
    each = step_bytes(layout_of(step))
    total = memory_estimate(step, 1e6) / GB
    print(f'  {size:9} {each:7,} bytes per step  {total:6.1f}')


def main(argv: list[str] | None = None) -> None:
  """Fills a replay and measures it."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[0])
  parser.add_argument('--steps', type=int, default=20_000)
  parser.add_argument('--size', choices=SIZES, default='size1m')
  parser.add_argument('--repeats', type=int, default=100)
  args = parser.parse_args(argv)
  steps = make_steps(args.size)
  with tempfile.TemporaryDirectory() as folder:
    replay = Replay(LENGTH, directory=folder)
    print(f'{args.size}, {args.steps} steps, batches of {BATCH} x {LENGTH}')
    bench_adding(replay, steps, args.steps)
    bench_sampling(replay, args.repeats)
    bench_saving(replay, pathlib.Path(folder))
  bench_priorities(steps, min(args.steps, 8000), args.repeats)
  print_memory()


if __name__ == '__main__':
  main()
