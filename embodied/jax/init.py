"""How parameters are drawn: by numpy, on the host, each from its own stream.

Building a model only records a recipe per parameter (`parameter`), and `draw`
turns recipes into arrays. So the start needs no compilation, every process of
a run draws the same numbers, and adding a layer changes no other layer.

  params = draw(record(model.create), seed=0)
"""

import contextvars
import dataclasses
import math
import zlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np

Shape = tuple[int, ...]

_TRUNCATION = 2.0  # in standard deviations
_CORRECTION = 1.1368  # 1 / standard deviation of a normal cut at +-2


@dataclasses.dataclass(frozen=True)
class Recipe:
  """A distribution by name, e.g. trunc_normal_in, and a factor on its scale.

  `name` is zeros, ones, or {normal, trunc_normal, uniform}_{in, out, avg}:
  variance scale^2 / fan, where fan counts the inputs of the whole layer, its
  outputs, or their mean.
  """

  name: str
  scale: float = 1.0

  def __post_init__(self) -> None:
    dist, _, fan = self.name.rpartition('_')
    known = dist in ('normal', 'trunc_normal', 'uniform')
    if self.name not in ('zeros', 'ones') and not (known and fan in _FANS):
      raise ValueError(
        f'winit {self.name!r}: expected zeros, ones, or one of normal, '
        f'trunc_normal, uniform with _in, _out or _avg'
      )

  def draw(self, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """A float32 array."""
    if self.name in ('zeros', 'ones') or not self.scale:
      return np.full(shape, float(self.name == 'ones'), np.float32)
    dist, _, fan = self.name.rpartition('_')
    scale = self.scale / math.sqrt(_FANS[fan](*fans(shape)))
    if dist == 'uniform':
      limit = scale * math.sqrt(3)
      return rng.uniform(-limit, limit, shape).astype(np.float32)
    array = rng.standard_normal(shape, np.float32)
    if dist == 'trunc_normal':
      scale *= _CORRECTION
      flat = array.reshape(-1)
      outside = np.flatnonzero(np.abs(flat) > _TRUNCATION)
      while outside.size:
        flat[outside] = rng.standard_normal(outside.size, np.float32)
        outside = outside[np.abs(flat[outside]) > _TRUNCATION]
    array *= np.float32(scale)
    return array


_FANS: dict[str, Callable[[float, float], float]] = {
  'in': lambda fan_in, _: fan_in,
  'out': lambda _, fan_out: fan_out,
  'avg': lambda fan_in, fan_out: (fan_in + fan_out) / 2,
}


def fans(shape: Shape) -> tuple[int, int]:
  """Inputs and outputs of a layer from the shape of its kernel.

  A kernel of more than two axes counts its leading axes on both sides. For a
  block-diagonal kernel (g, in/g, out/g) this is the width of the whole input.
  """
  if len(shape) == 0:
    return 1, 1
  if len(shape) == 1:
    return 1, shape[0]
  space = math.prod(shape[:-2])
  return shape[-2] * space, shape[-1] * space


_RECIPES: contextvars.ContextVar[dict[str, tuple[Recipe, Shape]] | None]
_RECIPES = contextvars.ContextVar('recipes', default=None)


def parameter(module: nj.Module, name: str, recipe: Recipe, shape: Shape) -> jax.Array:
  """The float32 parameter `module.path/name`, recorded where it is new."""

  def make() -> jax.Array:
    recipes = _RECIPES.get()
    assert recipes is not None, 'parameters are created inside record()'
    recipes[f'{module.path}/{name}'] = (recipe, shape)
    return jnp.zeros(shape, jnp.float32)

  return module.value(name, make)


def record(fun: Callable[[], object]) -> dict[str, tuple[Recipe, Shape]]:
  """The recipe and shape of every parameter that fun creates, by name.

  fun is only traced with abstract values: no memory, no compilation.
  """
  recipes: dict[str, tuple[Recipe, Shape]] = {}
  token = _RECIPES.set(recipes)
  try:
    jax.eval_shape(lambda: nj.pure(fun)({}, create=True)[0])
  finally:
    _RECIPES.reset(token)
  return recipes


def draw(recipes: dict[str, tuple[Recipe, Shape]], seed: int) -> dict[str, np.ndarray]:
  """Draw all parameters, each from numpy's stream (seed, 0, name)."""
  params = {}
  for name, (recipe, shape) in sorted(recipes.items()):
    rng = np.random.default_rng([seed, 0, zlib.crc32(name.encode())])
    params[name] = recipe.draw(shape, rng)
  return params
