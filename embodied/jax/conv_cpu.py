"""Convolutions in the forms that are fastest on a CPU.

XLA's fast convolution for CPUs takes channels last, multiplies small matrices
of channels, and wants many of them. Everything here brings a convolution, and
its two derivatives, into that form. Values are those of `plain_conv`.

  run = conv(kernel, width)  # once
  y = run(x)                 # for any number of images
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from . import internal

DIMS = ('NHWC', 'HWIO', 'NHWC')
FEW = 16  # channels on both sides that are too few for the fast convolution

Form = Callable[[jax.Array], jax.Array]


def plain_conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
  """Cross-correlation with SAME padding, (N,H,W,I) -> (N,H/s,W/s,O)."""
  return jax.lax.conv_general_dilated(
    x, kernel, (stride, stride), 'SAME', dimension_numbers=DIMS
  )


def conv(kernel: jax.Array, width: int) -> Form:
  """`plain_conv` with this kernel, for images of this width [pixels]."""
  block = block_of(kernel.shape, width)
  if block == 1:
    return lambda x: fast_conv(x, kernel)
  return blocked_conv(kernel, block)


@jax.custom_vjp
def fast_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """`plain_conv` with derivatives that are fast convolutions as well.

  The kernel may be wider than high.
  """
  return plain_conv(x, kernel)


def _conv_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
  return plain_conv(x, kernel), (x, kernel)


def _conv_backward(
  kept: tuple[jax.Array, jax.Array], grad: jax.Array
) -> tuple[jax.Array, jax.Array]:
  x, kernel = kept
  # The barrier keeps XLA from folding the mirror into a slow convolution.
  mirrored = jax.lax.optimization_barrier(kernel[::-1, ::-1].swapaxes(2, 3))
  by_kernel = kernel_gradient(x, grad, kernel.shape[:2])
  return plain_conv(grad, mirrored), by_kernel.astype(kernel.dtype)


fast_conv.defvjp(_conv_forward, _conv_backward)


def kernel_gradient(x: jax.Array, grad: jax.Array, size: tuple[int, ...]) -> jax.Array:
  """Derivative of a sum over conv(x, kernel) * grad by the kernel.

  A convolution over images, with pixels as the kernel. It takes a few images
  at a time, since it slows down where its operands leave the cache.

  Args:
    x: (N, H, W, I).
    grad: (N, H, W, O).
    size: height and width of the kernel, odd.

  Returns:
    float32 (*size, I, O).
  """
  N, H, W, I = x.shape
  O = grad.shape[-1]
  few = at_once(N, 4 * H * W * (I + O))
  if max(few, O) <= FEW:
    grad = jnp.pad(grad, ((0, 0),) * 3 + ((0, FEW + 4 - O),))

  def part(total: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
    cut = [jax.lax.dynamic_slice_in_dim(v, start, few) for v in (x, grad)]
    # Channels last by hand and kept so: XLA would fold the transposes away.
    image, weight = jax.lax.optimization_barrier(
      (cut[0].transpose((3, 1, 2, 0)), cut[1].transpose((1, 2, 0, 3)))
    )
    found = jax.lax.conv_general_dilated(
      image,
      weight,
      (1, 1),
      [(k // 2, k // 2) for k in size],
      dimension_numbers=DIMS,
      preferred_element_type=jnp.float32,
    )
    return total + found[..., :O], None

  zero = jnp.zeros((I, *size, O), jnp.float32)
  total, _ = jax.lax.scan(part, zero, jnp.arange(0, N, few))
  return total.transpose((1, 2, 0, 3))


def at_once(images: int, values: int) -> int:
  """The largest divisor of `images` that keeps to 2^20 values, at least 1."""
  most = max(1, 2**20 // values)
  return max(x for x in range(1, min(images, most) + 1) if images % x == 0)


def block_of(shape: tuple[int, ...], width: int) -> int:
  """Pixels that one position of `blocked_conv` should cover; 1 = do without.

  Blocks multiply the channels, and the zeros that come with them cost less
  than the slow convolution of few channels, or of the 3 of an image.
  """
  inputs, outputs = shape[-2:]
  block = 1
  while width % (2 * block) == 0 and (
    block * max(inputs, outputs) <= FEW
    or (block * inputs <= 4 and block * outputs < 64)
  ):
    block *= 2
  return block


def blocked_conv(kernel: jax.Array, block: int) -> Form:
  """Convolution with `block` neighbouring pixels of a row as one.

  In memory nothing moves: (N, H, W, I) is read as (N, H, W/b, b I), and the
  kernel becomes one with b O outputs, padded with zeros.
  """
  O = kernel.shape[-1]
  place = shifts(kernel.shape[1], block)
  wide = jnp.einsum('anpl,klio->knpiao', place, kernel.astype(jnp.float32)).astype(
    kernel.dtype
  )
  wide = wide.reshape((*wide.shape[:2], -1, block * O))

  def run(x: jax.Array) -> jax.Array:
    N, H, W, I = x.shape
    x = fast_conv(x.reshape((N, H, W // block, block * I)), wide)
    return x.reshape((N, H, W, O))

  return run


def pooled_conv(kernel: jax.Array) -> Form:
  """Convolution and 2x2 max-pool with the pixels of a patch as channels.

  2x2 pixels become 4 I channels, and a 5x5 kernel one of 3x3 to 4 O outputs,
  36 in place of 25 products for each. A CPU takes them faster where I and O
  are small, and the pool needs no neighbours any more.
  """
  O = kernel.shape[-1]
  place = shifts(kernel.shape[0], 2)
  wide = jnp.einsum(
    'amqk,bnpl,klio->mnqpiabo', place, place, kernel.astype(jnp.float32)
  ).astype(kernel.dtype)
  wide = wide.reshape((*wide.shape[:2], -1, 4 * O))

  def run(x: jax.Array) -> jax.Array:
    N, H, W, I = x.shape
    x = x.reshape((N, H // 2, 2, W // 2, 2, I)).transpose((0, 1, 3, 2, 4, 5))
    x = x.reshape((N, H // 2, W // 2, 4 * I))
    return max_of_four(conv(wide, W // 2)(x))

  return run


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
def max_of_four(x: jax.Array) -> jax.Array:
  """Maximum over four groups of channels, (..., 4 C) -> (..., C).

  Equal maxima share the gradient.
  """
  return largest(jnp.split(x, 4, -1))


def _four_forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  parts = jnp.split(x, 4, -1)
  top = largest(parts)
  return top, internal.kept(ties(parts, top))


def _four_backward(code: jax.Array, grad: jax.Array) -> tuple[jax.Array]:
  code, part = jax.lax.optimization_barrier((code, share(code, grad)))
  hit = [(code & (1 << i)) != 0 for i in range(4)]
  return (jnp.concatenate([jnp.where(h, part, 0) for h in hit], -1),)


max_of_four.defvjp(_four_forward, _four_backward)


def largest(parts: Sequence[jax.Array]) -> jax.Array:
  """The maximum of arrays of one shape."""
  return functools.reduce(jnp.maximum, parts)


def ties(parts: Sequence[jax.Array], top: jax.Array) -> jax.Array:
  """Which of up to eight arrays equal their maximum: bit i for part i."""
  bits = [(v == top).astype(jnp.uint8) << i for i, v in enumerate(parts)]
  return functools.reduce(jnp.bitwise_or, bits)


def share(code: jax.Array, grad: jax.Array) -> jax.Array:
  """The gradient that each of the equal maxima in `ties` gets."""
  return grad / jax.lax.population_count(code).astype(grad.dtype)
