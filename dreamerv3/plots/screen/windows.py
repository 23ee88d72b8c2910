"""Windows on a screen, for the figures that are otherwise drawn off screen.

check()          # after the inputs, before the work: is there a screen at all?
show(figures)    # returns when the last window is closed
"""

import os
from collections.abc import Iterable
from typing import Any

from matplotlib.figure import Figure

from dreamerv3.base.errors import UserError


def check(flag: str = '--show') -> None:
  """Chooses a toolkit that opens windows.

  That of MPLBACKEND, or what matplotlib finds if this is unset or opens none
  (as that of a notebook, which a command cannot draw into).

  Raises:
    UserError: none, naming the flag and the reason.
  """
  import matplotlib
  from matplotlib import pyplot, rcsetup
  from matplotlib.backends import BackendFilter, backend_registry

  wanted = os.environ.get('MPLBACKEND', '').lower()
  if wanted.startswith('module://') or not backend_registry.is_valid_backend(wanted):
    wanted = ''
  automatic: Any = rcsetup._auto_backend_sentinel
  why = 'there is no display, or no toolkit is installed'
  try:
    pyplot.switch_backend(wanted or automatic)
    backend = matplotlib.get_backend().lower()
    if backend in backend_registry.list_builtin(BackendFilter.INTERACTIVE):
      return
    if backend == wanted:
      why = f'MPLBACKEND is {wanted}'
  except (ImportError, RuntimeError) as e:
    why = ' '.join(str(e).split()).rstrip('.')
  raise UserError(
    f'{flag} needs a screen, and a toolkit such as Tk: {why}. Leave it out and '
    'open the saved files, or unset MPLBACKEND on a machine with both.'
  )


def usable() -> bool:
  """Whether windows can be opened here; chooses the toolkit as `check` does."""
  try:
    check()
  except UserError:
    return False
  return True


def show(figures: Iterable[Figure]) -> None:
  """Opens one window per figure and waits until all are closed."""
  from matplotlib import pyplot

  for figure in figures:
    pyplot.figure(figure)
  pyplot.show()
