"""Intervals over episodes hold the truth as often as they say."""

import numpy as np
import pytest

from dreamerv3.analysis import bootstrap


def test_interval_by_episodes_is_wider_than_by_timesteps(rng):
  episode = np.repeat(np.arange(10), 100)
  errors = rng.normal(size=10)[episode] + 5 + 0.1 * rng.normal(size=1000)
  low, high = bootstrap.interval(errors, episode, 500, 0)
  assert high - low > 5 * errors.std() / 1000**0.5
  assert low < errors.mean() < high


def test_few_episodes_have_no_interval(rng):
  for count in range(1, bootstrap.ENOUGH):
    few = bootstrap.interval(rng.normal(size=count), np.arange(count), 100, 0)
    assert np.isnan(few).all()
  enough = rng.normal(size=bootstrap.ENOUGH), np.arange(bootstrap.ENOUGH)
  assert np.isfinite(bootstrap.interval(*enough, 100, 0)).all()
  assert np.isnan(bootstrap.interval(*enough, 0, 0)).all()


@pytest.mark.parametrize(('count', 'least'), [(5, 0.89), (10, 0.92)])
def test_an_interval_holds_the_mean_as_often_as_it_says(count, least):
  # Over 2000 trials: 92.5 and 95.0 %; the plain percentiles 85 and 90 %.
  rng, held, trials = np.random.default_rng(0), 0, 500
  for seed in range(trials):
    low, high = bootstrap.interval(rng.normal(size=count), np.arange(count), 500, seed)
    held += low <= 0 <= high
  assert least < held / trials < 0.98


def test_percentiles_are_expanded_for_few_episodes():
  # 100 Phi(-sqrt(5 / 4) 2.776), with Student's t of four degrees of freedom.
  np.testing.assert_allclose(bootstrap.levels(5), (0.0954, 99.9046), atol=1e-3)
  np.testing.assert_allclose(bootstrap.levels(10**6), (2.5, 97.5), atol=1e-3)


def test_timesteps_weigh_the_same_and_the_seed_decides(rng):
  lengths = np.where(np.arange(20) % 2, 1, 99)
  errors = np.repeat((lengths == 1) + 0.01 * rng.random(20), lengths)
  episode = np.repeat(np.arange(20), lengths)
  low, high = bootstrap.interval(errors, episode, 200, 0)
  assert low < errors.mean() < high < 0.1
  assert (low, high) == bootstrap.interval(errors, episode, 200, 0)
  assert (low, high) != bootstrap.interval(errors, episode, 200, 1)
