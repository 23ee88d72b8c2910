"""Boundary vectors: bands along parts of walls, in any direction."""

import numpy as np

from dreamerv3.analysis.tuning.maps import border, fields
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.vectors import RAYS, Vectors, _rays
from dreamerv3.analysis.tuning.maps.wall_profiles import WallProfiles
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Track

SIDE = 16


def everywhere(free):
  """One sample on each free tile."""
  pos = np.argwhere(free)
  n = len(pos)
  facing = np.tile(np.array([[1, 0]], np.int8), (n, 1))
  return Design.build(Track(pos, np.zeros(n, int), np.arange(n), facing), Grid(16, 16))


def world(inner=False):
  free = np.ones((SIDE, SIDE), bool)
  free[7, 3:9] = not inner
  design = everywhere(free)
  walls = border.find_walls(free)
  distance = np.array([x.distance for x in walls])
  return design, distance, Vectors.build(distance, design, np.ones(design.n_tiles))


def in_a_box(pos, distance, toward, spread=1.0, width=0.3):
  """Hartley's cell in an open box, whose walls are where geometry says."""
  ways = np.arange(360) * np.pi / 180
  step = np.stack((np.cos(ways), np.sin(ways)), 1)
  with np.errstate(divide='ignore'):
    ahead = (np.where(step > 0, SIDE - 0.5, -0.5) - pos[:, None]) / step
  far = np.where(np.abs(step) < 1e-9, np.inf, ahead).min(2) + 0.5
  near = np.exp(-((far - distance) ** 2) / (2 * spread**2))
  return near @ np.exp((np.cos(ways - toward) - 1) / width**2)


def fitted(vectors, maps):
  return vectors.fit(maps, np.zeros(maps.shape[1], bool))


def test_the_distance_and_the_direction_of_a_cell_in_a_box_are_found():
  design, distance, vectors = world()
  pos = np.argwhere(np.ones((SIDE, SIDE), bool))
  planted = [(d, a) for d in (1, 3, 6, 9) for a in (0, np.pi / 4, 2.1, 5)]
  maps = np.stack([in_a_box(pos, d, a) for d, a in planted], 1)
  found = fitted(vectors, maps)
  off = np.angle(np.exp(1j * (found.angle - [a for _, a in planted])))
  assert (found.r2 > 0.85).all()
  assert (np.abs(found.distance - [d for d, _ in planted]) <= 1).all()
  assert (np.abs(off) <= np.pi / 8 + 1e-9).all()
  along = WallProfiles.build(design.from_map(distance), np.ones(len(maps)))
  band = along.fit(maps, np.zeros(len(planted), bool)).band
  oblique = np.array([a == np.pi / 4 and d > 1 for d, a in planted])
  assert (band.score[oblique] < 0.75).all()


def test_a_ray_is_as_long_as_the_steps_to_the_wall():
  free = np.ones((SIDE, SIDE), bool)
  far = _rays(free, everywhere(free))
  (x, y), quarter = np.argwhere(free).T, RAYS // 4
  for way, steps in enumerate((SIDE - x, SIDE - y, x + 1, y + 1)):
    seen = steps < 12
    np.testing.assert_array_equal(far[seen, way * quarter], steps[seen])


def test_a_wall_behind_a_wall_is_not_felt():
  design, _, vectors = world(inner=True)
  assert (vectors.maps >= 0).all()
  assert np.isfinite(vectors.maps).all()
  pos = np.stack(np.divmod(design.classes, SIDE), 1)
  west = (vectors.distance == 3) & (np.abs(vectors.angle - np.pi) < 1e-9)
  narrow = vectors.maps[np.flatnonzero(west)[0]]

  def at(x, y):
    return narrow[(pos == (x, y)).all(1)][0]

  assert at(2, 5) > 0.9 * narrow.max()  # three steps from the edge
  assert at(10, 5) > 0.9 * narrow.max()  # three steps from the wall inside
  assert at(10, 12) < 0.1 * narrow.max()  # beside it, where it has ended


def test_a_round_field_is_better_explained_as_a_field():
  design, _, vectors = world(inner=True)
  pos = np.stack(np.divmod(design.classes, SIDE), 1)
  rng = np.random.default_rng(0)
  centres = pos[rng.integers(len(pos), size=200)]
  width = rng.uniform(1.2, 3.5, 200)
  away = ((pos[:, None] - centres) ** 2).sum(2)
  maps = np.exp(-away / (2 * width**2))
  signed = np.zeros(200, bool)
  weight = np.zeros((SIDE, SIDE))
  weight[tuple(pos.T)] = 1
  field = fields.fit_field(design.to_map(maps), weight, signed)
  assert (field.r2 > fitted(vectors, maps).r2).mean() >= 0.98


def test_worlds_without_walls_have_no_vectors():
  design = everywhere(np.ones((SIDE, SIDE), bool))
  found = fitted(
    Vectors.build(np.zeros((0, SIDE, SIDE)), design, np.ones(256)), np.ones((256, 2))
  )
  assert found.r2.tolist() == [0, 0]


def test_a_wall_is_as_far_to_one_side_as_to_the_other():
  _, _, vectors = world()
  maps = vectors.maps.reshape(-1, 16, SIDE, SIDE)  # of 16 directions each
  mirrored = maps[:, (8 - np.arange(16)) % 16, ::-1]
  np.testing.assert_allclose(maps, mirrored, atol=1e-5)
