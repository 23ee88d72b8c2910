"""Which device does the next fit? The one that has had the least to do.

  pool = FitDevices(['cuda:0', 'cuda:1'])
  with pool.take() as device: ...

For `layers`: fits differ in cost by a factor of ten, so that taking turns
would leave all the long ones on one GPU.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence


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
