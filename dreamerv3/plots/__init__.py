"""Results in, figures out; nothing here needs a screen but `windows`.

Matplotlib is loaded here, before any module that draws: a notebook hands its own
MPLBACKEND to the commands that it starts, and where that is not installed the
import of matplotlib fails. Figures are drawn by Agg whatever it says, and look the
same whatever matplotlibrc lies where a command is called or in the user's home.
"""

import os
import sys


def _load() -> None:
  wanted = os.environ.pop('MPLBACKEND', None)
  ours = 'matplotlib' not in sys.modules  # else it is a notebook's, set as it likes
  import matplotlib

  if ours:
    matplotlib.rcdefaults()  # all but the backend
  if wanted is None:
    return
  os.environ['MPLBACKEND'] = wanted
  try:
    matplotlib.rcParams['backend'] = wanted
  except ValueError:
    matplotlib.rcParams['backend'] = 'agg'


_load()
