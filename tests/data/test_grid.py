"""Grid: classes and positions are each other's inverse; errors say values."""

import numpy as np
import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid, manhattan


@pytest.mark.parametrize('shape', [(1, 1), (5, 3), (64, 64)])
def test_round_trip(shape):
  grid = Grid(*shape)
  classes = np.arange(grid.size)
  pos = grid.to_pos(classes)
  assert (grid.to_class(pos) == classes).all()
  # Class order is the C order of a map indexed [x, y].
  assert (np.arange(grid.size).reshape(shape)[tuple(pos.T)] == classes).all()


def test_count_is_indexed_x_y():
  counts = Grid(4, 3).count(np.array([[3, 0], [3, 0], [0, 2]]))
  assert counts.shape == (4, 3)
  assert counts[3, 0] == 2
  assert counts[0, 2] == 1
  assert counts.sum() == 3


@pytest.mark.parametrize(
  ('pos', 'match'),
  [
    ([[5, 0]], r'\[5, 0\] lies outside the world of 5 x 3'),
    ([[0, -1]], 'lies outside'),
    ([[0.5, 0]], 'not a whole tile'),
    ([[np.nan, 0]], 'NaN'),
    ([1, 2, 3], r'expected \(..., 2\)'),
  ],
)
def test_bad_positions_raise(pos, match):
  with pytest.raises(UserError, match=match):
    Grid(5, 3).to_class(np.array(pos))


def test_bad_classes_and_sizes_raise():
  with pytest.raises(UserError, match='15'):
    Grid(5, 3).to_pos(np.array([15]))
  with pytest.raises(UserError, match='width is 0'):
    Grid(0, 3)


def test_manhattan_broadcasts():
  a = np.array([[0, 0], [2, 1]])
  assert manhattan(a[:, None], a[None]).tolist() == [[0, 3], [3, 0]]
