"""How sure the shares of classes are, drawn over their bars.

ax.legend(handles=draw(ax, results.metadata['class_shares'], {'': -0.2}))
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.plots import style

SIDES = (
  ('', style.BLACK, 'resampled'),
  ('control_', style.RED, 'control, resampled'),
)


def draw(
  ax: Axes, rows: Sequence[Mapping[str, Any]], places: Mapping[str, float]
) -> list[Line2D]:
  """Shares of one layer's resampled recordings [%] with their intervals.

  They are of up to 96 units and, with a control, of matched samples, and so can lie
  beside the bars, which are of all units.

  Args:
    rows: of class_shares.csv.
    places: where each side lies beside the middle of a class, by its prefix.

  Returns:
    What a legend shows.
  """
  handles = []
  for prefix, color, label in SIDES:
    known = [x for x in rows if f'{prefix}share' in x]
    if not known:
      continue
    at = np.array([cell_types.NAMES.index(x['class']) for x in known]) + places[prefix]
    low, share, high = (
      100 * np.array([x[f'{prefix}{k}'] for x in known], float)
      for k in ('low', 'share', 'high')
    )
    ax.vlines(at, low, high, color=color, lw=1)
    ax.plot(at, share, 'o', ms=2.5, color=color)
    told = f'{label}: 95 % over episodes'
    handles.append(Line2D([], [], marker='o', ms=2.5, lw=1, color=color, label=told))
  return handles
