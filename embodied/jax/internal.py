"""Small machinery shared by the layers: random keys, named taps, frozen state.

For whoever writes a layer or a model.

  with taps() as found: model.policy(...)  # found['enc/cnn0'] is an activation
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ninjax as nj
from jax.ad_checkpoint import checkpoint_name

from . import shards

sg = jax.lax.stop_gradient

_FOUND: contextvars.ContextVar[dict[str, jax.Array] | None] = contextvars.ContextVar(
  'taps', default=None
)
_UNROLL: contextvars.ContextVar[int] = contextvars.ContextVar('unroll', default=1)


@contextlib.contextmanager
def taps() -> Iterator[dict[str, jax.Array]]:
  """Collect every `tap` of the code traced inside, by name.

  Use it inside the function that is compiled and return the dict from there.
  Without this context a tap is nothing at all. Values inside a scan cannot
  leave it, so taps are off there (see `scan`).
  """
  found: dict[str, jax.Array] = {}
  token = _FOUND.set(found)
  try:
    yield found
  finally:
    _FOUND.reset(token)


def tap(name: str, value: jax.Array) -> jax.Array:
  """Offer an activation under a name; returns the value itself."""
  found = _FOUND.get()
  if found is not None:
    found[name] = value
  return value


def split(key: jax.Array | None, num: int) -> Any:
  """`num` independent keys of one key, of each row's key, or of no key.

  Args:
    key: None (take the mode everywhere), one key (), or one key per row (B,).

  Returns:
    An indexable with leading axis (num,), or a list of None.
  """
  if key is None:
    return [None] * num
  if key.ndim:
    return jax.vmap(lambda k: jax.random.split(k, num), out_axes=1)(key)
  return jax.random.split(key, num)


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Uniform numbers in [0, 1), float32; with keys (B,), row i from key i."""
  if key.ndim:
    assert shape[0] == key.shape[0], (shape, key.shape)
    return jax.vmap(lambda k: jax.random.uniform(k, shape[1:]))(key)
  return shards.draw(lambda whole: jax.random.uniform(key, whole), shape)


def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Standard normal numbers, float32; with keys (B,), row i from key i."""
  if key.ndim:
    assert shape[0] == key.shape[0], (shape, key.shape)
    return jax.vmap(lambda k: jax.random.normal(k, shape[1:]))(key)
  return shards.draw(lambda whole: jax.random.normal(key, whole), shape)


def keys_from_seeds(seeds: jax.Array) -> jax.Array:
  """Keys (...) from pairs of uint32 seeds (..., 2)."""
  return jax.random.wrap_key_data(seeds, impl='threefry2x32')


def seeded(fun: Callable) -> Callable:
  """`fun`, its last argument pairs of uint32 seeds in place of keys."""

  @functools.wraps(fun)
  def run(*args: Any) -> Any:
    return fun(*args[:-1], keys_from_seeds(args[-1]))

  return run


def unrolled(fun: Callable, steps: int) -> Callable:
  """`fun`, in which `steps` steps of each `scan` are compiled as one.

  On a GPU the steps of a loop are so small that starting their kernels takes
  most of the time; of several steps at once the compiler fuses some.
  """

  @functools.wraps(fun)
  def run(*args: Any) -> Any:
    token = _UNROLL.set(steps)
    try:
      return fun(*args)
    finally:
      _UNROLL.reset(token)

  return run


def unroll() -> int:
  """How many steps of a loop the code being traced should take as one."""
  return _UNROLL.get()


def scan(body: Callable, carry: Any, xs: Any, **kwargs: Any) -> Any:
  """jax.lax.scan over a body that reads parameters of ninjax modules.

  Parameters are constants of the loop. Where the context creates parameters,
  the body runs once outside the loop, so that they are not born inside it.
  """
  token = _FOUND.set(None)
  try:
    if nj.creating():
      return _once(body, carry, xs)
    return jax.lax.scan(body, carry, xs, unroll=unroll(), **kwargs)
  finally:
    _FOUND.reset(token)


def _once(body: Callable, carry: Any, xs: Any) -> Any:
  """One step of a scan, its output repeated to the length of the scan."""
  length = len(jax.tree.leaves(xs)[0])
  carry, y = body(carry, jax.tree.map(lambda x: x[0], xs))
  return carry, jax.tree.map(lambda x: jnp.stack([x] * length), y)


def kept(x: jax.Array) -> jax.Array:
  """Mark a value that `in_pieces` keeps for the derivative."""
  return checkpoint_name(x, 'kept')


def in_pieces(fun: Callable, rows: int, *args: jax.Array) -> jax.Array:
  """fun(*args) for `rows` rows at a time, keeping what is marked as `kept`.

  The derivative computes the other values of a piece once more. While they
  fit into the cache that is cheaper on a CPU than to keep them.

  Args:
    fun: of arrays (N, ...), row by row the same; reads parameters.
    rows: of a piece; divides N.
  """
  pieces = args[0].shape[0] // rows
  if pieces == 1 or nj.creating() or _FOUND.get() is not None:
    return fun(*args)
  cut = [x.reshape((pieces, rows, *x.shape[1:])) for x in args]
  policy = jax.checkpoint_policies.save_only_these_names('kept')

  @functools.partial(jax.checkpoint, policy=policy)
  def one(xs: list[jax.Array]) -> jax.Array:
    return fun(*xs)

  _, found = jax.lax.scan(lambda _, xs: ((), one(xs)), (), cut)
  return found.reshape((-1, *found.shape[2:]))


def frozen(fun: Callable, *args: Any, **kwargs: Any) -> Any:
  """Call fun with all parameters held constant: no gradient, no derivative.

  Cheaper than stopping the gradient of the result, since the derivative of
  what happens inside is never traced.
  """
  context = nj.context()
  if context.create:
    return fun(*args, **kwargs)
  held = {k: sg(v) for k, v in context.items()}
  _, out = nj.pure(fun, nested=True)(held, *args, modify=False, **kwargs)
  return out
