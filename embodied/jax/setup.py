"""Bring JAX up: platform, devices, memory, compile cache, other nodes.

For the agent, once per process, before any array is made.

  setup(platform='auto')  # 'cpu' or 'gpu'
"""

from __future__ import annotations

import ctypes
import functools
import os

import jax
import jax.monitoring
import jax.numpy as jnp
from jax.experimental import multihost_utils
from jax.extend.backend import clear_backends

from . import cache as compiled

PRECISIONS = ('auto', 'default', 'high', 'highest')
_DTYPES = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}


def setup(
  platform: str = 'auto',
  mock_devices: int = 0,
  prealloc: bool = True,
  jit: bool = True,
  debug: bool = False,
  expect_devices: int = 0,
  cache: str = 'off',
  coordinator_address: str = '',
  replica: int = 0,
  replicas: int = 1,
  devices: int = 1,
) -> str:
  """Configure JAX and return the platform in use, 'cpu' or 'gpu'.

  XLA_FLAGS and other variables that the user has set stay as they are.

  Args:
    platform: auto takes a GPU if JAX can use one, or what the variable
      JAX_PLATFORMS says; cpu and cuda insist.
    mock_devices: split the CPU into so many devices, if above 0.
    prealloc: let JAX reserve most of the GPU memory at once.
    jit: compile; False runs operation by operation.
    debug: stop at the first NaN.
    expect_devices: fail unless JAX sees so many in all, if not 0.
    cache: where compiled programs stay (`cache.enable`).
    coordinator_address: host:port of replica 0; '' on several replicas asks
      the cluster (SLURM, Open MPI or Kubernetes, by jax.distributed).
    replica, replicas: index of this process, and their number.
    devices: how many GPUs each of several processes takes.
  """
  if platform not in ('auto', 'cpu', 'cuda'):
    raise ValueError(f'jax.platform {platform!r}: expected auto, cpu or cuda')
  if not prealloc:
    os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
  if platform != 'auto':
    jax.config.update('jax_platforms', platform)
  if mock_devices > 0:
    be_patient()
    jax.config.update('jax_num_cpu_devices', mock_devices)
  jax.config.update('jax_disable_jit', not jit)
  jax.config.update('jax_debug_nans', debug)
  compiled.enable(cache)
  if replicas > 1:
    distribute(coordinator_address, replica, replicas, devices)
  backend = _backend(platform, alone=replicas == 1)
  if backend == 'cpu':
    keep_memory()
  if expect_devices and jax.device_count() != expect_devices:
    raise ValueError(
      f'jax.expect_devices {expect_devices}: JAX sees {jax.device_count()} '
      f'{backend} devices'
    )
  return backend


@functools.cache
def keep_memory() -> None:
  """Let the C library keep freed memory, for the next step to use.

  On the CPU, XLA takes its working memory anew for every step. Without this,
  glibc hands it back to the system in between, and the system clears gigabytes
  page by page. What a compilation took is handed back, since no step needs
  it: a gigabyte. Other C libraries are left as they are.
  """
  library = ctypes.CDLL(None)
  if not hasattr(library, 'mallopt') or not hasattr(library, 'malloc_trim'):
    return
  trim_threshold, mmap_max = -1, -4  # from malloc.h
  library.mallopt(trim_threshold, 2**31 - 1)
  library.mallopt(mmap_max, 0)

  def done(event: str, duration_secs: float, **_: str | int) -> None:
    if event.endswith('backend_compile_duration') and duration_secs > 1:
      library.malloc_trim(0)

  jax.monitoring.register_event_duration_secs_listener(done)


def be_patient() -> None:
  """Let devices of a CPU wait for each other as long as it takes.

  XLA aborts the process when one is a minute late, as it can be on a machine
  with other work. What the user has set in XLA_FLAGS stays.
  """
  flag = '--xla_cpu_collective_call_terminate_timeout_seconds'
  flags = os.environ.get('XLA_FLAGS', '')
  if flag not in flags:
    os.environ['XLA_FLAGS'] = f'{flags} {flag}={24 * 3600}'.strip()


def _backend(platform: str, alone: bool) -> str:
  try:
    return jax.default_backend()
  except (RuntimeError, AssertionError) as error:
    if platform == 'cuda':
      raise ValueError(
        'jax.platform cuda: JAX sees no GPU; use --jax.platform cpu'
      ) from error
    if platform == 'cpu' or not alone or os.environ.get('JAX_PLATFORMS'):
      raise ValueError(f'jax.platform {platform}: {error}') from error
    print(f'JAX runs on the CPU, since it cannot start: {error}', flush=True)
    clear_backends()
    jax.config.update('jax_platforms', 'cpu')
    return jax.default_backend()


def distribute(address: str, replica: int, replicas: int, devices: int = 1) -> None:
  """Join the other processes of this run, once per process.

  Under SLURM the address, the number of processes and this one's index are
  read from its environment where they are not given.
  """
  if jax.distributed.is_initialized():
    return
  ids = local_devices(devices)
  # That service takes SIGTERM for itself: the run would neither save nor stop.
  jax.config.update('jax_enable_preemption_service', False)
  if address:
    jax.distributed.initialize(address, replicas, replica, ids)
  else:
    jax.distributed.initialize(local_device_ids=ids)
  if jax.process_count() != replicas:
    raise ValueError(
      f'replicas {replicas}: {jax.process_count()} processes have joined'
    )
  # Now, while they are together: connecting has a short limit, and later one
  # process may wait minutes for the compilation of another.
  multihost_utils.sync_global_devices('joined')


def local_devices(devices: int) -> list[int] | None:
  """Which of the visible GPUs are this process's, None to leave it to JAX.

  JAX by itself takes the one with the number of the task on its node, also
  where SLURM shows each task its own GPUs alone, and where tasks have several.
  """
  if 'JAX_LOCAL_DEVICE_IDS' in os.environ:
    return None
  task = int(os.environ.get('SLURM_LOCALID', 0))
  visible = os.environ.get('CUDA_VISIBLE_DEVICES')
  bound = visible is not None and visible.count(',') + 1 < devices * (task + 1)
  first = 0 if bound else devices * task
  return list(range(first, first + devices))


def dtype_of(name: str, backend: str) -> jnp.dtype:
  """The compute dtype: auto is float32 on the CPU, bfloat16 on a GPU."""
  if name == 'auto':
    name = 'float32' if backend == 'cpu' else 'bfloat16'
  if name not in _DTYPES:
    raise ValueError(f'jax.compute_dtype {name!r}: expected auto, float32 or bfloat16')
  return jnp.dtype(_DTYPES[name])


def precise(name: str, backend: str, dtype: jnp.dtype) -> None:
  """Set what a GPU may round float32 to in matrix products and convolutions.

  A GPU by itself rounds their inputs to TF32, 10 bits in place of 23. Who asks
  for float32 wants its digits, so that `auto` is highest there; where products
  are of bfloat16 it is the default, since little is left in float32. A CPU
  does not round.

  Args:
    name: auto; default (TF32 where there is one); high (three products of
      bfloat16, or TF32); highest (float32).
    backend: 'cpu' or 'gpu'.
    dtype: to compute in.
  """
  if name not in PRECISIONS:
    raise ValueError(
      f'jax.matmul_precision {name!r}: expected one of {", ".join(PRECISIONS)}'
    )
  if backend == 'cpu':
    return
  auto = 'highest' if dtype == jnp.float32 else 'default'
  wanted = auto if name == 'auto' else name
  jax.config.update('jax_default_matmul_precision', wanted)
