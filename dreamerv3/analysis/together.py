"""May two recordings be used together?

  same_world('--data', train.metadata.world, '--test_data', test.metadata.world)
  other_episodes('--data', train.source(), '--test_data', test.source())

For every program that applies to one recording what it learnt on another.
"""

from collections.abc import Mapping
from typing import Any

from dreamerv3.data.errors import UserError

UNKNOWN = (
  'Warning: it is not known which agent and seed made both recordings; if they '
  'share episodes, these are tested after they were trained on.'
)
NAMED = 5  # episodes in a message


def same_world(
  first: str, known: Mapping[str, Any], second: str, here: Mapping[str, Any]
) -> None:
  """UserError if both world seeds are known and differ.

  Args:
    first, second: what the two are called.
    known, here: their worlds, see `Metadata.world`; empty where unknown.
  """
  seeds = [x.get('world_seed') for x in (known, here)]
  if None in seeds or seeds[0] == seeds[1]:
    return
  raise UserError(
    f'{first} is of world {_name(known)} and {second} of world {_name(here)}, '
    'where a position means something else; record both with the same --seed '
    'and environment (other episodes: --eval_trajectory.first_episode).'
  )


def other_episodes(
  first: str, known: Mapping[str, Any], second: str, here: Mapping[str, Any]
) -> None:
  """UserError if they share episodes; a warning if nobody knows.

  An episode depends on weights, seed and number alone, so that a recording
  that was made again, or copied, has the same ones.

  Args:
    first, second: what the two are called.
    known, here: see `Trajectories.source`; empty where unknown.
  """
  sources = [(x.get('weights'), x.get('seed')) for x in (known, here)]
  if None in (*sources[0], *sources[1]):
    print(UNKNOWN)
    return
  shared = sorted({*known['episodes']} & {*here['episodes']})
  if sources[0] != sources[1] or not shared:
    return
  more = f' and {len(shared) - NAMED} more' if len(shared) > NAMED else ''
  raise UserError(
    f'{first} and {second} share episodes '
    f'({", ".join(map(str, shared[:NAMED]))}{more}: same agent, same seed), '
    'which would be tested after training on them; record others with '
    '--eval_trajectory.first_episode 1001.'
  )


def _name(world: Mapping[str, Any]) -> str:
  seed = world.get('seed')
  return f'{world["world_seed"]}' + ('' if seed is None else f' (seed {seed})')
