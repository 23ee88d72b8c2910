"""Error per tile and against visits."""

import numpy as np
import pytest

from dreamerv3.analysis.decoding import occupancy
from dreamerv3.data.grid import Grid

GRID = Grid(3, 2)
POS = np.array([[0, 0], [0, 0], [2, 1], [1, 0]])
ERRORS = np.array([1.0, 3.0, 5.0, 0.0])


def test_tile_means_are_means_and_nan_where_untested():
  by_tile = occupancy.tile_means(POS, ERRORS, GRID)
  expected = [[2, np.nan], [0, np.nan], [np.nan, 5]]
  np.testing.assert_array_equal(by_tile, expected)


def test_balanced_error_counts_each_tile_once():
  assert occupancy.balanced_error(POS, ERRORS, GRID) == pytest.approx(7 / 3)


def test_error_by_visits_bins_by_powers_of_two():
  by_tile = np.array([[4.0, 1.0, 3.0], [np.nan, 2.0, 6.0]])
  visits = np.array([[0, 0.9, 2], [9, 3.5, 8]])  # 0.9 is some, not none
  curve = occupancy.error_by_visits(by_tile, visits)
  assert curve.tiles.tolist() == [1, 1, 2, 1]
  assert curve.mean.tolist() == [4, 1, 2.5, 6]
  assert curve.visits == pytest.approx([0, 1, 6**0.5, 120**0.5])
  assert curve.sem[2] == pytest.approx(0.5)
