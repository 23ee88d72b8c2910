"""Fits are spread over all devices by what they cost."""

import threading

import numpy as np

from dreamerv3.analysis.decoding import folds as shared
from dreamerv3.analysis.decoding import layers, splits
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder, Search
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.analysis.devices import FitDevices
from dreamerv3.data.trajectories import Trajectories


def test_work_goes_to_the_device_that_has_had_the_least():
  now = [0.0]
  pool = FitDevices(['a', 'b'], lambda: now[0])
  costs, used = [10, 1] * 4, {'a': 0.0, 'b': 0.0}
  for cost in costs:  # long and short in turns, as real and null fits
    with pool.take() as name:
      now[0] += cost
    used[name] += cost
  assert abs(used['a'] - used['b']) <= 10
  assert max(used.values()) < 30


def test_a_device_in_use_is_not_lent_before_a_free_one():
  pool = FitDevices(['a', 'b'])
  with pool.take() as first, pool.take() as second:
    assert {first, second} == {'a', 'b'}


def test_real_fits_use_all_gpus(recording, monkeypatch):
  """They were all on the first of two, since nulls took the turns between."""
  seen: dict[str, list[str]] = {'real': [], 'null': []}
  now = threading.local()  # [s], as each thread has worked

  def read() -> float:
    return getattr(now, 'time', 0.0)

  class Fake:
    def __init__(self, options, stopped):
      self.options = options

    def fit(self, X, pos, groups, grid, rows):
      kind = 'real' if self.options.n_iters else 'null'
      now.time = read() + (10 if kind == 'real' else 1)
      seen[kind].append(self.options.device)
      search = Search(0.1, 1.0, 0, np.zeros((0, 4)))
      classes = np.unique(grid.to_class(pos))
      weights = np.zeros((X.shape[1], len(classes)), np.float32)
      return LinearDecoder(weights, classes, grid, '', search=search)

  monkeypatch.setattr(layers, 'FitDevices', lambda names: FitDevices(names, read))
  monkeypatch.setattr(layers, 'devices', lambda name: ['cuda:0', 'cuda:1'])
  monkeypatch.setattr(layers, 'PositionDecoder', Fake)
  data = Trajectories.open(recording)
  parts = splits.folds(data.track().episode, 3, 0)
  folds = shared.make_folds(data.track(), data.grid, parts, 0)
  work = layers.decode_layers(data, list(data.layers()), folds, FitOptions(), 2)
  assert len(list(work)) == 4
  for kind, devices in seen.items():
    assert len(devices) == 12, kind
    assert min(devices.count(x) for x in ('cuda:0', 'cuda:1')) >= 3, kind
