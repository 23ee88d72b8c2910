"""Where arrays live: one mesh axis over devices, batch split, state copied.

Data parallelism is these placements and `shards`: every device computes on
its rows of the batch, and what all need is averaged or gathered there.

  place = Placement([0, 1])
  step = place.jit(fun, ins='sbb', outs='sb', donate=(0,))
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from . import shards


class Placement:
  """Shardings over some devices of every process.

  Args:
    indices: which local devices of each process to use.

  Attributes:
    whole: a copy on every device ('s' for state).
    split: leading axis cut over all devices ('b' for batch).
    size: number of devices of all processes.
  """

  def __init__(self, indices: Sequence[int], shared: bool = True):
    local = jax.local_devices()
    bad = [i for i in indices if not 0 <= i < len(local)]
    if bad or not indices:
      raise ValueError(
        f'devices {list(indices)}: this process sees {len(local)} '
        f'({[str(x) for x in local]})'
      )
    devices = [local[i] for i in indices]
    self.shared = shared and jax.process_count() > 1
    if self.shared:
      # Device ids differ between processes; places in their lists do not.
      devices = [
        jax.local_devices(process)[i]
        for process in range(jax.process_count())
        for i in indices
      ]
    self.mesh = Mesh(np.array(devices), (shards.AXIS,))
    self.size = len(devices)
    self.whole = NamedSharding(self.mesh, PartitionSpec())
    self.split = NamedSharding(self.mesh, PartitionSpec(shards.AXIS))

  def jit(
    self, fun: Callable, ins: str, outs: str, donate: tuple[int, ...] = ()
  ) -> Callable:
    """Compile fun, a letter per argument and result: s(tate) or b(atch)."""
    kinds = {'s': self.whole, 'b': self.split}
    args = tuple(kinds[x] for x in ins)
    results = tuple(kinds[x] for x in outs) if len(outs) > 1 else kinds[outs]
    specs = jax.tree.map(lambda x: x.spec, (args, results))
    return jax.jit(
      shards.run(fun, self.mesh, *specs),
      in_shardings=args,
      out_shardings=results,
      donate_argnums=donate,
    )

  def check(self, batch: int) -> None:
    """ValueError if this many local rows cannot be split."""
    local = self.size // (jax.process_count() if self.shared else 1)
    if batch % local:
      raise ValueError(f'batch of {batch} does not divide over {local} devices')

  def put_state(self, tree: Any) -> Any:
    """Host arrays, equal in every process, to a copy on every device."""
    if not self.shared:
      return jax.device_put(tree, self.whole)
    return jax.tree.map(
      lambda x: jax.make_array_from_process_local_data(
        self.whole, np.asarray(x), np.shape(x)
      ),
      tree,
    )

  def put_batch(self, tree: Any) -> Any:
    """This process's rows to its devices."""
    if not self.shared:
      return jax.device_put(tree, self.split)
    return jax.tree.map(
      lambda x: jax.make_array_from_process_local_data(self.split, np.asarray(x)),
      tree,
    )

  def send(self, tree: Any) -> None:
    """Begin to copy arrays to the host, as soon as they are computed."""
    for x in jax.tree.leaves(tree):
      x.copy_to_host_async()

  def get(self, tree: Any) -> Any:
    """Numpy arrays; of split arrays, the rows of this process."""
    if not self.shared:
      return jax.device_get(tree)
    return jax.tree.map(_local, tree)


def _local(x: Any) -> np.ndarray:
  """Rows of a global array that live in this process, in order."""
  if not isinstance(x, jax.Array) or x.is_fully_replicated:
    return np.asarray(x.addressable_data(0) if hasattr(x, 'sharding') else x)
  shards = {s.index[0].start or 0: s.data for s in x.addressable_shards}
  return np.concatenate([np.asarray(shards[k]) for k in sorted(shards)])
