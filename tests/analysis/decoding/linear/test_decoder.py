"""Decoders: probabilities, saving, and the fit against planted truths."""

import pickle

import numpy as np
import pytest

from dreamerv3.analysis.decoding import splits
from dreamerv3.analysis.decoding.linear import fit as fitting
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.decoding.linear.fit import FitOptions, PositionDecoder
from dreamerv3.analysis.decoding.linear.readout import Readout
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid, manhattan
from tests import cli

GRID = Grid(5, 4)


def decoder(rng, units=6, classes=(1, 7, 19)):
  weights = rng.normal(size=(units, len(classes))).astype(np.float32)
  held_out = {'error': 1.5, 'visits': np.ones(GRID.shape)}
  return LinearDecoder(weights, np.array(classes), GRID, 'dyn/deter', held_out)


def fit(X, pos, grid, episode=None, **options):
  episode = np.arange(len(X)) % 6 if episode is None else episode
  estimator = PositionDecoder(FitOptions(**options))
  return estimator.fit(X.astype(np.float32), pos, splits.inner(episode, 3, 0), grid)


def predict(found, X):
  return found.predict(X.astype(np.float32))


def test_probabilities_are_a_softmax_over_visited_tiles(rng):
  model = decoder(rng)
  X = rng.normal(size=(3, 6)).astype(np.float32)
  proba = model.predict_proba(X)
  assert proba.shape == (3, 5, 4)
  np.testing.assert_allclose(proba.sum((1, 2)), 1, rtol=1e-5)
  flat = proba.reshape(3, -1)
  assert (np.delete(flat, model.classes, axis=1) == 0).all()
  expected = np.exp(X @ model.weights)
  expected /= expected.sum(1, keepdims=True)
  np.testing.assert_allclose(flat[:, model.classes], expected, rtol=1e-4)
  best = GRID.to_class(model.predict(X))
  np.testing.assert_array_equal(best, flat.argmax(1))


def test_saved_decoders_come_back_through_the_safe_reader(rng, tmp_path):
  model = decoder(rng)
  path = files.save_pickle(tmp_path / 'classifier_deter.pkl', model.to_dict())
  again = LinearDecoder.from_dict(unpickle.load(path))
  np.testing.assert_array_equal(again.weights, model.weights)
  np.testing.assert_array_equal(again.classes, model.classes)
  assert (again.grid, again.layer) == (GRID, 'dyn/deter')
  assert again.held_out['error'] == 1.5
  plain = pickle.loads(path.read_bytes())
  assert plain['state_dict']['0.weight'].shape == (3, 6)
  assert plain['metadata']['n_units'] == 6


def test_older_files_have_a_class_for_every_tile(rng):
  weight = rng.normal(size=(20, 6)).astype(np.float32)
  about = {'width': 5, 'height': 4, 'repr_name': 'deter'}
  old = {'state_dict': {'0.weight': weight}, 'metadata': about}
  model = LinearDecoder.from_dict(old)
  assert model.classes.tolist() == list(range(20))
  assert model.layer == 'deter'


def test_wrong_sizes_are_refused(rng):
  with pytest.raises(UserError, match='reads 6 units; got'):
    decoder(rng).predict(np.zeros((2, 5), np.float32))
  with pytest.raises(ValueError, match='expected'):
    LinearDecoder(np.zeros((2, 3)), np.arange(2), GRID, 'x')


def test_applying_a_decoder_needs_numpy_alone():
  found = cli.loaded('import dreamerv3.analysis.decoding.linear.decoder')
  assert not {'torch', 'sklearn', 'joblib', 'jax'} & found


def test_one_hot_places_decode_exactly(rng):
  pos = rng.integers((0, 0), GRID.shape, (400, 2))
  X = np.eye(GRID.size)[GRID.to_class(pos)]
  found = fit(X, pos, GRID)
  assert set(found.classes) == set(GRID.to_class(pos))
  np.testing.assert_array_equal(predict(found, X), pos)


def test_a_linear_code_decodes_to_the_error_of_its_noise(rng):
  # x = [pos, 1] A + noise. Least squares reads (x, y, 1) with the covariance
  # sigma^2 (A A')^-1. A model without a bias tells tiles apart by planes
  # through the origin, thus by x and y relative to the constant it reads.
  grid, units, sigma = Grid(8, 8), 40, 2.0
  A = rng.normal(size=(3, units))
  A[2] *= 5

  def draw(count):
    pos = rng.integers((0, 0), grid.shape, (count, 2))
    clean = np.c_[pos, np.ones(count)] @ A
    return clean + sigma * rng.normal(size=clean.shape), pos

  X, pos = draw(4000)
  test, true = draw(4000)
  error = manhattan(predict(fit(X, pos, grid), test), true).mean()
  estimate = np.linalg.lstsq(A.T, test.T, rcond=None)[0].T
  best = np.clip(np.round(estimate[:, :2] / estimate[:, 2:]), 0, 7)
  least = manhattan(best, true).mean()
  assert 0.2 < least < 1
  assert error < 1.15 * least


def test_wide_layers_are_reduced_without_losing_places(rng):
  # More units than tile means and sketched directions: a one-hot code beside
  # many units that share a few sources of noise.
  grid = Grid(6, 6)
  pos = rng.integers((0, 0), grid.shape, (600, 2))
  X = np.zeros((600, 1500))
  X[:, :36] = np.eye(36)[grid.to_class(pos)]
  X[:, 36:] = rng.normal(size=(600, 20)) @ rng.normal(size=(20, 1464))
  found = fit(X[:400], pos[:400], grid)
  assert found.weights.shape == (1500, len(found.classes))
  error = manhattan(predict(found, X[400:]), pos[400:])
  assert error.mean() < 0.1


def test_silent_units_get_no_weight(rng):
  pos = rng.integers((0, 0), GRID.shape, (200, 2))
  X = np.c_[np.eye(GRID.size)[GRID.to_class(pos)], np.zeros((200, 3))]
  found = fit(X, pos, GRID)
  assert np.abs(found.weights[-3:]).max() < 1e-6


def test_iterations_and_patience_do_what_they_say(rng):
  pos = rng.integers((0, 0), GRID.shape, (300, 2))
  X = rng.normal(size=(300, 8))
  closed = fit(X, pos, GRID, n_iters=0).search
  assert (closed.iterations, len(closed.curve)) == (0, 0)
  short = fit(X, pos, GRID, n_iters=120, patience=0).search
  assert short.curve[:, 0].tolist() == [0, 50, 100, 120]
  patient = fit(X, pos, GRID, n_iters=5000, patience=200).search
  best = patient.iterations
  assert patient.curve[-1, 0] == best + 200
  kept = patient.curve[patient.curve[:, 0] == best, 3]
  assert kept <= patient.curve[0, 3]


def test_what_is_chosen_is_chosen_on_episodes_that_were_left_out(rng, monkeypatch):
  episode = np.arange(240) // 20
  pos = rng.integers((0, 0), GRID.shape, (240, 2))
  # A few directions of large variance hide many, in which noise is told apart.
  X = 10 * rng.normal(size=(240, 3)) @ rng.normal(size=(3, 150))
  X += rng.normal(size=X.shape)
  left, begun, read = [], [], []
  descend, choose = fitting._descend, Readout.choose

  def watch(data, start, left_out, draws, iterations):
    left.append(left_out)
    begun.append(start.weights)
    return descend(data, start, left_out, draws, iterations)

  def counted(self, logits, pos):
    read.append(self.visits.sum())
    return choose(self, logits, pos)

  monkeypatch.setattr(fitting, '_descend', watch)
  monkeypatch.setattr(Readout, 'choose', counted)
  found = fit(X, pos, GRID, episode, n_iters=100)
  # Of noise that the training rows hold by heart nothing is known elsewhere.
  assert found.search.penalty >= 0.1
  assert left[:3] == [0, 1, 2]
  assert (begun[1] != begun[2]).any()  # nor begun with them
  sizes = np.bincount(splits.inner(episode, 3, 0))
  assert set(read) == {240 - x for x in sizes}


def uneven(rng, rows):
  """A code whose noise depends on the place, where the closed form is not the
  maximum of the likelihood."""
  pos = rng.integers((0, 0), GRID.shape, (rows, 2))
  code = rng.normal(size=(GRID.size, 12))
  noise = np.exp(rng.normal(size=GRID.size))[GRID.to_class(pos), None]
  return code[GRID.to_class(pos)] + 0.5 * noise * rng.normal(size=(rows, 12)), pos


def test_descent_lowers_the_cross_entropy(rng):
  X, pos = uneven(rng, 1500)
  curve = fit(X, pos, GRID, n_iters=1500, patience=0).search.curve
  assert curve[-1, 1] < curve[0, 1]


def test_one_tile_and_few_rows_still_fit(rng):
  pos = np.tile([2, 3], (5, 1))
  found = fit(rng.normal(size=(5, 4)), pos, GRID)
  assert predict(found, rng.normal(size=(2, 4))).tolist() == [[2, 3]] * 2


def test_the_same_seed_gives_the_same_weights(rng):
  X, pos = uneven(rng, 600)
  one, two, other = (fit(X, pos, GRID, n_iters=400, seed=x) for x in (4, 4, 5))
  np.testing.assert_array_equal(one.weights, two.weights)
  assert one.search.iterations == other.search.iterations > 0
  assert (one.weights != other.weights).any()


def test_units_that_are_silent_in_some_episodes_alone_still_fit(rng):
  """Such as a tree that one episode walked by."""
  pos = rng.integers((0, 0), GRID.shape, (300, 2))
  X = np.tile((rng.random(60) < 0.5).astype(float), (300, 1))
  X[:10, :50] = 1 - X[:10, :50]  # in the first episode
  found = fit(X, pos, GRID, np.arange(300) // 25)
  assert np.isfinite(found.weights).all()


def test_a_silent_layer_makes_every_tile_as_likely(rng):
  """Such as the value head of an untrained network, a control's last layer."""
  pos = rng.integers((0, 0), GRID.shape, (200, 2))
  assert not fit(np.zeros((200, 4)), pos, GRID).weights.any()
