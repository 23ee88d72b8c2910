"""What is around the player and what hurt it, as the game holds it."""

import numpy as np
import pytest
from crafter.objects import Arrow

from embodied.envs import crafter
from embodied.envs.crafter_witness import INJURIES, NAMES, Witness
from embodied.envs.crafter_world import Cow, Zombie

NOOP, RIGHT, SLEEP = 0, 2, 6


def act(env, action=NOOP, reset=False):
  return env.step({'action': np.int32(action), 'reset': np.bool_(reset)})


@pytest.fixture
def env():
  env = Witness(crafter.Crafter(area=(32, 32), seed=3))
  act(env, reset=True)
  for obj in env.game.world.objects:  # nobody else is about
    if obj is not env.game.player:
      env.game.world.remove(obj)
  return env


def causes(obs):
  return {x for i, x in enumerate(INJURIES) if obs['log/injury'] >> i & 1}


def test_the_square_is_that_of_the_moment(env):
  plain = crafter.Crafter(area=(32, 32), seed=3)
  act(plain, reset=True)
  for t in range(300):
    action = (7 * t) % 17
    obs, other = act(env, action), act(plain, action)
    if t == 0:
      assert other['image'].shape == obs['image'].shape
    game = env.game
    x, y = game.player.pos
    canvas = np.pad(game.world.terrain, 4)
    assert (obs['log/view_materials'] == canvas[x : x + 9, y : y + 9]).all()
    found = obs['log/view_objects']
    assert NAMES[found[4, 4]] == 'player'
    for obj in game.world.objects:
      i, j = obj.pos[0] - x + 4, obj.pos[1] - y + 4
      if 0 <= i < 9 and 0 <= j < 9:
        assert NAMES[found[i, j]] == type(obj).__name__.lower()
    assert obs['log/view_materials'].dtype == found.dtype == np.uint8


def test_the_game_is_the_same_with_a_witness():
  one = crafter.Crafter(area=(32, 32), seed=3)
  two = Witness(crafter.Crafter(area=(32, 32), seed=3))
  for t in range(200):
    a, b = (act(x, (5 * t) % 17, t == 0) for x in (one, two))
    for key, value in a.items():
      np.testing.assert_array_equal(value, b[key])


def test_beyond_the_edge_is_nothing(env):
  env.game.world.move(env.game.player, (0, 31))
  found = act(env)['log/view_materials']
  assert not found[:4].any()
  assert not found[:, 5:].any()
  assert found[4:, :5].all()


def test_what_was_built_and_creatures_are_seen(env):
  game = env.game
  x, y = game.player.pos
  game.world[x + 1, y] = 'table'
  game.world[x, y - 2] = 'grass'
  game.world.add(Cow(game.world, (x, y - 2)))
  game.world[x, y - 2] = 'grass'
  obs = act(env)
  assert env.materials[obs['log/view_materials'][5, 4]] == 'table'
  assert (obs['log/view_objects'] == NAMES.index('cow')).sum() == 1


@pytest.mark.parametrize(
  ('lacking', 'cause'),
  [('food', 'hunger'), ('drink', 'thirst'), ('energy', 'exhaustion')],
)
def test_who_lacks_something_is_hurt_by_it(env, lacking, cause):
  player = env.game.player
  seen = []
  for _ in range(20):
    player.inventory.update(food=5, drink=5, energy=5)
    player.inventory[lacking] = 0
    before = player.health
    obs = act(env)
    seen.append((before - player.health, causes(obs)))
  assert [x for x in seen if x[0]] == [(1, {cause})]
  assert all(not found for lost, found in seen if not lost)


def test_two_lacks_are_both_named(env):
  env.game.player.inventory.update(food=0, drink=0)
  env.game.player._recover = -15
  assert causes(act(env)) == {'hunger', 'thirst'}


def test_sleepers_are_not_hurt_by_exhaustion(env):
  player = env.game.player
  player.inventory.update(food=0, energy=0)
  player._recover = -15
  assert causes(act(env, SLEEP)) == {'hunger'}


def test_creatures_hurt(env):
  game = env.game
  x, y = game.player.pos
  for i, j in ((1, 0), (-1, 0), (2, 0)):
    game.world[x + i, y + j] = 'grass'
  game.world.add(Zombie(game.world, (x + 1, y), game.player))
  assert causes(act(env)) == {'combat'}
  assert game.player.health == 7
  game.world.add(Arrow(game.world, (x - 1, y), (1, 0)))
  assert 'combat' in causes(act(env))


def test_a_wound_that_heals_at_once_is_still_one(env):
  game = env.game
  x, y = game.player.pos
  game.player.health, game.player._recover = 5, 25
  game.world[x - 1, y] = 'grass'
  game.world.add(Arrow(game.world, (x - 1, y), (1, 0)))
  assert causes(act(env)) == {'combat'}
  assert game.player.health == 4


def test_lava_kills(env):
  x, y = env.game.player.pos
  env.game.world[x + 1, y] = 'lava'
  obs = act(env, RIGHT)
  assert obs['is_last']
  assert causes(obs) == {'lava'}
  assert not causes(act(env, reset=True))


def test_healing_is_no_injury(env):
  env.game.player.health, env.game.player._recover = 5, 25
  assert not causes(act(env))
  assert env.game.player.health == 6
