"""Runs a function over blocks of units, in several processes or threads.

with Workers(function, shared, n_jobs=2) as workers:
  for result in workers.map(blocks): ...
for result in in_threads(function, blocks, n_jobs=2): ...
"""

import collections
import concurrent.futures
import ctypes
import dataclasses
import math
import multiprocessing
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import threadpoolctl

from dreamerv3.base.host import job

S = TypeVar('S')
R = TypeVar('R')

M_MMAP_THRESHOLD = -3  # of malloc.h
# What the worker process was started with.
_job: tuple[Callable[..., Any], Any] | None = None


class Workers(Generic[S, R]):
  """Calls `function(shared, block)` for blocks, results in their order.

  Each process gets `shared` once, and runs linear algebra in one thread: many
  small products in many threads are slower. At most two blocks per process are
  on their way, so that memory does not grow with their number.

  Args:
    n_jobs: processes; 1 stays in this one, -1 takes a process per CPU.
    mapped: fields of `shared`, a dataclass, that are large arrays: all processes
      read one copy, in a temporary file.
  """

  def __init__(
    self,
    function: Callable[[S, Any], R],
    shared: S,
    n_jobs: int = 1,
    mapped: Sequence[str] = (),
  ):
    self._function = function
    self._shared = shared
    self._n = count(n_jobs)
    self._mapped = tuple(mapped)
    self._folder: tempfile.TemporaryDirectory[str] | None = None
    self._pool: concurrent.futures.ProcessPoolExecutor | None = None

  def __enter__(self) -> 'Workers[S, R]':
    if self._n > 1:
      shared: Any = self._shared
      self._folder = tempfile.TemporaryDirectory(prefix='workers')
      paths = {x: f'{self._folder.name}/{x}.npy' for x in self._mapped}
      for name, path in paths.items():
        array = getattr(shared, name)
        np.save(path, array)
        shared = dataclasses.replace(shared, **{name: array[:0]})
      # Not forked: threads of linear algebra may be alive.
      self._pool = concurrent.futures.ProcessPoolExecutor(
        self._n,
        multiprocessing.get_context('spawn'),
        _start,
        (self._function, shared, paths),
      )
    return self

  def __exit__(self, *error: Any) -> None:
    if self._pool:
      self._pool.shutdown(cancel_futures=True)
    if self._folder:
      self._folder.cleanup()

  def map(self, blocks: Iterable[Any]) -> Iterator[R]:
    """Results of the blocks in their order; raises what the function raises."""
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


def in_threads(
  function: Callable[[S, threading.Event], R],
  items: Iterable[S],
  n_jobs: int = 1,
  cost: Callable[[S], float] = lambda _: 0.0,
  most: float = math.inf,
) -> Generator[R]:
  """Calls `function(item, stop)` in threads; results in the items' order.

  An item is made when a thread is free for it, so that memory does not grow
  with their number. After an error, an interrupt, or `close()` of this
  generator, `stop` is set and the calls that run are waited for: threads of
  linear algebra that live on would abort the process at its end.

  Args:
    n_jobs: threads; 1 stays in this one, -1 takes a thread per CPU.
    cost: of an item while it runs, such as its bytes; those that run together
      have at most `most`. One alone may have more.
  """
  n = count(n_jobs)
  stop = threading.Event()
  if n == 1:
    for item in items:
      yield function(item, stop)
    return
  pool = concurrent.futures.ThreadPoolExecutor(n)
  waiting: collections.deque[concurrent.futures.Future[R]]
  waiting = collections.deque()
  costs: dict[concurrent.futures.Future[R], float] = {}
  try:
    for item in items:
      own = cost(item)
      _wait(costs, n, most - own)
      future = pool.submit(function, item, stop)
      costs[future] = own
      waiting.append(future)
      del item  # The next one is made while this one is at work.
      _wait(costs, n)
      while waiting and waiting[0].done():
        yield waiting.popleft().result()
    while waiting:
      yield waiting.popleft().result()
  finally:
    stop.set()
    pool.shutdown(cancel_futures=True)


def _wait(
  costs: dict[concurrent.futures.Future[R], float], count: int, most: float = math.inf
) -> None:
  """Returns when fewer than `count` run and cost at most `most`, or none does."""
  while True:
    for future in [x for x in costs if x.done()]:
      del costs[future]
    if not costs or (len(costs) < count and sum(costs.values()) <= most):
      return
    concurrent.futures.wait(costs, return_when=concurrent.futures.FIRST_COMPLETED)


def return_memory() -> None:
  """Gives large arrays back to the system when they are freed.

  glibc keeps blocks of up to 32 MiB for later, apart for each thread: 200 MiB
  with two threads. Other C libraries are left as they are.
  """
  mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
  if mallopt is not None:
    mallopt(M_MMAP_THRESHOLD, 4 * 2**20)


def count(n_jobs: int) -> int:
  """How many at a time: as asked, or for -1 one per CPU of this job.

  Raises:
    ValueError: 0, or below -1.
  """
  if n_jobs < -1 or not n_jobs:
    raise ValueError(f'n_jobs is {n_jobs}; expected at least 1, or -1 for all CPUs.')
  return n_jobs if n_jobs > 0 else job.cpus()


def _start(function: Callable[..., Any], shared: Any, paths: dict[str, str]) -> None:
  global _job
  arrays = {k: np.load(v, mmap_mode='r') for k, v in paths.items()}
  _job = (function, dataclasses.replace(shared, **arrays) if arrays else shared)
  threadpoolctl.threadpool_limits(1, 'blas')


def _call(block: Any) -> Any:
  assert _job is not None
  function, shared = _job
  return function(shared, block)
