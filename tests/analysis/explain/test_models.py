import numpy as np
import pytest

from dreamerv3.analysis.explain import models
from dreamerv3.analysis.explain.covariates import Steps
from dreamerv3.analysis.explain.models import Models, names_of
from dreamerv3.analysis.explain.ridge import RIDGE
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.reliability import PartSums
from dreamerv3.data.grid import Grid
from tests import synthetic
from tests.analysis import planted


@pytest.fixture(scope='module')
def fitted():
  rng = np.random.default_rng(0)
  tiles = synthetic.world((14, 14), ((4, 4), (4, 5), (9, 8), (9, 9), (10, 3)))
  track = planted.track(tiles, rng, 20, 120)
  design = Design.build(track, Grid(14, 14))
  return design, Models.build(design, Steps.of_track(track, tiles, (2,)))


def compare(fitted, X):
  design, found = fitted
  X = (X - X.mean(0)).astype(np.float32)
  return found.compare(found.sums(X, PartSums.build(design, X).sums))


def test_held_out_variance_equals_the_loop_over_folds(fitted, rng):
  design, found = fitted
  track = design.track
  X = (design.heading[:, None] == [1, 2]) + rng.normal(size=(len(track), 2))
  X = X - X.mean(0)
  one_hot = np.zeros((len(track), design.n_tiles + 4))
  one_hot[np.arange(len(track)), design.tile] = 1
  one_hot[np.arange(len(track)), design.n_tiles + design.heading.astype(int)] = 1
  both = compare(fitted, X)
  left = np.zeros(2)
  alone = np.zeros(2)
  for fold in range(5):
    test = design.part % 5 == fold
    for columns, total in ((one_hot, left), (one_hot[:, design.n_tiles :], alone)):
      A, y = columns[~test], X[~test]
      w = np.linalg.solve(A.T @ A + RIDGE * np.eye(A.shape[1]), A.T @ y)
      total += ((X[test] - columns[test] @ w) ** 2).sum(0)
  squares = (X**2).sum(0)
  np.testing.assert_allclose(both.alone['facing'], 1 - alone / squares, atol=1e-4)
  given = both.given_place['facing'] + both.alone['place']
  np.testing.assert_allclose(given, 1 - left / squares, atol=1e-4)


def test_models_find_what_a_unit_follows_and_nothing_in_noise(fitted, rng):
  design, found = fitted
  track = design.track
  place = planted.field(track, np.array([4, 9]), 2)
  facing = (design.heading == 1) * 1.0
  X = np.column_stack([place, facing, 2 * place + facing, place * facing])
  X = X + 0.1 * rng.normal(size=X.shape)
  noise = planted.slow_noise(track, 60, 0.95, rng)
  got = compare(fitted, np.column_stack([X, noise]))
  names = [names_of(x) for x in got.chosen]
  assert names[0].startswith('place')
  assert names[1] == 'facing'
  assert names[2].startswith(('place+facing', 'place_x_facing'))
  assert names[3] == 'place_x_facing'
  assert np.mean([bool(x) for x in names[4:]]) <= 0.05
  assert (got.best[:4] > 0.25).all()


def test_what_adds_next_to_nothing_is_not_chosen(fitted, rng):
  design, _ = fitted
  facing, moved = design.heading == 1, Steps.of_track(design.track).moved == 1
  X = facing / facing.std() + 0.3 * rng.normal(size=len(facing))
  X = np.column_stack([X + s * moved / moved.std() for s in (0.05, 0.3)])
  names = [names_of(x) for x in compare(fitted, X).chosen]
  assert names == ['facing', 'facing+speed']


def test_gains_have_to_be_consistent():
  gains = np.column_stack([np.full(10, 0.1), np.r_[5.0, np.zeros(9)], -np.ones(10)])
  np.testing.assert_array_equal(models.consistent(gains), [True, False, False])
  assert not models.consistent(gains[:2]).any()
