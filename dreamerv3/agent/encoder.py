"""From observations to tokens: a convolutional and a vector branch.

tokens = enc(obs)  # obs[key] (B, ..., *space.shape) -> (B, ..., N)
"""

import math

import elements
import jax
import jax.numpy as jnp
import ninjax as nj

from dreamerv3.agent.latents import Arrays
from embodied.jax import conv, internal, utils
from embodied.jax.conv import Conv2D
from embodied.jax.linear import Linear
from embodied.jax.norm import Norm, activation

# Known to the agent, but never encoded or reconstructed. `player_pos` is for
# the study of representations: an agent that saw it would prove nothing.
EXCLUDED = ('reward', 'is_first', 'is_last', 'is_terminal', 'player_pos')

Spaces = dict[str, elements.Space]


def inputs(spaces: Spaces) -> Spaces:
  """The spaces that are encoded and reconstructed."""
  return {
    k: v for k, v in spaces.items() if k not in EXCLUDED and not k.startswith('log/')
  }


def image_keys(spaces: Spaces) -> list[str]:
  """Sorted keys of images: uint8 (H, W, C)."""
  return sorted(k for k, v in spaces.items() if len(v.shape) == 3)


def check(spaces: Spaces) -> None:
  """ValueError for an observation that no branch can take."""
  for key, space in spaces.items():
    if len(space.shape) == 3 and space.dtype != 'uint8':
      raise ValueError(f'{key}: images are uint8 (H, W, C), got {space}')
    if len(space.shape) > 3:
      raise ValueError(f'{key}: at most three axes, got {space}')
  shapes = {spaces[k].shape[:2] for k in image_keys(spaces)}
  if len(shapes) > 1:
    raise ValueError(f'images must have one size, got {sorted(shapes)}')
  if not spaces:
    raise ValueError('no observation to encode')


class Encoder(nj.Module):
  """Stages of conv 5x5 -> 2x2 max-pool -> norm -> act; MLP for vectors.

  Taps <path>/cnn0.., <path>/mlp0.. and <path>/tokens.
  """

  depth: int = 64
  mults: tuple = (2, 3, 4, 4)
  layers: int = 3
  units: int = 1024
  act: str = 'silu'
  norm: str = 'rms'
  winit: str = 'trunc_normal_in'
  symlog: bool = True
  outer: bool = False
  kernel: int = 5
  strided: bool = False

  def __init__(self, spaces: Spaces):
    check(spaces)
    self.spaces = spaces
    self.images = image_keys(spaces)
    self.vectors = {k: v for k, v in spaces.items() if k not in self.images}
    if self.images:
      size = spaces[self.images[0]].shape[:2]
      factor = 2 ** (len(self.mults) - bool(self.outer))
      if size[0] % factor or size[1] % factor:
        raise ValueError(f'image size {size}: must divide by {factor}')

  def __call__(self, obs: Arrays, lead: int, dtype: jnp.dtype) -> jax.Array:
    """Tokens (..., N) in dtype, from obs with `lead` leading axes."""
    shape = obs[next(iter(self.spaces))].shape[:lead]
    obs = {
      k: obs[k].reshape((math.prod(shape), *v.shape)) for k, v in self.spaces.items()
    }
    parts = []
    if self.vectors:
      parts.append(self._vector(obs, dtype))
    if self.images:
      parts.append(self._images(obs, dtype))
    tokens = jnp.concatenate(parts, -1)
    internal.tap(f'{self.path}/tokens', tokens)
    return tokens.reshape((*shape, -1))

  def _vector(self, obs: Arrays, dtype: jnp.dtype) -> jax.Array:
    x = utils.concat_spaces(obs, self.vectors, dtype, squash=self.symlog)
    for i in range(self.layers):
      x = self.sub(f'mlp{i}', Linear, self.units, winit=self.winit)(x)
      x = self.sub(f'mlp{i}norm', Norm, self.norm)(x)
      x = internal.tap(f'{self.path}/mlp{i}', activation(self.act)(x))
    return x

  def _images(self, obs: Arrays, dtype: jnp.dtype) -> jax.Array:
    x = jnp.concatenate([obs[k] for k in self.images], -1)
    rows = conv.rows_at_once(x.shape[:3], self.depth * self.mults[0])
    convs = self._convs(x.shape[1:], dtype)
    return internal.in_pieces(lambda x: self._image(x, convs, dtype), rows, x)

  def _convs(self, shape: tuple[int, ...], dtype: jnp.dtype) -> list[conv.Form]:
    """The convolution of each stage for images (H, W, C)."""
    convs = []
    for i, mult in enumerate(self.mults):
      full = self.outer and i == 0
      name = 'plain' if full else 'strided' if self.strided else 'pooled'
      make = (self.depth * mult, self.kernel)
      layer = self.sub(f'cnn{i}', Conv2D, *make, winit=self.winit)
      convs.append(layer.form(name, shape, dtype))
      half = 1 if full else 2
      shape = (shape[0] // half, shape[1] // half, self.depth * mult)
    return convs

  def _image(self, x: jax.Array, convs: list[conv.Form], dtype: jnp.dtype) -> jax.Array:
    x = x.astype(dtype) / 255 - 0.5
    for i, run in enumerate(convs):
      x = self.sub(f'cnn{i}norm', Norm, self.norm)(run(x))
      x = activation(self.act)(x)
      internal.tap(f'{self.path}/cnn{i}', x)
    return x.reshape((x.shape[0], -1))
