"""Comparisons of errors find what is there, and no more than they say."""

import numpy as np
import pytest

from bench import calibration
from dreamerv3.analysis.differences import Side, paired, unpaired


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
