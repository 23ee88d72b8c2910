"""What every environment must do: inherit, say how to make one, and run.

  class TestMine(EnvContract):
    make = staticmethod(lambda: MyEnv('task'))

Needs nothing but the interface of embodied.core.base.Env.
"""

from collections.abc import Callable

import elements
import numpy as np

from embodied.core import base

FLAGS = ('is_first', 'is_last', 'is_terminal')


class EnvContract:
  """Tests of one environment; subclasses set `make`."""

  make: Callable[[], base.Env]
  steps = 300

  def test_spaces_name_what_every_environment_has(self):
    env = self.make()
    assert isinstance(env, base.Env)
    for key in (*FLAGS, 'reward'):
      assert env.obs_space[key].shape == (), key
    assert all(env.obs_space[key].dtype == bool for key in FLAGS)
    assert env.obs_space['reward'].dtype == np.float32
    assert env.act_space['reset'].dtype == bool
    assert len(env.act_space) > 1, 'no action but reset'
    env.close()

  def test_observations_match_their_space(self):
    env = self.make()
    for obs in play(env, self.steps, seed=0):
      check_obs(env.obs_space, obs)
    env.close()

  def test_flags_mark_the_borders_of_episodes(self):
    env = self.make()
    before = None
    for obs in play(env, self.steps, seed=1):
      if before is None:
        assert obs['is_first'], 'the answer to the first reset is no first step'
      else:
        assert obs['is_first'] == before['is_last']
      if obs['is_first']:
        assert obs['reward'] == 0, 'nothing was done to earn a reward'
        assert not obs['is_last']
      assert not obs['is_terminal'] or obs['is_last']
      before = obs
    env.close()

  def test_reset_interrupts_an_episode(self):
    env = self.make()
    rng = np.random.RandomState(2)
    env.step(draw(env.act_space, rng, reset=True))
    env.step(draw(env.act_space, rng))
    assert env.step(draw(env.act_space, rng, reset=True))['is_first']
    assert not env.step(draw(env.act_space, rng))['is_first']
    env.close()

  def test_observations_do_not_change_afterwards(self):
    env = self.make()
    seen = []
    for obs in play(env, 30, seed=3):
      seen.append((obs, {k: np.array(v) for k, v in obs.items()}))
    for obs, copy in seen:
      for key in copy:
        np.testing.assert_array_equal(obs[key], copy[key], err_msg=key)
    env.close()

  def test_same_actions_give_the_same_observations(self):
    first, second = self.make(), self.make()
    pairs = zip(play(first, self.steps, 4), play(second, self.steps, 4), strict=True)
    for a, b in pairs:
      for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)
    first.close()
    second.close()

  def test_close_may_be_called_twice(self):
    env = self.make()
    env.close()
    env.close()


def play(env: base.Env, steps: int, seed: int):
  """Yield the observations of random actions, resets included."""
  rng = np.random.RandomState(seed)
  reset = True
  for _ in range(steps):
    obs = env.step(draw(env.act_space, rng, reset))
    reset = bool(obs['is_last'])
    yield obs


def draw(space: base.Spaces, rng: np.random.RandomState, reset: bool = False):
  """A random action."""
  action: base.Step = {'reset': reset}
  for key, entry in space.items():
    if key != 'reset':
      action[key] = _draw(entry, rng)
  return action


def _draw(space: elements.Space, rng: np.random.RandomState):
  if space.discrete:
    value = rng.randint(space.low, space.high, space.shape)
  else:
    value = rng.uniform(space.low, space.high, space.shape)
  return np.asarray(value, space.dtype)[()]


def check_obs(spaces: base.Spaces, obs: base.Step) -> None:
  """Keys, dtypes, shapes and bounds."""
  assert obs.keys() == spaces.keys(), obs.keys() ^ spaces.keys()
  for key, space in spaces.items():
    value = np.asarray(obs[key])
    assert value.dtype == space.dtype, (key, value.dtype, space.dtype)
    assert value.shape == space.shape, (key, value.shape, space.shape)
    assert value in space, (key, value, space)
