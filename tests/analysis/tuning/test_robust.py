import numpy as np

from dreamerv3.analysis.tuning import robust


def test_a_single_wild_value_is_moved_to_the_fence(rng):
  X = rng.random((5000, 3)).astype(np.float32)
  X[[0, 77], [2, 1]] = 1000, -1000  # row 0 is among those that say the range
  given = X.copy()
  calm, moved = robust.winsorise(X)
  np.testing.assert_array_equal(moved, [0, 1, 1])
  assert -1.1 < calm[77, 1] < -0.9
  assert 1.9 < calm[0, 2] < 2.1
  np.testing.assert_array_equal(X, given)
  changed = np.argwhere(calm != X)
  np.testing.assert_array_equal(changed, [[0, 2], [77, 1]])


def test_tails_and_sparse_units_stay_as_they_are(rng):
  normal = rng.normal(size=5000)
  heavy = rng.standard_t(5, size=5000)
  sparse = np.where(np.arange(5000) % 1000 == 3, 1.0, 0.0)
  X = np.stack([normal, heavy, sparse], 1).astype(np.float32)
  calm, moved = robust.winsorise(X)
  assert calm is X
  assert not moved.any()
