"""Layers on disk: the same numbers by rows and units, without reading the rest."""

import numpy as np
import pytest

from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic


@pytest.fixture(scope='module')
def wide(tmp_path_factory):
  codes = {
    'enc/cnn0': lambda p, f, r: r.normal(size=(len(p), 20_000)),
    'dyn/stoch': lambda p, f, r: r.normal(size=(len(p), 12)),
    'dyn/deter': lambda p, f, r: r.normal(size=(len(p), 300)),
    'pol/mlp/linear0': lambda p, f, r: r.normal(size=(len(p), 3)),
  }
  folder = tmp_path_factory.mktemp('wide') / 'run'
  synthetic.record(folder, codes, episodes=3, length=50)
  return Trajectories.open(folder)


ROWS = {
  'all': None,
  'some': np.array([0, 3, 4, 5, 60, 61, 100]),
  'any order, twice': np.array([70, 2, 2, 90]),
  'none': np.zeros(0, np.int64),
}


@pytest.mark.parametrize('rows', ROWS)
@pytest.mark.parametrize('name', ['enc/cnn0', 'combined', 'pol/mlp/linear0'])
def test_any_rows_and_units_are_those_of_the_whole_layer(wide, name, rows):
  whole = wide.layer(name).X
  width = whole.shape[1]
  some = ROWS[rows]
  kept = slice(None) if some is None else some
  few = np.array([width - 1, 0, 1]), np.array([0, 0, 2])  # no run, as long as one
  for units in (None, np.arange(width)[width // 3 :], *few):
    columns = slice(None) if units is None else units
    found = wide.layer(name, rows=some, units=units)
    assert found.X.dtype == np.float32
    assert np.array_equal(found.X, whole[kept][:, columns])
    assert np.array_equal(found.track.t, wide.track().t[kept])


def test_a_mask_and_a_slice_are_rows_too(wide):
  whole, layer = wide.layer('dyn/deter').X, wide.activations('dyn/deter')
  mask = wide.track().t % 7 == 0
  assert layer.shape == whole.shape
  assert np.array_equal(layer.read(mask), whole[mask])
  assert np.array_equal(layer[10:90:3], whole[10:90:3])


def test_small_layers_are_held_and_large_ones_stay_on_disk(wide):
  layer, rows = wide.activations('dyn/deter'), np.array([1, 5, 80])
  held = layer.hold(rows, 4 * 3 * 300)
  assert held.shape == layer.shape
  assert held is not layer
  assert np.array_equal(held[rows[1:]], layer[rows[1:]])
  assert layer.hold(rows, 4 * 3 * 300 - 1) is layer


def test_what_is_not_asked_for_is_not_read(wide, monkeypatch):
  read = []

  def count(path, file, offset, flat):
    read.append(flat.nbytes)
    fill(path, file, offset, flat)

  fill = unpickle._fill
  monkeypatch.setattr(unpickle, '_fill', count)
  wide.layer('enc/cnn0', rows=np.arange(0, 100, 10), units=np.arange(500, 600))
  assert sum(read) == 10 * 100 * 2
  read.clear()
  wide.layer('enc/cnn0')
  assert max(read) <= unpickle.RUN


def test_other_forms_of_arrays_are_read_as_well(tmp_path):
  folder = synthetic.record(
    tmp_path / 'run', {'dyn/deter': synthetic.one_hot_places}, episodes=2
  )
  first = unpickle.load(folder / 'episode_001.pkl')
  X = np.asfortranarray(np.random.default_rng(0).normal(size=(first['length'], 120)))
  files.save_pickle(folder / 'episode_001.pkl', {**first, 'act/dyn/deter': X})
  data = Trajectories.open(folder)
  rows, units = np.array([4, 9]), np.array([7, 3])
  found = data.layer('dyn/deter', rows=rows, units=units).X
  assert np.array_equal(found, X[rows + 1][:, units].astype(np.float32))


def test_damage_is_named_where_it_is_read(tmp_path):
  folder = synthetic.record(
    tmp_path / 'run', {'dyn/deter': synthetic.one_hot_places}, episodes=2
  )
  path = folder / 'episode_002.pkl'
  content = unpickle.load(path)
  content['act/dyn/deter'][5, 2] = np.inf
  files.save_pickle(path, content)
  data = Trajectories.open(folder)
  row = int(np.flatnonzero((data.track().episode == 1) & (data.track().t == 5))[0])
  data.layer('dyn/deter', rows=np.arange(row))
  with pytest.raises(UserError, match='episode_002.pkl: act/dyn/deter'):
    data.layer('dyn/deter', rows=np.array([row]))
