"""Programs on a file system that cannot lock, for the tests of locks.

done = run(library, 'import fcntl ...', errno.ENOLCK)
"""

import errno
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / 'tests' / 'fixtures' / 'no_locks.c'
# What NFS, Lustre, autofs and FUSE have been seen to answer.
ERRNOS = {
  'ENOLCK': errno.ENOLCK,
  'ENOTSUP': errno.ENOTSUP,
  'EOPNOTSUPP': errno.EOPNOTSUPP,
  'ENOTSUPP': 524,
  'ENOSYS': errno.ENOSYS,
  'ESTALE': errno.ESTALE,
  'EINVAL': errno.EINVAL,
}


def build(folder: pathlib.Path) -> pathlib.Path:
  """Compiles the library that makes locks fail; skips the test without cc."""
  cc = shutil.which('cc')
  if not cc or not sys.platform.startswith('linux'):
    pytest.skip('needs a C compiler (cc) on Linux, to make locks fail')
  library = folder / 'no_locks.so'
  command = [cc, '-shared', '-fPIC', '-o', str(library), str(SOURCE), '-ldl']
  subprocess.run(command, check=True)
  return library


def run(library: pathlib.Path, code: str, number: int | str = '') -> str:
  """What a program prints, both streams, where locks fail with a number.

  The program may set LOCK_ERRNO itself; '' lets locks work.
  """
  env = {**os.environ, 'LD_PRELOAD': str(library), 'LOCK_ERRNO': str(number)}
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    env=env,
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
  )
  assert done.returncode == 0, done.stdout
  return done.stdout
