"""Operations that the benchmark counts are those of the formulas."""

import jax
import jax.numpy as jnp

from bench.flops import operations


def count(fun, *shapes):
  args = [jnp.ones(x) for x in shapes]
  return operations(jax.make_jaxpr(fun)(*args).jaxpr)


def test_a_product_of_matrices():
  assert count(jnp.matmul, (8, 16), (16, 32)) == 2 * 8 * 16 * 32


def test_a_loop_counts_as_often_as_it_runs():
  def loop(x, w):
    return jax.lax.scan(lambda c, _: (c @ w, None), x, None, length=5)

  assert count(loop, (8, 16), (16, 16)) == 5 * 2 * 8 * 16 * 16


def test_a_convolution_and_its_recomputed_derivative():
  def conv(x, kernel):
    dims = ('NHWC', 'HWIO', 'NHWC')
    return jax.lax.conv_general_dilated(
      x, kernel, (1, 1), 'SAME', dimension_numbers=dims
    )

  one = 2 * (2 * 8 * 8 * 4) * (5 * 5 * 3)
  shapes = (2, 8, 8, 3), (5, 5, 3, 4)
  assert count(conv, *shapes) == one
  by_kernel = jax.grad(lambda k, x: conv(x, k).sum())
  assert count(by_kernel, *reversed(shapes)) >= 2 * one
