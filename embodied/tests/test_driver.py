"""The driver: reset semantics, order, equal results in processes, crashes."""

import functools
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from embodied.core.driver import Driver
from embodied.core.env_process import EnvError, EnvProcesses
from embodied.core.wrappers import standard
from embodied.envs import registry
from embodied.tests.counting import CountEnv


def policy(carry, obs):
  """Acts as a function of what it sees and of how often it was called."""
  assert not any(k.startswith('log/') for k in obs), sorted(obs)
  act = ((obs['count'] + carry) % 4).astype(np.int32)
  return carry + 1, {'action': act}, {'calls': carry.copy()}


def init_policy(count):
  return np.zeros(count, np.int32)


def policy_of_grid(carry, obs):
  act = (obs['image'].sum((1, 2, 3)) // 255 + carry).astype(np.int32) % 5
  return carry + 1, {'action': act}, {'calls': carry.copy()}


def record(makers, parallel=False, processes=2, policy=policy, **amount):
  steps = []
  with Driver(makers, parallel, processes) as driver:
    driver.on_step(lambda step, worker: steps.append((worker, step)))
    driver.reset(init_policy)
    driver(policy, **amount)
  return steps


def of_worker(steps, worker, key):
  return np.array([x[key] for w, x in steps if w == worker])


def test_first_call_resets_and_later_ones_follow_is_last():
  steps = record([functools.partial(CountEnv, 3)], steps=9)
  assert of_worker(steps, 0, 'count').tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0]
  assert of_worker(steps, 0, 'episode').tolist() == [0] * 4 + [1] * 4 + [2]
  assert of_worker(steps, 0, 'is_first').tolist() == (
    [True, False, False, False] * 2 + [True]
  )


def test_actions_at_the_end_of_an_episode_are_zero_and_none_else():
  steps = record([functools.partial(CountEnv, 3)], steps=40)
  last = of_worker(steps, 0, 'is_last')
  act = of_worker(steps, 0, 'action')
  chosen = (of_worker(steps, 0, 'count') + of_worker(steps, 0, 'calls')) % 4
  assert last.any()
  assert (act[last] == 0).all()
  assert (chosen[last] != 0).any()
  assert (act[~last] == chosen[~last]).all()


def test_the_action_stored_with_a_step_is_the_one_carried_out():
  steps = record([functools.partial(CountEnv, 6)], steps=30)
  total, act = of_worker(steps, 0, 'total'), of_worker(steps, 0, 'action')
  first = of_worker(steps, 0, 'is_first')
  diff = np.diff(total)
  assert (diff[~first[1:]] == act[:-1][~first[1:]]).all()


def test_step_has_logs_and_outputs_but_no_reset():
  (_, step), *_ = record([CountEnv], steps=1)
  assert step['log/pid'] == os.getpid()
  assert step['calls'] == 0
  assert 'reset' not in step


def test_observers_see_each_environment_in_turn():
  calls = []
  with Driver([CountEnv, CountEnv]) as driver:
    driver.on_step(lambda step, worker: calls.append(('a', worker)))
    driver.on_step(lambda step, worker: calls.append(('b', worker)))
    driver.reset(init_policy)
    driver(policy, steps=1)
  assert calls == [('a', 0), ('b', 0), ('a', 1), ('b', 1)]


def test_counts_steps_and_episodes_over_all_environments():
  assert len(record([CountEnv] * 4, steps=10)) == 12
  steps = record([functools.partial(CountEnv, 2)] * 2, episodes=3)
  assert sum(x['is_last'] for _, x in steps) == 4


def test_read_only_actions_are_fine():
  def frozen(carry, obs):
    act = np.ones(1, np.int32)
    act.flags.writeable = False
    return carry, {'action': act}, {}

  with Driver([functools.partial(CountEnv, 2)]) as driver:
    driver.reset(init_policy)
    driver(frozen, steps=6)


@pytest.mark.parametrize(
  'acts',
  [{}, {'action': np.zeros((1, 2), np.int32)}, {'action': np.zeros(1)}],
  ids=['none', 'shape', 'dtype'],
)
def test_wrong_actions_are_named(acts):
  with Driver([CountEnv]) as driver:
    driver.reset(init_policy)
    with pytest.raises(ValueError, match='action'):
      driver(lambda carry, obs: (carry, acts, {}), steps=1)


def test_stepping_before_reset_is_refused():
  with Driver([CountEnv]) as driver, pytest.raises(ValueError, match='reset'):
    driver(policy, steps=1)


def test_no_environment_is_refused():
  with pytest.raises(ValueError, match='at least one'):
    Driver([])


def test_serial_close_closes_each_environment_once():
  envs = [CountEnv(), CountEnv()]
  driver = Driver([lambda: envs[0], lambda: envs[1]])
  driver.close()
  driver.close()
  assert [x.closed for x in envs] == [1, 1]


class DoubleEnv(CountEnv):
  """Rewards in another dtype than its space says."""

  def observe(self):
    return {**super().observe(), 'reward': np.float64(1 / 3)}


def grid(index):
  return standard(registry.make('grid_goal', seed=registry.env_seed(0, index)))


def counts(index):
  return CountEnv(3 + index, size=8)


@pytest.mark.parametrize(
  ('make', 'act', 'processes'),
  [(counts, policy, 1), (counts, policy, 2), (grid, policy_of_grid, 2)],
)
def test_processes_give_the_steps_of_the_serial_driver(make, act, processes):
  makers = [functools.partial(make, i) for i in range(5)]
  serial = record(makers, policy=act, steps=60)
  parallel = record(makers, True, processes, policy=act, steps=60)
  assert len(serial) == len(parallel)
  pids = set()
  for (worker1, step1), (worker2, step2) in zip(serial, parallel, strict=True):
    assert worker1 == worker2
    assert list(step1) == list(step2)
    pids.add(int(step2.pop('log/pid', 0)))
    for key, value in step2.items():
      assert type(value) is type(step1[key]), key
      assert value.dtype == step1[key].dtype, key
      assert np.array_equal(value, step1[key]), key
  if make is not grid:
    assert len(pids) == processes
    assert os.getpid() not in pids
    assert not any(psutil.pid_exists(x) for x in pids)


def test_there_are_as_many_processes_as_cpus_unless_told(monkeypatch):
  asked: list[int] = []

  class Processes(EnvProcesses):
    def __init__(self, make_envs, processes):
      asked.append(processes)
      super().__init__(make_envs, 1)

  monkeypatch.setattr('embodied.core.driver.EnvProcesses', Processes)
  monkeypatch.setattr('dreamerv3.base.host.job.cpus', lambda: 7)
  Driver([CountEnv], parallel=True).close()
  assert asked == [7]


def test_environments_unlike_the_first_one_are_named():
  makers: list = [CountEnv, CountEnv, functools.partial(CountEnv, size=2)]
  with pytest.raises(ValueError, match=r'Environment 2 has .*unlike .*ment 0'):
    Driver(makers, parallel=True, processes=1)


def test_what_leaves_its_space_is_refused_in_a_process():
  # Memory of one dtype would take it, and give another number back.
  with Driver([DoubleEnv], parallel=True) as driver:
    driver.reset(init_policy)
    with pytest.raises(EnvError, match=r"Environment 0 (.|\n)*'reward' is float64"):
      driver(policy, steps=9)


def test_a_crash_in_a_process_brings_its_traceback_and_index():
  makers = [CountEnv, lambda: CountEnv(fail_at=3)]
  with Driver(makers, parallel=True) as driver:
    pids = driver.pids
    driver.reset(init_policy)
    with pytest.raises(EnvError) as info:
      driver(policy, steps=20)
  text = str(info.value)
  assert 'Environment 1 failed' in text
  assert 'ZeroDivisionError: planted at call 3' in text
  assert 'counting.py' in text
  assert not any(psutil.pid_exists(x) for x in pids)


def test_a_crash_while_constructing_brings_its_traceback():
  def broken():
    raise LookupError('no such level')

  with pytest.raises(EnvError, match=r'Environment 1 failed(.|\n)*such level'):
    Driver([CountEnv, broken], parallel=True)


def test_a_killed_process_is_reported_with_its_exit_code():
  maker = functools.partial(CountEnv, fail_at=2, how='kill')
  with Driver([maker], parallel=True) as driver:
    driver.reset(init_policy)
    with pytest.raises(EnvError, match=r'environment 0 .*exit code -9'):
      driver(policy, steps=20)


def test_a_death_is_told_while_other_processes_are_busy():
  makers: list = [
    functools.partial(CountEnv, fail_at=2, how='sleep'),
    CountEnv,
    CountEnv,
    functools.partial(CountEnv, fail_at=2, how='kill'),
  ]
  began = time.monotonic()
  with Driver(makers, parallel=True, processes=2) as driver:
    driver.reset(init_policy)
    with pytest.raises(EnvError, match=r'environments 2 to 3 .*exit code -9'):
      driver(policy, steps=20)
    assert time.monotonic() - began < 30
    os.kill(driver.pids[0], signal.SIGKILL)  # or closing waits for it


def test_signals_to_the_group_leave_environments_to_the_driver():
  with Driver([CountEnv], parallel=True) as driver:
    driver.reset(init_policy)
    driver(policy, steps=1)
    (pid,) = driver.pids
    for name in ('SIGINT', 'SIGTERM', 'SIGUSR1'):
      os.kill(pid, getattr(signal, name))
    driver(policy, steps=3)


SCRIPT = """
import sys, time
from embodied.core.driver import Driver
from embodied.tests.counting import CountEnv
if __name__ == '__main__':
  driver = Driver([CountEnv] * 2, parallel=True, processes=2)
  print(*driver.pids, flush=True)
  {then}
"""


@pytest.mark.parametrize(
  ('then', 'action'),
  [
    ('time.sleep(60)', 'SIGKILL'),
    ('time.sleep(60)', 'SIGINT'),
    ('raise SystemExit(3)', None),
  ],
  ids=['killed', 'interrupted', 'forgot to close'],
)
def test_no_orphans(tmp_path, then, action):
  path = tmp_path / 'script.py'
  path.write_text(SCRIPT.format(then=then))
  parent = subprocess.Popen(
    [sys.executable, str(path)],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env={**os.environ, 'PYTHONPATH': str(pathlib.Path.cwd())},
  )
  assert parent.stdout is not None
  pids = [int(x) for x in parent.stdout.readline().split()]
  assert len(pids) == 2
  if action:
    parent.send_signal(getattr(signal, action))
  _, stderr = parent.communicate(timeout=30)
  assert stderr.count('Traceback') == (action == 'SIGINT'), stderr
  assert 'leaked' not in stderr, stderr
  for _ in range(100):
    if not any(psutil.pid_exists(x) for x in pids):
      break
    time.sleep(0.1)
  assert not any(psutil.pid_exists(x) for x in pids)
