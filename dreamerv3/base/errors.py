"""The one exception for a user's mistake.

with reading(path, 'saved decoder; make one with --save_model'):
  use(unpickle.load(path))
"""

import contextlib
import os
from collections.abc import Iterator


class UserError(ValueError):
  """Says what, got, expected and what to do, in one line.

  Scripts print it without a traceback and exit with code 2; everything else
  that is raised is a bug of ours and keeps its traceback.
  """


# What code that trusts a file's content raises when it is another.
_BROKEN = (
  AttributeError,
  IndexError,
  KeyError,
  OverflowError,
  RecursionError,
  TypeError,
  ValueError,
  ZeroDivisionError,
)


@contextlib.contextmanager
def reading(path: str | os.PathLike, expected: str) -> Iterator[None]:
  """Names the file whose content is not what the code inside expects.

  Args:
    path: of the file.
    expected: what it should be, and what to do.
  """
  try:
    yield
  except UserError as e:
    if str(path) in str(e):
      raise
    raise UserError(f'{path}: {e}') from e
  except _BROKEN as e:
    about = f'{type(e).__name__}: {e}'.splitlines()[0]
    raise UserError(f'{path} is damaged or no {expected} ({about}).') from e
