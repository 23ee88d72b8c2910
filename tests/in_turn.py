"""Commands one after the other in one process, with the output that a user may have.

codes = in_turn([Call('origin', [folder], 'closed'), Call('summarize', [folder])])

Starting each of them by itself takes most of its time, where a dozen is to be tried.
"""

import contextlib
import importlib
import io
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
if __name__ == '__main__':
  sys.path[0] = str(ROOT)


class Call(NamedTuple):
  """A command of dreamerv3, its words, and its standard output.

  `output` is ascii (a file that knows nothing else), closed (`>&-`), or broken (a
  pipe whose reader has gone, as `| head -1`).
  """

  command: str
  words: Sequence[object]
  output: str = 'ascii'


class Ended(NamedTuple):
  """Exit code of a command, and what it said on standard error."""

  code: int
  said: str


def in_turn(
  calls: Sequence[Call], prepare: Callable[[], object] | None = None
) -> list[Ended]:
  """Runs commands in a process of their own, in a locale that knows ASCII alone.

  Args:
    prepare: called in that process before the first one, e.g. to set limits.
  """
  known = {**os.environ, 'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
  for name in ('JAX_NUMPY_RANK_PROMOTION', 'JAX_NUMPY_DTYPE_PROMOTION'):
    known.pop(name, None)  # as a user has it
  words = json.dumps([(x.command, [str(y) for y in x.words], x.output) for x in calls])
  done = subprocess.run(
    [sys.executable, '-W', 'ignore', __file__],
    input=words,
    env=known,
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=900,
    preexec_fn=prepare,
  )
  assert done.returncode == 0, done.stderr
  return [Ended(*x) for x in json.loads(done.stderr.splitlines()[-1])]


def _run(command: str, words: list[str], output: str) -> tuple[int, str]:
  from dreamerv3.base import flags

  module = importlib.import_module(f'dreamerv3.{command}')
  said = io.StringIO()
  sys.argv = [f'{command}.py', *words]
  _attach(output)
  code = 0
  with contextlib.redirect_stderr(said):
    try:
      flags.run(module.main)
    except SystemExit as e:
      code = int(e.code or 0)
    except BaseException:
      import traceback

      traceback.print_exc()
      code = 1
  return code, said.getvalue()


def _attach(output: str) -> None:
  """Makes standard output such as was asked for."""
  with contextlib.suppress(OSError, ValueError, AttributeError):
    sys.stdout.flush()
  if output == 'closed':
    with contextlib.suppress(OSError):
      os.close(1)
    sys.stdout = None
    return
  read, write = (
    os.pipe() if output == 'broken' else (None, os.open(os.devnull, os.O_RDWR))
  )
  if read is not None:
    os.close(read)
  if write != 1:
    os.dup2(write, 1)
    os.close(write)
  sys.stdout = open(1, 'w', encoding='ascii', closefd=False)  # noqa: SIM115


if __name__ == '__main__':
  ended = [_run(*x) for x in json.load(sys.stdin)]
  os.write(2, f'\n{json.dumps(ended)}\n'.encode())
