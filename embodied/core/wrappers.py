"""Adapters between environments as they come and agents as they are.

For the factory that makes environments. Each wrapper changes one thing;
`standard` applies what every environment needs before an agent acts in it.

  env = wrappers.standard(MyEnv())
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import elements
import numpy as np

from . import base


class Wrapper(base.Env):
  """Passes everything on; attributes it lacks are those of the inner env."""

  def __init__(self, env: base.Env) -> None:
    self.env = env

  def __getattr__(self, name: str) -> Any:
    if name.startswith('__') or name == 'env':
      raise AttributeError(name)
    return getattr(self.env, name)

  @property
  def obs_space(self) -> base.Spaces:
    """Observations of the wrapped environment."""
    return self.env.obs_space

  @property
  def act_space(self) -> base.Spaces:
    """Actions of the wrapped environment."""
    return self.env.act_space

  def step(self, action: base.Step) -> base.Step:
    """A step of the wrapped environment."""
    return self.env.step(action)

  def close(self) -> None:
    """Closes the wrapped environment."""
    self.env.close()


class NormalizeAction(Wrapper):
  """Maps [-1, 1] onto the bounded range of continuous actions.

  Entries without bounds stay as they are.
  """

  def __init__(self, env: base.Env) -> None:
    super().__init__(env)
    self._ranges = {}
    for key, space in env.act_space.items():
      if not space.discrete:
        low, high = np.asarray(space.low), np.asarray(space.high)
        bounded = np.isfinite(low) & np.isfinite(high)
        low, high = np.where(bounded, low, -1), np.where(bounded, high, 1)
        self._ranges[key] = (bounded, low, high)

  @property
  def act_space(self) -> base.Spaces:
    """Bounded actions as -1 to 1."""
    spaces = dict(self.env.act_space)
    for key, (bounded, _, _) in self._ranges.items():
      low = np.where(bounded, -1, -np.inf)
      high = np.where(bounded, 1, np.inf)
      dtype, shape = spaces[key].dtype, spaces[key].shape
      spaces[key] = elements.Space(dtype, shape, low, high)
    return spaces

  def step(self, action: base.Step) -> base.Step:
    """Scales actions to the bounds of the environment."""
    if not self._ranges:
      return self.env.step(action)
    scaled = {
      key: ((action[key] + 1) / 2 * (high - low) + low).astype(
        self.env.act_space[key].dtype
      )
      for key, (_, low, high) in self._ranges.items()
    }
    return self.env.step({**action, **scaled})


class ClipAction(Wrapper):
  """Clips continuous actions to their space, for unbounded policies."""

  def __init__(self, env: base.Env) -> None:
    super().__init__(env)
    # Once: an environment may make its spaces anew at every look.
    self._continuous = {k: v for k, v in env.act_space.items() if not v.discrete}

  def step(self, action: base.Step) -> base.Step:
    """Clips continuous actions to their bounds."""
    if not self._continuous:
      return self.env.step(action)
    clipped = {
      key: np.clip(action[key], space.low, space.high).astype(space.dtype)
      for key, space in self._continuous.items()
    }
    return self.env.step({**action, **clipped})


@functools.cache
def unified_dtype(dtype: np.dtype) -> np.dtype:
  """bool and uint8 stay, other integers are int32, floats float32."""
  if dtype in (np.bool_, np.uint8):
    return np.dtype(dtype)
  if np.issubdtype(dtype, np.integer):
    return np.dtype(np.int32)
  if np.issubdtype(dtype, np.floating):
    return np.dtype(np.float32)
  raise ValueError(f'dtype {dtype}: expected bool, integer or float.')


# Scalars that are as agents know them, which most values of a step are.
_SCALARS = {np.bool_, np.uint8, np.int32, np.float32}


def _unified(value: Any) -> Any:
  """A value of an observation in the dtype that agents know."""
  value = np.asarray(value)
  return value.astype(unified_dtype(value.dtype), copy=False)


class UnifyDtypes(Wrapper):
  """Observations and actions in the dtypes that agents compute with."""

  def __init__(self, env: base.Env) -> None:
    super().__init__(env)
    self._inner = {k: v.dtype for k, v in env.act_space.items()}

  @staticmethod
  def _cast(value: Any, dtype: np.dtype) -> Any:
    if type(value) is dtype.type:
      return value
    return np.asarray(value).astype(dtype, copy=False)

  @staticmethod
  def _unify(space: elements.Space) -> elements.Space:
    dtype = unified_dtype(space.dtype)
    if dtype == space.dtype:
      return space
    low, high = space.low, space.high
    if np.issubdtype(dtype, np.integer):
      info = np.iinfo(dtype)
      low, high = np.clip(low, info.min, None), np.clip(high, None, info.max)
    return elements.Space(dtype, space.shape, low, high)

  @property
  def obs_space(self) -> base.Spaces:
    """Observations in the dtypes that agents know."""
    return {k: self._unify(v) for k, v in self.env.obs_space.items()}

  @property
  def act_space(self) -> base.Spaces:
    """Actions in the dtypes that agents know."""
    return {k: self._unify(v) for k, v in self.env.act_space.items()}

  def step(self, action: base.Step) -> base.Step:
    """Casts actions on the way in, observations on the way out."""
    action = {k: self._cast(v, self._inner[k]) for k, v in action.items()}
    obs = self.env.step(action)
    # Asked here, without a call for each of some dozens of values.
    cast = {k: _unified(v) for k, v in obs.items() if v.__class__ not in _SCALARS}
    return {**obs, **cast}


class CheckSpaces(Wrapper):
  """Raises ValueError when an action or observation leaves its space."""

  def __init__(self, env: base.Env) -> None:
    super().__init__(env)
    self._act = {k: Limits.of(v) for k, v in env.act_space.items()}
    self._obs = {k: Limits.of(v) for k, v in env.obs_space.items()}
    self._seen: tuple[list[str], list[type]] | None = None
    self._rest = self._obs  # of which the class does not say all

  def step(self, action: base.Step) -> base.Step:
    """Raises for a key, shape, dtype or value outside of its space."""
    self._check('action', action, self._act)
    obs = self.env.step(action)
    # Keys and classes are mostly those of the step before, and say all of most.
    seen = [*obs], [*map(type, obs.values())]
    if seen == self._seen:
      self._check('observation', obs, self._rest)
      return obs
    if not obs.keys() <= self._obs.keys():
      extra = sorted(set(obs) - set(self._obs))
      raise ValueError(f'Observation keys {extra} are not in obs_space.')
    self._check('observation', obs, self._obs)
    self._seen = seen
    self._rest = {k: v for k, v in self._obs.items() if type(obs[k]) is not v.free}
    return obs

  @staticmethod
  def _check(kind: str, values: base.Step, spaces: Mapping[str, 'Limits']) -> None:
    for key, limits in spaces.items():
      value = values.get(key)
      if value is None:
        raise ValueError(f'{kind} {key!r} is missing; got {sorted(values)}.')
      if not limits.hold(value):
        raise ValueError(limits.broken(f'{kind} {key!r}', np.asarray(value)))


class Limits(NamedTuple):
  """What values of a space are; scalars are looked at most, some dozens per step.

  Attributes:
    space: the space.
    low, high: the least and the largest value, None where there is no such bound.
    real: whether it may be NaN, which is in no space.
    scalar: class of numpy's scalars of its dtype, None where it has a shape.
    free: the same, None where not every scalar of it will do.
  """

  space: elements.Space
  low: Any
  high: Any
  real: bool
  scalar: type | None = None
  free: type | None = None

  @classmethod
  def of(cls, space: elements.Space) -> Self:
    """The limits of a space."""
    low, high = _limits(space)
    real = bool(np.issubdtype(space.dtype, np.floating))
    if space.shape:
      return cls(space, low, high, real)
    low, high = (None if x is None else x.item() for x in (low, high))
    scalar = space.dtype.type
    free = scalar if low is None and high is None and not real else None
    return cls(space, low, high, real, scalar, free)

  def hold(self, value: Any) -> bool:
    """Whether a value is in the space."""
    low, high, real = self.low, self.high, self.real
    # NaN alone does not equal itself.
    if value.__class__ is self.scalar:
      inside = (low is None or value >= low) and (high is None or value <= high)
      return inside and (not real or value == value)
    value = np.asarray(value)
    if value.shape != self.space.shape or value.dtype != self.space.dtype:
      return False
    if real and not (value == value).all():
      return False
    above = low is None or bool((value >= low).all())
    return above and (high is None or bool((value <= high).all()))

  def broken(self, name: str, value: np.ndarray) -> str:
    """Why a value is not in the space."""
    space = self.space
    if value.shape != space.shape or value.dtype != space.dtype:
      return (
        f'{name} is {value.dtype}{list(value.shape)}, '
        f'its space {space.dtype}{list(space.shape)}.'
      )
    return (
      f'{name} has values {value.min()} to {value.max()}, its '
      f'space {np.min(space.low)} to {np.max(space.high)} '
      '(of integers the upper bound is exclusive).'
    )


def _limits(space: elements.Space) -> tuple:
  """Inclusive (low, high) of a space, None where no value of it lies outside."""
  if space.dtype == np.bool_:
    return None, None
  low, high = np.asarray(space.low), np.asarray(space.high)
  if np.issubdtype(space.dtype, np.integer):
    # `high` is one above the largest value, unless that does not fit.
    info = np.iinfo(space.dtype)
    high = np.where(high == info.max, high, high - 1)
    return (
      None if np.all(low == info.min) else low,
      None if np.all(high == info.max) else high,
    )
  return (
    None if np.all(low == -np.inf) else low,
    None if np.all(high == np.inf) else high,
  )


def standard(env: base.Env) -> base.Env:
  """What every environment gets, from the inside out."""
  env = NormalizeAction(env)
  env = UnifyDtypes(env)
  env = CheckSpaces(env)
  return ClipAction(env)


def checked(env: base.Env) -> base.Env:
  """An environment whose spaces are checked, once, if `standard` did so or not."""
  inner: Any = env
  while isinstance(inner, Wrapper):
    if isinstance(inner, CheckSpaces):
      return env
    inner = inner.env
  return CheckSpaces(env)
