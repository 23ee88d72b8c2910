"""Results of tuning on disk, and as tables and arrays of pandas and xarray."""

import pickle

import numpy as np

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import files, unpickle
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


def test_maps_stay_on_disk_until_they_are_looked_at(tmp_path, monkeypatch):
  results = made.results(n_shuffles=0)
  path = files.save_pickle(tmp_path / 'tuning_results.pkl', results.to_dict())
  whole = unpickle.load(path)['layers']
  read = []
  fill = unpickle._fill

  def count(path, file, offset, flat):
    read.append(flat.nbytes)
    fill(path, file, offset, flat)

  monkeypatch.setattr(unpickle, '_fill', count)
  found = Results.open(path)
  assert sum(read) < path.stat().st_size - sum(
    x['tuning_curves'].nbytes for x in whole.values()
  )
  # What takes the place of the file does not change what was opened.
  files.save_pickle(path, {**found.to_dict(), 'metadata': {}})
  for name, table in found.tables.items():
    np.testing.assert_array_equal(table.curves, whole[name]['tuning_curves'])
    for metric, values in table.metrics.items():
      np.testing.assert_array_equal(values, whole[name]['metrics'][metric])


def test_large_results_hold_the_visited_tiles_alone(tmp_path, monkeypatch):
  """Both forms of a file give the same maps, to this program and to plain pickle."""
  results = made.results(n_shuffles=0)
  whole = files.save_pickle(tmp_path / 'whole.pkl', results.to_dict())
  monkeypatch.setattr('dreamerv3.analysis.tuning.results.WHOLE', 0)
  small = files.save_pickle(tmp_path / 'small.pkl', results.to_dict())
  plain = pickle.loads(small.read_bytes())['layers']
  opened = Results.open(small)
  for name, table in Results.open(whole).tables.items():
    packed = plain[name]
    seen = table.occupancy > 0
    assert 0 < seen.mean() < 1
    np.testing.assert_array_equal(packed['visited'], seen)
    maps = np.full((len(table), *seen.shape), np.nan)
    maps[:, packed['visited']] = packed['visited_curves']
    np.testing.assert_array_equal(maps, table.curves)
    np.testing.assert_array_equal(opened.tables[name].curves, table.curves)
  assert small.stat().st_size < whole.stat().st_size
  # What was opened from either is written as either.
  again = files.save_pickle(tmp_path / 'again.pkl', opened.to_dict())
  assert again.read_bytes() == small.read_bytes()
  monkeypatch.undo()
  again = files.save_pickle(tmp_path / 'again.pkl', opened.to_dict())
  assert again.read_bytes() == whole.read_bytes()
