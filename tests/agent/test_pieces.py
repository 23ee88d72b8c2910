"""A few images at a time give what all of them at once give."""

from typing import Any

import elements
import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np
import pytest

from dreamerv3.agent.decoder import Decoder
from dreamerv3.agent.encoder import Encoder
from dreamerv3.agent.latents import Latent
from embodied.jax import conv, init

SPACES = {'image': elements.Space(np.uint8, (16, 16, 3))}
SMALL: dict[str, Any] = {
  'depth': 2,
  'mults': (2, 3),
  'units': 8,
  'kernel': 3,
}
N = 12


@pytest.fixture
def rng():
  return np.random.default_rng(0)


def autoencode(images, deter, stoch):
  """A scalar of tokens and reconstructions."""
  encoder = Encoder(SPACES, **SMALL, **{'name': 'enc'})
  decoder = Decoder(SPACES, **SMALL, **{'name': 'dec', 'bspace': 2})
  tokens = encoder({'image': images}, 1, jnp.float32)
  feat = Latent(deter, stoch)
  recon = decoder(feat)['image'].pred()
  return jnp.square(tokens).sum() + jnp.sin(recon * 9).sum()


def test_values_and_derivatives_are_the_same(rng, monkeypatch):
  images = rng.integers(0, 256, (N, 16, 16, 3), np.uint8)
  deter = rng.normal(size=(N, 8)).astype(np.float32)
  stoch = rng.normal(size=(N, 2, 4)).astype(np.float32)
  args = images, deter, stoch
  state = init.draw(init.record(lambda: autoencode(*args)), seed=0)

  def value(state, deter, stoch):
    return nj.pure(autoencode)(state, images, deter, stoch, modify=False)[1]

  def found(rows):
    monkeypatch.setattr(conv, 'rows_at_once', lambda *_: rows)
    grad = jax.jit(jax.value_and_grad(value, (0, 1, 2)))
    return jax.device_get(grad(state, deter, stoch))

  whole, pieces = found(N), found(4)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
    whole,
    pieces,
  )
  # One loop for each network.
  assert str(jax.make_jaxpr(value)(state, deter, stoch)).count('scan[') == 2
