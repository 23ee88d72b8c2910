"""Programs as users start them, and what came of it.

done = script('decode_position', '--data', folder, cwd=tmp_path)
done = inside(decode_position.main, '--data', folder)   # the same in this process
line = refused(script('origin', '--fil', 'x'))
assert 'torch' not in loaded('import dreamerv3.main')
"""

import contextlib
import io
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dreamerv3.base import flags

ROOT = pathlib.Path(__file__).resolve().parents[1]


def start(
  *words: object,
  cwd: str | os.PathLike | None = None,
  env: Mapping[str, str] | None = None,
  timeout: float = 300,
  preexec_fn: Callable[[], object] | None = None,
  **settings: str,
) -> subprocess.CompletedProcess[str]:
  """Runs a command to its end: its exit code, stdout and stderr.

  Args:
    env: whole environment; that of the tests by default.
    preexec_fn: called in the new process before the command, e.g. to set limits.
    settings: more variables.
  """
  return subprocess.run(
    [str(x) for x in words],
    cwd=cwd,
    env={**(os.environ if env is None else env), **settings},
    capture_output=True,
    text=True,
    timeout=timeout,
    preexec_fn=preexec_fn,
  )


def python(*words: object, **how) -> subprocess.CompletedProcess[str]:
  """Runs Python in the repository, or in `cwd`."""
  return start(sys.executable, *words, **{'cwd': ROOT, **how})


def script(name: str, *words: object, **how) -> subprocess.CompletedProcess[str]:
  """Runs `dreamerv3/<name>.py`, from `cwd` if that is given."""
  return start(sys.executable, ROOT / 'dreamerv3' / f'{name}.py', *words, **how)


def inside(
  main: Callable[[Sequence[str]], Any], *words: object
) -> subprocess.CompletedProcess[str]:
  """Runs a command in this process as its last line does, in a tenth of the time."""
  given = [str(x) for x in words]
  out, err, code = io.StringIO(), io.StringIO(), 0
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    try:
      flags.run(lambda _: main(given))
    except SystemExit as e:
      code = int(e.code or 0)
  return subprocess.CompletedProcess(given, code, out.getvalue(), err.getvalue())


def refused(done: subprocess.CompletedProcess[str]) -> str:
  """The one line of a user's mistake, for which nothing else was printed."""
  assert done.returncode == 2, done
  assert done.stderr.count('\n') == 1, done.stderr
  assert done.stdout == ''
  return done.stderr


def loaded(code: str) -> set[str]:
  """Packages that a fresh Python has loaded after this code."""
  done = python('-c', f'{code}\nimport sys; print(*sys.modules)')
  assert done.returncode == 0, done.stderr
  return {x.partition('.')[0] for x in done.stdout.split()}
