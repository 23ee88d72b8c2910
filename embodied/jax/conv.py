"""Convolutions over images, with the down- and upsampling that goes with them.

y = Conv2D(16, 5, name='conv')(x, 'pooled')  # inside nj.pure
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np

from . import conv_cpu, init, internal
from .conv_cpu import DIMS, plain_conv

Form = Callable[[jax.Array], jax.Array]


class Conv2D(nj.Module):
  """Cross-correlation with SAME padding and bias, (N,H,W,I) -> (N,h,w,units).

  One kernel (k, k, I, units) and several ways to use it, see FORMS. Computes
  in the dtype of x.
  """

  winit: str = 'trunc_normal_in'
  outscale: float = 1.0

  def __init__(self, units: int, kernel: int):
    if kernel % 2 == 0:
      raise ValueError(f'kernel {kernel}: expected an odd number')
    self.units, self.kernel = units, kernel

  def form(self, name: str, shape: tuple[int, ...], dtype: jnp.dtype) -> Form:
    """The layer as a function of images, its kernel made ready once.

    Args:
      name: a key of FORMS.
      shape: (H, W, I) of the images.
      dtype: of the images.
    """
    size = (self.kernel, self.kernel, shape[-1], self.units)
    recipe = init.Recipe(self.winit, self.outscale)
    kernel = init.parameter(self, 'kernel', recipe, size)
    zeros = init.Recipe('zeros')
    bias = init.parameter(self, 'bias', zeros, (self.units,))
    bias = bias.astype(dtype).reshape((1, 1, 1, -1))
    run = FORMS[name](kernel.astype(dtype), shape[1])
    return lambda x: internal.kept(run(x) + bias)

  def __call__(self, x: jax.Array, name: str = 'plain') -> jax.Array:
    """(N, H, W, I) -> (N, h, w, units)."""
    return self.form(name, x.shape[1:], x.dtype)(x)


def on_cpu() -> bool:
  """Whether the forms for a CPU pay; a GPU does better with the plain ones."""
  return jax.default_backend() == 'cpu'


def rows_at_once(shape: tuple[int, ...], channels: int) -> int:
  """Of N images (N, H, W), how many to take at a time; N but on a CPU."""
  N, H, W = shape
  return conv_cpu.at_once(N, H * W * channels) if on_cpu() else N


def plain(kernel: jax.Array, width: int) -> Form:
  """(N, H, W, I) -> (N, H, W, O)."""
  if on_cpu():
    return conv_cpu.conv(kernel, width)
  return lambda x: plain_conv(x, kernel)


def strided(kernel: jax.Array, _: int) -> Form:
  """(N, H, W, I) -> (N, H/2, W/2, O), at every second pixel."""
  return lambda x: plain_conv(x, kernel, stride=2)


def transposed(kernel: jax.Array, _: int) -> Form:
  """(N, H, W, I) -> (N, 2H, 2W, O), the transpose of `strided`."""
  return lambda x: jax.lax.conv_transpose(
    x, kernel, (2, 2), 'SAME', dimension_numbers=DIMS
  )


def pooled(kernel: jax.Array, width: int) -> Form:
  """(N, H, W, I) -> (N, H/2, W/2, O), the maximum of each 2x2 patch."""
  if on_cpu() and kernel.shape[2] <= 4 and kernel.shape[3] <= 16:
    return conv_cpu.pooled_conv(kernel)
  conv = plain(kernel, width)
  pool = max_pool if on_cpu() else plain_pool
  return lambda x: pool(conv(x))


def upsampled(kernel: jax.Array, width: int) -> Form:
  """(N, H, W, I) -> (N, 2H, 2W, O), every input pixel doubled first.

  Done without the doubled map: equal pixels let taps be summed before they
  meet the image, and output phase (a, b) of each 2x2 patch is a smaller
  convolution of the small map. For a 5x5 kernel this is one 3x3 convolution
  to four times the channels: 9 in place of 25 products per output value.
  """
  fold = phases(kernel.shape[0])
  merged = jnp.einsum(
    'amk,bnl,klio->mniabo', fold, fold, kernel.astype(jnp.float32)
  ).astype(kernel.dtype)
  O = kernel.shape[-1]
  conv = plain(merged.reshape((*merged.shape[:3], 4 * O)), width)

  def run(x: jax.Array) -> jax.Array:
    N, H, W, _ = x.shape
    x = conv(x).reshape((N, H, W, 2, 2, O)).transpose((0, 1, 3, 2, 4, 5))
    return x.reshape((N, 2 * H, 2 * W, O))

  return run


FORMS: dict[str, Callable[[jax.Array, int], Form]] = {
  'plain': plain,
  'strided': strided,
  'transposed': transposed,
  'pooled': pooled,
  'upsampled': upsampled,
}


@functools.cache
def phases(size: int) -> np.ndarray:
  """Which tap of the small kernel a tap of the large one falls on, per phase.

  Output row 2i + a reads upsampled rows 2i + a + d, |d| <= r, which are rows
  i + floor((a + d) / 2) of the small map.

  Returns:
    float32 (2 phases, m small taps, size taps) of zeros and ones.
  """
  reach = size // 2
  small = (reach + 1) // 2
  fold = np.zeros((2, 2 * small + 1, size), np.float32)
  for a in range(2):
    for d in range(-reach, reach + 1):
      fold[a, (a + d) // 2 + small, d + reach] = 1
  return fold


def plain_pool(x: jax.Array) -> jax.Array:
  """`max_pool`, its derivative left to XLA, which needs the large map."""
  N, H, W, C = x.shape
  return x.reshape((N, H // 2, 2, W // 2, 2, C)).max((2, 4))


@jax.custom_vjp
def max_pool(x: jax.Array) -> jax.Array:
  """Maximum of each 2x2 patch, (N, H, W, C) -> (N, H/2, W/2, C).

  Equal maxima share the gradient. The derivative remembers which pixels were
  largest, four bits for each result, and not the large map.
  """
  return conv_cpu.largest(_patch(x))


def _patch(x: jax.Array) -> list[jax.Array]:
  """The four pixels of every patch, each (N, H/2, W/2, C)."""
  N, H, W, C = x.shape
  x = x.reshape((N, H // 2, 2, W // 2, 2 * C))
  return [x[:, :, i, :, j * C : j * C + C] for i in (0, 1) for j in (0, 1)]


def _pool_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  parts = _patch(x)
  top = conv_cpu.largest(parts)
  return top, internal.kept(conv_cpu.ties(parts, top))


def _pool_backward(ties: jax.Array, grad: jax.Array) -> tuple[jax.Array]:
  N, H, W, C = grad.shape
  share = conv_cpu.share(ties, grad)

  def spread(v: jax.Array) -> jax.Array:
    return jnp.concatenate([v, v], -1)[:, :, None]

  # The barrier keeps the small maps from being recomputed for each pixel.
  ties, share = jax.lax.optimization_barrier((spread(ties), spread(share)))
  bits = np.array([1, 2, 4, 8], np.uint8).repeat(C)
  hit = (ties & bits.reshape((1, 1, 2, 1, 2 * C))) != 0
  return (jnp.where(hit, share, 0).reshape((N, 2 * H, 2 * W, C)),)


max_pool.defvjp(_pool_forward, _pool_backward)
