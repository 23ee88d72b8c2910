"""What crosses to the device and back per update and per action, and who waits."""

import copy
import functools
import pathlib
from typing import Any

import elements
import numpy as np
import pytest

from dreamerv3.setup import config as configs
from dreamerv3.setup import make
from embodied.core import base
from embodied.jax import devices, packed
from embodied.run.signals import Signals
from embodied.run.trainer import Trainer
from tests.agent import agents
from tests.agent.fake_device import FakeDevice, traced

SEEDS = [(2,)]
LOOP = (
  '--configs debug --task dummy_disc --batch_size 2 --batch_length 8 '
  '--agent.imag_length 3 --jax.platform cpu --jax.debug False --jax.prefetch 2 '
  '--run.save_every 0 --run.report_every 0 --run.log_every 0 '
  '--logger.outputs jsonl --run.envs 2 --run.train_ratio 16 --run.steps 120'
)


class Batches(base.Stream):
  """The same batch again and again."""

  def __init__(self, data):
    self.data, self.taken = data, 0

  def __next__(self):
    self.taken += 1
    return dict(self.data)


@pytest.fixture(scope='module')
def settled(tmp_path_factory):
  argv = [*LOOP.split(), '--logdir', str(tmp_path_factory.mktemp('loop'))]
  return configs.stack(configs.read_blocks(), configs.parse_flags(argv))


@pytest.fixture(scope='module')
def real(settled):
  """An agent, a batch for it, and what its programs return."""
  agent: Any = make.make_agent(settled)
  data = agents.batch(agent, np.random.default_rng(0), 2, 9)
  return agent, data, traced(agent, data)


@pytest.fixture
def made(monkeypatch, real):
  """The agent, a batch for it, and the device that it believes to have."""
  agent, data, programs = real
  agent = copy.copy(agent)
  agent.counters = dict(agent.counters)
  return agent, data, FakeDevice(monkeypatch, agent, programs)


def observed(agent):
  return {k: np.zeros((2, *v.shape), v.dtype) for k, v in agent.obs_space.items()}


def test_an_update_sends_seeds_and_gets_latents_and_one_array_of_metrics(made):
  agent, data, device = made
  batch = agent.put(data)
  carry, outs, mets = agent.train(agent.init_train(2), batch)
  assert (outs, mets) == ({}, {})
  device.events.clear()
  _, outs, mets = agent.train(carry, batch)
  assert outs['replay'].keys() == {'dyn/deter', 'dyn/stoch', 'stepid'}
  assert {'opt/loss', 'opt/updates', 'loss/image'} < mets.keys()
  kinds = [x.kind for x in device.events]
  assert kinds == ['pass', 'run', *['send'] * 5, 'get']
  assert [x.what for x in device.of('pass', 'run')] == [SEEDS, 'train']
  sent = sorted(x.what[0] for x in device.of('send'))
  metrics = [(1,), (len(mets) - 1,)]  # opt/updates is an integer
  assert sent == sorted([(2, 8, 8), (2, 8, 2), (2, 8, 20), *metrics])
  latents = 2 * 8 * (4 * 8 + 2)
  (got,) = device.of('get')
  assert got.bytes == latents + 2 * 8 * 20 + 4 * len(mets)


def test_what_an_update_found_is_on_its_way_before_anyone_asks(made):
  agent, data, device = made
  batch, carry = agent.put(data), agent.init_train(2)
  for _ in range(3):
    carry, *_ = agent.train(carry, batch)
  *_, get = device.of('get')
  assert get.program == device.programs - 1  # the newest one is not waited for
  send = [x.program for x in device.of('send')]
  assert send == [x for x in (1, 2, 3) for _ in range(5)]


def test_an_action_sends_observations_and_waits_once(made):
  agent, _, device = made
  obs, carry = observed(agent), agent.init_policy(2)
  device.events.clear()
  for _ in range(2):
    carry, _, out = agent.policy(carry, obs)
  assert out.keys() == {'dyn/deter', 'dyn/stoch'}
  assert [x.kind for x in device.events] == ['pass', 'run', 'get'] * 2
  passed = device.of('pass')[-1]
  assert sorted(passed.what) == [(2,), (2,), (2, 2), (2, 7), (2, 64, 64, 3)]
  got = device.of('get')[-1]
  assert sorted(got.what) == [(2,), (2, 2, 4), (2, 8)]


def test_parameters_are_copied_once_per_action_and_not_per_update(made):
  agent, data, device = made
  batch, obs = agent.put(data), observed(agent)
  carry, acting = agent.init_train(2), agent.init_policy(2)
  for _ in range(5):
    carry, *_ = agent.train(carry, batch)
  old = agent.acting.now
  assert agent.save_acting() is not None
  for _ in range(3):
    acting, *_ = agent.policy(acting, obs)
  assert agent.acting.now is not old
  assert agent.save_acting() is None
  runs = [x.what for x in device.of('run')]
  assert runs == [*['train'] * 5, 'policy', 'copy', 'policy', 'policy']
  agent.train(carry, batch)
  for _ in range(2):
    agent.policy(acting, obs, 'eval')
  runs = [x.what for x in device.of('run')][9:]
  assert runs == ['train', 'copy', 'policy', 'policy']


def test_what_is_begun_meanwhile_comes_after_the_actions_and_before_the_wait(made):
  agent, data, device = made
  batch, carry = agent.put(data), agent.init_train(2)
  begin = functools.partial(agent.begin, carry, batch)
  agent.policy(agent.init_policy(2), observed(agent), meanwhile=begin)
  order = [x for x in device.events if x.kind in ('run', 'get')]
  assert [x.what for x in order[:2]] == ['policy', 'train']
  assert (order[2].kind, order[2].program) == ('get', 1)  # the actions alone


def test_batches_wait_on_the_device_two_ahead_copied_by_a_thread(made):
  agent, data, device = made
  source = Batches(data)
  stream = agent.stream(source)
  for _ in range(3):
    next(stream)
  stream.save()  # what is ahead is ready
  puts = device.of('put')
  assert len(puts) == source.taken == 3 + 2
  assert {x.thread for x in puts} == {'prefetch'}
  assert not device.waits()
  assert not device.of('pass')
  stream.close()
  needed = agent.model.needed(data)
  assert puts[0].bytes == sum(x.nbytes for x in needed.values())


def test_a_step_of_the_loop_waits_for_its_actions_and_for_the_update_before(
  made, settled
):
  agent, _, device = made
  env, stream, logger = (make.factory(x, settled) for x in ('env', 'stream', 'logger'))
  replay = make.make_replay(settled, pathlib.Path(settled.logdir) / 'replay')
  args = make.run_args(settled)
  trainer = Trainer(agent, {'replay': replay}, env, stream, logger, args)
  ends: list[int] = []
  trainer.driver.on_step(lambda _, worker: ends.append(len(device.events)))
  with Signals(begun=False) as signals:
    assert trainer.run(signals) == 0
  updates = agent.counters['updates']
  assert updates > 50
  batches = [x for x in device.of('put') if x.thread == 'prefetch']
  assert updates <= len(batches) <= updates + 2
  # Two environments and as many updates; from the first wait of each step on.
  steps = [device.events[a:b] for a, b in zip(ends[-9:-2:2], ends[-7::2], strict=True)]
  for events in steps:
    asked = [x for x in events if x.thread != 'prefetch' and x.kind in ('run', 'get')]
    what = [x.what if x.kind == 'run' else 'wait' for x in asked]
    assert what == ['policy', 'copy', 'train', 'wait', 'wait', 'train', 'wait']
    policy, _, first, actions, before, _, after = asked
    assert actions.program == policy.program  # not for the update behind it
    assert before.program < policy.program
    assert after.program == first.program  # while the second one runs
    assert all(x.kind in ('put', 'pass', 'run', 'send', 'get') for x in events)


def test_as_many_programs_ahead_and_steps_at_once_as_the_platform_likes(monkeypatch):
  config = agents.make_config()
  found = {}
  for backend in ('cpu', 'gpu'):
    monkeypatch.setattr(devices.setup, 'setup', lambda backend=backend, **_: backend)
    monkeypatch.setattr(devices.setup, 'precise', lambda *_: None)
    got = devices.bring_up(config)
    found[backend] = got.ahead, got.unroll, got.dtype.name
    other = config.update({'jax.prefetch': 3, 'jax.unroll': 2})
    got = devices.bring_up(elements.Config(other))
    assert (got.ahead, got.unroll) == (3, 2)
  assert found == {'cpu': (1, 1, 'float32'), 'gpu': (2, 4, 'bfloat16')}


def test_scalars_travel_by_dtype_and_come_back_by_name():
  scalars: Any = {'b': np.float32(2), 'n': np.int32(3), 'a': np.float32(1)}
  both = packed.pack(scalars)
  assert [x.shape for x in both.values] == [(2,), (1,)]
  assert packed.unpack(both) == scalars
