"""The agent that the training loop talks to, and what it would take to make one.

agent = Agent(obs_space, act_space, config)
carry, act, out = agent.policy(agent.init_policy(16), obs)
"""

from __future__ import annotations

import elements
import jax
import jax.numpy as jnp

from dreamerv3.agent.encoder import Spaces
from dreamerv3.agent.model import Model
from embodied.jax.agent import JaxAgent
from embodied.jax.devices import bring_up


class Agent(JaxAgent):
  """The agent as the training loop sees it.

  Args:
    obs_space, act_space: spaces by key; `log/*` and `reset` are ignored.
    config: the `agent` block of the configuration, and beside it logdir,
      seed, jax, batch_size, batch_length, replay_context, report_length,
      replica, replicas.
  """

  def __init__(
    self,
    obs_space: Spaces,
    act_space: Spaces,
    config: elements.Config,
  ):
    obs_space, act_space = _seen(obs_space), _chosen(act_space)

    def make(dtype: jnp.dtype) -> Model:
      return Model(obs_space, act_space, config, dtype)

    super().__init__(make, obs_space, act_space, config)


def plan(
  obs_space: Spaces,
  act_space: Spaces,
  config: elements.Config,
) -> tuple[str, dict[str, jax.ShapeDtypeStruct]]:
  """What an `Agent` of the same arguments would be, without its memory.

  Returns:
    Backend, 'cpu' or 'gpu'; names, shapes and dtypes of the state.

  Raises:
    ValueError: there can be no such agent.
  """
  devices = bring_up(config)
  spaces = _seen(obs_space), _chosen(act_space)
  return devices.backend, Model(*spaces, config, devices.dtype).shapes()


def _seen(space: Spaces) -> Spaces:
  return {k: v for k, v in space.items() if not k.startswith('log/')}


def _chosen(space: Spaces) -> Spaces:
  return {k: v for k, v in space.items() if k != 'reset'}
