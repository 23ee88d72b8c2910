"""A trained agent in the world of its run: what scripts that look at it share.

For eval_trajectory and dream_decode.

  source = find_source(config)
  config = one_world(config)
  load(agent, source, config.run.from_checkpoint_regex)
  params = parameters(agent)
"""

import pathlib
import re
from collections.abc import Sequence
from typing import Any

import elements
import jax

from dreamerv3.base.errors import UserError
from dreamerv3.probing import probe
from embodied.core import base
from embodied.run import checkpoint


def find_source(config: elements.Config) -> pathlib.Path:
  """Folder of the checkpoint, given or the newest of the run."""
  return checkpoint.find(config.run.from_checkpoint or config.logdir)


def one_world(
  config: elements.Config, many: bool = False, advice: str = ''
) -> elements.Config:
  """Fixes the world, since a position means nothing across worlds.

  Args:
    many: leave the run's choice as it is, and say so.
    advice: behind the line that says that the world was fixed.
  """
  suite = config.task.partition('_')[0]
  block = config.env.get(suite, {})
  changes = {'use_seed': True, 'use_logdir': False}
  if 'fixed_seed' in block and not block['fixed_seed']:
    if many:
      print('Each episode is in a world of its own, as in the run.')
    else:
      changes['fixed_seed'] = True
      print(
        'The run changed worlds between episodes; this script '
        f'stays in the first one{advice}.'
      )
  return config.update(
    {f'env.{suite}.{k}': v for k, v in changes.items() if k in block}
  )


def check_env(task: str, env: base.Env, needed: Sequence[str]) -> None:
  """UserError unless the environment gives some keys and numbered episodes."""
  lacking = [x for x in needed if x not in env.obs_space]
  if lacking or not hasattr(env, 'set_episode'):
    raise UserError(
      f'--task {task} cannot be recorded, since it does not give '
      f'{", ".join(lacking) or "numbered episodes"}; take a task of Crafter.'
    )


def check_agent(agent: Any) -> None:
  """UserError if there is no model to look into."""
  if not hasattr(agent, 'model'):
    raise UserError('A random agent has no layers; drop --random_agent True.')


def load(agent: Any, source: pathlib.Path, regex: str) -> None:
  """Loads the networks; optimizer and statistics stay where they are."""
  networks = f'(?={probe.REGEX})(?:{regex or ".*"})'
  checkpoint.load_agent(agent, source, networks)


def parameters(agent: Any) -> dict[str, jax.Array]:
  """The networks' parameters on the device that acts."""
  device = jax.local_devices()[agent.config.jax.policy_devices[0]]
  chosen = {k: v for k, v in agent.state.items() if re.match(probe.REGEX, k)}
  return jax.device_put(chosen, device)
