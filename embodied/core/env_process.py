"""One environment in a process of its own.

For the driver. A crash in there arrives here as an EnvError that carries the
traceback of the process and the index of the environment.

  env = EnvProcess(make_env, index=0); obs = env.step(action)
"""

import contextlib
import multiprocessing
import multiprocessing.util  # Its exit hook must be older than the driver's.
import signal
import traceback
import types
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from . import base


class EnvError(RuntimeError):
  """An environment process raised, or ended without a word."""


class EnvProcess(base.Env):
  """Same interface as the environment; `send` and `receive` split `step`."""

  def __init__(self, make_env: Callable[[], base.Env], index: int) -> None:
    # A fork would copy the threads' locks of the agent's libraries.
    context = multiprocessing.get_context('spawn')
    self.index = index
    self._spaces: tuple[base.Spaces, base.Spaces] | None = None
    self._conn, remote = context.Pipe()
    payload = cloudpickle.dumps(make_env)
    self._process = context.Process(
      target=_main, args=(remote, payload), name=f'env{index}'
    )
    self._process.start()
    remote.close()

  @property
  def pid(self) -> int | None:
    """Number of the process."""
    return self._process.pid

  def wait(self) -> None:
    """Wait until the environment is made, and learn its spaces."""
    if self._spaces is None:
      self._spaces = self.receive()

  @property
  def obs_space(self) -> base.Spaces:
    """Observations of the environment; waits until it is made."""
    self.wait()
    assert self._spaces is not None
    return self._spaces[0]

  @property
  def act_space(self) -> base.Spaces:
    """Actions of the environment; waits until it is made."""
    self.wait()
    assert self._spaces is not None
    return self._spaces[1]

  def step(self, action: base.Step) -> base.Step:
    """Acts, and waits for the observation."""
    self.send(action)
    return self.receive()

  def send(self, action: base.Step) -> None:
    """Begin a step. A dead process shows up in `receive`."""
    # Its last message, the traceback, may still be waiting for us.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
      self._conn.send(action)

  def receive(self) -> Any:
    """Wait for the answer; EnvError if the process failed."""
    try:
      kind, value = self._conn.recv()
    except (EOFError, ConnectionResetError) as error:
      self._process.join()
      raise EnvError(
        f'The process of environment {self.index} ended without a message, '
        f'exit code {self._process.exitcode} (-9: killed, often for lack of '
        'memory; -11: crash in native code).'
      ) from error
    if kind == 'error':
      raise EnvError(f'Environment {self.index} failed:\n\n{value}')
    return value

  def close(self) -> None:
    """Ends the process, by force after 5 s."""
    self._conn.close()  # The process sees the end of the pipe and leaves.
    self._process.join(timeout=5)
    if self._process.is_alive():
      self._process.kill()
      self._process.join()


class _Forward:
  """Context that sends any exception through the pipe, then swallows it."""

  def __init__(self, conn: Connection) -> None:
    self._conn = conn

  def __enter__(self) -> None:
    pass

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
      self._conn.send(('error', text))
    return True


def _main(conn: Connection, payload: bytes) -> None:
  # These signals go to the whole group (Ctrl+C, SLURM); the driver decides
  # what they mean and may want to step and save before it closes the pipe.
  for name in ('SIGINT', 'SIGTERM', 'SIGUSR1'):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
  with _Forward(conn):
    env = cloudpickle.loads(payload)()
    try:
      conn.send(('spaces', (dict(env.obs_space), dict(env.act_space))))
      _serve(conn, env)
    finally:
      env.close()


def _serve(conn: Connection, env: base.Env) -> None:
  while True:
    try:
      action = conn.recv()
    except (EOFError, ConnectionResetError):
      return  # Closed, or the driver's process was killed.
    conn.send(('obs', env.step(action)))
