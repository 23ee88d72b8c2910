"""Environments in processes of their own, several in each.

For the driver. What they see and do passes through memory that the processes
share; a crash in there arrives here as an EnvError that carries the traceback
of the process and the index of the environment.

  envs = EnvProcesses([make_env] * 16, processes=2)
  batch, steps = envs.step({'action': ..., 'reset': ...})
"""

import contextlib
import itertools
import multiprocessing
import multiprocessing.util  # Its exit hook must be older than the driver's.
import signal
import traceback
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing import connection, reduction
from typing import Any, NamedTuple

import cloudpickle
import numpy as np

from . import base
from .shared import SharedRows
from .wrappers import checked


class EnvError(RuntimeError):
  """An environment raised in its process, or the process ended without a word."""


class Answers(NamedTuple):
  """What all environments answer to a step.

  Attributes:
    batch: observations (N, ...) by key, without `log/*`.
    steps: the whole observation of each environment.
  """

  batch: base.Batch
  steps: Sequence[base.Step]


class EnvProcesses:
  """Environments in some processes, neighbours in the same one.

  Args:
    make_envs: one constructor without arguments per environment.
    processes: how many, at most one per environment.

  Raises:
    EnvError: a constructor failed.
    ValueError: the spaces of the environments differ.

  Attributes:
    obs_space, act_space: of each of the environments.
  """

  def __init__(
    self, make_envs: Sequence[Callable[[], base.Env]], processes: int
  ) -> None:
    count = len(make_envs)
    bounds = np.linspace(0, count, min(processes, count) + 1).astype(int)
    self._workers: list[EnvProcess] = []
    try:
      # All start before the first one is waited for.
      for start, stop in itertools.pairwise(bounds):
        self._workers.append(EnvProcess(make_envs[start:stop], int(start)))
      spaces = [x for answer in self._answers() for x in answer]
      self.obs_space, self.act_space = _common(spaces)
      self._acts = self._shared(self.act_space, count)
      self._obs = self._shared(self.obs_space, count)
    except BaseException:
      self.close()
      raise

  def _shared(self, spaces: base.Spaces, count: int) -> Mapping[str, np.ndarray]:
    """Arrays of all environments, handed to the processes."""
    shared = SharedRows(spaces, count)
    try:
      for worker in self._workers:
        worker.share(count, shared.file)
      self._answers()
    finally:
      shared.close()
    return shared.arrays

  @property
  def pids(self) -> list[int]:
    """Numbers of the processes."""
    return [x.pid for x in self._workers]

  def step(self, acts: base.Batch) -> Answers:
    """Acts in all environments; actions (N, ...) by key, `reset` included."""
    for key, value in acts.items():
      self._acts[key][...] = value
    for worker in self._workers:
      worker.send(None)
    self._answers()
    # Copies, since the next step overwrites the memory; a list of scalars is one.
    batch = {k: v.copy() for k, v in self._obs.items() if not k.startswith('log/')}
    columns = [
      list(batch[k] if k in batch else v if v.ndim == 1 else v.copy())
      for k, v in self._obs.items()
    ]
    keys = list(self._obs)
    steps = [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]
    return Answers(batch, steps)

  def _answers(self) -> list[Any]:
    """The answer of each process, in order; a death is seen among busy ones."""
    waiting = {x.connection: x for x in self._workers}
    answers = {}
    while waiting:
      for ready in connection.wait([*waiting]):
        worker = waiting.pop(ready)  # type: ignore[call-overload]
        answers[worker] = worker.receive()
    return [answers[x] for x in self._workers]

  def close(self) -> None:
    """Ends the processes, by force after 5 s; may be called twice."""
    workers, self._workers = self._workers, []
    for worker in workers:
      worker.connection.close()  # The process sees the end of the pipe and leaves.
    for worker in workers:
      worker.join()


class EnvProcess:
  """A process, seen from outside: `send` begins a step, `receive` waits for it.

  Args:
    make_envs: of the environments that it steps one after the other.
    first: index of the first of them.
  """

  def __init__(self, make_envs: Sequence[Callable[[], base.Env]], first: int) -> None:
    # A fork would copy the threads' locks of the agent's libraries.
    context = multiprocessing.get_context('spawn')
    self.connection, remote = context.Pipe()
    payloads = [cloudpickle.dumps(x) for x in make_envs]
    last = first + len(payloads) - 1
    self._name = f'environment {first}' if first == last else ''
    self._name = self._name or f'environments {first} to {last}'
    self._process = context.Process(
      target=_main, args=(remote, payloads, first), name=f'env{first}'
    )
    self._process.start()
    remote.close()

  @property
  def pid(self) -> int:
    """Number of the process."""
    assert self._process.pid is not None  # it was started
    return self._process.pid

  def share(self, count: int, file: int) -> None:
    """Hands over the memory of so many environments."""
    self.send(count)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
      reduction.send_handle(self.connection, file, self.pid)

  def send(self, message: Any) -> None:
    """A dead process shows up in `receive`."""
    # Its last message, the traceback, may still be waiting for us.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
      self.connection.send(message)

  def receive(self) -> Any:
    """Wait for the answer; EnvError if the process failed."""
    try:
      index, value = self.connection.recv()
    except (EOFError, ConnectionResetError) as error:
      self._process.join()
      raise EnvError(
        f'The process of {self._name} ended without a message, '
        f'exit code {self._process.exitcode} (-9: killed, often for lack of '
        'memory; -11: crash in native code).'
      ) from error
    if index is not None:
      raise EnvError(f'Environment {index} failed:\n\n{value}')
    return value

  def join(self) -> None:
    """Waits for its end, and brings it about after 5 s."""
    self._process.join(timeout=5)
    if self._process.is_alive():
      self._process.kill()
      self._process.join()


Both = tuple[base.Spaces, base.Spaces]  # of observations and of actions


def _common(spaces: Sequence[Both]) -> Both:
  """The spaces of all environments, which lie in one array."""
  layouts = [
    [{k: (v.shape, v.dtype) for k, v in each.items()} for each in both]
    for both in spaces
  ]
  for index, layout in enumerate(layouts):
    if layout != layouts[0]:
      raise ValueError(
        f'Environment {index} has observations or actions unlike those of '
        f'environment 0: {layout}, expected {layouts[0]}.'
      )
  return spaces[0]


class _Worker:
  """The process, seen from inside.

  A context that sends any exception through the pipe, then swallows it.
  """

  def __init__(self, conn: connection.Connection, first: int) -> None:
    self._conn, self._first = conn, first
    self._busy = first  # index of the environment that is called
    self._envs: list[base.Env] = []

  def __enter__(self) -> '_Worker':
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: types.TracebackType | None,
  ) -> bool:
    if kind is None:
      return False
    text = ''.join(traceback.format_exception(kind, error, trace))
    # If the driver is gone, nobody is left to tell.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
      self._conn.send((self._busy, text))
    return True

  def run(self, payloads: Iterable[bytes]) -> None:
    """Makes the environments and steps them until the driver is gone."""
    try:
      for index, payload in enumerate(payloads, self._first):
        self._busy = index
        self._envs.append(checked(cloudpickle.loads(payload)()))
      spaces = [(dict(x.obs_space), dict(x.act_space)) for x in self._envs]
      self._conn.send((None, spaces))
      acts, obs = self._shared(spaces[0][1]), self._shared(spaces[0][0])
      while self._heard():
        self._step(acts, obs)
        self._conn.send((None, None))
    finally:
      self._close()

  def _shared(self, spaces: base.Spaces) -> Mapping[str, np.ndarray]:
    """Takes over the memory of all environments."""
    count = self._conn.recv()
    shared = SharedRows(spaces, count, reduction.recv_handle(self._conn))
    shared.close()
    self._conn.send((None, None))
    return shared.arrays

  def _heard(self) -> bool:
    """Waits for a step; False if the driver, or its process, is gone."""
    try:
      self._conn.recv()
    except (EOFError, ConnectionResetError):
      return False
    return True

  def _step(
    self, acts: Mapping[str, np.ndarray], obs: Mapping[str, np.ndarray]
  ) -> None:
    rows = slice(self._first, self._first + len(self._envs))
    own = {k: v[rows].copy() for k, v in acts.items()}
    for row, env in enumerate(self._envs):
      self._busy = self._first + row
      for key, value in env.step({k: v[row] for k, v in own.items()}).items():
        obs[key][self._busy] = value

  def _close(self) -> None:
    """All of them, the later ones although an earlier one fails."""
    with contextlib.ExitStack() as stack:
      for env in self._envs:
        stack.callback(env.close)


def _main(conn: connection.Connection, payloads: list[bytes], first: int) -> None:
  # These signals go to the whole group (Ctrl+C, SLURM); the driver decides
  # what they mean and may want to step and save before it closes the pipe.
  for name in ('SIGINT', 'SIGTERM', 'SIGUSR1'):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
  with _Worker(conn, first) as worker:
    worker.run(payloads)
