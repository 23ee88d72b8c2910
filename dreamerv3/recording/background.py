"""Does slow work in a thread, in order, so that the caller need not wait.

  writer = Writer(); writer.submit(task); writer.close()

The queue is bounded: a disk that cannot keep up slows the caller down, and
memory stays as it is. What a task runs into is raised to the caller.
"""

import queue
import threading
import time
from collections.abc import Callable

# Tasks that may wait for the disk; each holds a block of a few MB at most.
QUEUE = 16


class Writer:
  """Runs tasks one after another in a thread, a bounded number ahead.

  Attributes:
    waited: seconds that `submit` and `close` have blocked.
    busy: seconds that tasks have taken.
  """

  def __init__(self) -> None:
    self.waited = self.busy = 0.0
    self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE)
    self._error: BaseException | None = None
    self._thread = threading.Thread(target=self._run, name='recorder')
    self._thread.daemon = True  # a crash elsewhere must not hang the exit
    self._thread.start()

  def submit(self, task: Callable[[], None]) -> None:
    """Queues a task; raises what an earlier one has run into."""
    self._check()
    began = time.perf_counter()
    self._queue.put(task)
    self.waited += time.perf_counter() - began

  def close(self, check: bool = True) -> None:
    """Waits for all tasks; raises what one has run into, if asked.

    May be called twice; nothing can be submitted any more.
    """
    began = time.perf_counter()
    if self._thread.is_alive():
      self._queue.put(None)
      self._thread.join()
    self.waited += time.perf_counter() - began
    if check:
      self._check()

  def _check(self) -> None:
    if isinstance(self._error, OSError):
      raise OSError(
        self._error.errno,
        f'Cannot write the recording ({self._error.strerror}). Episodes that '
        'were written are whole; free space and run the same command again to '
        'go on',
      ) from self._error
    if self._error is not None:
      raise self._error

  def _run(self) -> None:
    while (task := self._queue.get()) is not None:
      began = time.perf_counter()
      # After a failure what follows cannot be right; the caller will see.
      if self._error is None:
        try:
          task()
        except BaseException as e:
          self._error = e
      self.busy += time.perf_counter() - began
