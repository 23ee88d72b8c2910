"""What a GPU is given to do, read from the program without having one."""

from typing import Any

import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np
import pytest

from embodied.jax import conv, conv_cpu, internal, setup
from tests.agent import agents

SMALL = {'batch_size': 2, 'batch_length': 8, 'report_length': 4}


def refuse(*_):
  raise AssertionError('a form for CPUs')


@pytest.fixture(scope='module')
def lowered():
  """A small agent's train step on a GPU, {unroll: (StableHLO, arrays, jaxpr)}.

  And as `outs` what it gives back for the replay.
  """
  found: dict[Any, Any] = {}
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(conv, 'on_cpu', lambda: False)
    for name in ('conv', 'pooled_conv', 'fast_conv', 'blocked_conv', 'ties'):
      patch.setattr(conv_cpu, name, refuse)
    for unroll in (1, 4):
      changes = {**SMALL, 'jax.unroll': unroll, 'jax.compute_dtype': 'bfloat16'}
      agent = agents.make_agent(['debug'], changes)
      rng = np.random.default_rng(0)
      data = agent.put(agents.batch(agent, rng, 2, 9))
      seeds = np.zeros(2, np.uint32)
      given = agent.state, agent.init_train(2), data, seeds
      train: Any = agent._train
      traced = train.trace(*given)
      text = traced.lower(lowering_platforms=('cuda',)).as_text()
      found[unroll] = text, len(agent.state), str(traced.jaxpr)
      found['outs'] = traced.out_info[2]['replay']
  return found


def test_latents_come_as_the_replay_keeps_them(lowered):
  found = {k: (v.shape, str(v.dtype)) for k, v in lowered['outs'].items()}
  assert found['dyn/deter'] == ((2, 8, 8), 'bfloat16')
  assert found['dyn/stoch'] == ((2, 8, 2), 'uint8')


def test_the_train_step_never_calls_the_host(lowered):
  text, *_ = lowered[4]
  assert 'callback' not in text
  assert 'outfeed' not in text
  assert 'infeed' not in text


def test_the_state_is_updated_in_place(lowered):
  text, state, _ = lowered[4]
  head = text[: text.index('{\n', text.index('func.func public @main'))]
  donated = head.count('tf.aliasing_output') + head.count('jax.buffer_donor')
  assert donated >= state


def test_products_are_of_the_compute_dtype_or_full_precision(lowered):
  text, *_ = lowered[1]
  products = [x for x in text.splitlines() if 'stablehlo.dot_general' in x]
  folds = 'tensor<2x3x5xf32>'  # of kernels, once per step, not of the batch
  single = [x for x in products if 'bf16' not in x and folds not in x]
  assert len(products) > 50
  assert 0 < len(single) < 5, single
  assert all('HIGHEST' in x for x in single), single


def test_loops_take_several_steps_as_one_where_asked(lowered):
  one, four = lowered[1][2], lowered[4][2]
  assert one.count(' unroll=1') > four.count(' unroll=4') >= 4
  assert ' unroll=1' not in four


def test_the_plain_pool_is_the_one_of_cpus(rng):
  x = jnp.asarray(rng.integers(0, 3, (2, 6, 4, 3)), jnp.float32)  # with ties
  grad = jnp.asarray(rng.normal(size=(2, 3, 2, 3)), jnp.float32)
  plain, own = (jax.vjp(f, x) for f in (conv.plain_pool, conv.max_pool))
  np.testing.assert_array_equal(plain[0], own[0])
  np.testing.assert_allclose(plain[1](grad)[0], own[1](grad)[0], rtol=1e-6)


def test_several_steps_as_one_give_the_same(rng):
  xs = jnp.asarray(rng.normal(size=(10, 3)), jnp.float32)

  def run(xs):
    def loop():
      return internal.scan(lambda c, x: (0.5 * c + x, c * x), jnp.zeros(3), xs)

    return nj.pure(loop)({})[1]

  assert internal.unroll() == 1
  want, got = jax.jit(run)(xs), jax.jit(internal.unrolled(run, 4))(xs)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), want, got)
  assert internal.unroll() == 1


@pytest.mark.parametrize(
  ('name', 'dtype', 'backend', 'expected'),
  [
    ('auto', 'float32', 'gpu', 'highest'),
    ('auto', 'bfloat16', 'gpu', 'default'),
    ('default', 'float32', 'gpu', 'default'),
    ('high', 'float32', 'gpu', 'high'),
    ('auto', 'float32', 'cpu', None),
  ],
)
def test_precision_is_set_on_purpose(monkeypatch, name, dtype, backend, expected):
  set_: dict = {}
  monkeypatch.setattr(jax.config, 'update', lambda k, v: set_.update({k: v}))
  setup.precise(name, backend, jnp.dtype(dtype))
  assert set_.get('jax_default_matmul_precision') == expected


def test_unknown_precisions_are_refused():
  with pytest.raises(ValueError, match='matmul_precision.*highest'):
    setup.precise('best', 'gpu', jnp.dtype('float32'))
