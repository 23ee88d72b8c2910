"""Layers of tuning results side by side: classes, information, explained variance.

figure = layer_summary(results)
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.plots import style
from dreamerv3.plots.units.tuning import COLORS, LABELS


def layer_summary(results: Results) -> Figure:
  """Class shares, information and held-out variance of all layers.

  Layers of one unit have no shares: they are left out, and named.
  """
  single = [x for x, t in results.tables.items() if len(t) == 1]
  names = [x for x in results.tables if x not in single] or single
  simple, tested = _columns(results, control=False)
  panels: list[tuple[str, dict[str, np.ndarray]]] = []
  if tested:
    panels.append(('tested against chance', tested))
  panels.append(('thresholds alone', simple))
  if results.control:
    first, second = _columns(results, control=True)
    panels.append(('untrained control', second or first))
  wide = style.across(len(panels), 3, 1.9)
  rows = -(-len(panels) // wide)
  below = min(wide, 2)
  figure, axes = style.new_figure(
    rows + 2 // below,
    wide,
    width=2.4,
    height=1.0 + 0.2 * len(names),
    sharey=True,
  )
  for ax, (title, ids) in zip(axes[:rows].flat, panels, strict=False):
    _stack(ax, [ids.get(x) for x in names])
    ax.set(xlabel='units [%]', title=title, xlim=(0, 100))
  boxes = axes[rows:, :below].ravel()
  for ax, key, label in zip(
    boxes,
    ('SI', 'EVs'),
    ('spatial information, uncorrected [bits]', 'explained variance, held out'),
    strict=True,
  ):
    _boxes(ax, results, names, key)
    ax.set_xlabel(label)
    ax.xaxis.set_major_locator(MaxNLocator(4))
  boxes[1].axvline(0, color=style.GREY, lw=0.8, ls=':')
  for ax in (*axes[:rows].flat[len(panels) :], *axes[rows:, below:].flat):
    ax.set_axis_off()
  labels = [f'{x} ({len(results.tables[x])})' for x in names]
  axes[0, 0].set_yticks(np.arange(len(names)), labels)
  axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
  handles = [Patch(color=COLORS[x], label=LABELS[x]) for x in cell_types.NAMES]
  figure.legend(
    handles=handles, loc='outside lower center', ncols=style.across(7, 7, 0.95)
  )
  style.headline(figure, _explained(bool(tested), bool(results.control), names, single))
  return figure


def _explained(tested: bool, control: bool, names: list[str], single: list[str]) -> str:
  """What a reader of the summary of layers would ask."""
  lines = []
  if tested:
    lines.append(
      'Tested: beyond null pairings, corrected for all units; thresholds alone ask '
      'how large a measure is, not whether chance gives it: the two may disagree.'
    )
  boxes = 'Boxes: quartiles of units, whiskers 5-95 %'
  lines.append(f'{boxes}{"; white: untrained control" if control else ""}.')
  if names != single and single:
    lines.append(f'Left out, one unit: {", ".join(single)}.')
  return '\n'.join(lines)


def _boxes(ax: Axes, results: Results, names: list[str], key: str) -> None:
  """Quartiles of a measure in each layer, the control's below in white."""
  both = [(results.tables, '#b0b0b0')]
  if results.control:
    both.append((results.control, 'white'))
  for k, (tables, color) in enumerate(both):
    there = [(i, x) for i, x in enumerate(names) if x in tables]
    values = [tables[x].metrics[key] for _, x in there]
    shift = 0.2 * (2 * k - len(both) + 1)
    ax.boxplot(
      [v[np.isfinite(v)] for v in values],
      positions=[i + shift for i, _ in there],
      orientation='horizontal',
      widths=0.6 / len(both),
      patch_artist=True,
      showfliers=False,
      whis=(5, 95),
      boxprops={'facecolor': color, 'lw': 0.6},
      medianprops={'color': 'black', 'lw': 1},
      whiskerprops={'lw': 0.6},
      capprops={'lw': 0.6},
    )


def _stack(ax: Axes, ids: list[np.ndarray | None]) -> None:
  """Stacked bars of class shares, one per layer; gaps where unknown."""
  shares = np.array(
    [
      np.zeros(len(cell_types.NAMES)) if x is None else cell_types.fractions(x)
      for x in ids
    ]
  )
  left = np.zeros(len(ids))
  for k, name in enumerate(cell_types.NAMES):
    ax.barh(np.arange(len(ids)), shares[:, k] * 100, left=left, color=COLORS[name])
    left += shares[:, k] * 100


def _columns(
  results: Results, control: bool
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  tables = results.control if control else results.tables
  pairs = {x: results.classes(x, control) for x in tables}
  return (
    {k: v[0] for k, v in pairs.items()},
    {k: v[1] for k, v in pairs.items() if v[1] is not None},
  )
