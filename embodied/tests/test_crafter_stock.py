"""Our worlds, dice and rules are those of stock Crafter."""

import numpy as np
import pytest
from crafter import constants

from embodied.envs import (
  crafter,
  crafter_game,
  crafter_random,
  crafter_worldgen,
)
from embodied.tests import stock

AREAS = [(64, 64), (32, 32)]
SEEDS = 20
FEW = [pytest.param(seed, id=f'seed{seed}') for seed in range(2)]
MANY = [
  pytest.param(seed, id=f'seed{seed}', marks=pytest.mark.slow)
  for seed in range(2, SEEDS)
]


def same_world(reference, game):
  np.testing.assert_array_equal(game.world.terrain, reference._world._mat_map)
  assert stock.objects(game.world) == stock.objects(reference._world)


@pytest.mark.parametrize('area', [*AREAS, (9, 40), (33, 17)])
@pytest.mark.parametrize('seed', FEW + MANY)
def test_worlds_equal_tile_for_tile(area, seed):
  reference = stock.make(area, seed)
  game = crafter_game.Game(area, seed, fixed_seed=False)
  for episode in (1, 2, 3):
    reference.reset()
    game.reset(episode)
    same_world(reference, game)
    # Generation leaves the dice at the same place.
    ours, theirs = game.world.random, reference._world.random
    assert [ours.uniform() for _ in range(3)] == theirs.uniform(size=3).tolist()


def test_fixed_seed_is_the_world_of_episode_one():
  reference = stock.make((32, 32), 5)
  game = crafter_game.Game((32, 32), 5, fixed_seed=True)
  for episode in (1, 2, 3):
    reference._episode = 0
    reference.reset()
    game.reset(episode)
    same_world(reference, game)


@pytest.mark.parametrize('seed', [0, 7, 2**31 - 2, 2**32 - 1])
@pytest.mark.parametrize('drawn', [0, 1, 5000])
def test_dice_equal_those_of_numpy(seed, drawn):
  reference = np.random.RandomState(seed)
  crafter_random.raw_words(reference, drawn)
  dice = crafter_random.Random(seed, drawn)
  choose = np.random.RandomState(1)
  for _ in range(3000):
    if choose.rand() < 0.5:
      assert dice.uniform() == reference.uniform()
    else:
      low, size = choose.randint(-5, 5), choose.randint(1, 300)
      assert dice.randint(low, low + size) == reference.randint(low, low + size)


def test_dice_refuse_an_empty_range():
  with pytest.raises(ValueError, match='low 3, high 3'):
    crafter_random.Random(0).randint(3, 3)


class Cheater:
  """Plays at random, but rich and healthy enough to see all of the game."""

  def __init__(self, seed):
    self.rng = np.random.RandomState(seed)
    self.bias = [self.rng.randint(17) for _ in range(3)] + [5]

  def action(self):
    if self.rng.rand() < 0.4:
      return self.bias[self.rng.randint(len(self.bias))]
    return int(self.rng.randint(17))

  def gifts(self):
    """Items and amounts to hand out before a step."""
    vitals, goods = [*constants.items][:4], [*constants.items][4:]
    gifts: dict[str, int] = {}
    if self.rng.rand() < 0.3:
      gifts |= dict.fromkeys(goods, 5)
    if self.rng.rand() < 0.5:
      gifts |= dict.fromkeys(vitals[1:], 9)
    if self.rng.rand() < 0.15:
      gifts |= {'health': 9}
    if self.rng.rand() < 0.02:
      gifts |= {'energy': 2}
    return gifts


def same_player(reference, game):
  for name in ('inventory', 'achievements', 'sleeping', 'action'):
    assert getattr(game.player, name) == getattr(reference._player, name), name
  assert tuple(game.player.facing) == tuple(reference._player.facing)


@pytest.mark.parametrize('area', AREAS)
@pytest.mark.parametrize(
  ('seed', 'steps'),
  [
    pytest.param(0, 400),
    *[pytest.param(s, 1500, marks=pytest.mark.slow) for s in range(1, 5)],
  ],
)
def test_games_equal_step_by_step(area, seed, steps):
  reference = stock.make(area, seed)
  game = crafter_game.Game(area, seed, fixed_seed=False)
  cheater = Cheater(seed)
  reference.reset()
  game.reset(1)
  for _ in range(steps):
    gifts = cheater.gifts()
    reference._player.inventory.update(gifts)
    game.player.inventory.update(gifts)
    action = cheater.action()
    _, reward, done, _info = reference.step(action)
    assert (reward, done) == game.step(crafter_game.ACTIONS[action])
    same_world(reference, game)
    same_player(reference, game)
    assert game.world.daylight == reference._world.daylight
    if done:
      reference.reset()
      game.reset(game.episode + 1)


def test_those_games_touch_the_rules():
  """The cheater's games of the test above meet nearly everything."""
  seen, kinds, deaths = set(), set(), 0
  for area, seed in [(area, seed) for area in AREAS for seed in range(1, 5)]:
    game = crafter_game.Game(area, seed, fixed_seed=False)
    cheater = Cheater(seed)
    game.reset(1)
    for _ in range(1500):
      game.player.inventory.update(cheater.gifts())
      _, dead = game.step(crafter_game.ACTIONS[cheater.action()])
      counts = game.player.achievements
      seen |= {name for name, count in counts.items() if count}
      kinds |= {type(obj).__name__ for obj in game.world.objects}
      if dead:
        deaths += 1
        game.reset(game.episode + 1)
  rare = {'eat_plant', 'collect_diamond', 'collect_iron', 'defeat_skeleton'}
  assert not {*constants.achievements} - seen - rare
  assert kinds == {'Player', 'Cow', 'Zombie', 'Skeleton', 'Arrow', 'Plant'}
  assert deaths


def test_semantic_map_equals():
  reference = stock.make((32, 32), 3)
  env = crafter.Crafter(area=(32, 32), seed=3, fixed_seed=False)
  reference.reset()
  env.step({'action': 0, 'reset': True})
  rng = np.random.RandomState(0)
  for _ in range(100):
    action = int(rng.randint(17))
    for inventory in (reference._player.inventory, env.game.player.inventory):
      inventory.update(health=9, sapling=1)
    info = reference.step(action)[3]
    env.step({'action': action, 'reset': False})
    np.testing.assert_array_equal(env.semantic(), info['semantic'])


def test_counts_per_chunk_follow_the_terrain():
  game = crafter_game.Game((32, 32), 1)
  game.reset(1)
  rng = np.random.RandomState(0)
  for _ in range(200):
    x, y = rng.randint(32, size=2).tolist()
    game.world[x, y] = constants.materials[rng.randint(12)]
  for chunk in game.layout.chunk_counts:
    x, y = (12 * i for i in chunk)
    region = game.world.terrain[x : x + 12, y : y + 12]
    for name in constants.materials:
      want = int((region == crafter_worldgen.IDS[name]).sum())
      assert game.world.count(chunk, name) == want
      assert len(game.world.tiles(chunk, name)) == want
