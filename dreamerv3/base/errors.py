"""The one exception for a user's mistake.

with reading(path, 'saved decoder; make one with --save_model'):
  use(unpickle.load(path))
"""

import contextlib
import os
import re
from collections.abc import Iterator


class UserError(ValueError):
  """Says what, got, expected and what to do, in one line.

  Scripts print it without a traceback and exit with code 2; everything else
  that is raised is a bug of ours and keeps its traceback.
  """


class Unreadable(UserError):
  """A file that cannot be read, or is not what its reader opens.

  Attributes:
    path: of the file.
    why: what is wrong, without the path.
    advice: what to do.
  """

  def __init__(
    self, path: str | os.PathLike[str], why: str, advice: str, text: str = ''
  ) -> None:
    self.path, self.why, self.advice = os.fspath(path), why, advice
    super().__init__(text or f'Cannot read {path} ({why}); {advice}.')


def short(value: object, most: int = 80) -> str:
  """Text from a file as it may stand in a message: one line, no control codes."""
  text = str(value).encode('unicode_escape').decode('ascii')
  return text if len(text) <= most else text[: most - 3] + '...'


def one_line(text: str) -> str:
  """Text whose paths or words have what cannot be printed, with that escaped."""
  return _UNPRINTABLE.sub(lambda x: x[0].encode('unicode_escape').decode(), text)


# Control codes, and bytes of a path that are no UTF-8.
_UNPRINTABLE = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')


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
def reading(path: str | os.PathLike[str], expected: str) -> Iterator[None]:
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
    about = short(f'{type(e).__name__}: {e}', 160)
    raise UserError(f'{path} is damaged or no {expected} ({about}).') from e
