"""Layers, outputs, normaliser and optimizer of embodied.jax."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np
import pytest

from embodied.jax import conv, conv_cpu, init, internal, linear, outs, utils
from embodied.jax.normalize import Normalizer
from embodied.jax.opt import Optimizer, slow_copy, slow_update


@pytest.fixture
def rng():
  return np.random.default_rng(0)


def array(rng, *shape):
  return jnp.asarray(rng.normal(size=shape), jnp.float32)


def plain(x, kernel):
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def assert_same(fun, reference, x, kernel):
  """Equal values, and equal derivatives of a weighted sum."""
  want = reference(x, kernel)
  np.testing.assert_allclose(fun(x, kernel), want, atol=1e-4)
  weight = array(np.random.default_rng(1), *want.shape)

  def slope(fun):
    return jax.grad(lambda *a: (fun(*a) * weight).sum(), (0, 1))(x, kernel)

  for got, want in zip(slope(fun), slope(reference), strict=True):
    np.testing.assert_allclose(got, want, atol=2e-3)


@pytest.mark.parametrize('size', [1, 3, 5, 7])
@pytest.mark.parametrize('block', [2, 4])
def test_blocked_convolution_is_the_plain_one(rng, size, block):
  def blocked(x, kernel):
    return conv_cpu.blocked_conv(kernel, block)(x)

  x, kernel = array(rng, 2, 8, 16, 3), array(rng, size, size, 3, 5)
  assert_same(blocked, plain, x, kernel)


@pytest.mark.parametrize('size', [1, 3, 5, 7])
@pytest.mark.parametrize(
  ('images', 'inputs', 'outs'), [(5, 3, 5), (6, 3, 40), (4, 24, 8)]
)
def test_convolution_on_a_cpu_is_the_plain_one(rng, size, images, inputs, outs):
  x = array(rng, images, 8, 16, inputs)
  kernel = array(rng, size, size, inputs, outs)
  assert_same(lambda x, k: conv_cpu.conv(k, 16)(x), plain, x, kernel)


def test_kernel_gradient_sums_over_parts_of_the_batch(rng, monkeypatch):
  x, grad = array(rng, 6, 8, 4, 3), array(rng, 6, 8, 4, 5)
  whole = conv_cpu.kernel_gradient(x, grad, (5, 3))
  monkeypatch.setattr(conv_cpu, 'at_once', lambda *a: 2)
  parts = conv_cpu.kernel_gradient(x, grad, (5, 3))
  np.testing.assert_allclose(parts, whole, atol=1e-4)


@pytest.mark.parametrize('size', [1, 3, 5, 7])
def test_pooled_convolution_is_convolution_then_pool(rng, size):
  x, kernel = array(rng, 2, 8, 12, 3), array(rng, size, size, 3, 5)

  def apart(x, kernel):
    return conv.max_pool(plain(x, kernel))

  assert_same(lambda x, k: conv_cpu.pooled_conv(k)(x), apart, x, kernel)


def test_equal_maxima_share_the_gradient():
  x = jnp.asarray([[1, 5, 1, 5, 0, 2, 1, 5]], jnp.float32)  # 2 channels
  grad = jax.grad(lambda x: conv_cpu.max_of_four(x).sum())(x)
  third = 1 / 3
  want = [[third, third, third, third, 0, 0, third, third]]
  np.testing.assert_allclose(grad, want, rtol=1e-6)


def test_images_at_once_divide_the_batch():
  assert conv_cpu.at_once(1024, 2**18) == 4
  assert conv_cpu.at_once(1024, 2**30) == 1
  assert conv_cpu.at_once(7, 2**18) == 1
  assert conv_cpu.at_once(6, 1) == 6


@pytest.mark.parametrize('size', [1, 3, 5, 7])
def test_upsampling_by_phases_is_repeat_then_convolve(rng, size):
  x, kernel = array(rng, 2, 4, 6, 3), array(rng, size, size, 3, 5)

  def doubled(x, kernel):
    return plain(x.repeat(2, 1).repeat(2, 2), kernel)

  assert_same(lambda x, k: conv.upsampled(k, 6)(x), doubled, x, kernel)


def test_max_pool_shares_the_gradient_between_equals(rng):
  x = jnp.round(array(rng, 2, 6, 4, 3))  # many ties
  weight = array(rng, 2, 3, 2, 3)

  def ours(x):
    return (conv.max_pool(x) * weight).sum()

  def reference(x):
    y = x.reshape((2, 3, 2, 2, 2, 3)).max((2, 4))
    return (y * weight).sum()

  np.testing.assert_allclose(ours(x), reference(x), rtol=1e-6)
  want = jax.grad(reference)(x)
  np.testing.assert_allclose(jax.grad(ours)(x), want, atol=1e-6)


@pytest.mark.parametrize('few', [0, 3])
def test_block_linear_is_a_block_diagonal_matrix(rng, monkeypatch, few):
  monkeypatch.setattr(linear, '_FEW_ROWS', few)
  block: Any = linear.BlockLinear
  layer = block(8, 4, name='block')
  x, shared = array(rng, 3, 12), array(rng, 3, 5)
  kernel = array(rng, 4, 8, 2)
  state = {'block/kernel': kernel, 'block/bias': array(rng, 8)}
  cut = x.reshape((3, 4, 3))
  own = linear.blocks(x, 4)
  np.testing.assert_array_equal(own[1], cut[:, 1])
  np.testing.assert_array_equal(linear.joined(own), x)
  _, got = nj.pure(layer.blockwise)(state, own, shared)
  got = linear.joined(got)
  both = jnp.concatenate([cut, jnp.repeat(shared[:, None], 4, 1)], -1)
  want = jnp.stack([both[:, g] @ kernel[g] for g in range(4)], 1)
  want = want.reshape((3, 8)) + state['block/bias'][None]
  np.testing.assert_allclose(got, want, atol=1e-5)
  _, whole = nj.pure(layer)(state, both.reshape((3, -1)))
  np.testing.assert_allclose(whole, want, atol=1e-5)


def test_recorded_recipes_are_those_of_the_layers():
  dense: Any = linear.Linear
  layer = dense((2, 3), outscale=0.5, name='layer')
  recipes = init.record(lambda: layer(jnp.zeros((1, 4))))
  assert recipes == {
    'layer/kernel': (init.Recipe('trunc_normal_in', 0.5), (4, 6)),
    'layer/bias': (init.Recipe('zeros'), (6,)),
  }


def test_symexp_inverts_symlog(rng):
  x = 100 * array(rng, 50)
  np.testing.assert_allclose(utils.symexp(utils.symlog(x)), x, rtol=1e-5)


@pytest.mark.parametrize('classes', [2, 17, 64])
def test_samples_follow_the_probabilities(classes):
  logits = jax.random.normal(jax.random.key(1), (1, classes))
  many = jnp.broadcast_to(logits, (40_000, classes))
  draws = outs.Categorical(many, unimix=0.01).sample(jax.random.key(2))
  counts = np.bincount(np.asarray(draws), minlength=classes) / len(draws)
  want = 0.99 * jax.nn.softmax(logits[0]) + 0.01 / classes
  sigma = np.sqrt(want * (1 - want) / len(draws))
  assert (np.abs(counts - want) < 5 * sigma).all()


def test_certain_logits_are_always_drawn():
  logits = jnp.full((10_000, 4), -1e9).at[:, 2].set(0)
  draws = outs.Categorical(logits).sample(jax.random.key(0))
  assert (draws == 2).all()


def test_rows_draw_from_their_own_keys():
  logits = jnp.zeros((6, 32, 4))
  keys = jax.random.split(jax.random.key(0), 6)
  whole = outs.OneHot(logits).sample(keys)
  for order in ([5, 1, 3], [3]):
    part = outs.OneHot(logits[: len(order)]).sample(keys[jnp.array(order)])
    np.testing.assert_array_equal(part, whole[jnp.array(order)])
  pairs = internal.split(keys, 2)
  assert pairs.shape == (2, 6)


def test_one_hot_passes_the_gradient_of_the_probabilities():
  logits = jnp.array([0.1, 0.5, 0.2])
  weight = jnp.array([1.0, 2.0, 4.0])
  got = jax.grad(lambda x: (outs.OneHot(x).sample(None) * weight).sum())
  want = jax.grad(lambda x: (jax.nn.softmax(x) * weight).sum())
  np.testing.assert_allclose(got(logits), want(logits), rtol=1e-5)


def test_kl_of_a_distribution_with_itself_is_zero(rng):
  dist = outs.Categorical(array(rng, 5, 7))
  np.testing.assert_allclose(dist.kl(dist), np.zeros(5), atol=1e-6)
  other = outs.Categorical(array(rng, 5, 7))
  assert (dist.kl(other) > 0).all()


@pytest.mark.parametrize('bins', [5, 255])
def test_equal_logits_predict_exactly_zero_compiled(bins):
  edges = outs.symexp_bins(bins)
  assert edges[bins // 2] == 0
  np.testing.assert_array_equal(edges, -edges[::-1])
  pred = jax.jit(lambda x: outs.TwoHot(x, edges).pred())
  np.testing.assert_array_equal(pred(jnp.full((4, bins), 0.3)), np.zeros(4))


@pytest.mark.parametrize('value', [-7.0, -0.01, 0.0, 0.3, 1.0, 950.0])
def test_two_hot_target_has_the_value_as_its_mean(value):
  edges = outs.symexp_bins(255)
  dist = outs.TwoHot(jnp.zeros((1, 255)), edges)
  weights = np.asarray(dist.target(jnp.array([value]))[0], np.float64)
  assert weights.sum() == pytest.approx(1, abs=1e-6)
  assert (weights > 0).sum() <= 2
  assert (weights * edges).sum() == pytest.approx(value, rel=1e-4, abs=1e-6)


def test_two_hot_clips_values_beyond_the_bins():
  edges = outs.symexp_bins(5)
  dist = outs.TwoHot(jnp.zeros((2, 5)), edges)
  weights = dist.target(jnp.array([-1e12, 1e12]))
  np.testing.assert_array_equal(weights, [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])


def test_bounded_normal_stays_in_its_bounds(rng):
  dist = outs.BoundedNormal(9 * array(rng, 100), 9 * array(rng, 100), 0.1, 1.0)
  assert (jnp.abs(dist.mean) <= 1).all()
  assert (dist.stddev >= 0.1).all()
  assert (dist.stddev <= 1.0).all()
  lo, hi = dist.entropy_range()
  assert lo < float(dist.entropy().min()) + 1e-5
  assert hi > float(dist.entropy().max()) - 1e-5
  at_mean = dist.logp(dist.mean)
  want = -np.log(np.asarray(dist.stddev) * math.sqrt(2 * math.pi))
  np.testing.assert_allclose(at_mean, want, rtol=1e-4)


def test_missing_actions_are_zeros():
  import elements

  spaces = {
    'b': elements.Space(np.int32, (), 0, 3),
    'a': elements.Space(np.float32, (2,)),
  }
  xs = {'a': jnp.array([[1.0, -jnp.inf]]), 'b': jnp.array([-1])}
  got = utils.concat_spaces(xs, spaces, jnp.float32)
  np.testing.assert_array_equal(got, [[1, 0, 0, 0, 0]])


@pytest.mark.parametrize('impl', ['perc', 'meanstd', 'none'])
def test_normaliser_converges_to_its_statistics(rng, impl):
  stats = Normalizer('n', impl, rate=0.2, debias=True)
  x = 3 + 2 * array(rng, 4000)
  begin: dict[str, Any] = stats.init()
  state = stats.update(begin, x)
  offset, scale = stats.stats(state)
  want = {
    'perc': (np.percentile(x, 5), np.subtract(*np.percentile(x, [95, 5]))),
    'meanstd': (np.mean(x), np.std(x)),
    'none': (0, 1),
  }[impl]
  np.testing.assert_allclose((offset, scale), want, rtol=1e-3)


def test_learning_rate_schedules():
  const = Optimizer(lr=1.0, warmup=10)
  count = [const.rate(jnp.int32(i)) for i in (0, 5, 10, 999)]
  np.testing.assert_allclose(count, [0, 0.5, 1, 1])
  for name in ('linear', 'cosine'):
    opt = Optimizer(lr=1.0, warmup=10, anneal=110, schedule=name)
    count = [opt.rate(jnp.int32(i)) for i in (0, 10, 60, 110, 500)]
    np.testing.assert_allclose(count, [0, 1, 0.55, 0.1, 0.1], atol=1e-6)


@pytest.mark.parametrize(
  'bad', [{'schedule': 'step'}, {'momentum': False}, {'schedule': 'linear'}]
)
def test_optimizer_refuses_what_it_cannot_do(bad):
  with pytest.raises(ValueError, match='opt'):
    Optimizer(**bad)


def test_slow_copy_moves_at_its_rate_every_so_often():
  params = {'val/a': np.ones(2, np.float32)}
  slow_copy(params, 'val', 'slow')
  state = {k: jnp.asarray(v) for k, v in params.items()}
  state['val/a'] = state['val/a'] * 3
  seen = []
  for _ in range(3):
    state |= slow_update(state, 'val', 'slow', 0.5, every=2)
    seen.append(float(state['slow/a'][0]))
  np.testing.assert_allclose(seen, [2, 2, 2.5])
  assert int(state['slow_count/value']) == 3
