"""Activity by the distance from a wall: the planted wall, and a plain regression."""

import numpy as np

from dreamerv3.analysis.tuning.maps import border
from dreamerv3.analysis.tuning.maps.wall_profiles import (
  BANDS,
  PROFILES,
  WallProfiles,
)


def test_a_border_field_fits_its_wall_and_a_place_field_fits_less():
  walkable = np.ones((16, 16), bool)
  walls = border.find_walls(walkable)
  distance = np.stack([x.distance.ravel() for x in walls])
  tiles = np.argwhere(walkable)
  wall = np.exp(-tiles[:, 1] / 1.5)
  bump = np.exp(-((tiles - (8, 2)) ** 2).sum(1) / 8)
  maps = np.stack([wall, bump, -wall, -wall], 1)
  signed = np.array([False, False, True, False])
  found = WallProfiles.build(distance, np.ones(256)).fit(maps, signed).wall
  assert walls[found.wall[0]].name == walls[found.wall[2]].name == 'edge north'
  np.testing.assert_allclose(found.score[[0, 2]], 1, atol=1e-6)
  assert (found.score[[1, 3]] < 0.5).all()


def test_the_best_profile_is_that_of_a_weighted_correlation_of_each():
  rng = np.random.default_rng(0)
  walls, tiles, units = 5, 60, 7
  distance = rng.integers(1, 14, (walls, tiles)).astype(float)
  distance[rng.random(distance.shape) < 0.2] = np.inf
  distance[3] = np.inf  # a wall that no tile leads to
  weight = rng.random(tiles)
  maps = rng.normal(size=(tiles, units))
  signed = np.arange(units) % 2 == 0
  found = WallProfiles.build(distance, weight).fit(maps, signed)

  def correlations(f):
    r2 = np.zeros((walls, units))
    for g in range(walls):
      shape = np.where(np.isfinite(distance[g]), f(distance[g]), 0)
      for d in range(units):
        c = np.cov(shape, maps[:, d], aweights=weight, ddof=0)
        if c[0, 0] > 1e-9 and (signed[d] or c[0, 1] > 0):
          r2[g, d] = c[0, 1] ** 2 / (c[0, 0] * c[1, 1])
    return r2

  every = np.stack([correlations(f) for f in PROFILES]).reshape(-1, units)
  np.testing.assert_allclose(found.wall.score, every.max(0), rtol=1e-9)
  assert (found.wall.wall == every.argmax(0) % walls).all()
  band = [
    correlations(lambda d, d0=d0, s=s: np.exp(-((d - d0) ** 2) / (2 * s**2)))
    for d0, s in BANDS
  ]
  every = np.stack(band).reshape(-1, units)
  np.testing.assert_allclose(found.band.score, every.max(0), rtol=1e-9)
  assert (found.band.wall == every.argmax(0) % walls).all()
  preferred = np.array([d0 for d0, _ in BANDS])[every.argmax(0) // walls]
  assert (found.band_distance == preferred).all()


def test_without_walls_nothing_is_explained():
  profiles = WallProfiles.build(np.zeros((0, 4)), np.ones(4))
  found = profiles.fit(np.ones((4, 2)), np.zeros(2, bool))
  assert found.wall.score.tolist() == found.band.score.tolist() == [0, 0]
  assert found.wall.wall.tolist() == [-1, -1]
