"""How sure the shares of classes are, drawn over their bars.

ax.legend(handles=draw(ax, results.metadata['class_shares']))
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.plots import style

ROOM = 0.13  # between the two sides, of the distance of two classes
SIDES = (
  ('', style.BLACK, -ROOM, 'resampled'),
  ('control_', style.RED, ROOM, 'control, resampled'),
)


def draw(ax: Axes, rows: Sequence[Mapping[str, Any]]) -> list[Line2D]:
  """Shares of one layer's resampled recordings [%] with their intervals.

  They are of up to 96 units and, with a control, of matched samples, and so can lie
  beside the bars, which are of all units.

  Args:
    rows: of class_shares.csv.

  Returns:
    What a legend shows.
  """
  handles = []
  for prefix, color, beside, label in SIDES:
    known = [x for x in rows if f'{prefix}share' in x]
    if not known:
      continue
    at = np.array([cell_types.NAMES.index(x['class']) for x in known]) + beside
    low, share, high = (
      100 * np.array([x[f'{prefix}{k}'] for x in known], float)
      for k in ('low', 'share', 'high')
    )
    ax.vlines(at, low, high, color=color, lw=1)
    ax.plot(at, share, 'o', ms=3, color=color)
    told = f'{label}: 95 % over episodes'
    handles.append(Line2D([], [], marker='o', ms=3, lw=1, color=color, label=told))
  return handles
