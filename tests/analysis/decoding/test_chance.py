"""Chance levels against computation by hand."""

import numpy as np

from dreamerv3.analysis.decoding import chance
from dreamerv3.data.grid import Grid, manhattan

GRID = Grid(6, 4)


def test_best_constant_is_the_visited_tile_nearest_to_all():
  # Three rows on (0, 0), two on (2, 1), one on (5, 3). Sums of distances:
  # (0, 0): 2 * 3 + 8 = 14; (2, 1): 3 * 3 + 5 = 14; (5, 3): 24 + 10 = 34.
  pos = np.array([[0, 0]] * 3 + [[2, 1]] * 2 + [[5, 3]])
  assert chance.best_constant(GRID.count(pos)).tolist() == [0, 0]
  pos = np.array([[0, 0]] * 3 + [[2, 1]] * 3 + [[5, 3]])
  assert chance.best_constant(GRID.count(pos)).tolist() == [2, 1]


def test_prior_error_by_hand():
  train = np.array([[0, 0], [0, 0], [0, 0], [4, 2]])
  test = np.array([[0, 0], [4, 2], [1, 3]])
  # 3/4 on (0, 0), 1/4 on (4, 2).
  expected = [0.25 * 6, 0.75 * 6, 0.75 * 4 + 0.25 * 4]
  np.testing.assert_allclose(chance.prior_error(GRID.count(train), test), expected)


def test_prior_error_equals_the_plain_sum(rng):
  train, test = (rng.integers((0, 0), GRID.shape, (50, 2)) for _ in range(2))
  expected = manhattan(test[:, None], train).mean(1)
  np.testing.assert_allclose(chance.prior_error(GRID.count(train), test), expected)


def test_other_path_gives_each_episode_another_ones_positions(rng):
  episode = np.repeat([0, 1, 2], (4, 6, 3))
  t = np.concatenate([np.arange(1, n + 1) for n in (4, 6, 3)])
  pos = np.stack([episode, t], 1)
  other = chance.other_path(pos, episode, t, rng)
  assert other is not None
  source = other[:, 0]
  assert (source != episode).all()
  for k in range(3):
    assert len(set(source[episode == k])) == 1
    # In step with time, from the start again when the path is shorter.
    length = (episode == source[episode == k][0]).sum()
    expected = (t[episode == k] - 1) % length + 1
    assert other[episode == k, 1].tolist() == expected.tolist()
  assert sorted({source[episode == k][0] for k in range(3)}) == [0, 1, 2]


def test_other_path_keeps_to_the_time_where_rows_were_left_out(rng):
  episode = np.repeat([0, 1], 20)
  t = np.concatenate([np.sort(rng.choice(60, 20, replace=False)) for _ in range(2)])
  t[[0, 19, 20, 39]] = 0, 60, 0, 60
  pos = np.stack([episode, t], 1)
  other = chance.other_path(pos, episode, t, rng)
  assert other is not None
  for k in range(2):  # the row of that time, or the first one after it
    later = t[episode != k]
    want = [later[later >= x].min() for x in t[episode == k]]
    assert other[episode == k, 1].tolist() == want


def test_other_path_needs_two_episodes(rng):
  pos = np.zeros((3, 2), int)
  assert chance.other_path(pos, pos[:, 0], np.arange(3), rng) is None


def test_a_guess_by_the_time_is_the_median_around_it():
  t = np.repeat(np.arange(10), 3)
  pos = np.stack([t + np.tile([0, 1, 9], 10), np.zeros(30)], 1)
  # Of five timesteps the middle one's, but for the first and last ones.
  found = chance.by_time(pos, t, np.array([5, 9, 5, 40]))
  near = [np.median(pos[abs(t - x) <= 2], 0) for x in (5, 9)]
  np.testing.assert_allclose(found[:3], [near[0], near[1], near[0]])
  # As far as it takes to have some.
  assert found[3].tolist() == np.median(pos[t >= 8], 0).tolist()
  lonely = chance.by_time(pos[:2], t[:2], np.array([7]))
  assert lonely.tolist() == [[0.5, 0]]
