"""What does the driver cost beside the environments that it steps?

  git worktree add /tmp/old c23362b
  python bench/driver.py --steps 4000 --envs 16 --old /tmp/old

The same random actions in Crafter itself, and in environments as training has them:
adapted and checked, driven in this process or in others, episodes followed; without
the replay, whose time is in bench/replay.py, and the network (bench/train.py). With
--old the same of another checkout, in turns. In one process CPU time; with others that
of the driver's, while it waits for them.
"""

import argparse
import functools
import json
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[0] = sys.argv[2] if sys.argv[1:2] == ['--serve'] else str(ROOT)

import numpy as np

from embodied.core import wrappers
from embodied.core.base import Batch, Env
from embodied.core.driver import Driver
from embodied.envs import registry
from embodied.run.metrics import Episodes, Mean

AREA = (32, 32)


def make(index: int, adapted: bool = True) -> Env:
  """Environment number `index` of a run."""
  env = registry.make('crafter_reward', area=AREA, seed=registry.env_seed(0, index))
  return wrappers.standard(env) if adapted else env


class Bare:
  """Crafter without anything around it."""

  def __init__(self, envs: int):
    self.envs = [make(i, adapted=False) for i in range(envs)]
    self.over = [True] * envs
    self.rng = np.random.default_rng(0)

  def step(self) -> None:
    """All environments, once."""
    actions = self.rng.integers(0, 17, len(self.envs))
    for i, env in enumerate(self.envs):
      obs = env.step({'action': actions[i], 'reset': self.over[i]})
      self.over[i] = bool(obs['is_last'])

  def close(self) -> None:
    """Nothing to end."""


class Driven:
  """The same as in training, with actions that cost nothing."""

  def __init__(self, envs: int, parallel: bool):
    makes = [functools.partial(make, i) for i in range(envs)]
    self.driver = Driver(makes, parallel)
    self.rng = np.random.default_rng(0)
    self.latent = {'dyn/deter': np.zeros((envs, 512), np.float32)}
    self.driver.on_step(Episodes(lambda _: None, Mean(), 'log/.*'))
    self.driver.reset(lambda _: None)

  def step(self) -> None:
    """All environments, once."""
    self.driver(self._policy, steps=1)

  def _policy(self, carry: None, obs: Batch) -> tuple[None, Batch, Batch]:
    count = len(obs['is_first'])
    return carry, {'action': self.rng.integers(0, 17, count, np.int32)}, self.latent

  def close(self) -> None:
    """Ends the processes."""
    self.driver.close()


def serve(envs: int) -> None:
  """Steps what is asked for, "<way> <steps>" a line; answers [cpu, wall] seconds."""
  ways: dict[str, Bare | Driven] = {
    'bare': Bare(envs),
    'here': Driven(envs, parallel=False),
    'processes': Driven(envs, parallel=True),
  }
  for line in sys.stdin:
    name, steps = line.split()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(int(steps)):
      ways[name].step()
    took = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps([x / int(steps) / envs for x in took]), flush=True)
  for way in ways.values():
    way.close()


class Program:
  """A checkout that steps when it is asked."""

  def __init__(self, root: str, envs: int):
    self.child = subprocess.Popen(
      [sys.executable, __file__, '--serve', root, str(envs)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )

  def times(self, way: str, steps: int) -> list[float]:
    """CPU and clock [s] of a step of one environment."""
    assert self.child.stdin is not None
    assert self.child.stdout is not None
    print(way, steps, file=self.child.stdin, flush=True)
    return json.loads(self.child.stdout.readline())

  def close(self) -> None:
    """Ends it."""
    self.child.communicate()


def main(argv: list[str] | None = None) -> None:
  """Steps each in turn and prints seconds per step of one environment."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[0])
  parser.add_argument('--steps', type=int, default=4000, help='of each environment')
  parser.add_argument('--envs', type=int, default=16)
  parser.add_argument('--old', help='another checkout, to compare with')
  args = parser.parse_args(argv)
  programs = {'now': Program(str(ROOT), args.envs)}
  if args.old:
    programs['old'] = Program(args.old, args.envs)
  ways = [('now', 'bare'), *[(p, w) for w in ('here', 'processes') for p in programs]]
  rounds, part = 10, max(1, args.steps // 10)
  found: dict[tuple[str, str], list[list[float]]] = {x: [] for x in ways}
  for number in range(rounds + 1):
    for program, way in ways:
      times = programs[program].times(way, part)
      if number:  # the first also compiles
        found[program, way].append(times)
  for each in programs.values():
    each.close()
  cpu, wall = (
    {x: statistics.median(y[i] for y in times) for x, times in found.items()}
    for i in (0, 1)
  )
  for name, way in ways:
    took, clock = cpu[name, way], wall[name, way]
    said = (
      f'{took * 1e6:4.0f} us of its process, {took / cpu["now", "bare"]:.2f} of bare'
    )
    print(f'{name} {way:9} {said}; {1 / clock:6.0f} steps/s by the clock', end='')
    if name == 'now' and ('old', way) in cpu:
      olds, news = found['old', way], found['now', way]
      faster = [
        statistics.median(a[i] / b[i] for a, b in zip(olds, news, strict=True))
        for i in (0, 1)
      ]
      print(f'; old / now {faster[0]:.2f} CPU, {faster[1]:.2f} clock', end='')
    print()


if __name__ == '__main__':
  if sys.argv[1:2] == ['--serve']:
    serve(int(sys.argv[3]))
  else:
    main()
