import numpy as np
import pytest

from dreamerv3.analysis.tuning.maps.tile_maps import TileMaps

VISITED = np.array([[True, False, True], [False, True, False]])


def test_units_are_looked_at_as_whole_maps():
  values = np.arange(6, dtype=np.float32).reshape(2, 3)
  maps = TileMaps(values, VISITED)
  whole = np.full((2, 2, 3), np.nan, np.float32)
  whole[0, 0, 0], whole[0, 0, 2], whole[0, 1, 1] = 0, 1, 2
  whole[1, 0, 0], whole[1, 0, 2], whole[1, 1, 1] = 3, 4, 5
  assert (len(maps), maps.shape, maps.nbytes) == (2, whole.shape, whole.nbytes)
  for index in (1, -1, slice(1), [1, 0], np.array([False, True])):
    np.testing.assert_array_equal(maps[index], whole[index])
    assert maps[index].dtype == np.float32
  np.testing.assert_array_equal(np.asarray(maps), whole)


def test_maps_without_gaps_are_not_copied():
  whole = np.random.default_rng(0).random((4, 2, 3))
  maps = TileMaps.of(whole)
  assert np.shares_memory(maps[1:3], whole)
  np.testing.assert_array_equal(maps, whole)


@pytest.mark.parametrize('shape', [(2, 4), (6,), (2, 3, 1)])
def test_values_have_one_column_per_visited_tile(shape):
  with pytest.raises(ValueError, match='expected'):
    TileMaps(np.zeros(shape), VISITED)
