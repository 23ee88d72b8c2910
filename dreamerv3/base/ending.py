"""What a command says when the machine, not the user, is in its way.

Memory that has run out, a full disk, a used-up quota, a file system that became
read-only, an output that is closed or knows no Unicode: one line with what to do, no
traceback, exit code 1.

  ready_streams()
  if lacking(error): line = describe(error)
"""

import contextlib
import errno
import os
import sys

from dreamerv3.base.errors import UserError, short
from dreamerv3.base.host import job

# Failures of the machine that a message explains better than a traceback.
MACHINE = (
  errno.ENOSPC,
  errno.EDQUOT,
  errno.EFBIG,
  errno.EROFS,
  errno.EACCES,
  errno.EIO,
)

# A path that cannot be one, which is a mistake of who gave it.
NO_PLACE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)

ADVICE = {
  errno.ENOSPC: 'free space on its disk',
  errno.EDQUOT: 'free space within your quota',
  errno.EFBIG: 'raise the limit on the size of files (ulimit -f)',
}
OTHERWISE = 'make the place writable or choose another'


def ready_streams() -> None:
  """Makes standard output and error such that printing cannot fail by itself.

  A closed one becomes the null device, so that no file takes its number and gets
  what libraries print; characters that it cannot show are escaped.
  """
  for number, name in ((1, 'stdout'), (2, 'stderr')):
    stream = getattr(sys, name)
    if stream is None or stream.closed:
      handle = os.open(os.devnull, os.O_WRONLY)
      if handle != number:
        os.dup2(handle, number)
        os.close(handle)
      stream = os.fdopen(number, 'w', closefd=False)
      setattr(sys, name, stream)
    if hasattr(stream, 'reconfigure'):
      stream.reconfigure(errors='backslashreplace')


def check_here() -> None:
  """UserError if the folder that the command was called in has been deleted."""
  try:
    os.getcwd()  # noqa: PTH109
  except OSError as e:
    raise UserError(
      f'The folder that this was called in is gone ({e.strerror}); cd to another.'
    ) from e


def silence_output() -> None:
  """Drops what was not printed yet: at the exit it would fail once more."""
  with contextlib.suppress(OSError, ValueError):
    handle = os.open(os.devnull, os.O_WRONLY)
    os.dup2(handle, sys.stdout.fileno())
    os.close(handle)


def lacking(error: OSError) -> bool:
  """Whether an error is of the machine: space, quota, or leave to write."""
  return error.errno in MACHINE


def describe(error: OSError) -> str:
  """One line: what cannot be written, why, and what to do."""
  what = error.filename
  if what is None:
    what = 'standard output' if _stuck() else 'a file'
  reason = ' '.join(str(error.strerror).split())
  advice = ADVICE.get(error.errno or 0, OTHERWISE)
  return (
    f'Cannot write {what} ({reason}). What was complete is intact; {advice} and run '
    'the same command again.'
  )


def misplaced(error: OSError) -> str:
  """One line: a path that the system takes for none, and why."""
  return f'{short(error.filename)} is no place ({error.strerror}); check the path.'


def starved(error: MemoryError) -> str:
  """One line: memory has run out, how much there was, and what to do."""
  found = job.memory()
  why = ' '.join(str(error).split())
  return (
    f'Out of memory{f" ({why})" if why else ""}, with {found.free / 2**30:.1f} of '
    f'{found.total / 2**30:.1f} GiB free ({found.source}). No file is damaged; read '
    'less at a time (fewer layers, episodes or jobs), or ask for more memory.'
  )


def _stuck() -> bool:
  """Whether what is printed does not get out; one more line end tells."""
  try:
    os.write(sys.stdout.fileno(), b'\n')
  except (OSError, ValueError):
    return True
  return False
