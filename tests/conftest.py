"""Strict numerics and a display-free matplotlib for every test."""

import os

# A silent float64 or an (N, 1) - (N,) broadcast is a failure. Set before any
# test imports jax.
os.environ['JAX_NUMPY_RANK_PROMOTION'] = 'raise'
os.environ['JAX_NUMPY_DTYPE_PROMOTION'] = 'strict'
os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['MPLBACKEND'] = 'Agg'

import pathlib

# Programs that one test has compiled serve the next, and the next session;
# the developer's own cache stays as it is.
ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ['XDG_CACHE_HOME'] = str(ROOT / '.jax_cache')
os.environ.pop('JAX_COMPILATION_CACHE_DIR', None)

import numpy as np
import pytest

from tests import synthetic


@pytest.fixture
def rng() -> np.random.Generator:
  return np.random.default_rng(0)


@pytest.fixture(scope='session')
def recording(tmp_path_factory) -> pathlib.Path:
  """A small recording with a place code, noise, and a legacy deter code."""
  folder = tmp_path_factory.mktemp('recording') / 'trajectories'
  return synthetic.record(
    folder,
    {
      'enc/cnn0': lambda p, f, r: synthetic.noise(p, f, r, 40),
      'dyn/deter': synthetic.one_hot_places,
      'dyn/stoch': lambda p, f, r: synthetic.noise(p, f, r, 12),
      'pol/mlp/linear0': lambda p, f, r: synthetic.noise(p, f, r, 6),
    },
    tiles=synthetic.world(walls=((3, 3), (3, 4), (3, 5))),
  )
