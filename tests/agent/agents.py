"""Small agents for tests: the settings file, spaces as Crafter's, random data.

agent = make_agent(['debug'], {'batch_size': 2})
"""

from collections.abc import Mapping, Sequence
from typing import Any

import elements
import numpy as np
from elements import Space

from dreamerv3.agent import Agent, Model
from dreamerv3.setup import config as configs

BESIDE = (
  'logdir',
  'seed',
  'jax',
  'batch_size',
  'batch_length',
  'replay_context',
  'report_length',
  'replica',
  'replicas',
)


def make_config(
  presets: Sequence[str] = ('debug',), changes: Mapping[str, Any] | None = None
) -> elements.Config:
  """What the agent gets: the `agent` block and the entries beside it."""
  flags = {'configs': ['crafter', *presets]}
  config = configs.stack(configs.read_blocks(), flags)
  config = config.update({'jax.platform': 'cpu', 'jax.debug': False})
  config = config.update(dict(changes or {}))
  return elements.Config(**config.agent, **{k: config[k] for k in BESIDE})


def obs_space(**more: Space) -> dict[str, Space]:
  return {
    'image': Space(np.uint8, (64, 64, 3)),
    'reward': Space(np.float32),
    'is_first': Space(bool),
    'is_last': Space(bool),
    'is_terminal': Space(bool),
    **more,
  }


def act_space() -> dict[str, Space]:
  return {'action': Space(np.int32, (), 0, 17)}


def make_model(*args: Any, **kwargs: Any) -> Model:
  return Model(obs_space(), act_space(), make_config(*args, **kwargs))


def make_agent(
  presets: Sequence[str] = ('debug',),
  changes: Mapping[str, Any] | None = None,
  obs: Mapping[str, Space] | None = None,
  act: Mapping[str, Space] | None = None,
) -> Agent:
  config = make_config(presets, changes)
  return Agent(dict(obs or obs_space()), dict(act or act_space()), config)


def batch(
  agent: Agent, rng: np.random.Generator, rows: int, length: int
) -> dict[str, np.ndarray]:
  """Random sequences as the replay gives them, context included."""
  shape = (rows, length)
  spaces = {**agent.obs_space, **agent.act_space}
  data = {k: draw(v, rng, shape) for k, v in spaces.items()}
  for key in ('is_last', 'is_terminal'):
    data[key] = rng.random(shape) < 0.1
  data['is_first'] = np.roll(data['is_last'], 1, 1)
  for key, value in agent.model.init_carry(rows).latent._asdict().items():
    data[f'dyn/{key}'] = np.zeros((*shape, *value.shape[1:]), np.float32)
  data['consec'] = np.zeros(shape, np.int32)
  data['stepid'] = rng.integers(0, 256, (*shape, 20), np.uint8)
  return data


def draw(space: Space, rng: np.random.Generator, lead: tuple[int, ...]) -> np.ndarray:
  shape = (*lead, *space.shape)
  if space.discrete:
    low, high = int(np.min(space.low)), int(np.max(space.high))
    return rng.integers(low, high, shape).astype(space.dtype)
  return rng.normal(size=shape).astype(space.dtype)
