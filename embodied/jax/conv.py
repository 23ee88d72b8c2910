"""Convolutions over images, with the down- and upsampling that goes with them.

y = Conv2D(16, 5, name='conv').pooled(x)  # inside nj.pure
"""

import functools

import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np

from . import init, utils

_DIMS = ('NHWC', 'HWIO', 'NHWC')


class Conv2D(nj.Module):
  """Cross-correlation with SAME padding and bias, (N,H,W,I) -> (N,h,w,units).

  One kernel (k, k, I, units) and four ways to use it: at full resolution
  (`__call__`), with a 2x2 max-pool behind it (`pooled`), with a nearest 2x
  upsampling before it (`upsampled`), or with stride 2 (`strided`, and its
  transpose `transposed`). Computes in the dtype of x.
  """

  winit: str = 'trunc_normal_in'
  outscale: float = 1.0

  def __init__(self, units: int, kernel: int):
    if kernel % 2 == 0:
      raise ValueError(f'kernel {kernel}: expected an odd number')
    self.units, self.kernel = units, kernel

  def params(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Kernel and bias (1, 1, 1, units) in the dtype of x."""
    shape = (self.kernel, self.kernel, x.shape[-1], self.units)
    recipe = init.Recipe(self.winit, self.outscale)
    kernel = init.parameter(self, 'kernel', recipe, shape)
    zeros = init.Recipe('zeros')
    bias = init.parameter(self, 'bias', zeros, (self.units,))
    return kernel.astype(x.dtype), utils.along(bias, x)

  def __call__(self, x: jax.Array) -> jax.Array:
    """(N, H, W, I) -> (N, H, W, units)."""
    kernel, bias = self.params(x)
    return conv(x, kernel) + bias

  def pooled(self, x: jax.Array) -> jax.Array:
    """(N, H, W, I) -> (N, H/2, W/2, units), the maximum of each 2x2 patch."""
    kernel, bias = self.params(x)
    if on_cpu() and x.shape[-1] <= 4 and self.units <= 16:
      return pooled_conv(x, kernel) + bias
    return max_pool(conv(x, kernel)) + bias

  def upsampled(self, x: jax.Array) -> jax.Array:
    """(N, H, W, I) -> (N, 2H, 2W, units), every input pixel doubled first."""
    kernel, bias = self.params(x)
    return upsample_conv(x, kernel) + bias

  def strided(self, x: jax.Array) -> jax.Array:
    """(N, H, W, I) -> (N, H/2, W/2, units)."""
    kernel, bias = self.params(x)
    return conv(x, kernel, stride=2) + bias

  def transposed(self, x: jax.Array) -> jax.Array:
    """(N, H, W, I) -> (N, 2H, 2W, units)."""
    kernel, bias = self.params(x)
    strides = (2, 2)
    x = jax.lax.conv_transpose(x, kernel, strides, 'SAME', None, _DIMS)
    return x + bias


def conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
  """Cross-correlation with SAME padding, (N,H,W,I) -> (N,H/s,W/s,O)."""
  if stride == 1 and on_cpu():
    return cpu_conv(x, kernel)
  return plain_conv(x, kernel, stride)


def plain_conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
  """`conv` as XLA has it."""
  return jax.lax.conv_general_dilated(
    x, kernel, (stride, stride), 'SAME', dimension_numbers=_DIMS
  )


def on_cpu() -> bool:
  """Whether the forms for a CPU pay; a GPU does better with the plain ones."""
  return jax.default_backend() == 'cpu'


@jax.custom_vjp
def cpu_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """`conv` for a CPU, forward and back in the forms that are fastest there."""
  block = block_of(kernel.shape, x.shape[2])
  if block > 1:
    return blocked_conv(x, kernel, block)
  return plain_conv(x, kernel)


def _conv_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
  return cpu_conv(x, kernel), (x, kernel)


def _conv_backward(
  kept: tuple[jax.Array, jax.Array], grad: jax.Array
) -> tuple[jax.Array, jax.Array]:
  x, kernel = kept
  mirrored = kernel[::-1, ::-1].swapaxes(2, 3)
  by_kernel = kernel_gradient(x, grad, kernel.shape[0])
  return cpu_conv(grad, mirrored), by_kernel.astype(kernel.dtype)


cpu_conv.defvjp(_conv_forward, _conv_backward)


def kernel_gradient(x: jax.Array, grad: jax.Array, size: int) -> jax.Array:
  """Derivative of a sum over conv(x, kernel) * grad by the kernel.

  dK[a, b] = sum over pixels of x shifted by b columns times grad shifted by
  -a rows: one product of a matrix with all column shifts of x and one with
  all row shifts of grad, (k I, M) @ (M, k O). M, the pixels, is gone through
  a few images at a time, so that the shifted copies stay in the cache.

  Args:
    x: (N, H, W, I).
    grad: (N, H, W, O).
    size: k, odd.

  Returns:
    float32 (k, k, I, O).
  """
  N, H, W, I = x.shape
  O, reach = grad.shape[-1], size // 2
  few = images_at_once(N, H * W * size * (I + O))

  def product(x: jax.Array, grad: jax.Array) -> jax.Array:
    x = jnp.pad(x, ((0, 0), (0, 0), (reach, reach), (0, 0)))
    grad = jnp.pad(grad, ((0, 0), (reach, reach), (0, 0), (0, 0)))
    columns = [x[:, :, b : b + W] for b in range(size)]
    rows = [grad[:, 2 * reach - a : 2 * reach - a + H] for a in range(size)]
    # As matrices: XLA lays out more axes in a way that takes twice the time.
    left = jnp.concatenate(columns, -1).reshape((-1, size * I))
    right = jnp.concatenate(rows, -1).reshape((-1, size * O))
    return jnp.einsum(
      'mx,my->xy', left, right, preferred_element_type=jnp.float32
    )

  def add(total: jax.Array, part: tuple) -> tuple[jax.Array, None]:
    return total + product(*part), None

  zero = jnp.zeros((size * I, size * O), jnp.float32)

  def cut(v: jax.Array) -> jax.Array:
    return v.reshape((N // few, few, *v.shape[1:]))

  total, _ = jax.lax.scan(add, zero, (cut(x), cut(grad)))
  return total.reshape((size, I, size, O)).transpose((2, 0, 1, 3))


def rows_at_once(shape: tuple[int, ...], channels: int) -> int:
  """Of N images (N, H, W), how many to take at a time; N but on a CPU."""
  N, H, W = shape
  return images_at_once(N, H * W * channels) if on_cpu() else N


def images_at_once(images: int, values: int) -> int:
  """The largest divisor of `images` that keeps to 2^20 values, at least 1."""
  most = max(1, 2**20 // values)
  return max(x for x in range(1, min(images, most) + 1) if images % x == 0)


def block_of(shape: tuple[int, ...], width: int) -> int:
  """Pixels that one position of `blocked_conv` should cover; 1 = do without.

  A CPU multiplies small matrices, and few channels make them smaller still:
  about 32 output values per position pay for the zeros that come with it.
  """
  block = 1
  while 2 * block * shape[-1] <= 32 and width % (2 * block) == 0:
    block *= 2
  return block


def blocked_conv(x: jax.Array, kernel: jax.Array, block: int) -> jax.Array:
  """conv(x, kernel) with `block` neighbouring pixels of a row as one.

  In memory nothing moves: (N, H, W, I) is read as (N, H, W/b, b I), and the
  kernel becomes one with b O outputs, padded with zeros.
  """
  N, H, W, I = x.shape
  place = shifts(kernel.shape[1], block)
  wide = jnp.einsum(
    'anpl,klio->knpiao', place, kernel.astype(jnp.float32)
  ).astype(x.dtype)
  O = kernel.shape[-1]
  wide = wide.reshape((*wide.shape[:2], block * I, block * O))
  x = plain_conv(x.reshape((N, H, W // block, block * I)), wide)
  return x.reshape((N, H, W, O))


@functools.cache
def shifts(size: int, block: int) -> np.ndarray:
  """Where each tap of a kernel row lands for each pixel of a block.

  Returns:
    float32 (block pixels, n blocks, block pixels, size taps) of 0 and 1.
  """
  reach = size // 2
  blocks = -(-reach // block)
  place = np.zeros((block, (2 * blocks + 1) * block, size), np.float32)
  for a in range(block):
    for tap in range(size):
      place[a, blocks * block + a + tap - reach, tap] = 1
  return place.reshape((block, 2 * blocks + 1, block, size))


@jax.custom_vjp
def max_pool(x: jax.Array) -> jax.Array:
  """Maximum of each 2x2 patch, (N, H, W, C) -> (N, H/2, W/2, C).

  Equal maxima share the gradient. Its derivative is written out since it is
  needed in one pass over the large map.
  """
  N, H, W, C = x.shape
  return x.reshape((N, H // 2, 2, W // 2, 2, C)).max((2, 4))


def _pool_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  return max_pool(x), x


def _pool_backward(x: jax.Array, grad: jax.Array) -> tuple[jax.Array]:
  N, H, W, C = x.shape
  rows = x.reshape((N, H // 2, 2, W // 2, 2 * C))
  patch = [rows[:, :, i, :, j * C : j * C + C] for i in (0, 1) for j in (0, 1)]
  top = functools.reduce(jnp.maximum, patch)
  share = grad / sum((v == top).astype(grad.dtype) for v in patch)

  def spread(v: jax.Array) -> jax.Array:
    return jnp.concatenate([v, v], -1)[:, :, None]

  # The barrier keeps the small maps from being recomputed for each pixel.
  top, share = jax.lax.optimization_barrier((spread(top), spread(share)))
  return (jnp.where(rows == top, share, 0).reshape(x.shape),)


max_pool.defvjp(_pool_forward, _pool_backward)


def pooled_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """max_pool(conv(x, kernel)) with the pixels of a patch as channels.

  2x2 pixels become 4 I channels, and a 5x5 kernel one of 3x3 to 4 O outputs,
  36 in place of 25 products for each. A CPU takes them faster where I and O
  are small, and the pool needs no neighbours any more.
  """
  N, H, W, I = x.shape
  O = kernel.shape[-1]
  place = shifts(kernel.shape[0], 2)
  wide = jnp.einsum(
    'amqk,bnpl,klio->mnqpiabo', place, place, kernel.astype(jnp.float32)
  ).astype(x.dtype)
  wide = wide.reshape((*wide.shape[:2], 4 * I, 4 * O))
  x = x.reshape((N, H // 2, 2, W // 2, 2, I)).transpose((0, 1, 3, 2, 4, 5))
  return max_of_four(conv(x.reshape((N, H // 2, W // 2, 4 * I)), wide))


@jax.custom_vjp
def max_of_four(x: jax.Array) -> jax.Array:
  """Maximum over four groups of channels, (..., 4 C) -> (..., C).

  Equal maxima share the gradient, as in `max_pool`.
  """
  return functools.reduce(jnp.maximum, jnp.split(x, 4, -1))


def _four_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  return max_of_four(x), x


def _four_backward(x: jax.Array, grad: jax.Array) -> tuple[jax.Array]:
  parts = jnp.split(x, 4, -1)
  top = functools.reduce(jnp.maximum, parts)
  share = grad / sum((v == top).astype(grad.dtype) for v in parts)
  top, share = jax.lax.optimization_barrier((top, share))
  return (jnp.concatenate([jnp.where(v == top, share, 0) for v in parts], -1),)


max_of_four.defvjp(_four_forward, _four_backward)


def upsample_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """conv(nearest 2x upsampling of x, kernel), without the upsampled map.

  Equal pixels let taps be summed before they meet the image: output phase
  (a, b) of each 2x2 patch is a smaller convolution of the small map. For a
  5x5 kernel this is one 3x3 convolution to four times the channels: 9 in
  place of 25 products per output value.

  Args:
    x: (N, H, W, I).
    kernel: (k, k, I, O), k odd.

  Returns:
    (N, 2H, 2W, O).
  """
  fold = phases(kernel.shape[0])
  merged = jnp.einsum(
    'amk,bnl,klio->mniabo', fold, fold, kernel.astype(jnp.float32)
  ).astype(x.dtype)
  N, H, W, _ = x.shape
  O = kernel.shape[-1]
  x = conv(x, merged.reshape((*merged.shape[:3], 4 * O)))
  x = x.reshape((N, H, W, 2, 2, O)).transpose((0, 1, 3, 2, 4, 5))
  return x.reshape((N, 2 * H, 2 * W, O))


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
