"""Moran's I, Geary's C and Getis-Ord's G by their definitions."""

import numpy as np
import pytest

from dreamerv3.analysis.tuning.maps import smoothness


def by_definition(x):
  """The three numbers of one map with explicit weights."""
  tiles = [tuple(t) for t in np.argwhere(np.isfinite(x))]
  values = np.array([x[t] for t in tiles])
  z = values - values.mean()
  w = np.array(
    [[float(abs(a - c) + abs(b - d) == 1) for c, d in tiles] for a, b in tiles]
  )
  n, squares = len(z), (z**2).sum()
  apart = (values[:, None] - values[None]) ** 2
  moran = n / w.sum() * (w * z[:, None] * z[None]).sum() / squares
  high = values - values.min()
  product = high[:, None] * high * (1 - np.eye(n))
  getis = (w * product).sum() / product.sum() / (w.sum() / (n * (n - 1)))
  return moran, (n - 1) / (2 * w.sum()) * (w * apart).sum() / squares, getis


def test_by_definition_with_tiles_that_nobody_visited(rng):
  maps = rng.normal(size=(5, 6, 7))
  maps[:, 2, 1:4] = np.nan
  expected = np.array([by_definition(x) for x in maps])
  np.testing.assert_allclose(smoothness.moran(maps), expected[:, 0])
  np.testing.assert_allclose(smoothness.geary(maps), expected[:, 1])
  np.testing.assert_allclose(smoothness.getis_ord(maps), expected[:, 2])


def test_slopes_chequerboards_and_noise(rng):
  x, y = np.meshgrid(np.arange(20.0), np.arange(20.0))
  maps = np.stack([x, (x + y) % 2, rng.normal(size=(20, 20)), np.ones((20, 20))])
  moran, geary = smoothness.moran(maps), smoothness.geary(maps)
  assert moran[0] > 0.9 > 0.1 > geary[0]
  assert moran[1] == pytest.approx(-1)
  assert geary[1] == pytest.approx(2, rel=0.01)
  assert abs(moran[2]) < 0.15
  assert geary[2] == pytest.approx(1, abs=0.15)
  getis = smoothness.getis_ord(maps)
  assert np.isnan([moran[3], geary[3], getis[3]]).all()
  assert getis[0] > 1.2 > 0.01 > getis[1]
  assert getis[2] == pytest.approx(1, abs=0.05)
