"""CPU or GPU? Asks the driver, before JAX takes hold of anything.

platform, line = choose('auto')  # ('cpu', 'JAX runs on the CPU ...')
"""

import ctypes
import dataclasses
import importlib.util

from dreamerv3.base.errors import UserError

PLUGINS = ('jax_cuda13_plugin', 'jax_cuda12_plugin')
MOST = 8  # devices of a CPU, each with a copy of the agent


@dataclasses.dataclass(frozen=True)
class Gpus:
  """GPUs that this process may use (CUDA_VISIBLE_DEVICES counts).

  Attributes:
    memory: what each has [bytes].
    plugin: Whether JAX can use them.
    free: what nobody uses now of each [bytes].
  """

  memory: tuple[int, ...]
  plugin: bool
  free: tuple[int, ...] = ()


def find_gpus() -> Gpus:
  """Asks the CUDA driver; without one there are none."""
  plugin = any(importlib.util.find_spec(x) is not None for x in PLUGINS)
  try:
    cuda = ctypes.CDLL('libcuda.so.1')
  except OSError:
    return Gpus((), plugin)
  count = ctypes.c_int()
  if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
    return Gpus((), plugin)
  sizes, free = [], []
  for index in range(count.value):
    device, size = ctypes.c_int(), ctypes.c_size_t()
    address = ctypes.create_string_buffer(32)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    cuda.cuDeviceGetPCIBusId(address, len(address), device)
    sizes.append(size.value)
    free.append(min(size.value, _free(address.value, size.value)))
  return Gpus(tuple(sizes), plugin, tuple(free))


class _Memory(ctypes.Structure):  # nvmlMemory_t
  _fields_ = [(x, ctypes.c_ulonglong) for x in ('total', 'free', 'used')]


def _free(address: bytes, otherwise: int) -> int:
  """Unused bytes of the GPU at a PCI address, as the driver's library says.

  The CUDA driver itself would have to take some of the memory to tell.
  """
  try:
    nvml = ctypes.CDLL('libnvidia-ml.so.1')
  except OSError:
    return otherwise
  handle, found = ctypes.c_void_p(), _Memory()
  failed = (
    nvml.nvmlInit_v2()
    or nvml.nvmlDeviceGetHandleByPciBusId_v2(address, ctypes.byref(handle))
    or nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(found))
  )
  return otherwise if failed else found.free


def choose(
  wanted: str, gpus: Gpus | None = None, by: str = '--jax.platform'
) -> tuple[str, str]:
  """Platform for JAX, 'cpu' or 'cuda', and a line that says why.

  Args:
    wanted: auto, cpu or cuda.
    gpus: those there are; found by default.
    by: the setting that wants it.

  Raises:
    UserError: cuda where there is none.
  """
  if wanted == 'cpu':
    return 'cpu', 'JAX runs on the CPU, as asked.'
  gpus = gpus or find_gpus()
  number = len(gpus.memory)
  if number and gpus.plugin:
    sizes = ', '.join(f'{x / 1024**3:.0f} GiB' for x in gpus.memory)
    return 'cuda', f'JAX runs on the GPU ({number} visible: {sizes}).'
  why = (
    'there is a GPU, but not the CUDA plugin of JAX: pip install -r '
    'requirements-cuda.txt'
    if number
    else 'no GPU is visible'
  )
  if wanted == 'cuda':
    raise UserError(
      f'{by} {wanted} cannot be had ({why}); --jax.platform cpu runs on the CPU.'
    )
  return 'cpu', f'JAX runs on the CPU: {why}.'


def split_cpu(batch: int, cores: int) -> int:
  """How many devices a CPU should be, for batches of this size.

  Most operations keep one core busy, so cores as devices that share a batch
  are faster than one device of all cores (docs/performance.md).

  Args:
    batch: Sequences of one update, or environments, which the devices divide.
    cores: Those of this process.
  """
  return max(x for x in range(1, min(cores, MOST) + 1) if batch % x == 0)
