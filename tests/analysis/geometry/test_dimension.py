"""Dimensions of planted codes, and of draws of their episodes."""

import tracemalloc

import numpy as np
import pytest

from dreamerv3.analysis.geometry import dimension, evidence


def test_ring_and_plane_come_back_with_their_dimension(rng):
  episode = np.repeat(np.arange(10), 100)
  weight = evidence.weights(10, 100, 0)
  turn = np.linalg.qr(rng.normal(size=(30, 30)))[0]
  angle = rng.uniform(0, 2 * np.pi, 1000)
  ring = np.c_[np.cos(angle), np.sin(angle), np.zeros((1000, 28))] @ turn
  plane = np.c_[rng.random((1000, 2)), np.zeros((1000, 28))] @ turn
  cloud = np.c_[rng.normal(size=(1000, 5)), np.zeros((1000, 25))] @ turn
  for X, ratio, intrinsic in ((ring, 2, 1), (plane, 2, 2), (cloud, 5, 5)):
    found = dimension.participation(X.astype('f4'), episode, weight)
    assert found.value == pytest.approx(ratio, rel=0.05)
    assert found.low < ratio * 1.02
    found = dimension.two_nn(X.astype('f4'), episode, weight)
    assert found.value == pytest.approx(intrinsic, rel=0.15)
  wide = rng.normal(size=(60, 200)).astype('f4')
  narrow = dimension.participation(wide, np.repeat(np.arange(6), 10), weight[:, :6])
  values = np.linalg.eigvalsh(np.cov(wide.T))
  assert narrow.value == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-3)


@pytest.mark.parametrize('units', [4, 90])  # fewer and more than rows allow
def test_a_draw_counts_the_rows_of_its_episodes(rng, units):
  episode = np.repeat(np.arange(6), (5, 20, 9, 12, 3, 11))
  X = (rng.normal(size=(60, units)) * np.arange(1, units + 1)).astype('f4')
  weight = evidence.weights(6, 20, 0)
  found = dimension.participation(X, episode, weight)
  centred = X - X.mean(0, dtype=float)
  for w, got in zip(weight, found.drawn, strict=True):
    rows = np.repeat(centred, w[episode], axis=0)
    values = np.linalg.svd(rows, compute_uv=False) ** 2
    assert got == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-4)


def test_the_dimension_of_wide_layers_takes_little_memory(rng):
  X, episode = rng.normal(size=(600, 300)).astype(np.float32), np.arange(600) // 6
  tracemalloc.start()
  found = dimension.participation(X, episode, evidence.weights(100, 5, 0))
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert peak < 20e6  # the products of units of all episodes are 72e6
  values = np.linalg.eigvalsh(np.cov(X.T))
  expected = values.sum() ** 2 / (values**2).sum()
  assert found.value == pytest.approx(expected, rel=1e-5)


def test_neighbours_in_time_are_no_neighbours():
  """A slow path is a line to its own steps; other episodes fill the space."""
  rng = np.random.default_rng(0)
  steps = rng.normal(size=(20, 100, 4)) * 0.05
  X = (rng.normal(size=(20, 1, 4)) + steps.cumsum(1)).reshape(-1, 4).astype('f4')
  episode = np.repeat(np.arange(20), 100)
  found = dimension.two_nn(X, episode, evidence.weights(20, 20, 0))
  assert found.value > 2.5
