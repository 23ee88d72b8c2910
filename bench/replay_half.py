"""What does deter in half precision in the replay do to training? For docs/replay.md.

The agent that ships acts in Crafter; its steps go to one replay per form of deter. Then
it takes the same updates from each, its new latents written back, computed in float32.
Printed are the losses' largest relative difference from those with float32, over the
updates; beside it that of another change which should not matter: float32 once more,
with other noise in the latents' draws and imagination (`seed`).

  python bench/replay_half.py --updates 20 --batch 4
"""

import argparse
import functools
import pathlib
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

import elements
import numpy as np

from dreamerv3.setup import config, make, memory
from embodied.core.driver import Driver
from embodied.core.replay import Replay
from embodied.core.streams import Consec, Replayed
from embodied.run import checkpoint

AGENT = ROOT / 'agents' / 'crafter_small_size1m'
FORMS = ('float32', 'bfloat16', 'float16')
LOSSES = ('dyn', 'rep', 'image', 'rew', 'con', 'policy', 'value', 'repval')
ENVS = 4


def settings(batch: int) -> elements.Config:
  """Those of the agent's run, with small batches."""
  words = (
    f'--configs crafter_small size1m --batch_size {batch} --batch_length 32 '
    '--report_length 16 --jax.platform cpu'
  ).split()
  return config.stack(config.read_blocks(), config.parse_flags(words))


def replays(settled: elements.Config) -> dict[str, Replay]:
  """One for each form."""
  length = settled.batch_length + settled.replay_context
  found = {}
  for form in FORMS:
    kept = settled.update({'replay.deter': form})
    forms = memory.latent_forms(kept, on_gpu=False)
    found[form] = Replay(length, forms=forms, context=settled.replay_context)
  return found


def fill(settled: elements.Config, into: dict[str, Replay], steps: int) -> None:
  """Plays, and adds each step to all."""
  agent = fresh(settled)
  driver = Driver([functools.partial(make.make_env, settled, i) for i in range(ENVS)])
  for replay in into.values():
    driver.on_step(replay.add)
  driver.reset(agent.init_policy)
  driver(agent.policy, steps=steps)
  driver.close()


def fresh(settled: elements.Config) -> Any:
  """The agent as it was trained."""
  agent = make.make_agent(settled)
  checkpoint.load_agent(agent, AGENT, '.*')
  return agent


def losses(settled: elements.Config, replay: Replay, updates: int) -> np.ndarray:
  """(updates, losses) of an agent that trains on from a replay."""
  agent = fresh(settled)
  rows = Replayed(replay, settled.batch_size)
  stream = Consec(rows, settled.batch_length, prefix=settled.replay_context)
  carry = agent.init_train(settled.batch_size)
  found = []
  for _ in range(updates):
    carry, *_ = agent.train(carry, next(stream))
    outs, mets = agent.flush()
    replay.update(outs['replay'])
    found.append([float(mets[f'loss/{x}']) for x in LOSSES])
  return np.array(found)


def main(argv: list[str] | None = None) -> None:
  """Trains from each form and prints how the losses differ."""
  parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n')[0])
  parser.add_argument('--updates', type=int, default=20)
  parser.add_argument('--batch', type=int, default=4)
  parser.add_argument('--steps', type=int, default=600)
  args = parser.parse_args(argv)
  settled = settings(args.batch)
  kept = replays(settled)
  more = replays(settled)
  kept['float32, other noise'] = more['float32']
  fill(settled, kept, args.steps)
  curves = {}
  for name, replay in kept.items():
    noise = settled.update(seed=1) if 'noise' in name else settled
    curves[name] = losses(noise, replay, args.updates)
  base = curves.pop('float32')
  print(f'largest relative difference from float32 in {args.updates} updates')
  print(f'{"":22}' + ''.join(f'{x:>10}' for x in LOSSES))
  for name, curve in curves.items():
    apart = np.abs(curve / base - 1)
    for what, row in (('first', apart[0]), ('most', apart.max(0))):
      print(f'{name[:16]:16} {what:5}' + ''.join(f'{x:10.1e}' for x in row))


if __name__ == '__main__':
  main()
