"""One batch over several devices: each computes on its own rows.

For functions that `run` has put on the devices of a mesh. Code inside sees the
rows of one device, and says itself where devices have to meet. On one device
every function here hands back what it was given.

  step = run(step, mesh, in_specs, out_specs)
  grads = mean(jax.grad(loss)(params, rows))  # inside step

Nothing of this may stand in a loop over time: one sum of all gradients costs
a fraction of many small ones, and on the CPU XLA promises no order between the
sums of a loop and those beside it, so that processes mix them up.
"""

import contextvars
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

AXIS = 'batch'

_DEVICES: contextvars.ContextVar[int] = contextvars.ContextVar('devices', default=1)


def run(fun: Callable, mesh: Mesh, in_specs: Any, out_specs: Any) -> Callable:
  """`fun` on every device of the mesh, with its part of the arguments.

  Args:
    fun: of arrays; results that are not split must be equal on all devices.
    mesh: with the one axis AXIS.
    in_specs, out_specs: a PartitionSpec per argument and per result.
  """

  def on_one(*args: Any) -> Any:
    token = _DEVICES.set(mesh.size)
    try:
      return fun(*args)
    finally:
      _DEVICES.reset(token)

  if mesh.size == 1:
    return fun
  return jax.shard_map(
    on_one,
    mesh=mesh,
    in_specs=in_specs,
    out_specs=out_specs,
    check_vma=False,
  )


def count() -> int:
  """Devices that share the batch of the code being traced."""
  return _DEVICES.get()


def mean(tree: Any) -> Any:
  """The mean over devices of each array; equal rows per device."""
  return tree if count() == 1 else jax.lax.pmean(tree, AXIS)


def whole(x: jax.Array) -> jax.Array:
  """The rows (B / devices, ...) of all devices, in their order: (B, ...)."""
  if count() == 1:
    return x
  return jax.lax.all_gather(x, AXIS, tiled=True)


def draw(
  sample: Callable[[tuple[int, ...]], jax.Array], shape: tuple[int, ...]
) -> jax.Array:
  """This device's rows of the numbers that one device would draw.

  Args:
    sample: shape -> random numbers; called for the rows of all devices, so
      that results do not depend on how many there are.
    shape: (rows of this device, ...).
  """
  if count() == 1:
    return sample(shape)
  everything = sample((shape[0] * count(), *shape[1:]))
  start = jax.lax.axis_index(AXIS) * shape[0]
  return jax.lax.dynamic_slice_in_dim(everything, start, shape[0])
