"""Results of tuning as tables and arrays of pandas and xarray."""

import numpy as np

from dreamerv3.analysis.tuning import cell_types
from tests.plots import tuning_results as made


def test_units_and_maps_carry_their_classes():
  results = made.results(n_shuffles=20)
  name = next(iter(results.tables))
  table = results.tables[name]
  frame = results.to_pandas()
  assert list(frame.columns) == list(next(results.rows()))
  assert len(frame) == sum(map(len, results.tables.values()))
  maps = results.to_xarray(name)
  assert maps.dims == ('unit', 'x', 'y')
  np.testing.assert_array_equal(maps.values, table.curves)
  tested = results.classes(name)[1]
  assert tested is not None
  named = [cell_types.NAMES[x] for x in tested]
  assert maps.cell_type.values.tolist() == named
  first = frame[frame.layer == name].cell_type_tested
  assert first.tolist() == named
