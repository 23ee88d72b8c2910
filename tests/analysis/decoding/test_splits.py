"""Splits: whole episodes, every one tested once, no row on both sides."""

import numpy as np
import pytest

from dreamerv3.analysis.decoding import splits
from dreamerv3.base.errors import UserError

EPISODE = np.repeat(np.arange(7), (5, 9, 3, 8, 8, 4, 6))


def sides(split):
  return set(EPISODE[split.train]), set(EPISODE[split.test])


@pytest.mark.parametrize('fraction', [0.01, 0.2, 0.5, 0.9])
def test_holdout_keeps_episodes_whole(fraction):
  (split,) = splits.holdout(EPISODE, fraction, seed=3)
  train, test = sides(split)
  assert not train & test
  assert len(test) == min(max(1, round(7 * fraction)), 6)
  assert len(split.train) + len(split.test) == len(EPISODE)


@pytest.mark.parametrize(('count', 'expected'), [(3, 3), (7, 7), (50, 7)])
def test_folds_test_every_episode_once(count, expected):
  parts = splits.folds(EPISODE, count, seed=1)
  assert len(parts) == expected
  rows = np.concatenate([x.test for x in parts])
  assert sorted(rows) == list(range(len(EPISODE)))
  assert all(not a & b for a, b in map(sides, parts))


def test_same_seed_same_split_other_seed_another():
  one, two, other = (splits.holdout(EPISODE, 0.3, s)[0] for s in (1, 1, 2))
  np.testing.assert_array_equal(one.test, two.test)
  assert not np.array_equal(one.test, other.test)


def test_leaking_folds_share_episodes():
  parts = splits.leaking_folds(EPISODE, 4, seed=0)
  assert all(x.leaks for x in parts)
  assert any(a & b for a, b in map(sides, parts))
  (one,) = splits.leaking_holdout(EPISODE, 0.2, seed=0)
  assert len(one.test) == round(0.2 * len(EPISODE))


def test_an_episode_on_both_sides_is_refused():
  with pytest.raises(ValueError, match='both sides'):
    splits.Split(np.array([0, 1]), np.array([2, 20]), EPISODE)
  with pytest.raises(ValueError, match='same row'):
    splits.Split(np.array([0, 1]), np.array([1]), EPISODE, leaks=True)


def test_one_episode_cannot_be_split():
  with pytest.raises(UserError, match='1 episode'):
    splits.holdout(np.zeros(9, int), 0.2, 0)


def test_thin_draws_training_rows_only():
  (split,) = splits.holdout(EPISODE, 0.3, 0)
  less = splits.thin(split, 10, seed=0)
  assert len(less.train) == len(set(less.train)) == 10
  assert set(less.train) <= set(split.train)
  assert set(less.train) != set(splits.thin(split, 10, seed=1).train)
  most = splits.thin(split, len(split.train) - 1, seed=0).train
  assert len(set(most)) == len(split.train) - 1
  np.testing.assert_array_equal(less.test, split.test)
  assert splits.thin(split, 0, 0) is split


def test_inner_groups_hold_whole_episodes():
  group = splits.inner(EPISODE, 3, seed=0)
  assert set(group) == {0, 1, 2}
  for k in range(7):
    assert len(set(group[k == EPISODE])) == 1


def test_inner_groups_of_one_episode_are_stretches_of_time():
  group = splits.inner(np.zeros(10, int), 3, seed=0)
  assert (np.diff(group) >= 0).all()
  assert set(group) == {0, 1, 2}


@pytest.mark.parametrize('count', [2, 3, 5])
def test_folds_are_those_of_scikit_learn(count):
  # Which the imports of 100 MiB were saved on, not the splits of older runs.
  model_selection = pytest.importorskip('sklearn.model_selection')
  grouped = model_selection.GroupKFold(count, shuffle=True, random_state=4)
  plain = model_selection.KFold(count, shuffle=True, random_state=4)
  for parts, expected in (
    (splits.folds(EPISODE, count, 4), grouped.split(EPISODE, groups=EPISODE)),
    (splits.leaking_folds(EPISODE, count, 4), plain.split(EPISODE)),
  ):
    for split, (train, test) in zip(parts, expected, strict=True):
      np.testing.assert_array_equal(split.train, train)
      np.testing.assert_array_equal(split.test, test)
