"""Which devices act and which train? JAX brought up as the settings say.

For the agent, and for whoever wants to know before there is one.

  devices = bring_up(config)
  devices.train.put_batch(batch)
"""

import dataclasses

import elements
import jax.numpy as jnp

from . import setup, transform


@dataclasses.dataclass(frozen=True)
class Devices:
  """What the settings `jax` come to on this machine.

  Attributes:
    backend: 'cpu' or 'gpu'.
    dtype: to compute in.
    unroll: steps of a loop over time that are compiled as one.
    ahead: batches that are made ready while others are learned from.
    train: over the devices that train, of all processes.
    act: over the devices of this process that act.
  """

  backend: str
  dtype: jnp.dtype
  unroll: int
  ahead: int
  train: transform.Placement
  act: transform.Placement


def bring_up(config: elements.Config) -> Devices:
  """Start JAX, together with the other processes of a run; may be repeated.

  Args:
    config: has jax, replica, replicas.

  Raises:
    ValueError: a device or platform that is not there.
  """
  options = config.jax
  names = (
    'platform',
    'mock_devices',
    'prealloc',
    'jit',
    'debug',
    'expect_devices',
    'cache',
    'coordinator_address',
  )
  used = (*options.train_devices, *options.policy_devices)
  backend = setup.setup(
    **{k: options[k] for k in names},
    replica=config.replica,
    replicas=config.replicas,
    devices=1 + max(used),
  )
  dtype = setup.dtype_of(options.compute_dtype, backend)
  setup.precise(options.matmul_precision, backend, dtype)
  return Devices(
    backend,
    dtype,
    options.unroll or (1 if backend == 'cpu' else 4),
    options.prefetch or (1 if backend == 'cpu' else 2),
    transform.Placement(options.train_devices),
    transform.Placement(options.policy_devices, shared=False),
  )
