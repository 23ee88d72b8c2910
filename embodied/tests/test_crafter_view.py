"""The egocentric view, against frames worked out by hand."""

import numpy as np
import pytest
from crafter import constants

from embodied.envs import crafter, crafter_light, crafter_render, crafter_view
from embodied.envs.crafter_world import Cow
from embodied.tests import stock

UP, RIGHT, DOWN, LEFT = crafter_view.FACINGS

# A map of 7 x 6 tiles. Each letter is a material; north is up.
MAP = [
  'GGTSWCI',
  'GNSWTGG',
  'PPGGGLL',
  'DTGGGFB',
  'WWSSPPG',
  'CIDTGLS',
]
NAMES = {
  'G': 'grass',
  'T': 'tree',
  'S': 'stone',
  'N': 'sand',
  'W': 'water',
  'C': 'coal',
  'I': 'iron',
  'P': 'path',
  'D': 'diamond',
  'L': 'lava',
  'F': 'furnace',
  'B': 'table',
  '.': None,
}

# What a player at (x, y) sees with a view 5 tiles wide and 3 ahead, written
# down by turning the map in one's hands. '.' is beyond the edge.
SEEN = {
  ((3, 3), UP): ['GTSWC', 'NSWTG', 'PGGGL', 'TGGGF'],
  ((3, 3), RIGHT): ['GLBGS', 'GLFPL', 'TGGPG', 'WGGST'],
  ((3, 3), DOWN): ['.....', 'LGTDI', 'PPSSW', 'FGGGT'],
  ((3, 3), LEFT): ['CWDPG', 'IWTPN', 'DSGGS', 'TSGGW'],
  ((0, 0), UP): ['.....', '.....', '.....', '..GGT'],
  ((0, 0), RIGHT): ['..SWG', '..TSG', '..GNP', '..GGP'],
  ((0, 0), DOWN): ['GTD..', 'GPP..', 'SNG..', 'TGG..'],
  ((0, 0), LEFT): ['.....', '.....', '.....', 'PGG..'],
  ((6, 5), DOWN): ['.....', '.....', '.....', '..SLG'],
  ((6, 5), LEFT): ['..TSG', '..GPG', '..LPF', '..SGB'],
}


def look(pos, facing, width=5, ahead=3):
  tiles = crafter_view.seen_tiles(pos, facing, width, ahead)
  rows = []
  for row in range(ahead + 1):
    line = ''
    for column in range(width):
      x, y = tiles[column, row]
      inside = 0 <= y < len(MAP) and 0 <= x < len(MAP[0])
      line += MAP[y][x] if inside else '.'
    rows.append(line)
  return rows


@pytest.mark.parametrize(('pos', 'facing'), [*SEEN])
def test_tiles_are_those_worked_out_by_hand(pos, facing):
  assert look(pos, facing) == SEEN[pos, facing]


def make(width=7, size=(64, 64), area=(32, 32), **settings):
  env = crafter.Crafter(size=size, area=area, seed=3, egocentric_view=width, **settings)
  env.step({'action': 0, 'reset': True})
  return env


def put(env, pos, facing):
  """Stand on a tile of a map of all materials, by full daylight."""
  world, player = env.game.world, env.game.player
  for obj in world.objects[1:]:
    world.remove(obj)
  for y, row in enumerate(MAP):
    for x, letter in enumerate(row):
      world[x, y] = NAMES[letter]
  if pos != tuple(player.pos):
    world.move(player, pos)
  player.facing = facing
  world.daylight = 1.0
  return world, player


@pytest.mark.parametrize(
  ('pos', 'facing'), [case for case in SEEN if case[0] == (0, 0)]
)
def test_a_frame_at_the_corner_is_made_of_the_tiles_seen(pos, facing):
  """Width 5: tiles of 12 pixels, 4 - ceil(14 / 12) = 2 ahead."""
  env = make(width=5)
  world, player = put(env, pos, facing)
  image = env._draw(world, player, None)
  for row, line in enumerate(SEEN[pos, facing][1:]):
    for column, letter in enumerate(line):
      tile = picture(NAMES[letter], 12, facing)
      if (column, row) == (2, 2):
        tile = with_player(tile)
      got = image[row * 12 : row * 12 + 12, column * 12 : column * 12 + 12]
      np.testing.assert_array_equal(got, tile, err_msg=f'{column} {row}')
  assert (image[36:50] == 0).all()
  assert (image[:50, 60:] == 0).all()


QUARTERS = {UP: 0, RIGHT: 1, DOWN: 2, LEFT: 3}  # counterclockwise


def picture(name, unit, facing):
  """A tile [row, column], turned so that facing points up."""
  if name is None:
    return np.full((unit, unit, 3), 127, np.uint8)
  texture = stock.TEXTURES.get(name, (unit, unit))[..., :3]
  return np.rot90(texture.swapaxes(0, 1), QUARTERS[facing])


def with_player(tile):
  sprite = stock.TEXTURES.get('player-down', tile.shape[:2])
  return crafter_render.blend(tile, sprite.swapaxes(0, 1))


class Alone(stock.Eyes):
  """The world without its player."""

  @property
  def objects(self):
    return self._world.objects[1:]


@pytest.mark.parametrize('facing', crafter_view.FACINGS)
@pytest.mark.parametrize('pos', [(3, 3), (0, 5), (31, 31)])
@pytest.mark.parametrize(('width', 'size'), [(7, (64, 64)), (9, (100, 90))])
def test_frames_are_turned_parts_of_stock_frames(facing, pos, width, size):
  env = make(width, size)
  world, player = put(env, pos, facing)
  for place in ((2, 2), (4, 5), (30, 29), (1, 5)):
    if place != pos:
      world.add(Cow(world, place))
  tile, full = min(size) // width, 2 * width - 1
  view = stock.engine.LocalView(Alone(world, 0), stock.TEXTURES, [full, full])
  around = view(player, np.array([tile, tile])).astype(np.uint8).swapaxes(0, 1)
  turned = np.rot90(around, QUARTERS[facing])
  strip = 2 * size[1] // 9
  ahead = width - 1 - -(-strip // tile)
  middle, half = (width - 1) * tile, width // 2 * tile
  want = np.zeros((size[1], size[0], 3), np.uint8)
  part = turned[
    middle - ahead * tile : middle + tile, middle - half : middle + half + tile
  ].copy()
  own = part[-tile:, half : half + tile]
  own[:] = with_player(own)
  want[: part.shape[0], : part.shape[1]] = part
  normal = stock.render(world, player, size, 0)
  want[-strip:] = normal[-strip:]
  np.testing.assert_array_equal(env._draw(world, player, None), want)


@pytest.mark.parametrize('sleeping', [False, True])
def test_night_darkens_around_the_player(sleeping):
  env = make()
  world, player = put(env, (3, 3), RIGHT)
  by_day = env._draw(world, player, None)[:45, :63].swapaxes(0, 1)
  world.daylight, player.sleeping = 0.2, sleeping
  noise = np.random.RandomState(0).uniform(32, 127, (63, 45))
  # The mask of the full view, 13 x 13 tiles, with the player in the middle.
  mask = crafter_light.vignette((117, 117))[27:90, 18:63]
  view = stock.engine.LocalView(world, stock.TEXTURES, [7, 5])
  view._noise = lambda canvas, amount, _: (
    (1 - amount * mask[..., None]) * canvas
    + amount * mask[..., None] * noise[..., None]
  )
  want = view._light(by_day, 0.2)
  want = view._sleep(want) if sleeping else want
  got = env._draw(world, player, noise)[:45, :63].swapaxes(0, 1)
  np.testing.assert_array_equal(got, want.astype(np.uint8))


@pytest.mark.parametrize('facing', crafter_view.FACINGS)
def test_moves_are_relative_to_the_facing(facing):
  names = ('move_up', 'move_right', 'move_down', 'move_left')
  turn = crafter_view.FACINGS.index(facing)
  for quarter, name in enumerate(names):
    want = names[(quarter + turn) % 4]
    assert crafter_view.world_move(name, facing) == want


def test_forward_walks_on_and_left_turns_left():
  env = make()
  start = env.game.player.pos
  env.game.player.facing = RIGHT
  forward, left = crafter.ACTIONS.index('move_up'), 1
  assert crafter.ACTIONS[left] == 'move_left'
  obs = env.step({'action': forward, 'reset': False})
  assert tuple(obs['player_pos']) == start + RIGHT
  obs = env.step({'action': left, 'reset': False})
  assert tuple(obs['player_pos']) == start + RIGHT + UP
  assert (obs['log/player_facing_x'], obs['log/player_facing_y']) == UP


@pytest.mark.parametrize('width', [1, 2, 6, 17, 64, -3])
def test_even_small_and_large_views_are_refused(width):
  with pytest.raises(ValueError, match=rf'3 to 15, got {width}: .* 64x64'):
    crafter.Crafter(egocentric_view=width)


def test_a_view_larger_than_the_world_is_refused():
  with pytest.raises(ValueError, match=r'3 to 9, got 11: .* 10x20 tiles'):
    crafter.Crafter(egocentric_view=11, area=(10, 20))


@pytest.mark.parametrize('width', range(3, 16, 2))
def test_every_width_fits(width):
  geometry = crafter_view.Geometry.of(width, (64, 64), (64, 64))
  assert geometry.ahead >= 1
  assert (geometry.ahead + 1) * geometry.tile + geometry.strip <= 64
  assert make(width).obs_space['image'].shape == (64, 64, 3)


def test_the_map_names_every_material():
  letters = {letter for row in MAP for letter in row}
  assert {NAMES[letter] for letter in letters} == {*constants.materials}
