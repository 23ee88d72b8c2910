"""Which device does the next fit? The one that has had the least to do.

  pool = FitDevices(devices('cuda'))
  with pool.take() as device: ...

For `layers`: fits differ in cost by a factor of ten, so that taking turns
would leave all the long ones on one GPU.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from dreamerv3.analysis.arrays import Arrays
from dreamerv3.base.errors import UserError


def on(device: str) -> Arrays:
  """The arrays of a device, 'cpu' or 'cuda:k'."""
  if device == 'cpu':
    return Arrays()
  from dreamerv3.analysis.torch_arrays import TorchArrays

  return TorchArrays(device)


def devices(name: str) -> list[str]:
  """The devices to spread fits over: ['cpu'] or every GPU that torch sees.

  Raises:
    UserError: torch is not installed, or sees no GPU.
  """
  if name == 'cpu':
    return ['cpu']
  try:
    import torch
  except ImportError as error:
    raise UserError(
      '`device` cuda needs torch, which is not installed; '
      '`pip install -r requirements-cuda.txt`, or use `device` cpu.'
    ) from error
  count = torch.cuda.device_count() if torch.cuda.is_available() else 0
  if not count:
    raise UserError('`device` cuda, but torch sees no GPU here; use `device` cpu.')
  return [f'cuda:{i}' for i in range(count)]


def free(device: str) -> float:
  """Bytes of a GPU's memory that are free."""
  import torch

  return float(torch.cuda.mem_get_info(device)[0])


class FitDevices:
  """Lends devices to threads: the least loaded, then the least used.

  Args:
    names: devices, of one kind: numbers must not depend on which is taken.
    clock: seconds, rising.
  """

  def __init__(
    self, names: Sequence[str], clock: Callable[[], float] = time.perf_counter
  ):
    self._names = list(names)
    self._clock = clock
    self._lock = threading.Lock()
    self._running = dict.fromkeys(self._names, 0)
    self._used = dict.fromkeys(self._names, 0.0)  # [s]

  @contextlib.contextmanager
  def take(self) -> Iterator[str]:
    """A device, for as long as the block runs."""
    with self._lock:
      name = min(self._names, key=lambda x: (self._running[x], self._used[x]))
      self._running[name] += 1
    start = self._clock()
    try:
      yield name
    finally:
      with self._lock:
        self._running[name] -= 1
        self._used[name] += self._clock() - start
