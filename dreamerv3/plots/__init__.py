"""Results in, figures out; nothing here needs a screen but `windows`.

Matplotlib is loaded here, before any module that draws: a notebook hands its own
MPLBACKEND to the commands that it starts, and where that is not installed the
import of matplotlib fails. Figures are drawn by Agg whatever it says.
"""

import os


def _load() -> None:
  wanted = os.environ.pop('MPLBACKEND', None)
  import matplotlib

  if wanted is None:
    return
  os.environ['MPLBACKEND'] = wanted
  try:
    matplotlib.rcParams['backend'] = wanted
  except ValueError:
    matplotlib.rcParams['backend'] = 'agg'


_load()
