"""Comparisons of errors find what is there, and no more than they say."""

import itertools

import numpy as np
import pytest
from scipy import stats

from bench import calibration
from dreamerv3.analysis.differences import Side, exchanged, flipped, paired, unpaired


def test_an_effect_of_a_fifth_is_found_with_six_episodes():
  # Without pairs, as an interval against a fixed level: 55 %.
  assert calibration.power(0.8, 6, 60, 0.05) >= 0.95


def test_two_recordings_of_one_network_differ_as_often_as_chance_says():
  alone, families = calibration.same_network(20, 20, 40)
  assert 0.03 <= alone <= 0.07
  assert families <= 0.15
  alone, _ = calibration.at_chance(8, 40)
  assert 0.02 <= alone <= 0.08


def test_six_episodes_that_all_agree_are_as_sure_as_their_signs():
  episode = np.repeat(np.arange(6), 10)
  less = np.full((3, 60), -1.0) * (1 + episode / 10)
  less[2] = np.where(episode % 2, 1.0, -1.0)
  found = paired(less, episode, 200, 0)
  np.testing.assert_allclose(found.p[:2], 2 / 64)
  # Layers that agree on the signs cost nothing to look at together.
  np.testing.assert_allclose(paired(less[:2], episode, 0, 0).p_all, 2 / 64)
  assert found.p[2] > 0.5
  assert (found.low[:2] < found.diff[:2]).all()
  assert (found.high[:2] < 0).all()
  assert found.low[2] < 0 < found.high[2]


def test_errors_that_are_the_same_do_not_differ():
  episode = np.repeat(np.arange(8), 5)
  found = paired(np.zeros((2, 40)), episode, 100, 0)
  assert (found.p == 1).all()
  assert (found.diff == 0).all()


@pytest.mark.parametrize('count', [1, 4])
def test_few_episodes_have_no_p(count):
  episode = np.repeat(np.arange(count), 5)
  found = paired(np.ones((1, 5 * count)), episode, 100, 0)
  assert found.diff[0] == 1
  assert np.isnan([found.p[0], found.p_all[0], found.low[0]]).all()
  few, many = (Side(np.ones((1, n)), np.ones(n), np.arange(n)) for n in (count, 9))
  for found in (unpaired(few, many, 100, 0), unpaired(many, few, 100, 0)):
    assert np.isnan([found.p[0], found.p_all[0], found.low[0]]).all()


def p_of(every):
  """p and p_all from statistics (F, L), the observed ones first."""
  every = np.abs(every) * (1 + 1e-9)
  first = np.abs(every[0]) * (1 - 1e-9)
  return (every >= first).mean(0), (every.max(1)[:, None] >= first).mean(0)


def test_few_flips_and_exchanges_are_all_of_them(rng):
  values = rng.normal(size=(3, 9)) + np.array([[0.6], [0], [1]])
  signs = np.array([*itertools.product((1, -1), repeat=9)])
  flips = np.array([stats.ttest_1samp(s * values, 0, axis=1).statistic for s in signs])
  np.testing.assert_allclose(flipped(values, rng), p_of(flips))
  values[:, :3] *= 3
  sides = [
    (list(x), [*({*range(9)} - {*x})]) for x in itertools.combinations(range(9), 3)
  ]
  welch = np.array(
    [
      stats.ttest_ind(values[:, a], values[:, b], axis=1, equal_var=False).statistic
      for a, b in sides
    ]
  )
  np.testing.assert_allclose(exchanged(values, 3, rng), p_of(welch))


def test_many_flips_and_exchanges_are_draws_with_the_data_among_them(rng):
  far = np.arange(40) + 100.0
  assert flipped(far[None], rng)[0] == 1 / 5000
  apart = np.concatenate([np.arange(20.0), far[:20]])
  assert exchanged(apart[None], 20, rng)[0] == 1 / 5000


def test_timesteps_weigh_the_same_whatever_the_episodes_lengths(rng):
  lengths = np.where(np.arange(20) % 2, 1, 99)
  values = np.repeat((lengths == 1) + 0.01 * rng.random(20), lengths)
  found = paired(values[None], np.repeat(np.arange(20), lengths), 200, 0)
  assert found.diff[0] == pytest.approx(values.mean())
  assert found.low[0] < found.diff[0] < found.high[0] < 0.1


def test_recordings_on_other_paths_are_compared_by_shares(rng):
  """A network that halves the constant's error does so on hard paths too."""
  sides = []
  for share, hard in ((0.5, 1.0), (0.5, 3.0), (0.9, 3.0)):
    episode = np.repeat(np.arange(12), 40)
    constant = hard * rng.gamma(4.0, 1.0, 480)
    errors = share * constant * rng.gamma(20.0, 1 / 20, (2, 480))
    sides.append(Side(errors, constant, episode))
  same, other = (unpaired(sides[0], x, 200, 0) for x in sides[1:])
  assert (same.p > 0.05).all()
  np.testing.assert_allclose(other.diff, -0.4, atol=0.05)
  assert (other.p_all < 0.01).all()
  assert (other.high < -0.3).all()
  # Shares know no unit: a third of it is the same.
  for side, found in ((sides[1], same), (sides[2], other)):
    third = Side(side.errors / 3, side.constant / 3, side.episode)
    for x, y in zip(found, unpaired(sides[0], third, 200, 0), strict=True):
      np.testing.assert_allclose(x, y, rtol=1e-6)
