"""Bytes that a compiled program moves are those of its operations, loops included."""

import jax
import jax.numpy as jnp
import pytest

from bench.gpu_parts.traffic import accessed, size
from bench.gpu_parts.train_step import bytes_of

# As XLA writes programs for a GPU: a loop of 5 that reads a row of (64, 32), multiplies
# by a library's product with scratch space, and updates a row of (64, 32) in place.
GPU = """HloModule jit_train, is_scheduled=true

%fused_slice (p0: f32[64,32], p1: s32[]) -> f32[1,32] {
  %p0 = f32[64,32]{1,0} parameter(0)
  %p1 = s32[] parameter(1)
  %zero = s32[] constant(0)
  ROOT %ds = f32[1,32]{1,0} dynamic-slice(%p0, %p1, %zero), dynamic_slice_sizes={1,32}
}

%fused_update (q0: f32[64,32], q1: bf16[1,32], q2: s32[]) -> f32[64,32] {
  %q0 = f32[64,32]{1,0} parameter(0)
  %q1 = bf16[1,32]{1,0} parameter(1)
  %q2 = s32[] parameter(2)
  %zero.1 = s32[] constant(0)
  %wide = f32[1,32]{1,0} convert(%q1)
  ROOT %dus = f32[64,32]{1,0} dynamic-update-slice(%q0, %wide, %q2, %zero.1)
}

%body (arg: (s32[], f32[64,32])) -> (s32[], f32[64,32]) {
  %arg = (s32[], f32[64,32]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%arg), index=0
  %x = f32[64,32]{1,0} get-tuple-element(%arg), index=1
  %row = f32[1,32]{1,0} fusion(%x, %i), kind=kLoop, calls=%fused_slice
  %made = (bf16[1,32]{1,0}, s8[4096]{0}) custom-call(%row), custom_call_target="gemm"
  %got = bf16[1,32]{1,0} get-tuple-element(%made), index=0
  %next = f32[64,32]{1,0} fusion(%x, %got, %i), kind=kLoop, calls=%fused_update
  ROOT %out = (s32[], /*index=1*/f32[64,32]{1,0}) tuple(%i, %next)
}

%cond (arg.1: (s32[], f32[64,32])) -> pred[] {
  %arg.1 = (s32[], f32[64,32]{1,0}) parameter(0)
  ROOT %yes = pred[] constant(true)
}

ENTRY %main (a: (s32[], f32[64,32])) -> (s32[], f32[64,32]) {
  %a = (s32[], f32[64,32]{1,0}) parameter(0)
  ROOT %w = (s32[], f32[64,32]{1,0}) while(%a), condition=%cond, body=%body, \
backend_config={"known_trip_count":{"n":"5"},"known_init_step":{"init":"0","step":"1"}}
}
"""


def compiled(fun, *shapes):
  return jax.jit(fun).lower(*(jnp.ones(x) for x in shapes)).compile()


def test_shapes_are_counted_in_bytes():
  assert size('f32[64,32]{1,0}') == 4 * 64 * 32
  assert size('(s32[], bf16[2,3]{1,0:T(8,128)}, pred[7]{0})') == 4 + 12 + 7
  assert size('f8e4m3fn[4]{0}') == 4
  assert size('token[]') == 0


def test_of_a_loop_on_a_gpu_slices_updates_and_products_count_each_time():
  cut = 4 * 32 + 4 + 4 * 32  # a row in float32, its number, and the row again
  product = 4 * 32 + 2 * 32  # without the scratch space
  update = 2 * 32 + 4 + 4 * 32  # in place: what is not updated is not read
  assert accessed(GPU) == 5 * (cut + product + update)
  assert accessed(GPU, loops=False) == cut + product + update


def test_without_loops_it_is_what_xla_counts():
  def run(x, w):
    y = jnp.tanh(x @ w)
    return (y - y.mean()) @ w.T + x[:, 3:4]

  program = compiled(run, (64, 128), (128, 32))
  ours = accessed(program.as_text())
  assert ours == pytest.approx(program.cost_analysis()['bytes accessed'], rel=0.05)


def test_a_loop_counts_as_often_as_it_runs():
  def run(n):
    return lambda x, w: jax.lax.fori_loop(0, n, lambda _, c: jnp.tanh(c @ w), x)

  shapes = (64, 64), (64, 64)
  few, many = (accessed(compiled(run(n), *shapes).as_text()) for n in (3, 9))
  assert many - few == pytest.approx(6 * 5 * 4 * 64 * 64, rel=0.01)


def test_a_text_that_is_no_program_is_refused():
  with pytest.raises(ValueError, match='no ENTRY'):
    accessed('module @jit_f {}')


def test_a_program_written_in_an_unknown_way_has_no_number_of_bytes(capsys):
  assert bytes_of(GPU) == accessed(GPU)
  assert bytes_of(GPU.replace('%fused_slice (', '%other (')) != bytes_of(GPU)
  assert "KeyError('fused_slice')" in capsys.readouterr().out
