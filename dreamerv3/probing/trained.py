"""A trained agent in the world of its run: what everything that looks at it shares.

agent = Trained.open(config, make_agent, Look('dyn/.*', 'float32'))
carry, act, rows = agent.probe(agent.params, carry, *filled)
"""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import elements
import jax

from dreamerv3.base.errors import UserError
from dreamerv3.data.layers import AUTO
from dreamerv3.probing import probe as taps
from dreamerv3.setup import make
from embodied.core import base
from embodied.run import checkpoint


@dataclasses.dataclass(frozen=True)
class Look:
  """What is to be looked at, and how.

  Attributes:
    layers: pattern of layers, see `data.layers.select`; `auto` for settings of
      `block` that have it.
    dtype: float16 or float32, of layers with more than one unit.
    observed: keys that the environment must give.
    load: read the run's checkpoint; False leaves the network untrained.
    many_worlds: leave the run's worlds as they are, also if they change; None
      also says nothing of it, where no world is played in.
    seed: of the world; None takes that of the settings.
    block: settings that a message names, e.g. 'eval_trajectory'; may be empty.
    drawn: also keep the parameters as they were drawn, before any learning.
  """

  layers: str = '.*'
  dtype: str = 'float16'
  observed: tuple[str, ...] = ('image', 'player_pos')
  load: bool = True
  many_worlds: bool | None = False
  seed: int | None = None
  block: str = ''
  drawn: bool = False


@dataclasses.dataclass(frozen=True)
class Trained:
  """An agent whose layers are laid open, and the world that it lives in.

  Attributes:
    config: settings; those of agent and environment are the run's, in one
      world unless many were asked for.
    source: folder of the checkpoint; None if the network is untrained.
    guide: an environment that plays nothing and knows the worlds.
    agent: as the run made it.
    probe: its policy.
    params: of its networks, on the device that acts.
    drawn: the same before it learned anything, if they were asked for.
  """

  config: elements.Config
  source: pathlib.Path | None
  guide: Any
  agent: Any
  probe: taps.Probe
  params: Mapping[str, jax.Array]
  drawn: Mapping[str, jax.Array] | None = None

  @classmethod
  def open(
    cls,
    config: elements.Config,
    make_agent: Callable[[], Any],
    look: Look,
    accept: Callable[[Any], None] | None = None,
  ) -> 'Trained':
    """Opens the agent that some settings speak of.

    Args:
      config: all settings, settled: those of the run, and flags.
      make_agent: without arguments, as in dreamerv3.setup.make.
      look: what is to be looked at.
      accept: called with the environment before the agent is made, which takes
        longer; may refuse it.

    Raises:
      UserError, CheckpointError: no checkpoint, or another agent's; a task or
        an agent that cannot be looked into; layers that do not exist.
    """
    source = find_source(config) if look.load else None
    config = one_world(config, look)
    worlds = config if look.seed is None else config.update(seed=look.seed)
    guide = make.make_env(worlds, 0)
    check_env(config.task, guide, look.observed)
    if accept is not None:
      accept(guide)
    agent = make_agent()
    if not hasattr(agent, 'model'):
      raise UserError('A random agent has no layers; drop --random_agent True.')
    drawn = parameters(agent) if look.drawn else None
    if source is not None:
      load(agent, source, config.run.from_checkpoint_regex)
    probe = taps.Probe(agent.model, look.layers, look.dtype)
    if look.block and look.layers == AUTO:
      # What is recorded says which layers these are.
      config = config.update({f'{look.block}.layers': probe.pattern})
    return cls(config, source, guide, agent, probe, parameters(agent), drawn)

  def at(self, source: pathlib.Path) -> 'Trained':
    """The agent with the networks of another checkpoint of its run."""
    load(self.agent, source, self.config.run.from_checkpoint_regex)
    return dataclasses.replace(self, source=source, params=parameters(self.agent))


def kept(config: elements.Config) -> list[pathlib.Path]:
  """Folders of all whole checkpoints of the run, oldest first."""
  return sorted(x.parent for x in find_source(config).parent.glob('*/done'))


def find_source(config: elements.Config) -> pathlib.Path:
  """Folder of the checkpoint, given or the newest of the run."""
  return checkpoint.find(config.run.from_checkpoint or config.logdir)


def one_world(config: elements.Config, look: Look) -> elements.Config:
  """Fixes the world, since a position means nothing across worlds."""
  suite = config.task.partition('_')[0]
  block = config.env.get(suite, {})
  changes = {'use_seed': True, 'use_logdir': False}
  if 'fixed_seed' in block and not block['fixed_seed']:
    if look.many_worlds is None:
      pass
    elif look.many_worlds:
      print('Each episode is in a world of its own, as in the run.')
    else:
      changes['fixed_seed'] = True
      advice = ''
      if look.block and 'one_world' in config[look.block]:
        advice = f' (--{look.block}.one_world False records many)'
      print(
        'The run changed worlds between episodes; this script '
        f'stays in the first one{advice}.'
      )
  return config.update(
    {f'env.{suite}.{k}': v for k, v in changes.items() if k in block}
  )


def check_env(task: str, env: base.Env, needed: tuple[str, ...]) -> None:
  """UserError unless the environment gives some keys and numbered episodes."""
  lacking = [x for x in needed if x not in env.obs_space]
  if lacking or not hasattr(env, 'set_episode'):
    raise UserError(
      f'--task {task} cannot be recorded, since it does not give '
      f'{", ".join(lacking) or "numbered episodes"}; take a task of Crafter.'
    )


def load(agent: Any, source: pathlib.Path, regex: str = '') -> None:
  """Loads the networks; optimizer and statistics stay where they are."""
  networks = f'(?={taps.REGEX})(?:{regex or ".*"})'
  checkpoint.load_agent(agent, source, networks)


def parameters(agent: Any) -> dict[str, jax.Array]:
  """The networks' parameters on the device that acts."""
  device = jax.local_devices()[agent.config.jax.policy_devices[0]]
  chosen = {k: v for k, v in agent.state.items() if re.match(taps.REGEX, k)}
  return jax.device_put(chosen, device)
