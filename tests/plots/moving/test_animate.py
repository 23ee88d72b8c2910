"""Frames of animations: the right pixels, and never two episodes at once."""

import pathlib

import numpy as np
import pytest
from PIL import ImageColor

from dreamerv3.data.episode import Episode, StoredArray
from dreamerv3.plots import world
from dreamerv3.plots.moving import animate
from dreamerv3.plots.moving.animate import BAR, Scene
from dreamerv3.plots.view import View
from tests import synthetic

UNIT = 16
UP, RIGHT, DOWN, LEFT = (0, -1), (1, 0), (0, 1), (-1, 0)
COLORS = ('#0072b2', '#d55e00')


def make_episode(pos, facing, number=1, images=None, actions=None):
  T = len(pos)
  found = {}
  if images is None:
    images = np.zeros((T, 64, 64, 3), np.uint8)
  for key, value in (('image', images), ('action', actions)):
    if value is not None:
      value = np.asarray(value)
      found[key] = StoredArray(value.shape, value.dtype, value)
  return Episode(
    path=pathlib.Path('none'),
    index=None,
    number=number,
    pos=np.array(pos),
    facing=np.array(facing, np.int8),
    arrays=found,
    values={},
  )


@pytest.fixture
def scene():
  tiles = synthetic.world((12, 10), walls=((3, 2), (3, 3), (9, 8)))
  image = world.world_image(tiles, synthetic.MATERIALS, UNIT)
  return Scene(image, UNIT)


def near(frame, at, color):
  """Whether pixel `at` or one close by has a colour."""
  x, y = (int(v) for v in at)
  part = frame[y - 2 : y + 3, x - 2 : x + 3]
  wanted = np.array(ImageColor.getrgb(color))
  return (np.abs(part.astype(int) - wanted).sum(-1) < 40).any()


def middle(x, y):
  return x * UNIT + UNIT / 2, y * UNIT + UNIT / 2 + BAR


@pytest.mark.parametrize('lengths', [(7,), (1,), (300, 20, 1), (50,) * 30])
@pytest.mark.parametrize('limit', [10, 100, 10_000])
def test_a_plan_keeps_the_ends_of_every_episode(lengths, limit):
  shown = animate.plan(lengths, limit)
  assert len(shown) <= max(limit, 2 * len(lengths))
  assert list(shown.steps) == sorted(set(shown.steps))
  for k, length in enumerate(lengths):
    ts = [t for e, t in shown.steps if e == k]
    assert ts[0] == 0
    assert ts[-1] == length - 1
    assert max(np.diff(ts), default=0) <= shown.every
  if sum(lengths) <= limit:
    assert shown.every == 1
    assert len(shown) == sum(lengths)


def test_a_journey_lands_on_its_tiles(scene):
  pos = [(5, 7), (5, 6), (5, 5), (6, 5)]
  facing = [UP, UP, UP, RIGHT]
  shown = animate.plan([4], 100)
  frames = list(animate.journeys([make_episode(pos, facing)], shown, scene, COLORS))
  assert len(frames) == 4
  assert frames[0].shape == (10 * UNIT + BAR, 12 * UNIT, 3)
  last = frames[-1]
  # The path runs north from (5, 7): up in the picture, at smaller y.
  for tile in pos[:-1]:
    assert near(last, middle(*tile), COLORS[0])
  assert not near(last, middle(5, 8), COLORS[0])
  # Nothing is drawn on the walls, which lie where the world has them.
  stone = world.texture('stone', UNIT)
  for x, y in ((3, 2), (3, 3), (9, 8)):
    rows = slice(y * UNIT + BAR, (y + 1) * UNIT + BAR)
    there = last[rows, x * UNIT : (x + 1) * UNIT]
    assert (there == stone).all()


@pytest.mark.parametrize('facing', [UP, RIGHT, DOWN, LEFT])
def test_the_arrow_points_where_the_player_faces(scene, facing):
  episode = make_episode([(6, 5)], [facing])
  (frame,) = animate.journeys([episode], animate.plan([1], 9), scene, COLORS)
  x, y = middle(6, 5)
  wanted = np.array(ImageColor.getrgb(animate.PLAYER))
  rows, columns = np.nonzero(np.abs(frame[BAR:].astype(int) - wanted).sum(-1) < 40)
  # A triangle's pixels lie behind the middle of its box: its tip is thin.
  box = np.array([columns.min() + columns.max(), rows.min() + rows.max()]) / 2
  mass = np.array([columns.mean(), rows.mean()])
  lean = mass - box
  assert np.abs(lean).max() > 0.5
  assert lean @ facing < 0
  assert abs(lean @ (facing[1], facing[0])) < 0.5 * np.abs(lean @ facing)
  assert abs(columns.mean() - x) < UNIT / 2
  assert abs(rows.mean() + BAR - y) < UNIT / 2


def test_the_trail_never_crosses_from_one_episode_to_the_next(scene):
  first = make_episode([(1, 8), (1, 7)], [UP, UP], 1)
  second = make_episode([(10, 1), (10, 2)], [DOWN, DOWN], 2)
  for limit in (100, 2):
    shown = animate.plan([2, 2], limit)
    frames = list(animate.journeys([first, second], shown, scene, COLORS))
    for frame in frames[-2:]:
      # On the straight line between the two there is only the world.
      for part in np.linspace(0.2, 0.8, 13):
        x, y = middle(1 + 9 * part, 7 - 6 * part)
        for color in COLORS:
          assert not near(frame, (x, y), color)
    assert not near(frames[-2], middle(1, 7), animate.PLAYER)
    # The path of the first stays, faintly.
    before = frames[0][:, : 3 * UNIT].astype(int)
    ghost = frames[-1][:, : 3 * UNIT].astype(int)
    assert np.abs(before - ghost)[8 * UNIT + BAR - 4].sum() > 0


def test_worldview_shows_window_view_and_observation(scene):
  image = np.zeros((64, 64, 3), np.uint8)
  image[:7, :7] = 250, 10, 10  # far left in the observation
  episode = make_episode([(6, 5)], [UP], images=[image])
  shown = animate.plan([1], 9)
  (frame,) = animate.worldview(
    [episode], shown, lambda k: scene, View.normal(2), window=7
  )
  side = 7 * UNIT
  assert frame.shape == (side + 2 * BAR, side + animate.GAP + 64, 3)
  # The window is centred on the player: tiles 3..9 and 2..8.
  wanted = np.array(ImageColor.getrgb(animate.PLAYER))
  rows, columns = np.nonzero(np.abs(frame[:, :side].astype(int) - wanted).sum(-1) < 40)
  assert columns.mean() == pytest.approx(3.5 * UNIT, abs=2)
  assert rows.mean() == pytest.approx(3.5 * UNIT + BAR, abs=2)
  # The wall (3, 3) lies in its left column, one below the top.
  wall = frame[UNIT + BAR : 2 * UNIT + BAR, :UNIT]
  assert (wall == world.texture('stone', UNIT)).all()
  # Field of view of 5 x 1 tiles: its corner is 2.5 left, 0.5 above.
  assert near(frame, (UNIT, 3 * UNIT + BAR), animate.FIELD)
  assert not near(frame, (UNIT, 2 * UNIT + BAR), animate.FIELD)
  # The observation is on the right, upright.
  assert (frame[BAR : BAR + 7, side + animate.GAP :][:, :7] == image[0, 0]).all()


@pytest.mark.parametrize(
  ('facing', 'tile', 'outside'),
  [
    (UP, (0, -4), (0, 1)),
    (RIGHT, (4, 0), (-1, 0)),
    (DOWN, (0, 4), (0, -1)),
    (LEFT, (-4, 0), (1, 0)),
  ],
)
def test_the_egocentric_field_lies_ahead(facing, tile, outside):
  grass = Scene(np.zeros((41 * UNIT, 41 * UNIT, 3), np.uint8), UNIT)
  episode = make_episode([(20, 20)], [facing])
  (frame,) = animate.worldview(
    [episode], animate.plan([1], 9), lambda k: grass, View.ego(7), window=17
  )
  field = (
    np.abs(frame.astype(int) - np.array(ImageColor.getrgb(animate.FIELD))).sum(-1)[
      BAR:-BAR, : 17 * UNIT
    ]
    < 40
  )
  rows, columns = np.nonzero(field)
  low = np.array([columns.min(), rows.min()]) / UNIT - 8
  high = np.array([columns.max(), rows.max()]) / UNIT - 8
  assert (low <= np.array(tile) + 0.5).all()
  assert (np.array(tile) + 0.5 <= high).all()
  outside = np.array(outside) + 0.5
  assert not ((low < outside) & (outside < high)).all()


def test_unknown_facing_is_a_disc_and_no_egocentric_field(scene):
  episode = make_episode([(6, 5)], [(0, 0)])
  shown = animate.plan([1], 9)
  frames = [
    next(animate.worldview([episode], shown, lambda k: scene, v, 9))
    for v in (View.normal(), View.ego(7))
  ]
  yellow = np.array(ImageColor.getrgb(animate.FIELD))
  found = [(np.abs(x.astype(int) - yellow).sum(-1) < 9).sum() for x in frames]
  assert found[0] > 100
  assert found[1] == 0


def test_the_window_stops_at_the_edge_and_shrinks_to_a_small_world(scene):
  at_edge = make_episode([(0, 0)], [UP])
  shown = animate.plan([1], 9)
  view = View.normal()
  (frame,) = animate.worldview([at_edge], shown, lambda k: scene, view, 5)
  window = frame[BAR : BAR + 5 * UNIT, : 5 * UNIT]
  corner = scene.image[: 5 * UNIT, : 5 * UNIT]
  away = (slice(2 * UNIT, None), slice(2 * UNIT, 4 * UNIT))
  assert (window[away] == corner[away]).mean() > 0.8
  (frame,) = animate.worldview([at_edge], shown, lambda k: scene, view, 99)
  assert frame.shape[0] == 10 * UNIT + 2 * BAR


def test_action_names_follow_the_view():
  episode = make_episode([(1, 1)] * 3, [UP] * 3, actions=[3, 5, 0])
  plain = animate._notes(episode, View.normal())
  assert plain == ['action: move up', 'action: do', 'end of the episode']
  ego = animate._notes(episode, View.ego(7))
  assert ego[0] == 'action: go forward'


def test_a_floor_plan():
  visited = np.zeros((3, 2), bool)
  visited[2, 0] = True
  walkable = np.ones((3, 2), bool)
  walkable[0, 1] = False
  plan = animate.floor_plan(visited, walkable)
  assert plan[..., 0].tolist() == [[200, 200, 245], [90, 200, 200]]
  assert (animate.floor_plan(visited, None)[1] == 200).all()


def test_a_cut_scene_keeps_world_coordinates(scene):
  part = scene.cut(3, 2, 4, 5)
  assert part.tiles == (4, 5)
  assert part.point(np.array([3, 2])).tolist() == [UNIT / 2, UNIT / 2]
  again = part.cut(4, 3, 2, 2)
  start = 3 * UNIT, 4 * UNIT
  rows, columns = (slice(x, x + 2 * UNIT) for x in start)
  assert (again.image == scene.image[rows, columns]).all()
