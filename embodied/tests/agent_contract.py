"""What every agent must do: inherit, say how to make one, and run.

  class TestMine(AgentContract):
    make = staticmethod(lambda obs_space, act_space: MyAgent(...))

Drives the agent through a counting environment and a replay, as a training
run does.
"""

import functools
import pickle
from collections.abc import Callable

import numpy as np

from embodied.core import base, streams
from embodied.core.driver import Driver
from embodied.core.replay import Replay
from embodied.tests.counting import CountEnv


class AgentContract:
  """Tests of one agent; subclasses set `make`.

  Attributes:
    make: (obs_space, act_space) -> agent; equal agents at each call.
    make_env: What it acts in.
    batch: Sequences per batch, and environments.
    length: Steps per sequence, context included.
  """

  make: Callable[[base.Spaces, base.Spaces], base.BaseAgent]
  make_env: Callable[[], base.Env] = staticmethod(
    functools.partial(CountEnv, length=7, size=64)
  )
  batch = 2
  length = 9

  def test_actions_fill_their_spaces(self):
    with Driver([self.make_env] * self.batch) as driver:
      agent = self.make(driver.obs_space, driver.act_space)
      steps = drive(driver, agent, 20)
      spaces = driver.act_space
    assert spaces.keys() - {'reset'} <= steps[0][1].keys()
    for _, step in steps:
      for key in spaces.keys() - {'reset'}:
        check_value(spaces[key], step[key])

  def test_policy_returns_one_row_per_environment(self):
    env = self.make_env()
    agent = self.make(env.obs_space, env.act_space)
    for batch in (1, self.batch + 1):
      obs = first_obs(env, batch)
      before = {k: v.copy() for k, v in obs.items()}
      _, act, out = agent.policy(agent.init_policy(batch), obs, mode='eval')
      assert act.keys() == env.act_space.keys() - {'reset'}
      for key, value in {**act, **out}.items():
        assert len(value) == batch, (key, np.shape(value), batch)
      assert all(np.array_equal(obs[k], v) for k, v in before.items())

  def test_trains_on_what_it_experienced(self):
    agent, replay = self.experienced()
    stream = agent.stream(streams.Replayed(replay, self.batch))
    carry = agent.init_train(self.batch)
    for _ in range(3):
      carry, outs, mets = agent.train(carry, next(stream))
      assert all(isinstance(k, str) for k in mets)
      if 'replay' in outs:
        assert 'stepid' in outs['replay']
        replay.update(outs['replay'])

  def test_a_report_teaches_nothing(self):
    agent, replay = self.experienced()
    stream = agent.stream(streams.Replayed(replay, self.batch, 'report'))
    before = flat(agent.save())
    carry = agent.init_report(self.batch)
    _, mets = agent.report(carry, next(stream))
    after = flat(agent.save())
    assert all(isinstance(k, str) for k in mets)
    assert before.keys() == after.keys()
    for key in before:
      if not key.startswith('counters/'):
        assert np.array_equal(before[key], after[key]), key

  def test_continues_from_its_pickled_state(self):
    agent, replay = self.experienced()
    stream = agent.stream(streams.Replayed(replay, self.batch))
    agent.train(agent.init_train(self.batch), next(stream))
    state = pickle.loads(pickle.dumps(agent.save()))
    env = self.make_env()
    other = self.make(env.obs_space, env.act_space)
    other.load(state)
    assert_same(flat(other.save()), flat(agent.save()))
    obs = first_obs(env, self.batch)
    for call in range(3):
      acts = [x.policy(x.init_policy(self.batch), obs)[1] for x in (agent, other)]
      # An agent may act once more with the parameters before an update.
      if call:
        assert_same(acts[0], acts[1])

  def experienced(self) -> tuple[base.BaseAgent, Replay]:
    """An agent and the replay of its first steps."""
    with Driver([self.make_env] * self.batch) as driver:
      agent = self.make(driver.obs_space, driver.act_space)
      replay = Replay(self.length, chunksize=16)
      driver.on_step(replay.add)
      drive(driver, agent, 40)
    return agent, replay


def drive(driver: Driver, agent: base.BaseAgent, steps: int) -> list[tuple]:
  seen: list[tuple] = []
  driver.on_step(lambda step, worker: seen.append((worker, step)))
  driver.reset(agent.init_policy)
  driver(agent.policy, steps=steps)
  return seen


def first_obs(env: base.Env, batch: int) -> base.Batch:
  action = {k: np.zeros(v.shape, v.dtype) for k, v in env.act_space.items()}
  obs = env.step({**action, 'reset': np.bool_(True)})
  return {k: np.stack([v] * batch) for k, v in obs.items() if not k.startswith('log/')}


def check_value(space, value) -> None:
  assert np.shape(value) == space.shape
  assert (np.asarray(value) >= space.low).all(), value
  if np.issubdtype(space.dtype, np.integer):
    assert np.issubdtype(np.asarray(value).dtype, np.integer)
    assert (np.asarray(value) < space.high).all(), value
  else:
    assert (np.asarray(value) <= space.high).all(), value


def flat(tree, prefix: str = '') -> dict[str, np.ndarray]:
  """Arrays of nested dicts by their path."""
  if not isinstance(tree, dict):
    return {prefix.rstrip('/'): np.asarray(tree)}
  pairs = [flat(v, f'{prefix}{k}/') for k, v in tree.items()]
  return {k: v for pair in pairs for k, v in pair.items()}


def assert_same(left, right) -> None:
  assert left.keys() == right.keys()
  for key in left:
    assert np.array_equal(left[key], right[key]), key
