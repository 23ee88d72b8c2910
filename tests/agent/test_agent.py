"""The agent end to end: acting, learning, reports, replay context, seeds."""

import elements
import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np
import pytest

from embodied.core.compact import ClassIndex
from embodied.jax import internal, packed
from embodied.jax.acting import ActingCopy
from tests.agent import agents

Space = elements.Space
SMALL = {'batch_size': 2, 'batch_length': 4, 'report_length': 4}
GOOD = packed.pack(
  {x: jnp.zeros(()) for x in ('opt/loss', 'opt/grad_norm', 'opt/updates')}
)


def images(agent, rng, rows):
  spaces = agent.obs_space
  obs = {k: agents.draw(v, rng, (rows,)) for k, v in spaces.items()}
  obs['is_first'] = np.zeros(rows, bool)
  return obs


@pytest.fixture(scope='module')
def agent():
  return agents.make_agent(['debug'], SMALL)


def test_rows_depend_on_their_own_seeds_alone(agent, rng):
  obs = images(agent, rng, 4)
  seeds = rng.integers(0, 2**32 - 1, (4, 2), np.uint32)
  carry = agent.init_policy(4)
  _, act, out = agent.policy(carry, obs, 'eval', seeds)
  order = np.array([2, 0, 3, 1])
  mixed = {k: v[order] for k, v in obs.items()}
  _, act2, out2 = agent.policy(agent.init_policy(4), mixed, 'eval', seeds[order])
  np.testing.assert_array_equal(act['action'][order], act2['action'])
  np.testing.assert_array_equal(out['dyn/stoch'][order], out2['dyn/stoch'])
  assert out['dyn/deter'].dtype == np.float32
  stoch = out['dyn/stoch']
  form = ClassIndex(stoch.shape[-1])  # refuses what is not exactly one-hot
  np.testing.assert_array_equal(form.unpack(form.pack(stoch)), stoch)


def test_modes(agent, rng):
  obs = images(agent, rng, 2)
  greedy = [
    agent.policy(agent.init_policy(2), obs, 'greedy', np.full((2, 2), 7, 'u4'))
    for _ in range(2)
  ]
  one, two = (x[1]['action'] for x in greedy)
  np.testing.assert_array_equal(one, two)
  with pytest.raises(ValueError, match='sleepy'):
    agent.policy(agent.init_policy(2), obs, 'sleepy')


def test_reports_and_evaluation_do_not_shift_the_noise_of_training(rng):
  agent = agents.make_agent(['debug'], SMALL)
  agent._train = lambda state, carry, data, seeds: (
    state,
    carry,
    {'replay': {'seeds': jnp.asarray(seeds)}},
    GOOD,
  )
  agent._report = lambda state, carry, data, seeds: (carry, {'seeds': seeds})
  data, obs = agents.batch(agent, rng, 2, 5), images(agent, rng, 2)
  start = agent.save()

  def run(aside):
    agent.load(start)
    found = []
    for _ in range(3):
      aside()
      carry, act, out = agent.policy(agent.init_policy(2), obs)
      aside()
      agent.train({}, data)
      found.append(
        (act['action'], out['dyn/stoch'], agent.flush()[0]['replay']['seeds'])
      )
      aside()
    return found

  reports = []

  def aside():
    reports.append(agent.report({}, data)[1]['seeds'])
    agent.policy(agent.init_policy(2), obs, 'eval')

  jax.tree.map(np.testing.assert_array_equal, run(lambda: None), run(aside))
  assert len({tuple(x) for x in reports}) == 9


def test_evaluation_acts_with_the_newest_parameters_and_leaves_training(rng):
  agent = agents.make_agent(['debug'], SMALL)
  seeds, obs = np.zeros((2, 2), np.uint32), images(agent, rng, 2)
  seen = []

  def policy(state, *args):
    seen.append(state)
    return {}, {}, {}

  agent._policy[False] = policy
  old, new = {'old': jnp.zeros(())}, {'new': jnp.zeros(())}
  agent.acting = ActingCopy(lambda: new)
  agent.acting.act_once_with(old)
  for mode in ('eval', 'train', 'train'):
    agent.policy({}, obs, mode, seeds)
  assert seen == [new, old, new]


def test_a_poisoned_parameter_stops_the_policy(rng):
  agent = agents.make_agent(['debug'], SMALL)
  name = 'dyn/dyngru/bias'
  poison = jnp.full_like(agent.state[name], np.nan)
  agent.acting.now = {**agent.acting.now, name: poison}
  with pytest.raises(FloatingPointError, match='dyn/deter'):
    agent.policy(agent.init_policy(2), images(agent, rng, 2))


def test_a_run_that_goes_on_within_the_traced_updates_is_not_traced(monkeypatch):
  agent = agents.make_agent(['debug'], {**SMALL, 'jax.profiler': True})
  calls: list[str] = []
  for name in ('start_trace', 'stop_trace'):
    monkeypatch.setattr(jax.profiler, name, lambda *_, name=name: calls.append(name))
  for first, expected in ((110, []), (0, ['start_trace', 'stop_trace'])):
    for agent.counters['updates'] in range(first, 130):
      agent._profile()
    assert calls == expected


def test_losses_that_are_not_finite_are_named(rng):
  agent = agents.make_agent(['debug'], SMALL)
  found = {'opt/loss': np.nan, 'opt/grad_norm': 1, 'loss/dyn': np.inf, 'loss/rew': 1}
  found['opt/updates'] = 7  # of which we hear when the next one has begun
  agent._pending = {}, packed.pack({k: jnp.float32(v) for k, v in found.items()})
  with pytest.raises(FloatingPointError, match='^loss/dyn not finite at update 7$'):
    agent.save()


def test_taps_name_every_layer_and_change_nothing(agent, rng):
  obs = images(agent, rng, 3)
  key = internal.keys_from_seeds(jnp.zeros((3, 2), jnp.uint32))
  carry = agent.model.init_carry(3)
  args = (agent.state, carry, obs, key)

  def tapped(carry, obs, key):
    with internal.taps() as found:
      out = agent.model.policy(carry, obs, key)
    return out, found

  _, plain = nj.pure(agent.model.policy)(*args, modify=False)
  _, (out, found) = nj.pure(tapped)(*args, modify=False)
  jax.tree.map(np.testing.assert_array_equal, plain, out)
  want = {'enc/cnn0', 'enc/cnn3', 'enc/tokens', 'dyn/deter', 'dyn/stoch'}
  assert want | {'pol/mlp/linear0', 'dyn/post_logit'} <= found.keys()
  assert found['enc/cnn0'].shape == (3, 32, 32, 4)


@pytest.mark.parametrize('K', [0, 1, 2])
def test_replay_context_gives_the_stored_state(rng, K):
  changes = {**SMALL, 'replay_context': K}
  model = agents.make_model(['debug'], changes)
  fake = agents.make_agent(['debug'], changes)
  data = agents.batch(fake, rng, 2, K + 4)
  data['dyn/deter'] = rng.normal(size=data['dyn/deter'].shape).astype('f4')
  data = jax.tree.map(jnp.asarray, data)
  carry = model.init_carry(2)
  deter = carry.latent.deter + 9
  carry = carry._replace(latent=carry.latent._replace(deter=deter))
  start, obs, prevact, stepid = model.context(carry, data)
  np.testing.assert_array_equal(obs['image'], data['image'][:, K:])
  np.testing.assert_array_equal(stepid, data['stepid'][:, K:])
  want = data['dyn/deter'][:, K - 1] if K else carry.latent.deter
  np.testing.assert_array_equal(start.deter, want)
  actions = data['action']
  np.testing.assert_array_equal(prevact['action'][:, 1:], actions[:, K : K + 3])
  if K:
    np.testing.assert_array_equal(prevact['action'][:, 0], actions[:, K - 1])
    data['consec'] = data['consec'] + 1
    start, *_ = model.context(carry, data)
    np.testing.assert_array_equal(start.deter, carry.latent.deter)


@pytest.mark.parametrize('K', [0, 1, 2])
def test_only_the_latents_that_are_read_are_sent(rng, K):
  agent = agents.make_agent(['debug'], {**SMALL, 'replay_context': K})
  data = agents.batch(agent, rng, 2, K + 4)
  deter = rng.normal(size=data['dyn/deter'].shape).astype('f4')
  deter[:, K:] = np.nan  # that would stop training if it were looked at
  data['dyn/deter'] = deter
  sent = agent.put(data)
  assert sent['image'].shape[:2] == (2, K + 4)
  if not K:
    assert not {'dyn/deter', 'dyn/stoch'} & sent.keys()
    return
  assert sent['dyn/deter'].shape[:2] == sent['dyn/stoch'].shape[:2] == (2, K)
  carry = agent.init_train(2)
  whole = agent.model.context(carry, jax.tree.map(jnp.asarray, data))
  jax.tree.map(np.testing.assert_array_equal, whole, agent.model.context(carry, sent))


@pytest.mark.slow
def test_training_is_late_by_one_continues_exactly_and_reports(rng):
  one, two = (agents.make_agent(['debug'], SMALL) for _ in range(2))
  data = [agents.batch(one, rng, 2, 5) for _ in range(4)]
  carry = one.init_train(2)
  carry, outs, mets = one.train(carry, data[0])
  assert not outs
  assert not mets
  carry, outs, mets = one.train(carry, data[1])
  replay = outs['replay']
  np.testing.assert_array_equal(replay['stepid'], data[0]['stepid'][:, 1:])
  assert replay['dyn/deter'].shape == (2, 4, 8)
  assert replay['dyn/deter'].dtype == np.float32
  assert replay['dyn/stoch'].shape == (2, 4, 2)
  assert replay['dyn/stoch'].dtype == np.uint8
  assert mets['opt/updates'] == 1
  assert np.isfinite(list(mets.values())).all()
  saved, kept = one.save(), one.save_carry(carry)
  _, late = one.flush()
  assert late['opt/updates'] == 2
  two.load(saved)
  carries = [carry, two.load_carry(kept, 2)]
  data[2]['consec'] += 1  # goes on from the carry
  assert not any(x.any() for x in two.save_carry(two.load_carry(kept, 4)))
  for batch in data[2:]:
    for i, agent in enumerate((one, two)):
      carries[i], *_ = agent.train(carries[i], batch)
  a, b = one.save(), two.save()
  assert a['counters'] == b['counters']
  for name, value in a['params'].items():
    np.testing.assert_array_equal(value, b['params'][name], err_msg=name)
  before = one.save()
  _, mets = one.report(one.init_report(2), data[0])
  assert {'loss/image', 'loss/dyn', 'openloop/image'} <= mets.keys()
  video = mets['openloop/image']
  assert video.shape == (4 + 10, 3 * 64 + 4, 2 * 68, 3)
  assert (video[0, 0, 0] == (0, 255, 0)).all()
  assert (video[3, 0, 0] == (255, 0, 0)).all()
  assert not video[-1].any()
  true = video[0, 2:66, 2:66]
  np.testing.assert_array_equal(true, data[0]['image'][0, 1])
  after = one.save()['params']
  for name, value in before['params'].items():
    np.testing.assert_array_equal(value, after[name])


@pytest.mark.slow
def test_vectors_and_continuous_actions_train(rng):
  obs = agents.obs_space(
    speed=Space(np.float32, (3,)),
    tool=Space(np.int32, (), 0, 5),
    player_pos=Space(np.float32, (2,)),
  )
  act = {
    'move': Space(np.float32, (2,), -1, 1),
    'jump': Space(np.int32, (), 0, 2),
  }
  agent = agents.make_agent(['debug'], SMALL, obs, act)
  names = agent.save()['params']
  for name in (
    'enc/mlp0/kernel',
    'dec/mlp/linear0/kernel',
    'dec/vec/speed/pred/kernel',
    'dec/vec/tool/logits/kernel',
    'pol/head/move/mean/kernel',
    'pol/head/move/stddev/kernel',
    'pol/head/jump/logits/kernel',
  ):
    assert name in names
  assert not [k for k in names if 'player_pos' in k]
  carry = agent.init_train(2)
  metrics: dict = {}
  for _ in range(3):
    data = agents.batch(agent, rng, 2, 5)
    carry, _, metrics = agent.train(carry, data)
  want = {'loss/speed', 'loss/tool', 'ent/move', 'rand/jump', 'loss/image'}
  assert want <= metrics.keys()
  assert 'loss/player_pos' not in metrics


def test_bad_numbers_from_the_replay_are_named(agent, rng):
  data = agents.batch(agent, rng, 2, 5)
  data['reward'][1, 2] = np.nan
  with pytest.raises(FloatingPointError, match='reward'):
    agent.put(data)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'jax.compute_dtype': 'float16'}, 'float16'),
    ({'jax.train_devices': [3]}, 'devices'),
    ({'agent.dyn.rssm.act': 'sulu'}, 'sulu'),
    ({'agent.enc.typ': 'other'}, 'agent.enc.typ'),
    ({'agent.retnorm.impl': 'x'}, 'retnorm'),
  ],
)
def test_bad_settings_are_named(changes, message):
  with pytest.raises(ValueError, match=message):
    agents.make_agent(['debug'], changes)
