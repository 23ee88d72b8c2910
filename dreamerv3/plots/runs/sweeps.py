"""Figures of sweeps: a grid of two settings, a triangle of three weights.

figure = sweep_figure(found, sweep, [('decode_share', 'dyn/deter')])
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from dreamerv3.analysis.conditions import quantities
from dreamerv3.analysis.conditions.found import Comparison
from dreamerv3.analysis.conditions.sweeps import Sweep
from dreamerv3.plots import style

COLUMNS = 3
HEIGHT = 3**0.5 / 2  # of a triangle with sides of 1
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, HEIGHT]])
DOT = 380  # size of a condition in the triangle


def sweep_figure(
  found: Comparison, sweep: Sweep, panels: Sequence[tuple[str, str]]
) -> Figure:
  """A panel per quantity and layer: means over runs, by settings.

  Args:
    found: means of the conditions.
    sweep: where they lie.
    panels: quantities and their layers, '' for whole agents.
  """
  cols = style.across(len(panels), COLUMNS, 2.6)
  rows = -(-len(panels) // cols)
  fig, axes = style.new_figure(rows, cols, 3.5, 3.0)
  draw = _grid if len(sweep.names) == 2 else _triangle
  for ax, (quantity, layer) in zip(axes.flat, panels, strict=False):
    cells = {x: found.of(quantity, layer, x) for x in found.conditions}
    known = {k: x.mean for k, x in cells.items() if x is not None}
    image = draw(ax, sweep, known)
    of = quantities.of(quantity)
    ax.set_title(of.label + (f'\n{layer}' if layer else ''), fontsize=8.5)
    fig.colorbar(image, ax=ax, label=of.unit, shrink=0.85)
  for ax in axes.flat[len(panels) :]:
    ax.set_axis_off()
  sizes = {len(x.values) for x in found.cells}
  runs = f'{min(sizes)} to {max(sizes)}' if len(sizes) > 1 else f'{max(sizes)}'
  each = 'One run each' if sizes == {1} else f'Means over {runs} runs each'
  fig.suptitle(each, fontsize=9)
  return fig


def _grid(ax: Axes, sweep: Sweep, known: dict[str, float]) -> ScalarMappable:
  """A cell per pair of values, empty where there is no run."""
  x, y = (sorted({p[i] for p in sweep.points.values()}) for i in (0, 1))
  values = np.full((len(y), len(x)), np.nan)
  for condition, value in known.items():
    a, b = sweep.points[condition]
    values[y.index(b), x.index(a)] = value
  image = ax.imshow(values, aspect='auto', origin='lower', cmap=style.SEQUENTIAL)
  places = style.decimals(values)
  for (row, col), value in np.ndenumerate(values):
    if np.isfinite(value):
      text, color = f'{value:.{places}f}', _readable(value, values)
      ax.text(col, row, text, ha='center', va='center', color=color, fontsize=8)
  ax.set_xticks(range(len(x)), [f'{v:g}' for v in x])
  ax.set_yticks(range(len(y)), [f'{v:g}' for v in y])
  ax.tick_params(length=0)
  ax.set(xlabel=sweep.names[0], ylabel=sweep.names[1])
  return image


def _triangle(ax: Axes, sweep: Sweep, known: dict[str, float]) -> ScalarMappable:
  """A dot per mixture; each corner is one of its parts alone."""
  for share in (0.25, 0.5, 0.75):
    for i in range(3):
      one, two = ((i + 1) % 3, (i + 2) % 3)
      ends = [share * CORNERS[i] + (1 - share) * CORNERS[k] for k in (one, two)]
      ax.plot(*np.transpose(ends), color=style.GREY, lw=0.4, zorder=0)
  ax.fill(*CORNERS.T, fill=False, ec=style.BLACK, lw=1, zorder=0)
  at = np.array([sweep.points[k] for k in known]) @ CORNERS
  values = np.array(list(known.values()))
  x_of, y_of = at.T
  dots = ax.scatter(
    x_of,
    y_of,
    c=values,
    s=DOT,
    cmap=style.SEQUENTIAL,
    ec='black',
    lw=0.6,
    clip_on=False,
  )
  places = style.decimals(values)
  for (x, y), value in zip(at, values, strict=True):
    text, color = f'{value:.{places}f}', _readable(value, values)
    ax.text(x, y, text, ha='center', va='center', color=color, fontsize=7)
  for (x, y), name in zip(CORNERS, sweep.names, strict=True):
    label = f'100 %\n{name.rpartition(".")[2]}'
    over = 'bottom' if y else 'top'
    ax.text(x, y + (0.1 if y else -0.1), label, ha='center', va=over, fontsize=8)
  ax.set(xlim=(-0.2, 1.2), ylim=(-0.3, HEIGHT + 0.3), aspect='equal')
  ax.set_axis_off()
  return dots


def _readable(value: float, values: np.ndarray) -> str:
  """Black on bright, white on dark colours."""
  return 'black' if value > (np.nanmin(values) + np.nanmax(values)) / 2 else 'white'
