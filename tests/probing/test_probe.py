"""Every layer is recorded under its name, at its time, by its own chance."""

import re
from typing import Any

import elements
import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np
import pytest

from dreamerv3.agent.latents import Carry, Latent, tensor
from dreamerv3.base.errors import UserError
from dreamerv3.probing import probe as taps
from tests.agent import agents

# Units of the published layers by preset (u = units, d = depth).
SIZES = {
  'size1m': (64, 4, 512, 4),
  'size25m': (384, 24, 3072, 24),
  'size400m': (1536, 96, 12288, 96),
}


def expected(u, d, deter, classes):
  maps = {0: 32 * 32 * 2 * d, 1: 16 * 16 * 3 * d, 2: 8 * 8 * 4 * d}
  convs = {f'enc/cnn{i}': v for i, v in maps.items()}
  latents = ('dyn/stoch', 'dyn/prior_logit', 'dyn/post_logit')
  return {
    **convs,
    'enc/cnn3': 4 * 4 * 4 * d,
    'enc/tokens': 4 * u,
    'dyn/deter': deter,
    **dict.fromkeys(latents, 32 * classes),
    **{f'pol/mlp/linear{i}': u for i in range(3)},
    **{f'val/mlp/linear{i}': u for i in range(3)},
    'rew/mlp/linear0': u,
    'con/mlp/linear0': u,
    'dec/space': 4 * u,
    **{f'dec/conv{i}': v for i, v in maps.items()},
    'pol/logits': 17,
    **dict.fromkeys(('pol/entropy', 'val/value', 'rew/pred', 'con/pred'), 1),
  }


@pytest.mark.parametrize('preset', SIZES)
def test_names_and_sizes(preset):
  model = agents.make_model([preset])
  sizes = {x.name: x.units for x in taps.Probe(model).layers}
  assert sizes == expected(*SIZES[preset])
  usual = taps.Probe(model, 'auto')
  wide = ['enc/cnn0', 'enc/cnn1', 'dec/conv1', 'dec/conv0']
  assert usual.left_out == (wide if preset == 'size400m' else [])
  assert {x.name for x in usual.layers} == sizes.keys() - set(usual.left_out)


def test_vector_observations_have_layers():
  spaces = agents.obs_space(pose=elements.Space(np.float32, (5,)))
  model = agents.Model(spaces, agents.act_space(), agents.make_config())
  names = taps.Probe(model).available
  assert {'enc/mlp0', 'dec/mlp/linear0'} <= set(names)


@pytest.fixture(scope='module')
def model():
  # The debug preset gives every layer a size of its own at little cost.
  return agents.make_model()


@pytest.fixture(scope='module')
def params(model):
  drawn = model.init(0)
  # Heads whose last layer starts at zero would hide a mixed-up input.
  rng = np.random.default_rng(1)
  return {
    k: jnp.asarray(v + 0.1 * rng.normal(size=v.shape).astype(v.dtype))
    for k, v in drawn.items()
    if re.match(taps.REGEX, k)
  }


@pytest.fixture(scope='module')
def probe(model):
  return taps.Probe(model, dtype='float32')


class Film:
  """A few steps of 16 rows: inputs, actions and layers of each."""

  def __init__(self, probe, params, rows=None, length=5):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (length, 16, 64, 64, 3)).astype(np.uint8)
    seeds = rng.integers(0, 2**32, (16, 2)).astype(np.uint32)
    first = np.zeros((length, 16), bool)
    first[0] = True
    first[3, 5] = True
    times = np.zeros((length, 16), np.int32)
    for t in range(1, length):
      times[t] = np.where(first[t], 0, times[t - 1] + 1)
    rows = np.arange(16) if rows is None else rows
    self.images, self.first = images[:, rows], first[:, rows]
    self.seeds, self.times = seeds[rows], times[:, rows]
    self.acts, self.layers = [], []
    carry = probe.init()
    for t in range(length):
      obs = {'image': self.images[t], 'is_first': self.first[t]}
      carry, act, packed = probe(params, carry, obs, self.seeds, self.times[t])
      packed = {k: np.asarray(v) for k, v in packed.items()}
      self.acts.append(np.asarray(act['action']))
      self.layers.append({x.name: x.of(packed) for x in probe.layers})


@pytest.fixture(scope='module')
def film(probe, params):
  return Film(probe, params)


@pytest.mark.slow
def test_the_parts_fit_together(film, model, params):
  for t, x in enumerate(film.layers):
    assert (x['enc/tokens'] == x['enc/cnn3'].reshape(16, -1)).all(), t
    assert (x['dyn/stoch'].sum(-1) == 1).all()
    for name in ('dyn/prior_logit', 'dyn/post_logit'):
      probs = np.exp(x[name])
      np.testing.assert_allclose(probs.sum(-1), 1, 1e-5)
      assert probs.min() >= 0.01 / probs.shape[-1] * (1 - 1e-5)
    probs = np.exp(x['pol/logits'] - x['pol/logits'].max(-1, keepdims=True))
    probs /= probs.sum(-1, keepdims=True)
    entropy = -(probs * np.log(probs)).sum(-1)
    np.testing.assert_allclose(x['pol/entropy'], entropy, 1e-4)
    assert ((x['con/pred'] > 0) & (x['con/pred'] < 1)).all()


@pytest.mark.slow
def test_heads_read_the_recorded_state(film, model, params):
  def heads(deter, stoch):
    feat = Latent(deter, stoch)
    x = tensor(feat)
    return {
      'val/value': model.val(x).pred(),
      'rew/pred': model.rew(x).pred(),
      'dyn/prior': model.dyn.prior(deter),
    }

  for x in film.layers:
    _, found = nj.pure(heads)(params, x['dyn/deter'], x['dyn/stoch'], modify=False)
    for name in ('val/value', 'rew/pred'):
      np.testing.assert_allclose(x[name], found[name], 1e-3, 1e-3)


@pytest.mark.slow
def test_a_step_is_that_of_its_image_action_and_state(film, probe, params):
  """Recomputes each step from image t, action t-1 and state t-1."""
  for t in range(1, len(film.layers)):
    before = film.layers[t - 1]
    latent = Latent(*(jnp.asarray(before[f'dyn/{k}']) for k in Latent._fields))
    carry = Carry(latent, {'action': jnp.asarray(film.acts[t - 1])})
    obs = {'image': film.images[t], 'is_first': film.first[t]}
    _, act, packed = probe(params, carry, obs, film.seeds, film.times[t])
    assert (np.asarray(act['action']) == film.acts[t]).all()
    for x in probe.layers:
      values = x.of(packed).reshape(16, -1)
      assert (values == film.layers[t][x.name].reshape(16, -1)).all(), x.name


@pytest.mark.slow
def test_a_reset_forgets_what_was_before(film):
  again, others = film.layers[3]['dyn/deter'][5], film.layers[0]['dyn/deter']
  assert (again == others[0]).all()
  assert (film.layers[3]['dyn/deter'][4] != others[0]).any()


@pytest.mark.slow
def test_rows_do_not_touch_each_other(film, probe, params, rng):
  order = rng.permutation(16)
  other = Film(probe, params, order)
  for a, b, x, y in zip(film.acts, other.acts, film.layers, other.layers, strict=True):
    assert (a[order] == b).all()
    for name in x:
      assert (x[name][order] == y[name]).all(), name


@pytest.mark.slow
def test_chance_is_that_of_seed_and_time(probe, params, rng):
  def draw(seeds, times):
    obs = {
      'image': np.full((16, 64, 64, 3), 7, np.uint8),
      'is_first': np.ones(16, bool),
    }
    _, _, rows = probe(params, probe.init(), obs, seeds, times)
    where = {x.name: x for x in probe.layers}['dyn/stoch']
    return where.of(rows)

  seeds = np.tile(rng.integers(0, 2**32, (1, 2)).astype(np.uint32), (16, 1))
  times = np.arange(16, dtype=np.int32)
  stoch = draw(seeds, times)
  assert len(np.unique(stoch, axis=0)) > 1
  assert (draw(seeds, np.full(16, 3, np.int32)) == stoch[3]).all()
  seeds[0, 1] += 1
  other = [draw(seeds, np.full(16, t, np.int32)) for t in times]
  assert any((x[0] != x[1]).any() for x in other)


@pytest.mark.slow
def test_half_precision_is_the_rounded_value(film, model, params):
  half = Film(taps.Probe(model, dtype='float16'), params)
  for x, y in zip(film.layers, half.layers, strict=True):
    for name in x:
      dtype = np.float16 if x[name][0].size > 1 else np.float32
      assert y[name].dtype == dtype
      assert (x[name].astype(dtype) == y[name]).all(), name


def test_half_precision_stays_finite():
  layers = taps.place(['a', 'b'], {'a': (2,), 'b': ()}, 'float16')
  big = jnp.array([[1e9, -1e9]]), jnp.array([1e9])
  packed = taps.pack(dict(zip('ab', big, strict=True)), layers)
  assert packed['float16'].tolist() == [[65504, -65504]]
  assert packed['float32'].tolist() == [[1e9]]


@pytest.mark.slow
def test_only_what_is_asked_for_is_computed(model, params):
  def cost(pattern):
    probe = taps.Probe(model, pattern)
    obs = {
      'image': np.zeros((16, 64, 64, 3), np.uint8),
      'is_first': np.ones(16, bool),
    }
    seeds, times = np.zeros((16, 2), np.uint32), np.zeros(16, np.int32)
    lowered = probe._call.lower(params, probe.init(), obs, seeds, times)
    packed = jax.eval_shape(probe._call, params, probe.init(), obs, seeds, times)
    sizes = {k: v.shape[1] for k, v in packed[2].items()}
    costs: Any = lowered.compile().cost_analysis()
    return costs['flops'], sizes

  everything, _ = cost('.*')
  without, _ = cost('(?!dec).*')
  value, sizes = cost('val/value')
  assert value < without < everything
  # What is saved is all that the decoder costs, measured apart.
  state, _ = cost('dyn/(deter|stoch)')
  decoded, _ = cost('dyn/(deter|stoch)|dec/.*')
  assert decoded > 1.05 * state
  assert everything - without == pytest.approx(decoded - state, rel=0.05)
  assert sizes == {'float32': 1}


def test_a_pattern_without_layers_is_refused(model):
  with pytest.raises(UserError, match=r"No layer 'enc/rnn'; nearest: enc/"):
    taps.Probe(model, 'enc/rnn')
