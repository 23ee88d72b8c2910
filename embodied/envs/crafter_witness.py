"""What is around the player, and what hurt it: facts that the image holds only in part.

For recordings, whose analyses ask whether a code follows the place or what is
seen there. The agent does not see them, and the game does not change.

  env = Witness(env); obs = env.step(action); obs['log/view_objects']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import elements
import numpy as np

from embodied.core.wrappers import Wrapper

from .crafter import OBJECTS
from .crafter_worldgen import MATERIALS

if TYPE_CHECKING:
  from embodied.core import base

SIZE = 9  # [tiles] side of the square around the player; Crafter shows 9 x 7
NAMES = ('none', *(x.lower() for x in OBJECTS))  # by id in `log/view_objects`
INJURIES = ('hunger', 'thirst', 'exhaustion', 'combat', 'lava')  # by bit
# The game's counter of recovery: below -15 a health is lost, above 25 one is won,
# and it begins at 0 again. A step changes it by 2 at most.
_WEAK, _WELL = -13, 23
_HEALTH = 9  # the most


class _Body(NamedTuple):
  """The player's state that decides what hurts it in the next step."""

  health: int
  recover: float
  sleeping: bool


class Witness(Wrapper):
  """Adds `log/view_materials`, `log/view_objects` (9, 9) and `log/injury`.

  Materials are ids as in `env.materials`, 0 beyond the edge of the world;
  objects are ids into NAMES. Both are indexed [x, y], north up and unturned:
  [4, 4] is the player's tile, [5, 4] the one east of it. They are those of the
  moment, with what was built and mined, and with creatures. An injury is a sum
  of 2**i for each cause INJURIES[i] of a loss of health in this step.

  Args:
    env: Crafter, wrapped or not.
  """

  @property
  def obs_space(self) -> base.Spaces:
    """Those of the game, with what surrounds the player."""
    square = elements.Space(np.uint8, (SIZE, SIZE))
    return {
      **self.env.obs_space,
      'log/view_materials': square,
      'log/view_objects': square,
      'log/injury': elements.Space(np.uint8),
    }

  def step(self, action: base.Step) -> base.Step:
    """A step of the game, with what it changed."""
    game: Any = self.env.game  # type: ignore[attr-defined]
    before = _body(game.player) if game.episode else None
    obs = self.env.step(action)
    injury = 0
    if before is not None and not obs['is_first']:
      injury = _injury(before, game)
    return {
      **obs,
      'log/view_materials': _materials(game),
      'log/view_objects': _objects(game),
      'log/injury': np.uint8(injury),
    }


def _body(player: Any) -> _Body:
  return _Body(player.health, player._recover, player.sleeping)


def _materials(game: Any) -> np.ndarray:
  found = np.zeros((SIZE, SIZE), np.uint8)
  here, there = _overlap(game.player.pos, game.world.terrain.shape)
  found[there] = game.world.terrain[here]
  return found


def _objects(game: Any) -> np.ndarray:
  found = np.zeros((SIZE, SIZE), np.uint8)
  x, y = (int(v) - SIZE // 2 for v in game.player.pos)
  for obj in game.world.objects:
    i, j = obj.pos[0] - x, obj.pos[1] - y
    if 0 <= i < SIZE and 0 <= j < SIZE:
      found[i, j] = 1 + OBJECTS.index(type(obj).__name__)
  return found


def _overlap(
  pos: tuple[int, int], area: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
  """Which part of the world is in the square, and where it lies there."""
  here, there = [], []
  for centre, size in zip(pos, area, strict=True):
    first = int(centre) - SIZE // 2
    start, stop = max(first, 0), min(first + SIZE, size)
    here.append(slice(start, stop))
    there.append(slice(start - first, stop - first))
  return tuple(here), tuple(there)


def _injury(before: _Body, game: Any) -> int:
  """Sum of 2**i for each cause that took health in the step that was made.

  A step first changes what the player lacks and its counter of recovery, which
  gives or takes one health when it is full, and then lets the creatures act.
  What is missing beyond that was taken by them.
  """
  player = game.player
  after = _body(player)
  causes = set()
  expected = before.health
  if after.recover == 0 and before.recover > _WELL:
    expected = min(expected + 1, _HEALTH)
  if after.recover == 0 and before.recover < _WEAK:
    expected -= 1
    # Only who was awake is hurt by exhaustion; injured, it is awake again.
    awake = not before.sleeping and player.action != 'sleep'
    lacks = {
      'hunger': player.inventory['food'] <= 0,
      'thirst': player.inventory['drink'] <= 0,
      'exhaustion': player.inventory['energy'] <= 0 and awake,
    }
    causes |= {k for k, v in lacks.items() if v}
  if game.world[player.pos][0] == 'lava':
    causes.add('lava')
  elif after.health < expected:
    causes.add('combat')
  return sum(1 << i for i, name in enumerate(INJURIES) if name in causes)


assert len(MATERIALS) <= 256, 'ids of materials are stored in a byte'
