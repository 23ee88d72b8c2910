"""Wrappers: ranges, dtypes, time limits, and what leaves its space."""

import elements
import numpy as np
import pytest

from embodied.core import base, wrappers
from embodied.tests.counting import CountEnv


class BoxEnv(base.Env):
  """Continuous actions; gives back what it received as observation."""

  def __init__(self, dtype=np.float64):
    self.dtype = dtype
    self.seen = None

  @property
  def obs_space(self):
    return {
      'seen': elements.Space(self.dtype, (2,), [-2, 10], [4, 20]),
      'count': elements.Space(np.int64, (), 0, 5),
      'reward': elements.Space(np.float32),
      'is_first': elements.Space(bool),
      'is_last': elements.Space(bool),
      'is_terminal': elements.Space(bool),
    }

  @property
  def act_space(self):
    return {
      'action': elements.Space(self.dtype, (2,), [-2, 10], [4, 20]),
      'free': elements.Space(np.float32, ()),
      'reset': elements.Space(bool),
    }

  def step(self, action):
    self.action = action
    return {
      'seen': action['action'],
      'count': np.int64(3),
      'reward': np.float32(0),
      'is_first': np.bool_(action['reset']),
      'is_last': np.bool_(False),
      'is_terminal': np.bool_(False),
    }


def act(x, y, free=0.0, reset=False):
  return {
    'action': np.array([x, y], np.float32),
    'free': np.float32(free),
    'reset': np.bool_(reset),
  }


def test_normalized_actions_span_the_range():
  env = wrappers.NormalizeAction(BoxEnv())
  assert env.act_space['action'].low.tolist() == [-1, -1]
  assert env.act_space['action'].high.tolist() == [1, 1]
  assert env.step(act(-1, 1))['seen'].tolist() == [-2, 20]
  assert env.step(act(0, 0))['seen'].tolist() == [1, 15]


def test_unbounded_actions_are_not_scaled():
  inner = BoxEnv()
  env = wrappers.NormalizeAction(inner)
  env.step(act(0, 0, free=7.5))
  assert inner.action['free'] == 7.5
  assert np.isinf(env.act_space['free'].high)


def test_standard_environment_takes_any_float_and_gives_float32():
  inner = BoxEnv()
  env = wrappers.standard(inner)
  obs = env.step(act(-100, 100, free=3))
  assert obs['seen'].tolist() == [-2, 20]
  assert obs['seen'].dtype == np.float32
  assert obs['count'].dtype == np.int32
  assert env.obs_space['count'].dtype == np.int32
  assert env.obs_space['count'].high == 5
  assert inner.action['action'].dtype == np.float64


def test_discrete_actions_pass_unchanged():
  env = wrappers.standard(CountEnv())
  env.step({'action': np.int32(0), 'reset': np.bool_(True)})
  obs = env.step({'action': np.int32(3), 'reset': np.bool_(False)})
  assert obs['total'] == 3
  assert env.act_space['action'].classes == 4


def test_wrappers_pass_on_attributes_and_close():
  inner = CountEnv(length=7)
  env = wrappers.CheckSpaces(wrappers.UnifyDtypes(inner))
  assert env.length == 7
  env.close()
  assert inner.closed == 1
  with pytest.raises(AttributeError, match='nothing_like_it'):
    _ = env.nothing_like_it


@pytest.mark.parametrize(
  ('change', 'text'),
  [
    ({'action': np.int32(4)}, 'values 4 to 4'),
    ({'action': np.int32(-1)}, 'values -1'),
    ({'action': np.int64(1)}, 'int64'),
    ({'action': np.zeros(2, np.int32)}, r'int32\[2\]'),
  ],
)
def test_bad_actions_are_named_with_values(change, text):
  env = wrappers.CheckSpaces(CountEnv())
  with pytest.raises(ValueError, match=text):
    env.step({'action': np.int32(0), 'reset': np.bool_(True), **change})


def test_missing_action_is_named():
  env = wrappers.CheckSpaces(CountEnv())
  with pytest.raises(ValueError, match="'action' is missing"):
    env.step({'reset': np.bool_(True)})


class Twisted(CountEnv):
  """Changes one observation after the fact."""

  def __init__(self, **change):
    super().__init__(size=4)
    self.change = change

  def observe(self):
    obs = {**super().observe(), **self.change}
    return {k: v for k, v in obs.items() if v is not None}


@pytest.mark.parametrize(
  ('change', 'text'),
  [
    ({'reward': np.float32('nan')}, 'reward'),
    ({'reward': np.float64(0)}, 'float64'),
    ({'extra': np.int32(1)}, 'extra'),
    ({'image': None}, "'image' is missing"),
    ({'image': np.zeros((4, 4, 1), np.uint8)}, r'\[4, 4, 1\]'),
  ],
)
def test_bad_observations_are_named(change, text):
  env = wrappers.CheckSpaces(Twisted(**change))
  with pytest.raises(ValueError, match=text):
    env.step({'action': np.int32(0), 'reset': np.bool_(True)})


def test_full_byte_range_is_allowed():
  image = np.full((4, 4, 3), 255, np.uint8)
  env = wrappers.CheckSpaces(Twisted(image=image))
  env.step({'action': np.int32(0), 'reset': np.bool_(True)})
