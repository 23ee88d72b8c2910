"""One tile from many probabilities: the least wrong, never worse than before."""

import itertools
import math

import numpy as np
import pytest

from dreamerv3.analysis.decoding import chance, splits
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.decoding.linear.fit import FitOptions, PositionDecoder
from dreamerv3.analysis.decoding.linear.readout import Readout, expected_distance
from dreamerv3.data.grid import Grid, manhattan
from tests import synthetic

GRID = Grid(12, 10)


def walks(rng, episodes=12, length=80):
  paths = [
    synthetic.walk(synthetic.world(), length, rng, (6, 5))[0] for _ in range(episodes)
  ]
  return np.concatenate(paths), np.repeat(np.arange(episodes), length)


def fit(X, pos, episode):
  groups = splits.inner(episode, 3, 0)
  estimator = PositionDecoder(FitOptions(n_iters=0))
  return estimator.fit(X.astype(np.float32), pos, groups, GRID)


def test_expected_distances_are_sums_over_tiles(rng):
  pos = np.array(list(itertools.product(range(3), (0, 4, 5))))
  p = rng.random((5, 9))
  direct = p @ manhattan(pos[:, None], pos)
  np.testing.assert_allclose(expected_distance(p, pos), direct)


def test_of_two_far_tiles_one_between_is_named():
  pos = np.array([(0, 0), (5, 0), (10, 0)])
  logits = np.log([[0.4, 0.2, 0.4]])
  visits = np.ones(3, int)
  assert Readout(1.0, visits).choose(logits, pos) == [1]
  assert Readout(math.inf, visits).choose(logits + [0, 0, 0.1], pos) == [2]


@pytest.mark.parametrize(
  ('level', 'noise'), [(0, 0), (0, 1e-7), (1.5, 0), (1.5, 1e-5), (1.5, 1e-2)]
)
def test_a_silent_layer_names_the_best_constant(rng, level, noise):
  """Also one that is silent but for a little noise."""
  pos, episode = walks(rng)
  test, _ = walks(rng)

  def code(count):
    return level + noise * rng.normal(size=(count, 6))

  model = fit(code(len(pos)), pos, episode)
  named, _ = model.named(code(len(test)).astype(np.float32))
  constant = manhattan(chance.best_constant(GRID.count(pos)), test).mean()
  assert manhattan(named, test).mean() <= 1.02 * constant


def test_it_is_worse_than_neither_arg_max_nor_constant_on_weak_codes(rng):
  gains = []
  for _ in range(4):
    pos, episode = walks(rng)
    test, _ = walks(rng)
    mix = rng.normal(size=(3, 8))

    def code(x, mix=mix):
      noise = 4 * rng.normal(size=(len(x), 8))
      return (np.c_[x - 5, np.ones(len(x))] @ mix + noise).astype(np.float32)

    named, most = fit(code(pos), pos, episode).named(code(test))
    gains.append(
      [manhattan(most, test).mean(), chance_error(pos, test)]
      - manhattan(named, test).mean()
    )
  assert (np.mean(gains, 0) > 0.1).all()


def chance_error(pos, test):
  return manhattan(chance.best_constant(GRID.count(pos)), test).mean()


def test_it_is_saved_and_older_decoders_keep_to_the_arg_max(rng):
  pos, episode = walks(rng)
  X = rng.normal(size=(len(pos), 5)).astype(np.float32)
  model = fit(X, pos, episode)
  again = LinearDecoder.from_dict(model.to_dict())
  np.testing.assert_array_equal(again.predict(X), model.predict(X))
  older = model.to_dict()
  del older['readout']
  named, most = LinearDecoder.from_dict(older).named(X)
  np.testing.assert_array_equal(named, most)
  np.testing.assert_array_equal(most, model.named(X)[1])
