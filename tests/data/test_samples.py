"""Tracks and samples: rows stay together, and what does not fit is refused."""

import dataclasses

import numpy as np
import pytest

from dreamerv3.data.samples import Samples, Track

PATH = Track(
  np.arange(20).reshape(10, 2),
  np.arange(10) // 4,
  np.arange(10) % 4,
  np.stack([np.arange(10) % 3 - 1, np.arange(10) % 2], 1),
)
SAMPLES = Samples('dyn/deter', np.arange(50, dtype=np.float32).reshape(10, 5), PATH)


@pytest.mark.parametrize('index', [np.array([7, 2, 2]), np.arange(10) % 3 == 1])
def test_all_of_a_row_stays_together(index):
  some = SAMPLES.rows(index)
  for name in ('pos', 'episode', 't', 'facing'):
    expected = getattr(PATH, name)[index]
    np.testing.assert_array_equal(getattr(some.track, name), expected)
  np.testing.assert_array_equal(some.X, SAMPLES.X[index])


@pytest.mark.parametrize('units', [[1, 2, 3], [3, 1], [0, 4, 2], [2, 2, 4]])
def test_columns_are_those_units_in_their_order(units):
  found = SAMPLES.columns(np.array(units))
  np.testing.assert_array_equal(found, SAMPLES.X[:, units])


@pytest.mark.parametrize('name', ['pos', 'episode', 't', 'facing'])
def test_what_is_not_in_step_is_refused(name):
  with pytest.raises(ValueError, match='expected'):
    dataclasses.replace(PATH, **{name: getattr(PATH, name)[:-1]})
  with pytest.raises(ValueError, match=r'expected \(10, D\)'):
    dataclasses.replace(SAMPLES, X=SAMPLES.X[:-1])
