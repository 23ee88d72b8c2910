"""Windows on a screen, for the figures that are otherwise drawn off screen.

check()          # before the work: is there a screen at all?
show(figures)    # returns when the last window is closed
"""

from collections.abc import Iterable

from matplotlib.figure import Figure

from dreamerv3.base.errors import UserError


def check(flag: str = '--show') -> None:
  """Raises UserError, naming the flag, where no window can be opened."""
  import matplotlib
  from matplotlib import pyplot
  from matplotlib.backends import BackendFilter, backend_registry

  pyplot.get_backend()  # settles on the backend of this machine
  backend = matplotlib.get_backend().lower()
  if backend in backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE):
    raise UserError(
      f'{flag} needs a screen, and matplotlib uses {backend}: leave it out '
      'and open the saved files, or unset MPLBACKEND on a machine with one.'
    )


def show(figures: Iterable[Figure]) -> None:
  """Opens one window per figure and waits until all are closed."""
  from matplotlib import pyplot

  for figure in figures:
    pyplot.figure(figure)
  pyplot.show()
