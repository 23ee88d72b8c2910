"""The numbers of a fit do not depend on the library that computes them."""

import numpy as np
import pytest
import scipy.sparse
import torch

from dreamerv3.analysis.arrays import Arrays, Draws
from dreamerv3.analysis.decoding.linear import discriminant
from dreamerv3.analysis.decoding.linear.fit import FitOptions, PositionDecoder
from dreamerv3.analysis.torch_arrays import TorchArrays
from dreamerv3.data.grid import Grid


def test_both_kinds_of_arrays_do_the_same():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(40, 6)).astype(np.float32)
  labels = rng.integers(0, 5, 40)
  cover = x.T.astype(np.float64) @ x
  logits = np.where(rng.random((40, 5)) < 0.2, -np.inf, rng.normal(size=(40, 5)))
  logits[np.arange(40), labels] = 1.0

  def everything(arrays: Arrays) -> list[np.ndarray]:
    X, y, S, z = (arrays.put(a) for a in (x, labels, cover, logits))
    target, square = arrays.zeros(5, 6), arrays.zeros(6, 6)
    arrays.rows_added(target, y, arrays.double(X))
    arrays.squares_added(square, arrays.double(X))
    L = arrays.cholesky(S)
    values, vectors = arrays.eigh(S)
    Q = arrays.orthonormal(arrays.copy(X.T))
    found: list[np.ndarray] = [
      target,
      square,
      L,
      arrays.cho_solve(L, S),
      values,
      (vectors**2),
    ]
    found += [Q @ Q.T, arrays.mean(X), arrays.log(arrays.softmax(z).clip(min=1e-9))]
    found += [arrays.lengths(X, 1), arrays.lengths(X, 0)]
    found += [arrays.single(S), arrays.copy(X), arrays.empty(3, 2) * 0]
    found += [arrays.sparse(scipy.sparse.csc_array(x > 1)) @ X.T[:, :3]]
    found += [arrays.log2(abs(X)), arrays.where(X > 0, X, 2), arrays.highest(X)]
    found += [arrays.at_least(X - 1, 0.5), arrays.stack([X[0], S[0]])]
    return [*(arrays.host(a) for a in found), np.array(arrays.cross_entropy(z, y))]

  for mine, other in zip(
    everything(Arrays()), everything(TorchArrays('cpu')), strict=True
  ):
    assert mine.dtype == other.dtype
    assert mine.shape == other.shape
    np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_draws_are_those_of_earlier_versions():
  theirs = torch.Generator().manual_seed(7)
  mine = Draws(7)
  for below in (1234, 3):
    expected = torch.randint(below, (32,), generator=theirs).numpy()
    np.testing.assert_array_equal(mine.integers(below, 32), expected)
    expected = torch.randn(21, 512, generator=theirs).numpy()
    np.testing.assert_allclose(mine.normal(21, 512), expected, atol=2e-6)


@pytest.mark.parametrize('method', ['classification', 'ridge'])
def test_a_decoder_is_the_same_through_both(monkeypatch, method):
  """Wide enough for the sketch, so that every step of a fit is taken."""
  rng = np.random.default_rng(1)
  grid = Grid(6, 6)
  pos = grid.to_pos(rng.integers(0, 36, 400))
  code = rng.normal(size=(2, 1100)) / 3
  X = (pos @ code + rng.normal(size=(400, 1100))).astype(np.float32)
  groups = np.arange(400) // 50 % 4
  estimator = PositionDecoder(FitOptions(n_iters=100, method=method))
  mine = estimator.fit(X, pos, groups, grid)
  monkeypatch.setattr(discriminant, 'on', lambda device: TorchArrays('cpu'))
  other = estimator.fit(X, pos, groups, grid)
  np.testing.assert_allclose(mine.weights, other.weights, rtol=1e-3, atol=1e-4)
  np.testing.assert_array_equal(mine.predict(X), other.predict(X))
  np.testing.assert_array_equal(mine.classes, other.classes)
  assert np.abs(mine.predict(X) - pos).mean() < 1.5  # something was learnt
