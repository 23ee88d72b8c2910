"""What a trace of a step says: kinds of kernels, gaps, and what bounds an update."""

import jax
import jax.numpy as jnp
import pytest

from bench.gpu_parts import cards, kernels
from bench.gpu_parts.bounds import Costs
from bench.gpu_parts.cards import Card

# Names as XLA, cuBLAS, cuDNN, CUTLASS and NCCL write them.
NAMES = {
  'gemm_fusion_dot_123': 'matmul',
  'triton_gemm_dot.7': 'matmul',
  'nvjet_hsh_128x256_64x4_2x1_v_bz_TNN': 'matmul',
  'sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_cublas': 'matmul',
  'void cutlass::Kernel2<cutlass_80_wmma_tensorop_bf16_s161616gemm_bf16>': 'matmul',
  'void splitKreduce_kernel<32, 16, int, float, __nv_bfloat16>': 'matmul',
  'void gemvNSP_kernel<__nv_bfloat16, 1, 16>': 'matmul',
  'sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_nhwckrsc_nhwc': 'convolution',
  'void cutlass__5x_cudnn::Kernel<cutlass_tensorop_bf16_s16816dgrad>': 'convolution',
  'sm80_xmma_wgrad_implicit_gemm_indexed_bf16bf16_bf16f32_f32': 'convolution',
  'void cudnn::ops::nchwToNhwcKernel<float, float, float>': 'convolution',
  'MemcpyH2D': 'copy',
  'MemcpyD2D': 'copy',
  'Memset': 'copy',
  'wrapped_copy_12': 'copy',
  'input_transpose_fusion_2': 'copy',
  'wrapped_concatenate': 'copy',
  'ncclDevKernel_AllReduce_Sum_bf16_RING_LL': 'collective',
  'ncclKernel_AllGather_RING_LL_Sum_int8_t': 'collective',
  'loop_dynamic_update_slice_fusion_3': 'scan',
  'wrapped_dynamic_slice': 'scan',
  'loop_multiply_fusion_4': 'fusion',
  'loop_convert_fusion_9': 'fusion',
  'input_reduce_fusion': 'fusion',
  'loop_add_copy_multiply_fusion': 'fusion',
  'wrapped_tanh': 'fusion',
}

# Two steps on two streams, with a pause of 100 us between them; times in us. The line
# of modules says again what the streams say, and a second GPU is not asked.
STREAMS = {
  'Stream #13(Compute)': [
    ('gemm_fusion_dot_123', 0, 40),
    ('loop_multiply_fusion_4', 50, 4),
    ('gemm_fusion_dot_123', 160, 40),
    ('loop_multiply_fusion_4', 210, 4),
  ],
  'Stream #14(MemcpyH2D)': [('MemcpyH2D', 30, 10), ('MemcpyH2D', 190, 10)],
  'XLA Modules': [('jit_train', 0, 60), ('jit_train', 160, 60)],
}


def trace(streams, plane='/device:GPU:0'):
  """A trace in the profiler's text form."""
  names = sorted({x[0] for line in streams.values() for x in line})
  known = ''.join(
    f'event_metadata {{ key: {i} value {{ id: {i} name: "{x}" }} }}\n'
    for i, x in enumerate(names, 1)
  )
  lines = ''
  for number, (name, events) in enumerate(streams.items()):
    rows = ''.join(
      f'events {{ metadata_id: {names.index(x) + 1} offset_ps: {a}000000 '
      f'duration_ps: {b}000000 }}\n'
      for x, a, b in events
    )
    lines += f'lines {{ id: {number} name: "{name}" timestamp_ns: 1000 {rows} }}\n'
  text = f'planes {{ name: "{plane}" {known} {lines} }}'
  return jax.profiler.ProfileData.from_text_proto(text)


def test_kernels_are_known_by_their_names():
  assert {x: kernels.kind(x) for x in NAMES} == NAMES


def test_a_step_on_a_gpu_is_summed_by_kind_with_its_gaps():
  found = kernels.Profile.of(kernels.events_of(trace(STREAMS)), steps=2)
  assert found.span == pytest.approx(0.054)
  assert found.idle == pytest.approx(0.010)
  assert found.short == pytest.approx(0.004)
  assert found.launches == 3
  spent = {k: v for k, v in found.spent.items() if v}
  assert spent == pytest.approx({'matmul': 0.04, 'fusion': 0.004, 'copy': 0.01})
  name, ms, often = found.longest[0]
  assert (name, often) == ('gemm_fusion_dot_123', 1)
  assert ms == pytest.approx(0.04)


def test_a_trace_with_fewer_events_than_steps_is_refused():
  events = kernels.events_of(trace({'XLA Ops': [('jit_train', 0, 60)]}))
  with pytest.raises(ValueError, match='0 events in the trace; expected 2 steps'):
    kernels.Profile.of(events, steps=2)


def test_a_trace_of_this_machine_holds_what_ran_in_a_loop(tmp_path):
  def run(x):
    return jax.lax.scan(lambda c, _: (jnp.tanh(c @ c), None), x, None, length=5)[0]

  x = jnp.ones((256, 256))
  step = jax.jit(run).lower(x).compile()
  events = kernels.trace(lambda: step(x).block_until_ready(), 3, str(tmp_path))
  found = kernels.Profile.of(events, steps=3)
  assert found.launches >= 10
  assert found.spent['matmul'] > 0
  assert not any(x.name.startswith('while') for x in events)
  assert 0 < sum(found.spent.values()) <= 1.01 * (found.span - found.idle)


def test_peaks_are_known_by_name_or_given():
  assert cards.find('NVIDIA H200') == Card(989, 4.8)
  assert cards.find('NVIDIA H100 80GB HBM3') == Card(989, 3.35)
  assert cards.find('NVIDIA H100 PCIe') == Card(756, 2.0)
  assert cards.find('NVIDIA A100-SXM4-80GB') == Card(312, 2.0)
  assert cards.find('NVIDIA A100-SXM4-40GB') == Card(312, 1.555)
  assert cards.find('NVIDIA L4').tflops == 121
  assert cards.find('NVIDIA L40S').tflops == 362
  assert cards.find('NVIDIA GeForce RTX 4090').tflops == 165
  assert cards.find('Some Card') == Card(0, 0)
  for part in (
    'NVIDIA H100 80GB HBM3 MIG 1g.10gb',
    'NVIDIA GeForce RTX 4090 Laptop GPU',
    'NVIDIA GeForce RTX 4090 D',
    'NVIDIA GeForce RTX 3090 Ti',
  ):
    assert cards.find(part) == Card(0, 0)
  assert cards.find('Some Card', 12.5) == Card(12.5, 0)


@pytest.mark.parametrize(
  ('costs', 'said'),
  [
    ((10, 6, 3, 1, 0), 'compute bounds it (compute 60%, memory 30%, launches 10%'),
    ((10, 2, 5, 1, 0), 'memory bounds it'),
    ((10, 2, 1, 7, 1), 'launches bound it'),
    ((10, 1, 1, 1, 8), 'host bounds it'),
    ((10, 3, 3, 1, 1), 'none alone bounds it'),
    ((10, 0, 0, 5, 1), 'launches 50%, host 10% of an update; the rest is not known'),
  ],
)
def test_the_largest_of_four_shares_bounds_an_update(costs, said):
  assert said in Costs(*costs).bound()


def test_costs_are_what_was_measured_over_the_peaks_of_the_card():
  profile = kernels.Profile(8.0, 1.0, 0.5, 100, {}, [])
  costs = Costs.of(10.0, 989e9, 9.6e9, Card(989, 4.8), profile)
  assert costs == pytest.approx((10.0, 1.0, 2.0, 1.5, 2.0))
  unknown = Costs.of(10.0, 989e9, float('nan'), Card(989, 4.8), profile)
  assert 'memory' not in unknown.bound()
