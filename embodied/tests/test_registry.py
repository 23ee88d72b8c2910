"""The registry finds its environments and explains what it cannot find."""

import os
import subprocess
import sys

import pytest

from embodied.core import base
from embodied.envs import dummy, registry
from embodied.tests.contract import EnvContract


class TestDummyDiscrete(EnvContract):
  make = staticmethod(lambda: dummy.Dummy('disc', length=20))


class TestDummyContinuous(EnvContract):
  make = staticmethod(lambda: dummy.Dummy('cont', size=(32, 16), length=20))


@pytest.mark.parametrize('suite', sorted(registry.ENVS))
def test_every_entry_is_an_environment(suite):
  assert issubclass(registry.resolve(suite), base.Env)


def test_make_passes_task_and_settings():
  env = registry.make('dummy_cont', size=(32, 16), length=7)
  assert env.obs_space['image'].shape == (16, 32, 3)
  assert env.act_space['action'].shape == (dummy.DIMS,)


@pytest.mark.parametrize(
  ('task', 'settings', 'words'),
  [
    ('craftr_reward', {}, "'craftr', did you mean 'crafter'"),
    ('atari_pong', {}, 'there are crafter, dummy'),
    ('crafter_rewrd', {}, "got 'rewrd'"),
    ('crafter', {}, "got ''"),
    ('crafter_reward', {'fixed_sed': True}, "did you mean 'fixed_seed'"),
    ('dummy_disc', {'length': 0}, 'at least 1, got 0'),
  ],
)
def test_mistakes_are_named(task, settings, words):
  with pytest.raises(ValueError, match=r'.') as info:
    registry.make(task, **settings)
  assert words in str(info.value)
  assert '\n' not in str(info.value)


def test_env_seed_is_that_of_the_published_program():
  assert registry.env_seed(42, 0) == 790160138
  assert registry.env_seed(0, 0) == 2723239835


def test_env_seed_does_not_depend_on_the_process():
  code = 'from embodied.envs.registry import env_seed as f; print(f(42, 3))'
  found = {
    subprocess.run(
      [sys.executable, '-c', code],
      env={**os.environ, 'PYTHONHASHSEED': salt},
      capture_output=True,
      text=True,
      check=True,
    ).stdout
    for salt in ('0', '1', 'random')
  }
  assert found == {f'{registry.env_seed(42, 3)}\n'}


def test_the_registry_loads_an_environment_only_when_asked():
  code = 'import sys, embodied.envs.registry; print("crafter" in sys.modules)'
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout == 'False\n'
