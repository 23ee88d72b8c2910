"""May two recordings be used together?

same_world('--data', train.metadata.world, '--test_data', test.metadata.world)

For every program that applies to one recording what it learnt on another.
"""

from collections.abc import Mapping
from typing import Any

from dreamerv3.data.errors import UserError


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


def _name(world: Mapping[str, Any]) -> str:
  seed = world.get('seed')
  return f'{world["world_seed"]}' + ('' if seed is None else f' (seed {seed})')
