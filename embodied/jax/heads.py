"""Heads: an MLP and the output it feeds, chosen by name.

head = Head((), 'symexp_twohot', layers=1, units=64, name='rew')
head(features).pred()  # inside nj.pure
"""

from collections.abc import Callable, Mapping

import elements
import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np

from . import outs
from .linear import MLP, Linear
from .utils import classes_of, symexp, symlog


class OutputLayer(nj.Module):
  """One linear layer (or two) and the distribution on top, by name."""

  outscale: float = 1.0
  winit: str = 'trunc_normal_in'
  bins: int = 255
  unimix: float = 0.0
  minstd: float = 0.1
  maxstd: float = 1.0

  def __init__(self, space: elements.Space, impl: str):
    if impl not in _OUTPUTS:
      raise ValueError(f'output {impl!r}: expected one of {sorted(_OUTPUTS)}')
    self.space, self.impl = space, impl
    self.edges = outs.symexp_bins(self.bins) if 'twohot' in impl else None

  def __call__(self, x: jax.Array) -> outs.Output:
    """(..., units) -> the distribution that `impl` names."""
    return _OUTPUTS[self.impl](self, x)

  def linear(self, name: str, x: jax.Array, extra: tuple = ()) -> jax.Array:
    """(..., I) -> (..., *space.shape, *extra), float32."""
    shape = (*self.space.shape, *extra)
    kw = dict(outscale=self.outscale, winit=self.winit)
    x = self.sub(name, Linear, shape or (1,), **kw)(x)
    return (x if shape else x[..., 0]).astype(jnp.float32)

  def aggregate(self, output: outs.Output) -> outs.Output:
    """Takes the axes of the space as one event."""
    dims = len(self.space.shape)
    return outs.Agg(output, dims) if dims else output

  def categorical(self, x: jax.Array) -> outs.Output:
    """An integer of as many classes as the space has."""
    classes = classes_of(self.path, self.space)
    logits = self.linear('logits', x, (classes,))
    return self.aggregate(outs.Categorical(logits))

  def onehot(self, x: jax.Array) -> outs.Output:
    """A one-hot vector, its probabilities mixed with uniform ones."""
    classes = classes_of(self.path, self.space)
    logits = self.linear('logits', x, (classes,))
    return self.aggregate(outs.Categorical(logits, self.unimix))

  def binary(self, x: jax.Array) -> outs.Output:
    """A yes or no."""
    return self.aggregate(outs.Binary(self.linear('logit', x)))

  def mse(self, x: jax.Array) -> outs.Output:
    """A mean under squared error."""
    return self.aggregate(outs.MSE(self.linear('pred', x)))

  def symlog_mse(self, x: jax.Array) -> outs.Output:
    """A mean under squared error of symlog values."""
    pred = self.linear('pred', x)
    return self.aggregate(outs.MSE(pred, symlog, symexp))

  def symexp_twohot(self, x: jax.Array) -> outs.Output:
    """A number by weights of exponentially spaced bins."""
    assert self.edges is not None
    logits = self.linear('logits', x, (self.bins,))
    return self.aggregate(outs.TwoHot(logits, self.edges))

  def bounded_normal(self, x: jax.Array) -> outs.Output:
    """A normal with mean and standard deviation in bounds."""
    mean, raw = self.linear('mean', x), self.linear('stddev', x)
    output = outs.BoundedNormal(mean, raw, self.minstd, self.maxstd)
    return self.aggregate(output)


_OUTPUTS: dict[str, Callable[[OutputLayer, jax.Array], outs.Output]] = {
  'categorical': OutputLayer.categorical,
  'onehot': OutputLayer.onehot,
  'binary': OutputLayer.binary,
  'mse': OutputLayer.mse,
  'symlog_mse': OutputLayer.symlog_mse,
  'symexp_twohot': OutputLayer.symexp_twohot,
  'bounded_normal': OutputLayer.bounded_normal,
}


class DictLayer(nj.Module):
  """An output per key of a dict of spaces."""

  def __init__(
    self,
    spaces: Mapping[str, elements.Space],
    impls: Mapping[str, str],
    **options: object,
  ):
    self.spaces, self.impls, self.options = dict(spaces), impls, options

  def __call__(self, x: jax.Array) -> dict[str, outs.Output]:
    """(..., units) -> a distribution per key."""
    return {
      k: self.sub(k, OutputLayer, s, self.impls[k], **self.options)(x)
      for k, s in self.spaces.items()
    }


class Head(nj.Module):
  """MLP, then one scalar output (`<path>/head/...`)."""

  def __init__(self, impl: str, layers: int, units: int, **options: object):
    self.impl, self.layers, self.units = impl, layers, units
    self.act = options.pop('act', 'silu')
    self.norm = options.pop('norm', 'rms')
    self.options = options

  def hidden(self, x: jax.Array) -> jax.Array:
    """Features (..., I) to the last hidden layer (..., units)."""
    kw = dict(act=self.act, norm=self.norm)
    if 'winit' in self.options:
      kw['winit'] = self.options['winit']
    return self.sub('mlp', MLP, self.layers, self.units, **kw)(x)

  def __call__(self, x: jax.Array) -> outs.Output:
    """(..., units) -> the distribution of a scalar."""
    scalar = elements.Space(np.float32, ())
    make = self.sub('head', OutputLayer, scalar, self.impl, **self.options)
    return make(self.hidden(x))


class DictHead(Head):
  """MLP, then an output per key (`<path>/head/<key>/...`)."""

  def __init__(
    self,
    spaces: Mapping[str, elements.Space],
    impls: Mapping[str, str],
    layers: int,
    units: int,
    **options: object,
  ):
    super().__init__('', layers, units, **options)
    self.spaces, self.impls = spaces, impls

  def __call__(  # type: ignore[override]
    self, x: jax.Array
  ) -> dict[str, outs.Output]:
    """(..., units) -> a distribution per key."""
    make = self.sub('head', DictLayer, self.spaces, self.impls, **self.options)
    return make(self.hidden(x))
