"""What a recording says of itself: from which agent, world and settings.

For eval_trajectory, and for whoever writes files in the same form.

  metadata = describe(trained)
"""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from dreamerv3.base.version import versions
from dreamerv3.data.columns import Column
from dreamerv3.data.episode import PREFIX
from dreamerv3.data.metadata import Metadata
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.probing import probe as taps
from dreamerv3.probing.trained import Trained
from dreamerv3.run_info import plain
from embodied.envs.crafter_witness import INJURIES, NAMES
from embodied.run import checkpoint

# Settings that change how a recording is made, not what is in an episode.
HOW = ('num_episodes', 'first_episode', 'save_path', 'envs', 'all_episodes')


def world(guide: Any, task: str, seed: int, episode: int = 1) -> Metadata:
  """The world that an environment is in, and nothing of an agent.

  Args:
    guide: an environment; `episode` is what it is set to.
    task: as in the settings, e.g. 'crafter_reward'.
    seed: that the environment was made with.
    episode: number of one in that world.
  """
  guide.set_episode(episode)
  return Metadata(
    area=guide.world_map.shape,
    env_seed=int(guide.env_seed),
    world_seed=int(guide.world_hash),
    task=task.partition('_')[0],
    seed=seed,
    world_map=np.array(guide.world_map),
    materials=tuple(x or 'none' for x in guide.materials),
    objects=NAMES,
    injuries=INJURIES,
  )


def describe(trained: Trained) -> Metadata:
  """All that is known of a recording before its first step.

  The fingerprint in it holds what decides the content of an episode: with
  another one, files must not share a folder.
  """
  config = trained.config
  suite = config.task.partition('_')[0]
  env, own = (plain(x) for x in (config.env[suite], config.eval_trajectory))
  basics = _basics(trained)
  fingerprint = {
    'weights': digest(trained.params),
    **basics,
    **{f'env.{k}': v for k, v in env.items()},
    **{f'eval_trajectory.{k}': v for k, v in own.items() if k not in HOW},
  }
  settings = {
    **basics,
    'env': env,
    'agent': plain(config.agent),
    'eval_trajectory': own,
  }
  fixed = bool(env['fixed_seed'])
  place = world(trained.guide, config.task, int(config.seed))
  return dataclasses.replace(
    place,
    fixed_seed=fixed,
    world_map=place.world_map if fixed else None,
    settings=settings,
    extra={**_origin(trained), 'fingerprint': fingerprint},
    **_network(trained),
  )


def describe_replay(trained: Trained, data: Trajectories) -> Metadata:
  """What is known of a replay: the world is the recording's, the rest the agent's.

  Args:
    trained: the agent.
    data: the episodes that it is led along.
  """
  own = plain(trained.config.replay_activations)
  basics = _basics(trained)
  path = data.metadata.source
  seen = {k: own[k] for k in ('observe', 'perturb', 'layers', 'dtype')}
  fingerprint = {
    'weights': digest(trained.params),
    **basics,
    'seed': data.metadata.seed,
    **{f'replay_activations.{k}': v for k, v in seen.items()},
    'replay_activations.source': _short(data.metadata),
  }
  settings = {
    **data.metadata.settings,
    **basics,
    'seed': data.metadata.seed,
    'agent': plain(trained.config.agent),
    'replay_activations': {**own, 'episodes': [x.number for x in data.episodes]},
  }
  replayed = {
    'path': str(data.path.absolute()),
    'weights': path['weights'],
    'checkpoint': path['checkpoint'],
    'checkpoint_step': path['step'],
    'trained': data.metadata.trained,
  }
  return dataclasses.replace(
    data.metadata,
    settings=settings,
    extra={**_origin(trained), 'fingerprint': fingerprint, 'replayed': replayed},
    **_network(trained),
  )


def _basics(trained: Trained) -> dict[str, Any]:
  """What decides the numbers besides weights and input."""
  return {
    'task': trained.config.task,
    'seed': int(trained.config.seed),
    'compute_dtype': str(trained.agent.dtype),
    'platform': trained.agent.backend,
  }


def _network(trained: Trained) -> dict[str, Any]:
  """Fields of the metadata that tell of the network."""
  return {
    'layers': {x.name: x.units for x in trained.probe.layers},
    'trained': trained.source is not None,
    'versions': versions(),
  }


def _origin(trained: Trained) -> dict[str, Any]:
  """Further keys of the metadata: shapes of layers, and where weights are from."""
  source = trained.source
  return {
    'layer_shapes': {x.name: list(x.shape) for x in trained.probe.layers},
    'checkpoint': None if source is None else str(source.absolute()),
    'checkpoint_step': steps_behind(source),
  }


def _short(metadata: Metadata) -> str:
  """A short name for what decides the episodes of a recording."""
  known = metadata.extra.get('fingerprint') or metadata.world
  text = json.dumps(plain(known), sort_keys=True, default=str)
  return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def digest(params: Mapping[str, jax.Array]) -> str:
  """A short name for the values of the parameters."""
  found = hashlib.blake2b(digest_size=8)
  for key in sorted(params):
    found.update(key.encode())
    found.update(np.ascontiguousarray(params[key]).data)
  return found.hexdigest()


def columns_of(probe: taps.Probe, image: tuple[int, ...]) -> list[Column]:
  """Where a step's large values are, in the order of the file.

  Args:
    image: shape of the image, (height, width, 3).
  """
  seen = Column('image', 'image', 0, tuple(image), np.dtype(np.uint8))
  layers = [dataclasses.replace(x, name=PREFIX + x.name) for x in probe.layers]
  return [seen, *layers]


def steps_behind(source: pathlib.Path | None) -> int | None:
  """Environment steps behind a checkpoint, if it says."""
  if source is None or not (source / 'step.pkl').exists():
    return None
  return checkpoint.step_of(source)
