"""Policy calls and recordings of a preset, with one and with sixteen environments."""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from bench.gpu_parts.talk import Row, say, timed, wait

ENVS = (1, 16)


def policy(spec: dict[str, Any], options: argparse.Namespace) -> None:
  """Milliseconds of a policy call, its actions on the host."""
  from bench import train

  settings = argparse.Namespace(**vars(options), cache='off', devices=1, unroll=0)
  settings.batch, settings.length = 1, 1  # of the data, which the policy sees a row of
  agent, host = train.build(spec['preset'], settings)
  rows = {k: v[:1, 0] for k, v in host.items() if k in agent.obs_space}

  def actor(batch: int) -> Callable[[], None]:
    obs = {k: v.repeat(batch, 0) for k, v in rows.items()}
    carries = [agent.init_policy(batch)]

    def act() -> None:
      carries[0], _, _ = agent.policy(carries[0], obs)

    act()
    return act

  actors = {x: actor(x) for x in ENVS}
  wait()
  took = {f'policy{k}_ms': timed(act, options.seconds) for k, act in actors.items()}
  say(dtype=agent.dtype.name, **took, card=jax.devices()[0].device_kind)


def record(spec: dict[str, Any], options: argparse.Namespace) -> None:
  """Steps per second of a recording with all layers, and who waited for whom.

  16 environments, as `--script eval_trajectory` does by default, and without any, as
  replay_activations does.
  """
  from bench.record import RecordBench
  from dreamerv3.probing.probe import WIDTH

  made = RecordBench(spec['preset'], '.*', options.platform)
  made.measure(WIDTH, WIDTH, options.seconds)  # compiles
  made.replay(options.seconds)
  wait()
  found = made.measure(WIDTH, WIDTH, options.seconds)
  row: Row = {'layers': len(made.metadata.layers), 'kb': made.step_bytes() / 1e3}
  row['steps_s'] = found['rate']
  shares = ('env', 'policy', 'transfer', 'take', 'disk', 'writer')
  row |= {x: float(np.round(found[x], 3)) for x in shares}
  row['replay_steps_s'] = made.replay(options.seconds)['rate']
  say(**row, card=jax.devices()[0].device_kind)
