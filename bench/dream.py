"""How many steps does the agent dream per second, and in how much memory?

  python bench/dream.py                       # size1m and size12m
  python bench/dream.py --presets size25m --horizons 15 50 --platform cuda

One call of `Dreamer` rolls 16 states out twice, along given actions and along
the policy's own; a dreamed step is one step of one of the 32 rollouts. Beside
it the plain loop: the same steps, each a call of its own whose results come
back to the host. Rates are medians of rounds in turns, without
compilation. Memory is what the compiled program needs on the device beside the
parameters, as the compiler says.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dreamerv3.agent.latents import Latent
from dreamerv3.probing import trained
from dreamerv3.probing.dreaming import Dreamer
from dreamerv3.probing.probe import WIDTH
from dreamerv3.setup import config as configs
from dreamerv3.setup import make


class DreamBench:
  """One agent, and random states to dream from."""

  def __init__(self, preset: str, platform: str):
    flags = ['--configs', 'crafter_small', preset, '--script', 'dream_decode']
    flags += ['--jax.platform', platform]
    config = configs.stack(configs.read_blocks(), configs.parse_flags(flags))
    config = make.platform(config)
    self.agent: Any = make.make_agent(config)
    self.params = trained.parameters(self.agent)
    rng = np.random.default_rng(0)
    rssm = config.agent.dyn.rssm
    deter = np.tanh(rng.normal(size=(WIDTH, rssm.deter))).astype(np.float32)
    index = rng.integers(0, rssm.classes, (WIDTH, rssm.stoch))
    stoch = np.eye(rssm.classes, dtype=np.float32)[index]
    self.start = Latent(jnp.asarray(deter), jnp.asarray(stoch))
    self.rng = rng

  def given(self, horizon: int) -> tuple:
    """Starting latents, action sequences and keys of `horizon` steps."""
    actions = self.rng.integers(0, 17, (WIDTH, horizon)).astype(np.int32)
    seeds = self.rng.integers(0, 2**32, (WIDTH, 2), np.uint32)
    return self.params, self.start, {'action': actions}, seeds

  def whole(self, dreamer: Dreamer) -> float:
    """Dreamed steps per second of whole dreams."""
    given = self.given(dreamer.horizon)
    began = time.perf_counter()
    dreamer(*given)
    return 2 * WIDTH * dreamer.horizon / (time.perf_counter() - began)

  def steps(self, single: Dreamer, horizon: int) -> float:
    """Dreamed steps per second, each step a call of its own."""
    params, start, actions, seeds = self.given(horizon)
    began = time.perf_counter()
    for step in range(horizon):
      now = {k: v[:, step : step + 1] for k, v in actions.items()}
      found = single(params, start, now, seeds).replay
      start = Latent(found.deter[:, 0], found.stoch[:, 0])
    return 2 * WIDTH * horizon / (time.perf_counter() - began)

  def memory(self, dreamer: Dreamer) -> float:
    """MB on the device for one batch, beside the parameters."""
    given = self.given(dreamer.horizon)
    stats = dreamer.compiled(*given).memory_analysis()
    return (stats.temp_size_in_bytes + stats.output_size_in_bytes) / 1e6


def main() -> None:
  """Times dreams of each preset and prints a row for each."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
  parser.add_argument('--presets', nargs='+', default=['size1m', 'size12m'])
  parser.add_argument('--horizons', nargs='+', type=int, default=[15, 50])
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--platform', default='auto')
  args = parser.parse_args()
  for preset in args.presets:
    bench = DreamBench(preset, args.platform)
    print(
      f'{preset:<10}{"horizon":>8}{"steps/s":>10}{"one by one":>12}'
      f'{"ratio":>7}{"MB":>8}'
    )
    single = Dreamer(bench.agent.model, 1)
    for horizon in args.horizons:
      dreamer = Dreamer(bench.agent.model, horizon)
      found = []
      for number in range(args.rounds + 1):
        rates = bench.whole(dreamer), bench.steps(single, horizon)
        if number:  # the first round compiles
          found.append(rates)
      whole, steps = (statistics.median(x) for x in zip(*found, strict=True))
      ratio = statistics.median(a / b for a, b in found)
      print(
        f'{"":<10}{horizon:>8}{whole:>10.0f}{steps:>12.0f}{ratio:>7.1f}'
        f'{bench.memory(dreamer):>8.1f}',
        flush=True,
      )
  print(f'on {jax.devices()[0].device_kind}')


if __name__ == '__main__':
  main()
