"""How fast is a recording, and where does the time go?

  python bench/record.py                     # size1m and size12m
  python bench/record.py --presets size1m --seconds 20 --layers 'dyn/.*'

Ways to record with all layers, in turns, medians of the rounds:

  1 alone   one environment, policy calls of one row: the plain loop
  1         --eval_trajectory.envs 1: calls have 16 rows, 15 of them idle,
            so that the files do not depend on the number of environments
  16        --eval_trajectory.envs 16, the default
  32        two policy calls, one computed while the other's environments step
  replay    16 episodes at a time without environments, as replay_activations

Shares of the wall time: env steps the environments, policy waits for the
actions, transfer waits for the layers, take hands them to the recorder, disk
is the part of that for which the disk was too slow. `writer` is how busy the
writing thread was meanwhile. Compilation is not counted. Rates are of wall
time; on a machine that others use, compare the CPU times.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from collections.abc import Mapping

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np

from dreamerv3.modes import eval_trajectory
from dreamerv3.probing import describe
from dreamerv3.probing import probe as taps
from dreamerv3.probing.replays import Replays
from dreamerv3.probing.rollouts import Rollouts
from dreamerv3.probing.trained import Look, Trained
from dreamerv3.recording.bar import EpisodeBar
from dreamerv3.recording.recorder import VALUES, Recorder, Writing
from dreamerv3.setup import config as configs
from dreamerv3.setup import make
from embodied.envs.crafter_witness import Witness

WAYS = {
  '1 alone': (1, 1),
  '1': (1, taps.WIDTH),
  '16': (16, taps.WIDTH),
  '32': (32, taps.WIDTH),
}
REPLAY = 'replay'
UNKNOWN = dict.fromkeys(('env', 'policy', 'transfer', 'take'), math.nan)
SHARES = ('env', 'policy', 'transfer', 'take', 'disk', 'writer')


class RecordBench:
  """One agent, and what its recordings need."""

  def __init__(
    self, preset: str, layers: str, platform: str, task: str = 'crafter_small'
  ):
    flags = ['--configs', task, preset, '--script']
    flags += ['eval_trajectory', '--jax.platform', platform]
    flags += ['--eval_trajectory.layers', layers]
    flags += ['--eval_trajectory.load_checkpoint', 'False']
    parsed = configs.parse_flags(flags)
    config = configs.stack(configs.read_blocks(), parsed)
    self.config = make.platform(config)
    trained = Trained.open(
      self.config, lambda: make.make_agent(self.config), Look(layers, load=False)
    )
    single = taps.Probe(trained.agent.model, layers, width=1)
    self.probes = {1: single, taps.WIDTH: trained.probe}
    self.params = trained.params
    self.metadata = describe.describe(trained)
    image = trained.guide.obs_space['image'].shape
    self.columns = describe.columns_of(trained.probe, image)

  def step_bytes(self) -> int:
    """Bytes that a recording holds per step."""
    return sum(x.nbytes for x in self.columns)

  def measure(self, envs: int, width: int, seconds: float) -> dict[str, float]:
    """Records for some seconds; steps/s, CPU ms per step and shares."""
    made = [Witness(make.make_env(self.config, 0)) for _ in range(envs)]
    rollouts = Rollouts(self.probes[width], self.params, made, 0)
    with (
      tempfile.TemporaryDirectory() as folder,
      Recorder(folder, self.metadata, self.columns) as recorder,
      EpisodeBar(0, every=1e9) as bar,
    ):

      def begin(number: int) -> eval_trajectory.RecordingTaker:
        return eval_trajectory.RecordingTaker(recorder.begin(number), {}, bar)

      clock = Stopwatch(rollouts, recorder, warmup=4 * envs, seconds=seconds)
      rollouts.play(range(1, 10000), begin, clock)
      return clock.result()

  def replay(self, seconds: float) -> dict[str, float]:
    """As `measure`, of 16 endless episodes of images at random."""
    replays = Replays(self.probes[taps.WIDTH], self.params, 0)
    with (
      tempfile.TemporaryDirectory() as folder,
      Recorder(folder, self.metadata, self.columns) as recorder,
    ):
      clock = Stopwatch(replays, recorder, warmup=4 * taps.WIDTH, seconds=seconds)
      numbers = range(1, taps.WIDTH + 1)
      replays.play(numbers, Endless, lambda k: Kept(recorder.begin(k)), clock)
      return clock.result()


class Endless:
  """A walk without an end: the same images and actions over and over."""

  def __init__(self, number: int):
    rng = np.random.default_rng(number)
    self.images = rng.integers(0, 256, (64, 64, 64, 3), np.uint8)
    self.actions = rng.integers(0, 17, 64).astype(np.int32)

  def __len__(self) -> int:
    return sys.maxsize

  def obs(self, t: int) -> dict[str, np.ndarray]:
    """The image of a timestep."""
    return {'image': self.images[t % 64]}

  def act(self, t: int) -> dict[str, np.ndarray]:
    """The action of a timestep."""
    return {'action': self.actions[t % 64]}

  def blind(self, t: int) -> bool:
    """Everything is shown."""
    del t
    return False


class Kept:
  """Hands the layers to the recorder."""

  def __init__(self, writing: Writing):
    self.writing = writing
    self.values = {k: np.zeros(shape, kind) for k, (kind, shape) in VALUES.items()}

  def step(
    self,
    obs: Mapping[str, np.ndarray],
    act: Mapping[str, np.ndarray],
    rows: Mapping[str, np.ndarray],
  ) -> None:
    """A timestep."""
    del act
    self.writing.add({'image': obs['image'], **rows}, self.values)

  def end(self) -> None:
    """Never comes."""


class Stopwatch:
  """Tells the recording when to stop, and what happened after the warm-up.

  Args:
    warmup: steps that are not counted; the first call compiles.
  """

  def __init__(
    self,
    rollouts: Rollouts | Replays,
    recorder: Recorder,
    warmup: int,
    seconds: float,
  ):
    self.rollouts, self.recorder = rollouts, recorder
    self.warmup, self.seconds = warmup, seconds
    self.began: dict[str, float] | None = None
    # A replay keeps no account of where its time goes.
    self.times = rollouts.times if isinstance(rollouts, Rollouts) else UNKNOWN

  def now(self) -> dict[str, float]:
    """Seconds, steps and waits so far."""
    return {
      'wall': time.perf_counter(),
      'cpu': time.process_time(),
      'steps': self.rollouts.steps,
      'disk': self.recorder.waited,
      'writer': self.recorder.busy,
      **self.times,
    }

  def __call__(self) -> bool:
    """Whether the recording should go on."""
    if self.began is None and self.rollouts.steps >= self.warmup:
      self.began = self.now()
    if self.began is None:
      return True
    return time.perf_counter() < self.began['wall'] + self.seconds

  def result(self) -> dict[str, float]:
    """Rates since the warm-up."""
    assert self.began is not None
    now = self.now()
    gone = {k: now[k] - v for k, v in self.began.items()}
    found = {k: gone[k] / gone['wall'] for k in SHARES}
    found['rate'] = gone['steps'] / gone['wall']
    found['cpu'] = 1e3 * gone['cpu'] / gone['steps']
    return found


def main() -> None:
  """Records with each preset and prints a table for each."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--presets', nargs='+', default=['size1m', 'size12m'])
  parser.add_argument('--layers', default='.*', help='regular expression')
  parser.add_argument('--seconds', type=float, default=8, help='per round')
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--platform', default='auto')
  args = parser.parse_args()
  for preset in args.presets:
    bench = RecordBench(preset, args.layers, args.platform)
    found: dict[str, list[dict[str, float]]] = {k: [] for k in (*WAYS, REPLAY)}
    for _ in range(args.rounds):
      for name, (envs, width) in WAYS.items():
        found[name].append(bench.measure(envs, width, args.seconds))
      found[REPLAY].append(bench.replay(args.seconds))
    report(preset, bench, found)


def report(
  preset: str, bench: RecordBench, found: dict[str, list[dict[str, float]]]
) -> None:
  """Prints the median of each rate of a preset."""
  print(
    f'\n{preset}: {len(bench.metadata.layers)} layers, '
    f'{bench.step_bytes() / 1e3:.1f} kB per step, '
    f'{bench.metadata.settings["platform"]}'
  )
  print(f'{"envs":<9}{"steps/s":>9}{"CPU ms":>9}', end='')
  print(''.join(f'{x:>10}' for x in SHARES))
  middle = {
    k: {x: statistics.median(y[x] for y in v) for x in v[0]} for k, v in found.items()
  }
  for name, x in middle.items():
    print(f'{name:<9}{x["rate"]:>9.1f}{x["cpu"]:>9.2f}', end='')
    print(''.join(f'{x[k]:>10.1%}' for k in SHARES))
  for name in ('1', '1 alone', REPLAY):
    ratios = [
      a['rate'] / b['rate'] for a, b in zip(found['16'], found[name], strict=True)
    ]
    print(f'16 beside {name}: {statistics.median(ratios):.1f} times the rate')


if __name__ == '__main__':
  main()
