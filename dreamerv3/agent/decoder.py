"""From latent states back to observations.

dec(feat)['image'].pred()  # (B, T, H, W, C) in [0, 1]
"""

import math

import jax
import jax.numpy as jnp
import ninjax as nj

from dreamerv3.agent.encoder import Spaces, image_keys
from dreamerv3.agent.latents import Feat, Latent
from embodied.jax import conv, internal, outs
from embodied.jax.conv import Conv2D
from embodied.jax.heads import DictLayer
from embodied.jax.linear import MLP, BlockLinear, Linear
from embodied.jax.norm import Norm, activation


class Decoder(nj.Module):
  """Stages of nearest 2x upsampling -> conv 5x5 -> norm -> act; vector MLP.

  The first map is the sum of a block-diagonal layer of deter, each block
  owning some channels, and a small network of stoch.
  """

  depth: int = 64
  mults: tuple = (2, 3, 4, 4)
  layers: int = 3
  units: int = 1024
  act: str = 'silu'
  norm: str = 'rms'
  outscale: float = 1.0
  winit: str = 'trunc_normal_in'
  outer: bool = False
  kernel: int = 5
  bspace: int = 8
  strided: bool = False

  def __init__(self, spaces: Spaces):
    self.spaces = spaces
    self.images = image_keys(spaces)
    self.vectors = {k: v for k, v in spaces.items() if k not in self.images}
    self.impls = {
      k: 'categorical' if v.discrete else 'symlog_mse' for k, v in self.vectors.items()
    }
    self.depths = [self.depth * x for x in self.mults]

  def __call__(self, feat: Latent | Feat) -> dict[str, outs.Output]:
    """An output per key from deter (B, T, D), stoch (B, T, S, C)."""
    lead = feat.deter.shape[:-1]
    deter = feat.deter.reshape((-1, feat.deter.shape[-1]))
    stoch = feat.stoch.reshape((deter.shape[0], -1))
    recons: dict[str, outs.Output] = {}
    if self.vectors:
      recons.update(self._vector(deter, stoch, lead))
    if self.images:
      size = self.spaces[self.images[0]].shape[:2]
      rows = conv.rows_at_once((len(deter), *size), self.depths[0])
      x = internal.tap(f'{self.path}/space', self._start(deter, stoch))
      convs = self._convs(x.shape[1:], x.dtype)
      x = internal.in_pieces(lambda x: self._image(x, convs), rows, x)
      x = x.reshape((*lead, *x.shape[1:]))
      depths = [self.spaces[k].shape[-1] for k in self.images]
      ends = [sum(depths[: i + 1]) for i in range(len(depths) - 1)]
      for key, mean in zip(self.images, jnp.split(x, ends, -1), strict=True):
        recons[key] = outs.Agg(outs.MSE(mean), 3)
    return recons

  def _vector(
    self, deter: jax.Array, stoch: jax.Array, lead: tuple
  ) -> dict[str, outs.Output]:
    kw = dict(act=self.act, norm=self.norm, winit=self.winit)
    x = jnp.concatenate([stoch, deter], -1)
    x = self.sub('mlp', MLP, self.layers, self.units, **kw)(x)
    x = x.reshape((*lead, -1))
    return self.sub(
      'vec',
      DictLayer,
      self.vectors,
      self.impls,
      outscale=self.outscale,
      winit=self.winit,
    )(x)

  def _convs(self, shape: tuple[int, ...], dtype: jnp.dtype) -> dict[str, conv.Form]:
    """The convolutions in their order, from the first map (h, w, C)."""
    channels = sum(self.spaces[k].shape[-1] for k in self.images)
    stages = [
      (f'conv{i}', self.depths[i], 1.0, False)
      for i in reversed(range(len(self.depths) - 1))
    ]
    stages.append(('imgout', channels, self.outscale, self.outer))
    convs = {}
    for name, units, outscale, full in stages:
      form = 'plain' if full else 'transposed' if self.strided else 'upsampled'
      kw = dict(winit=self.winit, outscale=outscale)
      layer = self.sub(name, Conv2D, units, self.kernel, **kw)
      convs[name] = layer.form(form, shape, dtype)
      shape = (2 * shape[0], 2 * shape[1], units)
    return convs

  def _image(self, x: jax.Array, convs: dict[str, conv.Form]) -> jax.Array:
    """First maps (N, h, w, C) to images (N, H, W, C) in [0, 1]."""
    for name, run in convs.items():
      x = run(x)
      if name != 'imgout':
        x = self.sub(f'{name}norm', Norm, self.norm)(x)
        x = activation(self.act)(x)
        internal.tap(f'{self.path}/{name}', x)
    return jax.nn.sigmoid(x)

  def _start(self, deter: jax.Array, stoch: jax.Array) -> jax.Array:
    """The first, smallest map (N, h, w, C)."""
    factor = 2 ** (len(self.depths) - bool(self.outer))
    height, width = (x // factor for x in self.spaces[self.images[0]].shape[:2])
    shape = (height, width, self.depths[-1])
    kw = dict(winit=self.winit)
    act, g = activation(self.act), self.bspace
    if not g:
      x = jnp.concatenate([stoch, deter], -1)
      x = self.sub('space', Linear, shape, **kw)(x)
      return act(self.sub('spacenorm', Norm, self.norm)(x))
    x0 = self.sub('sp0', BlockLinear, math.prod(shape), g, **kw)(deter)
    x0 = x0.reshape((-1, g, height, width, shape[-1] // g))
    x0 = x0.transpose((0, 2, 3, 1, 4)).reshape((-1, *shape))
    x1 = self.sub('sp1', Linear, 2 * self.units, **kw)(stoch)
    x1 = act(self.sub('sp1norm', Norm, self.norm)(x1))
    x1 = self.sub('sp2', Linear, shape, **kw)(x1)
    return act(self.sub('spnorm', Norm, self.norm)(x0 + x1))
