"""Decoding of whole recordings: planted truths, the leak, chance, n_jobs."""

import dataclasses

import numpy as np
import pytest

from dreamerv3.analysis import forecast
from dreamerv3.analysis.decoding import chance, layers, occupancy, splits
from dreamerv3.analysis.decoding import folds as shared
from dreamerv3.analysis.decoding import result as decode_result
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.base.errors import UserError
from dreamerv3.data.activations import Activations
from dreamerv3.data.grid import manhattan
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic

QUICK = FitOptions(n_iters=200, patience=100)


def slow_drift(pos, facing, rng):
  time = np.arange(len(pos))[:, None] / len(pos)
  return rng.normal(size=(1, 8)) + time * rng.normal(size=(1, 8))


def ar_noise(pos, facing, rng):
  return synthetic.noise(pos, facing, rng, 16, 0.98)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  folder = synthetic.record(
    tmp_path_factory.mktemp('decode') / 'trajectories',
    {
      'enc/cnn0': slow_drift,
      'enc/cnn1': ar_noise,
      'dyn/deter': synthetic.one_hot_places,
      'dyn/stoch': lambda p, f, r: synthetic.noise(p, f, r, 16),
    },
    episodes=12,
    length=80,
    start=(6, 5),
    dtype='float32',
  )
  return Trajectories.open(folder)


def run(data, layer, parts, n_jobs=1, options=QUICK, refit=False):
  folds = shared.make_folds(data.track(), data.grid, parts, 0)
  found = layers.decode_layers(data, [layer], folds, options, n_jobs, refit)
  ((result, decoder),) = found
  return result, decoder


def by_episode(data):
  return splits.folds(data.track().episode, 4, 0)


def test_one_hot_places_decode_to_zero_on_visited_tiles(data):
  result, _ = run(data, 'deter', by_episode(data))
  assert result.errors[result.visited].max() == 0
  # A tile that training never visited cannot be right, and counts.
  assert not result.visited.all()
  assert (result.errors[~result.visited] > 0).all()
  assert (result.own_visits[~result.visited] == 0).all()
  assert (result.own_visits[result.visited] > 0).all()


def test_a_tile_of_one_episode_counts_as_unvisited_when_it_is_tested(data):
  result, _ = run(data, 'deter', by_episode(data))
  alone = result.visits[tuple(result.pos[~result.visited].T)]
  assert (alone > 0).any()  # other folds trained on it
  by_tile = occupancy.tile_means(result.pos, result.errors, result.grid)
  visits = occupancy.tile_means(result.pos, result.own_visits, result.grid)
  curve = occupancy.error_by_visits(by_tile, visits)
  assert curve.visits[0] == 0
  assert curve.low[0] > 0  # none of them can be right


@pytest.mark.parametrize('layer', ['enc/cnn0', 'enc/cnn1', 'dyn/stoch'])
def test_activations_without_a_position_decode_no_better_than_a_constant(data, layer):
  result, _ = run(data, layer, by_episode(data))
  assert result.errors.mean() > 0.95 * result.best_constant.mean()


@pytest.mark.parametrize('value', [0.0, 1.5])
def test_a_layer_without_information_decodes_as_well_as_a_constant(tmp_path, value):
  codes = {'pol/mlp/linear0': lambda p, f, r: np.full((len(p), 6), value)}
  folder = synthetic.record(tmp_path, codes, 6, 60, start=(8, 7))
  silent = Trajectories.open(folder)
  result, decoder = run(silent, 'pol/mlp/linear0', by_episode(silent))
  if value:  # a constant holds the prior, and so the most visited tile
    assert len(np.unique(result.pred[result.fold == 0], axis=0)) == 1
    return
  np.testing.assert_array_equal(result.errors, result.best_constant)
  assert sorted(decoder.classes) == np.unique(decoder.classes).tolist()


@pytest.mark.parametrize('layer', ['enc/cnn0', 'enc/cnn1'])
def test_timesteps_leak(data, layer):
  fair, _ = run(data, layer, by_episode(data))
  leaking = splits.leaking_folds(data.track().episode, 4, 0)
  leaked, _ = run(data, layer, leaking)
  assert leaked.errors.mean() < 0.7 * fair.errors.mean()
  assert leaked.errors.mean() < leaked.best_constant.mean()


def test_chance_and_validation_groups_are_of_the_training_rows(data):
  track = data.track()
  for fold in shared.make_folds(track, data.grid, by_episode(data), 0):
    train, test = track.rows(fold.split.train), track.rows(fold.split.test)
    visits = data.grid.count(train.pos)
    np.testing.assert_array_equal(fold.visits, visits)
    guesses = {
      'best_constant': chance.best_constant(visits),
      'timed': chance.by_time(train.pos, train.t, test.t),
    }
    for name, guess in guesses.items():
      np.testing.assert_array_equal(getattr(fold, name), manhattan(guess, test.pos))
    np.testing.assert_allclose(fold.prior, chance.prior_error(visits, test.pos))
    for groups in (fold.groups, fold.paired_groups):
      assert set(groups) == {0, 1, 2}
      pairs = np.unique(np.stack([train.episode, groups]), axis=1)
      assert len(pairs.T) == len(np.unique(train.episode))


def test_every_timestep_is_tested_once_and_rows_agree(data):
  result, _ = run(data, 'deter', by_episode(data))
  track = data.track()
  keys = set(zip(result.episode.tolist(), result.t.tolist(), strict=True))
  assert len(keys) == len(track) == len(result.pos)
  np.testing.assert_array_equal(result.errors, manhattan(result.pred, result.pos))
  assert (result.t >= 1).all()  # the reset state is a constant
  np.testing.assert_allclose(result.proba.sum((1, 2)), 1, rtol=1e-4)
  shown = result.pos[result.example_rows]
  assert len(shown) == len(result.proba)


def test_r2_is_counted_from_the_mean_of_each_folds_training(data):
  options = dataclasses.replace(QUICK, method='ridge')
  result, _ = run(data, 'dyn/stoch', by_episode(data), options=options)
  rest = np.square(result.pos - result.estimate).sum()
  pos, whole = data.track().pos, 0.0
  for part in by_episode(data):
    whole += np.square(pos[part.test] - pos[part.train].mean(0)).sum()
  assert result.r2() == pytest.approx(1 - rest / whole)


def test_the_shuffled_decoder_is_at_chance_where_the_real_one_is_not(data):
  result, _ = run(data, 'deter', by_episode(data))
  row = decode_result.summary(result)
  assert row['mean'] < 0.5 * row['shuffled']
  assert row['shuffled'] > 0.9 * row['best_constant']
  assert row['prior'] >= row['best_constant']
  assert row['low'] <= row['mean'] <= row['high']


@pytest.mark.parametrize('layer', ['combined', 'enc/cnn1'])
def test_numbers_do_not_depend_on_n_jobs(data, layer):
  one, first = run(data, layer, by_episode(data), 1, refit=True)
  two, second = run(data, layer, by_episode(data), 3, refit=True)
  np.testing.assert_array_equal(one.pred, two.pred)
  np.testing.assert_array_equal(one.proba, two.proba)
  np.testing.assert_array_equal(one.shuffled, two.shuffled)
  np.testing.assert_array_equal(first.weights, second.weights)


@pytest.mark.parametrize('method', ['classification', 'ridge'])
def test_numbers_do_not_depend_on_memory(data, method, monkeypatch):
  """With little memory the layer stays on disk and fits run one by one."""
  options = dataclasses.replace(QUICK, method=method)
  held, decoder = run(data, 'combined', by_episode(data), 2, options, refit=True)
  whole = []

  def hold(layer, rows, most):
    whole.append(4 * len(rows) * layer.shape[1] <= most)
    return layer

  monkeypatch.setattr(forecast, 'budget', lambda: 1000.0)
  monkeypatch.setattr(Activations, 'hold', hold)
  read, other = run(data, 'combined', by_episode(data), 2, options, refit=True)
  assert whole == [False]
  for name in ('pred', 'argmax', 'estimate', 'proba', 'shuffled', 'errors'):
    np.testing.assert_array_equal(getattr(held, name), getattr(read, name))
  np.testing.assert_array_equal(decoder.weights, other.weights)


def test_a_refit_keeps_to_the_most_rows(data):
  parts = [splits.thin(x, 60, 0) for x in by_episode(data)]
  folds = shared.make_folds(data.track(), data.grid, parts, 0)
  for most, fitted in (
    (60, 60),
    (0, len(np.unique(np.concatenate([x.train for x in parts])))),
  ):
    work = layers.decode_layers(data, ['deter'], folds, QUICK, 1, True, most)
    ((_, decoder),) = work
    assert decoder.visits.sum() == fitted


def test_a_holdout_decoder_gives_its_held_out_error_again(data):
  (split,) = splits.holdout(data.track().episode, 0.3, 0)
  result, decoder = run(data, 'dyn/deter', [split])
  samples = data.layer('dyn/deter').rows(split.test)
  error = manhattan(decoder.predict(samples.X), samples.pos).mean()
  assert error == pytest.approx(decoder.held_out['error'])
  assert decoder.held_out['error'] == pytest.approx(result.errors.mean())


def test_evaluate_checks_the_world_and_the_layer(data, tmp_path):
  (split,) = splits.holdout(data.track().episode, 0.3, 0)
  result, decoder = run(data, 'dyn/deter', [split])
  again = layers.evaluate(data, decoder, 'dyn/deter')
  tested = np.isin(again.episode, result.episode)
  assert again.errors[tested].mean() == pytest.approx(result.errors.mean())
  np.testing.assert_allclose(again.prior[tested].mean(), result.prior.mean(), rtol=1e-5)
  with pytest.raises(UserError, match='120 units'):
    layers.evaluate(data, decoder, 'dyn/stoch')
  small = synthetic.record(
    tmp_path,
    {'dyn/deter': synthetic.noise},
    2,
    20,
    tiles=synthetic.world((9, 9)),
  )
  with pytest.raises(UserError, match=r'world of \(12, 10\)'):
    layers.evaluate(Trajectories.open(small), decoder, 'dyn/deter')


def test_results_survive_the_disk(data):
  result, _ = run(data, 'dyn/stoch', by_episode(data))
  again = decode_result.DecodeResult.from_dict(result.to_dict())
  assert again.grid == result.grid
  np.testing.assert_array_equal(again.errors, result.errors)
  np.testing.assert_array_equal(again.best_constant, result.best_constant)
  # Of before there were the most probable tiles alone.
  names = ('argmax', 'estimate')
  older = {k: v for k, v in result.to_dict().items() if k not in names}
  older['errors'] = result.argmax
  before = decode_result.DecodeResult.from_dict(older)
  np.testing.assert_array_equal(before.argmax, result.argmax)


def test_copies_of_a_layer_are_found_by_their_numbers(tmp_path):
  same = {'enc/cnn0': synthetic.noise, 'enc/tokens': synthetic.noise}
  other = Trajectories.open(synthetic.record(tmp_path / 'a', same, 2, 20))
  names = list(other.layers())
  assert layers.unique_layers(other, names) == (names, {})
  fixed = {x: lambda p, f, r: np.tile(p, 3) for x in same}
  data = Trajectories.open(synthetic.record(tmp_path / 'b', fixed, 2, 20))
  assert layers.unique_layers(data, names) == (['enc/cnn0'], {'enc/tokens': 'enc/cnn0'})
