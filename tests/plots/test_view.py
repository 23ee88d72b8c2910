"""What an observation shows, against the game itself and by hand."""

import numpy as np
import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid
from dreamerv3.plots import view, world
from dreamerv3.plots.view import View
from embodied.envs import crafter_view
from embodied.envs.crafter import Crafter

UP, RIGHT, DOWN, LEFT = (0, -1), (1, 0), (0, 1), (-1, 0)


def play(egocentric, steps, seed=3, **options):
  """Images, positions, facings, map and materials of a walk in the game."""
  env = Crafter(
    'reward',
    area=(32, 32),
    seed=seed,
    egocentric_view=egocentric,
    disable_mobs=True,
    **options,
  )
  rng = np.random.default_rng(seed)
  obs = env.step({'action': 0, 'reset': True})
  tiles, materials = env.world_map.copy(), env.materials
  seen, heading = [], 1
  for _ in range(steps):
    facing = obs['log/player_facing_x'], obs['log/player_facing_y']
    seen.append((obs['image'], obs['player_pos'], facing))
    if rng.random() < 0.2:
      heading = int(rng.integers(1, 5))
    obs = env.step({'action': heading, 'reset': False})
  images, pos, facings = (np.array(x) for x in zip(*seen, strict=True))
  names = tuple(x or 'none' for x in materials)
  return images, pos.astype(np.int64), facings, tiles, names


def test_the_normal_view_is_nine_by_seven_tiles():
  normal = View.normal()
  assert normal.shape == (9, 7)
  assert (normal.side, normal.ahead, normal.behind) == (4, 3, 3)
  assert normal.unit(64) == 7
  assert normal.outline(np.array(LEFT)).tolist() == [
    [-4.5, -3.5],
    [4.5, -3.5],
    [4.5, 3.5],
    [-4.5, 3.5],
  ]
  assert View.normal(3).shape == (7, 4)


def test_the_egocentric_view_reaches_four_tiles_ahead():
  ego = View.ego(7)
  assert (ego.side, ego.ahead, ego.behind) == (3, 4, 0)
  # Far left, far right, near right, near left of a player who looks east.
  assert ego.outline(np.array(RIGHT)).tolist() == [
    [4.5, -3.5],
    [4.5, 3.5],
    [-0.5, 3.5],
    [-0.5, -3.5],
  ]
  assert ego.outline(np.array(UP)).tolist() == [
    [-3.5, -4.5],
    [3.5, -4.5],
    [3.5, 0.5],
    [-3.5, 0.5],
  ]


def test_bad_views():
  for tiles in (1, 2, 4):
    with pytest.raises(UserError, match='odd number'):
      View.ego(tiles)
  with pytest.raises(UserError, match='expected at most 32'):
    View.ego(33)
  with pytest.raises(UserError, match='expected at least 2'):
    View.normal(1)
  with pytest.raises(UserError, match='too small for 9 x 7'):
    View.normal().patches(np.zeros((1, 5, 8, 3), np.uint8))


def test_recorded_view_is_found_in_nested_and_flat_settings():
  assert view.recorded({}) == 0
  assert view.recorded({'env': {'egocentric_view': 7, 'size': (64, 64)}}) == 7
  assert view.recorded({'a': 1, 'env.crafter.egocentric_view': 5}) == 5
  assert view.recorded({'env': {'egocentric_view': 0}}) == 0


@pytest.mark.parametrize('egocentric', [3, 5, 7, 9, 15])
def test_the_egocentric_view_is_that_of_the_environment(egocentric):
  geometry = crafter_view.Geometry.of(egocentric, (64, 64), (32, 32))
  ego = View.ego(egocentric)
  assert (ego.ahead, ego.unit(64)) == (geometry.ahead, geometry.tile)


@pytest.mark.parametrize('egocentric', [0, 7])
def test_a_mosaic_by_day_is_the_map_of_the_game(egocentric):
  images, pos, facing, tiles, names = play(egocentric, 60)
  seen = View.ego(egocentric) if egocentric else View.normal()
  found = view.mosaic(images, pos, facing, seen, Grid(32, 32))
  picture = found.image().astype(int)
  unit = found.unit
  truth = world.world_image(tiles, names, unit).astype(int)
  where = np.repeat(np.repeat(found.seen.T, unit, 0), unit, 1)
  assert found.seen.sum() > 80
  # Textures are sampled in two ways; mean colours of the tiles agree.
  gap = np.abs(picture - truth).sum(-1)[where].reshape(-1, unit * unit)
  colors = np.abs((picture - truth)[where].mean())
  assert np.median(gap) < 60
  assert colors < 12
  assert (picture[~where] == view.UNSEEN).all()


def by_hand(facing):
  """An egocentric 5 x 3 picture of a world whose tile (x, y) is (x, y, 0)."""
  ahead = {UP: (0, -1), RIGHT: (1, 0), DOWN: (0, 1), LEFT: (-1, 0)}[facing]
  right = {UP: (1, 0), RIGHT: (0, 1), DOWN: (-1, 0), LEFT: (0, -1)}[facing]
  image = np.zeros((5 * 12, 5 * 12, 3), np.uint8)
  for row in range(3):
    for column in range(5):
      x = 10 + (column - 2) * right[0] + (2 - row) * ahead[0]
      y = 10 + (column - 2) * right[1] + (2 - row) * ahead[1]
      image[row * 12 : row * 12 + 12, column * 12 : column * 12 + 12, :2] = x, y
  return image


@pytest.mark.parametrize('facing', [UP, RIGHT, DOWN, LEFT])
def test_egocentric_tiles_go_where_they_belong(facing):
  ego = View(5, 2, 2, 0, egocentric=True)
  image = by_hand(facing)[None]
  found = view.mosaic(
    image, np.array([[10, 10]]), np.array([facing]), ego, Grid(20, 20)
  )
  picture = found.image()
  assert found.seen.sum() == 14  # 15 less the player's own
  for x, y in np.argwhere(found.seen):
    tile = picture[y * 12 : y * 12 + 12, x * 12 : x * 12 + 12]
    assert (tile == (x, y, 0)).all()


@pytest.mark.parametrize(
  ('facing', 'corner'),
  [(UP, (0, 0)), (RIGHT, (0, -1)), (DOWN, (-1, -1)), (LEFT, (-1, 0))],
)
def test_egocentric_tiles_are_turned_back(facing, corner):
  patches = np.zeros((1, 1, 1, 4, 4, 3), np.uint8)
  patches[..., 0, 0, :] = 255  # far left of the player
  turned = view.turn(patches, np.array([facing]))[0, 0, 0]
  assert np.argwhere(turned[..., 0]).tolist() == [[x % 4 for x in corner]]


def test_mosaics_add_up_and_leave_out_what_is_unknown():
  images, pos, facing, _, _ = play(7, 30)
  ego, grid = View.ego(7), Grid(32, 32)
  both = view.mosaic(images, pos, facing, ego, grid)
  halves = [
    view.mosaic(images[x], pos[x], facing[x], ego, grid)
    for x in (slice(0, 12), slice(12, 30))
  ]
  total, _, kept = view.overlay(halves, keep=1)
  assert (total.counts == both.counts).all()
  assert (total.image() == both.image()).all()
  assert len(kept) == 1
  unknown = view.mosaic(images, pos, 0 * facing, ego, grid)
  assert not unknown.seen.any()


def test_different_worlds_are_told_from_one():
  normal, grid = View.normal(), Grid(32, 32)

  def look(seed, **options):
    images, pos, facing, *_ = play(0, 80, seed, **options)
    return view.mosaic(images, pos, facing, normal, grid)

  _, one, _ = view.overlay([look(3), look(3)])
  _, many, _ = view.overlay([look(1), look(2)])
  assert one < 0.01
  assert many > view.DIFFERENT
