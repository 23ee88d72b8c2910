"""Runs a function over blocks of units, in this process or in several.

with Workers(function, shared, n_jobs=2) as workers:
  for result in workers.map(blocks): ...
"""

import collections
import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

import threadpoolctl

S = TypeVar('S')
R = TypeVar('R')

# What the worker process was started with.
_job: tuple[Callable[..., Any], Any] | None = None


class Workers(Generic[S, R]):
  """Calls `function(shared, block)` for blocks, results in their order.

  Each process gets `shared` once, and runs linear algebra in one thread: many
  small products in many threads are slower. At most two blocks per process are
  on their way, so that memory does not grow with their number.

  Args:
    n_jobs: processes; 1 stays in this one, -1 takes a process per CPU.
  """

  def __init__(
    self, function: Callable[[S, Any], R], shared: S, n_jobs: int = 1
  ):
    self._function = function
    self._shared = shared
    self._n = n_jobs if n_jobs > 0 else available()
    self._pool: concurrent.futures.ProcessPoolExecutor | None = None

  def __enter__(self) -> 'Workers[S, R]':
    if self._n > 1:
      # Not forked: threads of linear algebra may be alive.
      self._pool = concurrent.futures.ProcessPoolExecutor(
        self._n, multiprocessing.get_context('spawn'),
        _start, (self._function, self._shared),
      )  # fmt: skip
    return self

  def __exit__(self, *error: Any) -> None:
    if self._pool:
      self._pool.shutdown(cancel_futures=True)

  def map(self, blocks: Iterable[Any]) -> Iterator[R]:
    if self._pool is None:
      with threadpoolctl.threadpool_limits(1, 'blas'):
        for block in blocks:
          yield self._function(self._shared, block)
      return
    waiting: collections.deque[concurrent.futures.Future[R]]
    waiting = collections.deque()
    for block in blocks:
      waiting.append(self._pool.submit(_call, block))
      if len(waiting) >= 2 * self._n:
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()


def available() -> int:
  """CPUs that this process may use; fewer than there are under SLURM."""
  return len(os.sched_getaffinity(0))


def _start(function: Callable[..., Any], shared: Any) -> None:
  global _job
  _job = (function, shared)
  threadpoolctl.threadpool_limits(1, 'blas')


def _call(block: Any) -> Any:
  assert _job is not None
  function, shared = _job
  return function(shared, block)
