"""Wide layers: what a fit holds is what the plan says, and little beside weights."""

import tracemalloc

import numpy as np
import pytest

from dreamerv3.analysis.arrays import Arrays
from dreamerv3.analysis.decoding.linear import discriminant
from dreamerv3.analysis.decoding.linear.discriminant import SKETCH, fit_bytes
from dreamerv3.analysis.decoding.linear.fit import FitOptions, PositionDecoder
from dreamerv3.data.grid import Grid, manhattan

UNITS, ROWS = 9000, 400


@pytest.fixture(scope='module')
def problem():
  rng = np.random.default_rng(0)
  grid = Grid(6, 6)
  pos = grid.to_pos(rng.integers(0, grid.size, ROWS))
  X = pos @ rng.normal(size=(2, UNITS)) / 3 + rng.normal(size=(ROWS, UNITS))
  return X.astype(np.float32), pos, np.arange(ROWS) // 50 % 4, grid


@pytest.mark.parametrize('method', ['classification', 'ridge'])
def test_a_wide_fit_holds_what_the_plan_says(problem, method, monkeypatch):
  monkeypatch.setattr(discriminant, 'UNITS', 1000)  # the last block is a short one
  estimator = PositionDecoder(FitOptions(n_iters=50, method=method))
  tracemalloc.start()
  decoder = estimator.fit(*problem)
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  tiles = problem[-1].size
  # The basis while it is made orthonormal, in float64, and parts of the rows.
  basis = 8.0 * UNITS * (tiles + SKETCH)
  assert peak < basis + 16.0 * discriminant.CHUNK * UNITS
  assert peak < fit_bytes(ROWS, UNITS, tiles)
  X, pos, _, _ = problem
  assert manhattan(decoder.predict(X), pos).mean() < 1.5  # something was learnt


@pytest.mark.parametrize(('units', 'most'), [(65_536, 4e9), (131_072, 6e9)])
def test_the_plan_of_large_networks_fits_a_small_machine(units, most):
  assert fit_bytes(30_000, units, 2449) < most


def test_directions_are_those_of_a_plain_factorisation(rng):
  rows = rng.normal(size=(40, 300)).astype(np.float32)
  rows[7], rows[9] = 0, rows[8]  # a silent tile, and two that are alike
  plain = np.linalg.qr(rows.T)[0]
  np.testing.assert_allclose(Arrays().orthonormal(rows.copy()), plain, atol=1e-6)
