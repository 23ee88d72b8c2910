import numpy as np

from dreamerv3.analysis.tuning.maps import grids


def lattice(size, spacing, turn, shift):
  """Rates of an ideal grid cell, three cosines 60 degrees apart."""
  x, y = np.meshgrid(np.arange(size), np.arange(size), indexing='ij')
  k = 4 * np.pi / (np.sqrt(3) * spacing)
  waves = [
    np.cos(k * (np.cos(a) * (x - shift[0]) + np.sin(a) * (y - shift[1])))
    for a in turn + np.pi / 3 * np.arange(3)
  ]
  return np.maximum(sum(waves), 0) / 3


def test_lattices_are_told_from_fields_at_random_places(rng):
  size = 26
  regular = [
    lattice(size, rng.uniform(7, 10), rng.uniform(0, 1), rng.uniform(0, 8, 2))
    for _ in range(12)
  ]
  x, y = np.meshgrid(np.arange(size), np.arange(size), indexing='ij')
  random = []
  for _ in range(40):
    centres = rng.uniform(0, size, (8, 2))
    spread = [np.exp(-((x - a) ** 2 + (y - b) ** 2) / 8) for a, b in centres]
    random.append(np.max(spread, 0))
  maps = np.stack(regular + random) + 0.05 * rng.normal(size=(52, size, size))
  maps[:, 3:5, 3:9] = np.nan
  visits = np.where(np.isfinite(maps[0]), 20, 0)
  score, p = grids.grid_scores(maps, visits, np.arange(52) != 0)
  assert np.isnan(score[0])
  assert (score[1:12] > 0.4).all()
  assert (p[1:12] <= 0.05).mean() > 0.9
  assert (p[12:] <= 0.05).mean() <= 0.1
  assert np.nanmin(p) == 1 / 100
  _, other = grids.grid_scores(maps[12:], visits, score[12:] > 0.3, seed=1)
  assert (other[score[12:] > 0.3] != p[12:][score[12:] > 0.3]).any()


def test_small_or_sparse_worlds_are_left_out():
  assert grids.large_enough(np.ones((20, 24)))
  assert not grids.large_enough(np.ones((19, 24)))
  assert not grids.large_enough(np.eye(30))
  assert not grids.large_enough(np.zeros((30, 30)))
