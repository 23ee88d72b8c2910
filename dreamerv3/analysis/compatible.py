"""May episodes be used together, within a recording and across two?

  data = placed(Trajectories.open(path), spawn_relative=False)
  same_world('`data`', train.metadata.world, '`test_data`', test.metadata.world)
  notes = other_episodes('`data`', train.source(), '`test_data`', test.source())

For every program that reads positions, since they mean something in one world
alone. Settings are named in backticks, which a command spells as its flags.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.data.episode import Episode
from dreamerv3.data.trajectories import Trajectories

UNKNOWN = (
  'Warning: it is not known which agent and seed made both recordings; if they '
  'share episodes, these are tested after they were trained on.'
)
OTHER = (
  'Warning: {} and {} are of two networks, or of one at two times; what is read in the '
  'code of one need not hold in the other, whatever that knows.'
)
NAMED = 5  # episodes in a message
SHORT = 10  # timesteps up to which two episodes may agree by chance


def placed(data: Trajectories, spawn_relative: bool) -> Trajectories:
  """The recording with positions that mean the same in all its episodes.

  Raises:
    UserError: the episodes are in different worlds, and positions are not to
      be taken relative to each one's spawn; or one episode is there twice.
  """
  _check_once(data)
  if spawn_relative:
    return data.relative_to_spawn()
  if not data.metadata.fixed_seed and len(data) > 1:
    raise UserError(
      f'{data.path} holds episodes of many worlds, where a position means '
      'something else each time; give `spawn_relative` for positions relative '
      'to the spawn, or record in one world.'
    )
  return data


def _check_once(data: Trajectories) -> None:
  """UserError if two episodes hold the same walk and the same activations.

  A copy of an episode would be tested after its twin was trained on, and every
  interval and null session would take the two for independent: slow noise decodes
  better than the constant and is named by its tuning.
  """
  walks: dict[tuple[int, bytes], list[Episode]] = {}
  for episode in data.episodes:
    walk = len(episode), np.ascontiguousarray(episode.pos).tobytes()
    for other in walks.setdefault(walk, []):
      if len(episode) > SHORT and _same_content(episode, other):
        raise UserError(
          f'{episode.path} and {other.path} hold the same episode ({episode.number} '
          f'and {other.number}), which would count as two; keep one of them.'
        )
    walks[walk].append(episode)


def _same_content(first: Episode, second: Episode) -> bool:
  """Whether what was seen and done, and the narrowest layer, are equal."""
  sizes = first.layers()
  if sizes != second.layers():
    return False
  known = first.arrays.keys() & second.arrays.keys()
  compared = [x for x in ('action', 'image') if x in known]
  if any(not np.array_equal(first.read(x), second.read(x)) for x in compared):
    return False
  if not sizes:
    return bool(compared)
  name = min(sizes, key=lambda x: (sizes[x] == 1, sizes[x]))
  return np.array_equal(first.layer(name), second.layer(name))


def same_world(
  first: str, known: Mapping[str, Any], second: str, here: Mapping[str, Any]
) -> None:
  """UserError if a position is known to mean something else in each.

  Args:
    first, second: what the two are called.
    known, here: their worlds, see `Metadata.world`; empty where unknown.
  """
  relative = [bool(x.get('spawn_relative')) for x in (known, here)]
  if relative[0] != relative[1]:
    one, other = (first, second) if relative[0] else (second, first)
    raise UserError(
      f'{one} has positions relative to the spawn and {other} has not; use '
      '`spawn_relative` for both or for none.'
    )
  if not relative[0]:
    for name, world in ((first, known), (second, here)):
      if not world.get('fixed_seed', True):
        raise UserError(f'{name} is of many worlds; use `spawn_relative`.')
  seeds = [x.get('world_seed') for x in (known, here)]
  if None in seeds or seeds[0] == seeds[1]:
    return
  raise UserError(
    f'{first} is of world {_name(known)} and {second} of world {_name(here)}, '
    'where a position means something else; record both with the same `seed` '
    'and environment (other episodes: `eval_trajectory.first_episode`).'
  )


def other_episodes(
  first: str, known: Mapping[str, Any], second: str, here: Mapping[str, Any]
) -> list[str]:
  """UserError if they share episodes; a note if nobody knows, or of two networks.

  An episode depends on weights, seed and number alone, so that a recording
  that was made again, or copied, has the same ones.

  Args:
    first, second: what the two are called.
    known, here: see `Trajectories.source`; empty where unknown.
  """
  # What was replayed through another network is the episode of its path.
  sources = [(x.get('path', x.get('weights')), x.get('seed')) for x in (known, here)]
  if None in (*sources[0], *sources[1]):
    return [UNKNOWN]
  shared = sorted({*known['episodes']} & {*here['episodes']})
  if sources[0] != sources[1] or not shared:
    networks = {str(x.get('weights')) for x in (known, here)}
    return [OTHER.format(first, second)] if len(networks) > 1 else []
  more = f' and {len(shared) - NAMED} more' if len(shared) > NAMED else ''
  raise UserError(
    f'{first} and {second} share episodes '
    f'({", ".join(map(str, shared[:NAMED]))}{more}: same agent, same seed), '
    'which would be tested after training on them; record others with '
    '`eval_trajectory.first_episode` 1001.'
  )


def untrained(control: Trajectories, data: Trajectories | None = None) -> list[str]:
  """UserError if a control is of a trained network; notes of what is not alike.

  Args:
    control: what is compared with.
    data: what is compared; a note says so if the control walked elsewhere.
  """
  known = control.metadata.trained
  if known:
    raise UserError(
      f'`control` is the recording of a trained network, {control.path}; take the '
      'untrained one along the same path with `script` replay_activations and '
      '`replay_activations.load_checkpoint` False.'
    )
  weights = control.metadata.source['weights']
  if data is not None and weights and weights == data.metadata.source['weights']:
    raise UserError(
      f'`control`, {control.path}, and {data.path} are of one network, the same '
      'weights; take the untrained one along the same path with `script` '
      'replay_activations and `replay_activations.load_checkpoint` False.'
    )
  notes = []
  if known is None:
    notes.append(
      f'Warning: {control.path} does not say whether its network was trained; '
      'it is called untrained here, as the `control`.'
    )
  if data is not None and not same_path(data, control):
    notes.append(
      f'The untrained agent of {control.path} walked paths of its own; to compare '
      'like with like, take it along the same one with `script` replay_activations '
      'and `replay_activations.load_checkpoint` False.'
    )
  return notes


def same_path(data: Trajectories, other: Trajectories) -> bool:
  """Whether the episodes of equal numbers took the same way, and there are some."""
  walked = {x.number: x.pos for x in data.episodes}
  shared = [x for x in other.episodes if x.number in walked]
  return bool(shared) and all(np.array_equal(x.pos, walked[x.number]) for x in shared)


def check_same(data: Trajectories, other: Trajectories, names: Sequence[str]) -> None:
  """UserError unless both hold these layers, in the same world."""
  if data.grid != other.grid:
    raise UserError(
      f'{other.path} is a world of {other.metadata.area} tiles and {data.path} '
      f'one of {data.metadata.area}; give recordings of the same world.'
    )
  worlds = data.metadata.world, other.metadata.world
  same_world(str(data.path), worlds[0], str(other.path), worlds[1])
  mine, theirs = data.layers(), other.layers()
  for name in names:
    if mine.get(name) != theirs.get(name):
      raise UserError(
        f'{other.path}: layer {name} has {theirs.get(name, "no")} units and '
        f'{mine.get(name, "none")} in {data.path}; give recordings of the same '
        'network, or choose `layers`.'
      )


def _name(world: Mapping[str, Any]) -> str:
  seed = world.get('seed')
  return f'{world["world_seed"]}' + ('' if seed is None else f' (seed {seed})')
