"""Our frames are stock Crafter's, bit for bit."""

import numpy as np
import pytest
from crafter import constants, objects
from PIL import Image, ImageEnhance

from embodied.envs import crafter_game, crafter_light, crafter_render
from embodied.envs.crafter_world import Cow, Skeleton, Zombie
from embodied.tests import stock

FACINGS = [(-1, 0), (1, 0), (0, -1), (0, 1)]


class Scenes:
  """Random states of the game, drawn to cover everything a frame can show."""

  def __init__(self, area, seed):
    self.rng = np.random.RandomState(seed)
    self.game = crafter_game.Game(area, seed)
    self.seen = set()

  def next(self):
    """A new state: place, terrain, objects, inventory, hour, sleep."""
    rng, game = self.rng, self.game
    game.reset(1)
    world, player = game.world, game.player
    spot = self._spot()
    if spot != player.pos:
      self._clear(spot)
      world.move(player, spot)
    player.facing = FACINGS[rng.randint(4)]
    player.sleeping = bool(rng.rand() < 0.25)
    for item in player.inventory:
      player.inventory[item] = int(rng.randint(0, 10))
    world.daylight = self._hour()
    self._paint_terrain()
    for _ in range(rng.randint(8)):
      self._place_object()
    self._note()
    return world, player

  def _spot(self):
    """Anywhere; at an edge or a corner of the map more often than not."""
    spot = [int(self.rng.randint(side)) for side in self.game.area]
    for axis, side in enumerate(self.game.area):
      spot[axis] = (spot[axis], 0, side - 1)[self.rng.randint(3)]
    return tuple(spot)

  def _near(self):
    x, y = self.game.player.pos
    width, height = self.game.area
    i = int(np.clip(x + self.rng.randint(-4, 5), 0, width - 1))
    j = int(np.clip(y + self.rng.randint(-3, 4), 0, height - 1))
    return i, j

  def _clear(self, pos):
    obj = self.game.world[pos][1]
    if obj is not None:
      self.game.world.remove(obj)

  def _hour(self):
    steps = int(self.rng.randint(0, 300))
    return crafter_game.daylight(steps)

  def _paint_terrain(self):
    for _ in range(10):
      material = constants.materials[self.rng.randint(12)]
      self.game.world[self._near()] = material

  def _place_object(self):
    world, player, pos = self.game.world, self.game.player, self._near()
    if pos == tuple(player.pos):
      return
    self._clear(pos)
    kind = self.rng.randint(7)
    if kind == 0:
      obj = Cow(world, pos)
    elif kind in (1, 2):
      obj = (Zombie, Skeleton)[kind - 1](world, pos, player)
    elif kind == 3:
      obj = objects.Fence(world, pos)
    elif kind in (4, 5):
      obj = objects.Plant(world, pos)
      obj.grown = 301 * (kind - 4)
    else:
      obj = objects.Arrow(world, pos, FACINGS[self.rng.randint(4)])
    world.add(obj)

  def _note(self):
    world, player = self.game.world, self.game.player
    x, y = player.pos
    for i in range(x - 4, x + 5):
      for j in range(y - 3, y + 4):
        self.seen.add(world[i, j][0] or 'edge')
    for obj in world.within(x - 4, x + 5, y - 3, y + 4):
      self.seen.add(obj.texture)
    dark = crafter_light.needs_noise(world.daylight)
    self.seen.add(('night' if dark else 'day', player.sleeping))
    self.seen |= {*player.inventory.items()}


EVERYTHING = (
  {'edge', *constants.materials, *crafter_render.SPRITES}
  | {(hour, asleep) for hour in ('day', 'night') for asleep in (True, False)}
  | {(item, amount) for item in constants.items for amount in range(10)}
)


@pytest.mark.parametrize(
  ('size', 'area', 'count'),
  [
    ((64, 64), (9, 9), 150),
    ((18, 18), (32, 32), 50),
    pytest.param((64, 64), (64, 64), 600, marks=pytest.mark.slow),
    pytest.param((100, 84), (32, 32), 500, marks=pytest.mark.slow),
    ((256, 512), (32, 32), 30),
  ],
)
def test_frames_equal_stock(size, area, count):
  renderer = crafter_render.Renderer(size)
  scenes = Scenes(area, seed=sum(size))
  for index in range(count):
    world, player = scenes.next()
    dice = np.random.RandomState(index)
    noise = dice.uniform(*crafter_light.NOISE, renderer.noise_shape)
    ours = renderer(world, player, noise)
    theirs = stock.render(world, player, size, noise_seed=index)
    np.testing.assert_array_equal(ours, theirs, err_msg=f'state {index}')
  if count >= 500:
    assert not EVERYTHING - scenes.seen, EVERYTHING - scenes.seen


def test_frames_equal_stock_through_whole_games():
  """And in states as the game makes them, through a day and a night."""
  game = crafter_game.Game((64, 64), 11)
  game.reset(1)
  renderer = crafter_render.Renderer((64, 64))
  rng = np.random.RandomState(0)
  for step in range(300):
    game.player.inventory['health'] = 9
    game.step(crafter_game.ACTIONS[rng.randint(17)])
    noise = np.random.RandomState(step).uniform(32, 127, renderer.noise_shape)
    ours = renderer(game.world, game.player, noise)
    theirs = stock.render(game.world, game.player, (64, 64), step)
    np.testing.assert_array_equal(ours, theirs, err_msg=f'step {step}')


def test_fading_equals_pillow():
  rng = np.random.RandomState(0)
  rgb = rng.randint(0, 256, (200, 200, 3)).astype(np.uint8)
  want = np.asarray(ImageEnhance.Color(Image.fromarray(rgb)).enhance(0.4))
  bank = crafter_light.Bank.of(rgb[None].swapaxes(1, 2))
  np.testing.assert_array_equal(bank.faded[0], want)


def test_night_noise_is_uniform_and_a_function_of_seed_and_step():
  noise = crafter_light.night_noise(5, 200, 300, 400)
  again = crafter_light.night_noise(5, 200, 300, 400)
  np.testing.assert_array_equal(noise, again)
  for other in ((6, 200), (5, 201)):
    different = crafter_light.night_noise(*other, 300, 400)
    assert (noise != different).mean() > 0.999
    assert abs(np.corrcoef(noise.ravel(), different.ravel())[0, 1]) < 0.02
  counts, _ = np.histogram(noise, bins=50, range=(32, 127))
  assert counts.sum() == noise.size
  expected = noise.size / 50
  assert (((counts - expected) ** 2) / expected).sum() < 110  # chi2, p < 1e-6


def test_the_dark_needs_noise():
  game = crafter_game.Game((32, 32), 0)
  game.reset(1)
  game.world.daylight = 0.1
  renderer = crafter_render.Renderer((64, 64))
  with pytest.raises(ValueError, match=r'shape \(63, 49\), got None'):
    renderer(game.world, game.player, None)
