"""Ridge regression finds linear codes, and says when there is nothing."""

import numpy as np
import pytest

from dreamerv3.analysis.decoding import chance, splits, store
from dreamerv3.analysis.decoding import folds as shared
from dreamerv3.analysis.decoding import layers as decode
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.decoding.linear.fit import FitOptions, PositionDecoder
from dreamerv3.analysis.decoding.linear.ridge import RidgeDecoder
from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid, manhattan
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic

GRID = Grid(12, 10)
OPTIONS = FitOptions(method='ridge')


def fit(X, pos):
  groups = splits.inner(np.arange(len(X)) // 50, 3, 0)
  return PositionDecoder(OPTIONS).fit(X.astype(np.float32), pos, groups, GRID)


def linear(rng, count, units=15, noise=1.0):
  mix = np.random.default_rng(1).normal(size=(3, units))
  pos = rng.integers((0, 0), GRID.shape, (count, 2))
  return np.c_[pos, np.ones(count)] @ mix + noise * rng.normal(size=(count, units)), pos


def test_it_equals_least_squares_where_there_is_much_data(rng):
  X, pos = linear(rng, 4000)
  model = fit(X, pos)
  design = np.c_[X, np.ones(len(X))]
  direct = design @ np.linalg.lstsq(design, pos, rcond=None)[0]
  np.testing.assert_allclose(model.estimate(X.astype('f4')), direct, atol=0.02)
  assert model.search.penalty < 0.1
  test, true = linear(rng, 500)
  assert manhattan(model.predict(test.astype('f4')), true).mean() < 0.6


@pytest.mark.parametrize('noise', [0, 1e-6, 1.0])
def test_a_layer_without_information_names_the_best_constant(rng, noise):
  pos = np.minimum(rng.geometric(0.3, (600, 2)), GRID.shape) - 1
  X = 2 + noise * rng.normal(size=(600, 6))
  model = fit(X, pos)
  named = model.predict(X.astype('f4'))
  constant = manhattan(chance.best_constant(GRID.count(pos)), pos).mean()
  assert manhattan(named, pos).mean() <= 1.1 * constant


def test_the_penalty_is_chosen_on_rows_that_were_left_out(rng):
  pos = rng.integers((0, 0), GRID.shape, (200, 2))
  assert fit(rng.normal(size=(200, 120)), pos).search.penalty >= 1


def test_results_hold_r2_and_decoders_survive_the_disk(tmp_path):
  def code(pos, facing, rng):
    mix = np.random.default_rng(2).normal(size=(2, 10))
    return pos @ mix + 0.3 * rng.normal(size=(len(pos), 10))

  codes = {'dyn/deter': code, 'dyn/stoch': lambda p, f, r: synthetic.noise(p, f, r, 9)}
  data = Trajectories.open(synthetic.record(tmp_path / 'd', codes, 8, 60))
  parts = splits.holdout(data.track().episode, 0.4, 0)
  folds = shared.make_folds(data.track(), data.grid, parts, 0)
  work = decode.decode_layers(data, ['dyn/deter', 'dyn/stoch'], folds, OPTIONS)
  (deter, decoder), (stoch, _) = work
  assert deter.r2() > 0.9
  assert -0.3 < stoch.r2() < 0.1
  assert deter.errors.mean() < 0.5 * deter.best_constant.mean()
  assert np.isnan(deter.argmax).all()
  path = files.save_pickle(tmp_path / 'dyn_deter.pkl', decoder.to_dict())
  again = store.open_decoder(path)
  assert isinstance(again, RidgeDecoder)
  result = decode.evaluate(data, again, 'dyn/deter')
  tested = np.isin(result.episode, deter.episode)
  np.testing.assert_array_equal(result.pred[tested], deter.pred)
  with pytest.raises(UserError, match='a ridge decoder, .*`method` classification'):
    LinearDecoder.open(path)
