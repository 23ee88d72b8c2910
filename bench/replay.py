"""How fast and how large is the replay? For docs/performance.md and docs/replay.md.

Adds steps of Crafter played at random, with latents as an agent has them, then
samples batches of 16 x 65 in turn with a plain copy of as many bytes out of as much
memory. Both in CPU time of the thread, so that the ratio holds on a busy machine.
Also, beside a replay that keeps all as it comes and files as numpy packs them: saving
and loading (CPU time of the process, and by the clock) and memory; and updates with
priorities beside the plain form of them.

  python bench/replay.py --steps 20000 --size size1m
"""

import argparse
import functools
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import numpy as np

from dreamerv3.base import files
from embodied.core.chunk import memory_estimate
from embodied.core.chunkfiles import ChunkFiles, Snapshot
from embodied.core.compact import ClassIndex, Forms, Rounded
from embodied.core.replay import Replay
from embodied.envs import registry
from embodied.tests.plain_priorities import plain

GB = 1024**3
# deter and classes of the recurrent state; stoch is 32 x classes.
SIZES = {'size1m': (512, 4), 'size12m': (2048, 16), 'size200m': (8192, 64)}
DTYPES = ('float32', 'bfloat16', 'float16')
BATCH, LENGTH = 16, 65


def forms_of(size: str, deter: str = 'float32') -> Forms:
  """How a run of this size keeps its latents."""
  classes = SIZES[size][1]
  return {'dyn/deter': Rounded(deter), 'dyn/stoch': ClassIndex(classes)}


def latents(size: str, lead: tuple[int, ...], seed: int = 0) -> dict[str, np.ndarray]:
  """Random ones of the form that an agent hands out, (*lead, ...)."""
  deter, classes = SIZES[size]
  rng = np.random.default_rng(seed)
  drawn = rng.integers(0, classes, (*lead, 32))
  return {
    'dyn/deter': np.tanh(rng.standard_normal((*lead, deter), np.float32)),
    'dyn/stoch': np.eye(classes, dtype=np.float32)[drawn],
  }


def make_steps(size: str, count: int = 512) -> list[dict[str, Any]]:
  """Steps of Crafter with latents, to add in turn."""
  env = registry.make('crafter_reward', area=(32, 32), seed=0)
  rng = np.random.default_rng(0)
  steps: list[dict[str, Any]] = []
  for _ in range(count):
    action = np.int32(rng.integers(17))
    over = not steps or steps[-1]['is_last']
    obs = env.step({'action': action, 'reset': bool(over)})
    obs = {k: v for k, v in obs.items() if not k.startswith('log/')}
    steps.append({**obs, 'action': action, **latents(size, (), len(steps))})
  return steps


class Before(ChunkFiles):
  """Chunks as numpy packs them; of one that was trained on, all latents again."""

  def _write_patch(self, snap: Snapshot) -> None:
    name = f'updates/{snap.chunk.uuid}-{snap.version}.npz'
    self._write_npz(name, {k: snap.data[k] for k in snap.updated})
    snap.chunk.patches, snap.chunk.saved_version = [name], snap.version

  def _write_npz(self, name: str, data: Mapping[str, np.ndarray]) -> None:
    pack: Callable[..., None] = (
      np.savez if name.startswith('updates') else np.savez_compressed
    )
    path = self.directory / name
    path.parent.mkdir(exist_ok=True, parents=True)
    self._known.add(name)
    with files.atomic(path) as file:
      pack(file, **data)


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


def bench_adding(replays: Sequence[Replay], steps: list[dict], count: int) -> None:
  """Fills the replays and prints the time to add a step to the first."""
  size = sum(np.asarray(v).nbytes for v in steps[0].values())
  spent = 0.0
  for i in range(count):
    step = steps[i % len(steps)]
    spent += seconds(lambda step=step: replays[0].add(step), time.thread_time)  # type: ignore[misc]
    for other in replays[1:]:
      other.add(step)
  rate = f'{count * size / spent / GB:6.2f} GB/s'
  print(f'add     {count / spent:12,.0f} steps/s    {rate}')


def bench_sampling(replay: Replay, before: Replay, size: str, repeats: int) -> None:
  """Prints the time to draw a batch, and to write its latents back."""
  example = replay.sample(BATCH)
  nbytes = sum(v.nbytes for v in example.values())
  total = int(replay.stats()['ram_gb'] * GB)
  memory = np.ones(max(total, 2 * nbytes), np.uint8)
  rng = np.random.default_rng(0)
  new = latents(size, (BATCH, LENGTH - 1))

  def copy() -> np.ndarray:
    start = rng.integers(0, len(memory) - nbytes)
    return memory[start : start + nbytes].copy()

  def update(kept: Replay) -> None:
    # What training writes back: the latents of all steps but the first.
    kept.update({'stepid': kept.sample(BATCH)['stepid'][:, 1:], **new})

  fns = [
    lambda: replay.sample(BATCH),
    copy,
    lambda: before.sample(BATCH),
    lambda: update(replay),
    lambda: update(before),
  ]
  spent, plainly, whole, back, back_whole = in_turn(fns, repeats)
  rate = f'{nbytes / spent / GB:6.2f} GB/s'
  print(f'sample  {1 / spent:12,.0f} batches/s  {rate}')
  print(f'        {plainly / spent:12.2f} times the rate of a copy of the same bytes')
  print(f'        {whole / spent:12.2f} times that of a batch with all latents')
  print(
    f'update  {1 / back:12,.0f} batches/s  drawn, and their latents written back; '
    f'{back_whole / back:.2f} times that of latents as they come'
  )


def bench_priorities(
  size: str, steps: list[dict], count: int, repeats: int, deter: str
) -> None:
  """Prints the time of an update with each way to choose items, in turns.

  An update is two steps added (train_ratio 512), a batch drawn, and its latents and
  priorities written back.
  """
  prio = {'zero_on_sample': True}
  how: dict[str, Any] = {'forms': forms_of(size, deter), 'context': 1}
  ways = {
    'uniform': Replay(LENGTH, capacity=count, **how),
    'priority': Replay(LENGTH, count, fracs={'priority': 1.0}, prio=prio, **how),
    'plain': plain(Replay(LENGTH, capacity=count, **how), prio),
  }
  for i in range(count + LENGTH):
    for replay in ways.values():
      replay.add(steps[i % len(steps)])
  rng = np.random.default_rng(0)
  new = latents(size, (BATCH, LENGTH - 1))

  def update(replay: Replay) -> None:
    for step in steps[:2]:
      replay.add(step)
    stepid = replay.sample(BATCH)['stepid'][:, 1:]
    losses = rng.exponential(size=(BATCH, LENGTH - 1)).astype(np.float32)
    replay.update({'stepid': stepid, **new, 'priority': losses})

  updates = [functools.partial(update, x) for x in ways.values()]
  in_turn(updates, count // BATCH // 4)  # until hardly a step is new
  spent = in_turn(updates, repeats)
  uniform, ours, before = (1 / x for x in spent)
  print(
    f'updates {uniform:8,.0f} /s uniform, {ours:,.0f} /s by priority, {before:,.0f} /s '
    f'by priority row by row ({ours / before:.1f} times)'
  )


def bench_saving(
  replays: Mapping[str, Replay], folder: pathlib.Path, size: str
) -> None:
  """Prints what saves and a load take of each replay, and the ratio of both."""
  few, many = 5, max(50, 4 * len(next(iter(replays.values()))) // (BATCH * LENGTH))
  new = latents(size, (BATCH, LENGTH))
  rows: dict[str, list[tuple[float, float, float]]] = {}
  states: dict[str, Any] = {}

  def train(replay: Replay, updates: int) -> None:
    for _ in range(updates):
      replay.update({'stepid': replay.sample(BATCH)['stepid'], **new})

  for name, updates in (('first save', 0), (f'after {few}', few), (f'{many}', many)):
    for kind, replay in replays.items():
      train(replay, updates)
      known = set((folder / kind).rglob('*.npz'))
      finish = replay.save()
      spent = measured(lambda f=finish, k=kind: states.update({k: f()}))  # type: ignore[misc]
      written = sum(
        x.stat().st_size for x in set((folder / kind).rglob('*.npz')) - known
      )
      rows.setdefault(name, []).append((*spent, written / GB))
  for kind, replay in replays.items():
    other = Replay(LENGTH, directory=folder / kind, forms=replay._forms)
    if kind == 'before':
      other._files = Before(folder / kind)
    spent = measured(lambda o=other, k=kind: o.load(states[k]))  # type: ignore[misc]
    rows.setdefault('load', []).append((*spent, other.stats()['ram_gb']))
  print(f'\n{"":12} CPU s before, now, ratio | by the clock | GB written (held)')
  for name, (old, now) in rows.items():
    cells = [f'{a:7.2f} {b:7.2f} {a / b:6.1f}' for a, b in zip(old, now, strict=True)]
    print(f'{name:12} {" | ".join(cells)}')


def measured(fn: Callable[[], object]) -> tuple[float, float]:
  """CPU seconds of all threads, and seconds by the clock."""
  start = time.process_time()
  wall = seconds(fn)
  return time.process_time() - start, wall


def print_memory() -> None:
  """Prints the memory of a step of each size preset."""
  print('\nbytes per step, and GB per million steps, 64x64 images')
  for size in SIZES:
    step = make_steps(size, 1)[0]
    cells = [f'as it comes {memory_of(step)}']
    for name in DTYPES[:2]:
      cells.append(f'deter {name} {memory_of(step, forms_of(size, name))}')
    print(f'  {size:9} {"; ".join(cells)}')


def memory_of(step: dict[str, Any], forms: Forms | None = None) -> str:
  """Bytes of a step, and GB of a million."""
  rows = [memory_estimate(step, x, forms=forms) for x in (1, 2)]
  total = memory_estimate(step, 1e6, forms=forms)
  return f'{rows[1] - rows[0]:,} ({total / GB:.1f})'


def main(argv: list[str] | None = None) -> None:
  """Fills replays and measures them."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[0])
  parser.add_argument('--steps', type=int, default=20_000)
  parser.add_argument('--size', choices=SIZES, default='size1m')
  parser.add_argument('--deter', choices=DTYPES, default='float32')
  parser.add_argument('--repeats', type=int, default=100)
  args = parser.parse_args(argv)
  steps = make_steps(args.size)
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    forms = forms_of(args.size, args.deter)
    now = Replay(LENGTH, directory=folder / 'now', forms=forms, context=1)
    before = Replay(LENGTH, directory=folder / 'before')
    before._files = Before(folder / 'before')
    print(
      f'{args.size}, deter {args.deter}, {args.steps} steps, batches of '
      f'{BATCH} x {LENGTH}'
    )
    bench_adding([now, before], steps, args.steps)
    bench_sampling(now, before, args.size, args.repeats)
    # As at the first save of a run, no latent was written back yet.
    bench_saving({'before': before, 'now': now}, folder, args.size)
  bench_priorities(args.size, steps, min(args.steps, 8000), args.repeats, args.deter)
  print_memory()


if __name__ == '__main__':
  main()
