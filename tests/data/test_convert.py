"""A recording as objects of pynapple, xarray and pandas: the same numbers."""

import numpy as np
import pytest

from dreamerv3.data import convert
from dreamerv3.data.samples import Samples, Track


@pytest.fixture(scope='module')
def samples():
  rng = np.random.default_rng(0)
  episode = np.repeat([0, 1, 3], [4, 1, 3])
  t = np.concatenate([np.arange(1, 5), [1], np.arange(1, 4)])
  pos, facing = rng.integers(0, 9, (8, 2)), np.tile([[0, 1]], (8, 1)).astype(np.int8)
  X = rng.normal(size=(8, 5)).astype(np.float32)
  return Samples('dyn/deter', X, Track(pos, episode, t, facing))


def test_episodes_follow_each_other_with_an_empty_step_between(samples):
  time = samples.track.clock(0.5)
  assert time.times.tolist() == [0.5, 1, 1.5, 2, 3.5, 5, 5.5, 6]
  assert time.starts.tolist() == [0.5, 3.5, 5]
  assert time.ends.tolist() == [2.5, 4, 6.5]
  assert time.episodes.tolist() == [0, 1, 3]


def test_rows_out_of_order_and_no_duration_are_refused(samples):
  with pytest.raises(ValueError, match='order of episodes and time'):
    samples.rows(np.array([3, 2])).to_pynapple()
  with pytest.raises(ValueError, match='step_s is 0'):
    convert.clock(samples.episode, samples.track.t, 0)


def test_pynapple_has_every_row_in_the_epoch_of_its_episode(samples):
  frame = samples.to_pynapple()
  assert (frame.values == samples.X).all()
  epochs = frame.time_support
  assert len(epochs) == 3
  assert list(epochs['episode']) == [0, 1, 3]
  for k, place in enumerate((0, 1, 3)):
    part = frame.restrict(epochs[k])
    assert (part.values == samples.X[samples.episode == place]).all()
  path = samples.track.to_pynapple()
  assert (path['x'].values == samples.pos[:, 0]).all()


def test_pynapple_computes_the_tuning_curves_of_a_recording(recording):
  import pynapple as nap

  from dreamerv3.analysis.tuning.maps.binned_path import Design
  from dreamerv3.data.trajectories import Trajectories

  data = Trajectories.open(recording)
  samples = data.layer('deter')
  w, h = data.grid.shape
  curves = nap.compute_tuning_curves(
    samples.to_pynapple(),
    samples.track.to_pynapple()[['x', 'y']],
    bins=[np.arange(w + 1) - 0.5, np.arange(h + 1) - 0.5],
  )
  design = Design.build(samples.track, data.grid)
  ours = design.to_map(design.by_tile @ samples.X / design.visits[:, None])
  np.testing.assert_allclose(curves.values, ours, rtol=1e-4, atol=1e-5)


def test_xarray_selects_by_episode_and_place(samples):
  array = samples.to_xarray()
  assert array.dims == ('time', 'unit')
  assert (array.values == samples.X).all()
  assert (array.where(array.episode == 3, drop=True).values == samples.X[5:]).all()
  assert array.x.values.tolist() == samples.pos[:, 0].tolist()


def test_pandas_finds_rows_by_episode_and_time(samples):
  table = samples.to_pandas()
  assert (table.to_numpy() == samples.X).all()
  assert (table.loc[(3, 2)].to_numpy() == samples.X[6]).all()
  path = samples.track.to_pandas()
  assert path.loc[(1, 1), 'y'] == samples.pos[4, 1]
