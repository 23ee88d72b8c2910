"""Steps N environments with one batched policy and tells observers.

For the training and evaluation loops. The environments run one after the
other in this process, or in several processes, neighbours in the same one.

  driver = Driver([make_env] * 16, parallel=True)
  driver.on_step(lambda step, worker: replay.add(step, worker))
  driver.reset(agent.init_policy)
  driver(agent.policy, steps=1000)
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dreamerv3.base.host import job

from . import base
from .env_process import Answers, EnvProcesses

Observer = Callable[[base.Step, int], object]
Policy = Callable[[base.Carry, base.Batch], tuple[base.Carry, base.Batch, base.Batch]]


class Driver:
  """Env -> policy -> observers, in lockstep.

  Args:
    make_envs: one constructor without arguments per environment.
    parallel: in other processes; constructors are sent with cloudpickle, so
      closures and lambdas are fine.
    processes: how many; 0 is one per CPU of the job. Changes no step.

  An exception of an environment ends the call with that exception (serial)
  or with an EnvError that holds its traceback and index (processes).
  """

  def __init__(
    self,
    make_envs: Sequence[Callable[[], base.Env]],
    parallel: bool = False,
    processes: int = 0,
  ) -> None:
    if not make_envs:
      raise ValueError('A driver needs at least one environment, got none.')
    self._count = len(make_envs)
    self._observers: list[Observer] = []
    self._carry: base.Carry = None
    self._ready = False
    self._envs: EnvProcesses | _Here = (
      EnvProcesses(make_envs, processes or job.cpus()) if parallel else _Here(make_envs)
    )
    self.obs_space, self.act_space = self._envs.obs_space, self._envs.act_space
    atexit.register(self.close)

  def __len__(self) -> int:
    return self._count

  @property
  def pids(self) -> list[int]:
    """Numbers of the processes of environments; none if that is this one."""
    return self._envs.pids if isinstance(self._envs, EnvProcesses) else []

  def on_step(self, observer: Observer) -> None:
    """Call observer(step, worker) after each step, in order of addition.

    For each environment in turn, all observers see its step: observation,
    action (without `reset`), the further outputs of the policy and `log/*`. Its
    arrays are those of the environment: who keeps them, copies them.
    """
    self._observers.append(observer)

  def reset(self, init_policy: Callable[[int], base.Carry]) -> None:
    """Start new episodes in all environments at the next step."""
    count = len(self)
    self._acts = {
      key: np.zeros((count, *space.shape), space.dtype)
      for key, space in self.act_space.items()
    }
    self._acts['reset'] = np.ones(count, bool)
    self._carry = init_policy(count)
    self._ready = True

  def __call__(self, policy: Policy, steps: int = 0, episodes: int = 0) -> None:
    """Run for at least so many steps and ends of episodes, over all envs."""
    if not self._ready:
      raise ValueError('Call driver.reset(init_policy) before stepping.')
    step, episode = 0, 0
    while step < steps or episode < episodes:
      lasts = self._step(policy)
      step += len(lasts)
      episode += int(lasts.sum())

  def _step(self, policy: Policy) -> np.ndarray:
    """One step of all environments; returns is_last (N,)."""
    obs, results = self._envs.step(self._acts)
    self._carry, acts, outs = policy(self._carry, obs)
    acts = {k: np.asarray(v) for k, v in acts.items()}
    self._check_actions(acts)
    lasts = obs['is_last']
    # What is chosen after the last observation is never carried out.
    acts = {k: self._mask(v, ~lasts) for k, v in acts.items()}
    self._acts = {**acts, 'reset': lasts.copy()}
    outs = {k: np.asarray(v) for k, v in outs.items()}
    chosen = {**acts, **outs}
    for worker, result in enumerate(results):
      step = {**result, **{k: v[worker] for k, v in chosen.items()}}
      for observer in self._observers:
        observer(step, worker)
    return lasts

  def _check_actions(self, acts: base.Batch) -> None:
    expected = set(self.act_space) - {'reset'}
    if set(acts) != expected:
      raise ValueError(f'The policy chose {sorted(acts)}, expected {sorted(expected)}.')
    for key, value in acts.items():
      space = self.act_space[key]
      shape = (len(self), *space.shape)
      if value.shape != shape or value.dtype != space.dtype:
        raise ValueError(
          f'Action {key!r} of the policy is {value.dtype}{list(value.shape)}, '
          f'expected {space.dtype}{list(shape)}.'
        )

  @staticmethod
  def _mask(value: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Zero the rows that are not kept; never in place."""
    keep = keep.reshape(-1, *[1] * (value.ndim - 1))
    return np.where(keep, value, np.zeros((), value.dtype))

  def close(self) -> None:
    """Close all environments and end their processes; may be called twice."""
    atexit.unregister(self.close)
    self._envs.close()

  def __enter__(self) -> Driver:
    return self

  def __exit__(self, *error: object) -> None:
    self.close()


class _Here:
  """Environments in this process, one after the other; see EnvProcesses."""

  def __init__(self, make_envs: Sequence[Callable[[], base.Env]]) -> None:
    self._envs: list[base.Env] = []
    try:
      for make_env in make_envs:
        self._envs.append(make_env())
      self.obs_space = self._envs[0].obs_space
      self.act_space = self._envs[0].act_space
    except BaseException:
      self.close()
      raise

  def step(self, acts: base.Batch) -> Answers:
    """Acts in all environments."""
    steps = [
      env.step({k: v[row] for k, v in acts.items()})
      for row, env in enumerate(self._envs)
    ]
    # Nobody asks for the logs of all environments at once.
    keys = [k for k in steps[0] if not k.startswith('log/')]
    return Answers({k: _stacked([x[k] for x in steps]) for k in keys}, steps)

  def close(self) -> None:
    """Closes them; may be called twice."""
    envs, self._envs = self._envs, []
    for env in envs:
      env.close()


def _stacked(values: list[Any]) -> np.ndarray:
  """One array of equal ones, or of scalars, in their dtype."""
  if isinstance(values[0], np.generic):
    return np.array(values)
  shape = values[0].shape
  if shape and all(x.shape == shape for x in values):  # in half the time of a stack
    return np.concatenate(values).reshape(len(values), *shape)
  return np.stack(values)
