import numpy as np
import pytest

from dreamerv3.analysis.tuning.maps import border


def place(walkable, names=None):
  """Walls by name, and the visited tiles' distances (G, V)."""
  walls = border.find_walls(walkable)
  if names:
    walls = [x for x in walls if x.name in names]
  return [x.name for x in walls], np.stack([x.distance[walkable] for x in walls])


def scores(maps, distance):
  return border.score(np.asarray(maps, float).T, border.Contrast.build(distance))


def test_geodesic_distance_walks_around_walls():
  walkable = np.ones((5, 3), bool)
  walkable[2, :2] = False  # a wall with a gap at y = 2
  start = np.zeros_like(walkable)
  start[0, 0] = True
  want = np.array([[1, 2, 3], [2, 3, 4], [np.inf, np.inf, 5], [8, 7, 6], [9, 8, 7.0]])
  np.testing.assert_array_equal(border.geodesic(start, walkable), want)


def test_edge_and_obstacles_are_told_apart():
  walkable = np.ones((12, 12), bool)
  walkable[5:7, 5:7] = False
  walls = {x.name: x for x in border.find_walls(walkable)}
  assert set(walls) == {
    'edge',
    'edge north',
    'edge south',
    'edge west',
    'edge east',
    'obstacle 1',
  }
  assert walls['obstacle 1'].inner
  assert not walls['edge'].inner
  assert (walls['edge north'].distance[:, 0] == 1).all()
  assert (walls['edge east'].distance[-1] == 1).all()
  assert (walls['obstacle 1'].distance == 1).sum() == 8


def test_a_rim_of_water_is_the_edge_and_a_lake_at_one_side_is_not():
  walkable = np.ones((14, 14), bool)
  walkable[[0, -1]] = walkable[:, [0, -1]] = False
  names, _ = place(walkable)
  assert 'edge north' in names
  assert not any('obstacle' in x for x in names)
  lake = np.ones((14, 14), bool)
  lake[4:9, :3] = False
  names, _ = place(lake)
  assert 'obstacle 1' in names
  lake[4:9, :3], lake[9:, 9:] = True, False  # in a corner, at two sides
  assert 'obstacle 1' in place(lake)[0]


def test_score_by_hand_in_an_open_square():
  walkable = np.ones((6, 6), bool)
  names, distance = place(walkable)
  x = np.argwhere(walkable)[:, 0]
  ideal = (x == 0).astype(float)  # beside the west wall alone
  even = np.ones(36)
  far = (x >= 2).astype(float)
  partial = np.where(x == 0, 3.0, 1.0)
  found = scores([ideal, even, partial], distance)
  assert [names[i] for i in found.wall[[0, 2]]] == ['edge west'] * 2
  # near 3; far (d >= 3: x >= 2) 1: (3 - 1) / (3 + 1)
  np.testing.assert_allclose(found.score, [1, 0, 0.5], atol=1e-6)
  west = distance[[names.index('edge west')]]
  assert scores([far], west).score[0] == -1
  # Silence beside one wall is no border while there is activity beside another.
  assert 0 < scores([far], distance).score[0] < 1


def test_score_by_hand_at_an_obstacle():
  walkable = np.ones((9, 9), bool)
  walkable[4, 4] = walkable[4, 5] = False
  names, distance = place(walkable, ['obstacle 1'])
  assert names == ['obstacle 1']
  d = distance[0]
  assert (d == 1).sum() == 6  # four-neighbours of two tiles
  rates = np.where(d == 1, 2.0, np.where(d == 2, 7.0, 0.5))
  # Tiles at d = 2 belong to neither: (2 - 0.5) / (2 + 0.5).
  np.testing.assert_allclose(scores([rates], distance).score, 0.6, atol=1e-6)


def test_score_by_hand_where_a_wall_lies_behind_a_wall():
  # Two rooms, joined by a door at the south: the tiles behind the partition
  # are near the west wall by air, and far on foot.
  walkable = np.ones((9, 8), bool)
  walkable[1, :7] = False
  names, distance = place(walkable, ['edge west'])
  tiles = np.argwhere(walkable)
  behind = (tiles[:, 0] == 2) & (tiles[:, 1] < 6)
  d = distance[0]
  assert (d[behind] >= 3).all()
  rates = np.where(tiles[:, 0] == 0, 1.0, 0.0)
  rates[behind] = 1.0
  n_far = (d >= 3).sum()
  far = behind.sum() / n_far
  want = (1 - far) / (1 + far)
  np.testing.assert_allclose(scores([rates], distance).score, want, atol=1e-6)


@pytest.mark.parametrize('walkable', [np.ones((3, 3)), np.zeros((8, 8))])
def test_worlds_without_walls_have_no_score(walkable):
  walkable = walkable.astype(bool)
  walls = border.find_walls(walkable)
  distance = np.stack([x.distance.ravel() for x in walls] or [np.zeros(0)])
  if not len(walls):
    distance = np.zeros((0, walkable.size))
  assert np.isnan(scores([np.ones(walkable.size)], distance).score).all()


def test_activity_between_near_and_far_is_no_contrast():
  walkable = np.ones((20, 20), bool)
  _, distance = place(walkable, ['edge'])
  between = np.flatnonzero(distance[0] == 2)
  maps = np.zeros((1, 400), np.float32)
  maps[0, between] = np.random.default_rng(0).random(len(between))
  assert scores(maps, distance).score == 0
