"""What does the driver cost beside the environments that it steps?

  python bench/driver.py --steps 4000 --envs 16

The same random actions in Crafter itself, and in environments as training has them:
adapted and checked, driven in this process or in others, episodes followed; without
the replay, whose time is in bench/replay.py, and the network (bench/train.py). In this
process CPU time; with other processes that of this one, while they wait for it.
"""

import argparse
import functools
import pathlib
import statistics
import sys
import time

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

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


def main(argv: list[str] | None = None) -> None:
  """Steps each in turn and prints seconds per step of one environment."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[0])
  parser.add_argument('--steps', type=int, default=4000, help='of each environment')
  parser.add_argument('--envs', type=int, default=16)
  args = parser.parse_args(argv)
  ways: dict[str, Bare | Driven] = {
    'bare': Bare(args.envs),
    'in this process': Driven(args.envs, parallel=False),
    'in processes': Driven(args.envs, parallel=True),
  }
  spent: dict[str, list[float]] = {x: [] for x in ways}
  clock: dict[str, list[float]] = {x: [] for x in ways}
  rounds, part = 10, max(1, args.steps // 10)
  for number in range(rounds + 1):
    for name, way in ways.items():
      cpu, wall = time.process_time(), time.perf_counter()
      for _ in range(part):
        way.step()
      if number:  # the first also compiles
        spent[name].append((time.process_time() - cpu) / part / args.envs)
        clock[name].append((time.perf_counter() - wall) / part / args.envs)
  bare = statistics.median(spent['bare'])
  for name, way in ways.items():
    each, wall = statistics.median(spent[name]), statistics.median(clock[name])
    print(
      f'{name:16} {each * 1e6:6.0f} us of this process per step, {each / bare:.2f} of '
      f'bare; {1 / wall:6.0f} steps/s by the clock'
    )
    way.close()


if __name__ == '__main__':
  main()
