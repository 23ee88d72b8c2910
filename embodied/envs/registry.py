"""Which environment does a task name mean?

For the program that makes environments:

  env = make('crafter_reward', area=(32, 32), seed=env_seed(0, index=3))

A new environment is a row in ENVS and a class that passes the EnvContract.
"""

import difflib
import importlib
import inspect
from typing import TYPE_CHECKING, Any

from embodied.core import base

if TYPE_CHECKING:
  from collections.abc import Callable

ENVS = {
  'crafter': 'embodied.envs.crafter:Crafter',
  'dummy': 'embodied.envs.dummy:Dummy',
  'grid': 'embodied.envs.grid:GridWorld',
}


def make(task: str, **settings: Any) -> base.Env:
  """Make the environment of a task.

  Args:
    task: '<suite>_<task>', such as crafter_reward; the suite is a key of ENVS.
    settings: arguments of the environment's class.

  Raises:
    ValueError: unknown suite or setting, or a value that it refuses.
  """
  suite, _, name = task.partition('_')
  constructor: Callable[..., base.Env] = resolve(suite)
  known = [*inspect.signature(constructor).parameters][1:]
  for setting in settings:
    if setting not in known:
      raise ValueError(
        f'{suite} has no setting {setting!r}{_nearest(setting, known)}; '
        f'it has {", ".join(known)}'
      )
  return constructor(name, **settings)


def resolve(suite: str) -> type[base.Env]:
  """The class of a suite; imports it alone."""
  if suite not in ENVS:
    raise ValueError(
      f'unknown environment {suite!r}{_nearest(suite, [*ENVS])}; '
      f'there are {", ".join(ENVS)}'
    )
  module, _, name = ENVS[suite].partition(':')
  return getattr(importlib.import_module(module), name)


def env_seed(seed: int, index: int) -> int:
  """Seed of environment `index` of a run: hash((seed, index)) % (2**32 - 1).

  CPython's hash of a tuple of ints is the same in every process and does not
  depend on PYTHONHASHSEED.
  """
  return hash((seed, index)) % (2**32 - 1)


def _nearest(name: str, known: list[str]) -> str:
  found = difflib.get_close_matches(name, known, 1)
  return f', did you mean {found[0]!r}?' if found else ''
