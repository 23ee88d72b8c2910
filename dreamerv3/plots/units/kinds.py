"""Figures of the kinds of maps that units have.

figures = groups(found)  # of one layer: {'scree': Figure, 'pca': Figure, ...}
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.kinds.metrics import LABELS, LaidOut, values_of
from dreamerv3.analysis.tuning.kinds.study import LayerKinds
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.plots import style, world
from dreamerv3.plots.units.tuning import COLORS
from dreamerv3.plots.units.tuning import LABELS as CLASSES

Figures = dict[str, Figure]  # by the end of their file name

NONE = '#c8c8c8'  # units of no group
METHODS = {'pca': 'component', 'tsne': 't-SNE', 'umap': 'UMAP'}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def groups(x: LayerKinds) -> Figures:
  """The figures of one layer's groups, by what they show."""
  found = {'scree': scree(x)}
  for name in x.places:
    found[name] = picture(x, name)
  if len(x.examples):
    found['cluster_examples'] = examples(x)
  return found


def scree(x: LayerKinds) -> Figure:
  """Variance of each component, beside that of shuffled maps."""
  fig, axes = style.new_figure(width=3.43, height=2.34)
  ax = axes[0, 0]
  order = np.arange(1, len(x.variances) + 1)
  whole = max(x.variances.sum(), 1e-12)
  ax.plot(order, x.variances / whole * 100, 'o-', ms=3, color=style.BLUE, label='units')
  if np.isfinite(x.chance).any():
    ax.plot(
      order,
      x.chance / whole * 100,
      color=style.GREY,
      ls='--',
      label='shuffled maps, 95th percentile',
    )
  ax.axvline(x.used + 0.5, color=style.BLACK, lw=0.8, ls=':', label='used up to here')
  ax.set(xlabel='principal component', ylabel='variance [% of those shown]')
  ax.set_yscale('log')
  style.log_ticks(ax.yaxis)
  ax.set_title(f'{x.layer}: autocorrelograms of {len(x.units)} units')
  ax.legend()
  return fig


def picture(x: LayerKinds, name: str) -> Figure:
  """The units in two dimensions, by group and by class."""
  cols = style.across(2, 2, 2.2)
  fig, axes = style.new_figure(2 // cols, cols, width=3.35, height=2.57)
  place, axis = x.places[name], METHODS[name]
  size = float(np.clip(4000 / max(len(place), 1), 5, 25))
  left, right = axes.flat
  none = x.labels < 0
  left.scatter(*place[none].T, s=size, lw=0, color=NONE)
  marks = [_mark(NONE, f'none ({none.sum()})')]
  for k in range(len(x.again)):
    of, color = x.labels == k, style.color(k)
    left.scatter(*place[of].T, s=size, lw=0, color=color)
    held = 'holds' if x.holds[k] else 'does not hold'
    marks.append(_mark(color, f'{k} ({of.sum()}), {held}'))
  _beside(left, marks[:12], 'group')
  _classes(right, place, x.classes, size)
  for ax in (left, right):
    ax.set(xlabel=f'{axis} 1', ylabel=f'{axis} 2', xticks=[], yticks=[])
  style.headline(fig, x.verdict())
  return fig


def examples(x: LayerKinds) -> Figure:
  """Maps and autocorrelograms of the units that are most of their group."""
  labels = x.labels[x.examples]
  count = len(x.again)
  most = max(int((labels == k).sum()) for k in range(count))
  fig, axes = style.new_figure(2 * count, most, width=0.9, height=0.9)
  for ax in axes.ravel():
    ax.set_axis_off()
  for k in range(count):
    for j, i in enumerate(np.flatnonzero(labels == k)):
      unit = x.examples[i]
      ax = axes[2 * k, j]
      ax.set_axis_on()
      world.draw_map(ax, x.maps[i], colorbar=False)
      ax.set(xlabel='', ylabel='', xticks=[], yticks=[])
      ax.set_title(
        f'#{x.units[unit]}  s {x.silhouette[unit]:.2f}', fontsize=style.SMALL, pad=2
      )
      below = axes[2 * k + 1, j]
      below.imshow(x.autocorrelograms[i].T, cmap='RdBu_r', vmin=-1, vmax=1)
      if j == 0:
        color = style.color(k)
        ax.set_ylabel(f'group {k}', color=color, weight='bold')
  fig.suptitle(
    f'{x.layer}: the units of the highest silhouette s of each group;\n'
    'maps, and below them autocorrelograms (blue -1, red 1)',
    fontsize=style.SMALL,
  )
  return fig


def layout(x: LaidOut) -> Figures:
  """Isomap of the measures, coloured by each of them, and by class."""
  cols = style.across(len(x.values), 4, 1.7)
  rows = -(-len(x.values) // cols)
  fig, axes = style.new_figure(rows, cols, width=3.0, height=2.6)
  size = float(np.clip(4000 / max(len(x.places), 1), 4, 20))
  for ax in axes.ravel():
    ax.set_axis_off()
  for ax, (name, values) in zip(axes.ravel(), x.values.items(), strict=False):
    ax.set_axis_on()
    low, high = np.percentile(values, (2, 98))
    marks = ax.scatter(
      *x.places.T, c=values, s=size, lw=0, cmap=style.SEQUENTIAL, vmin=low, vmax=high
    )
    fig.colorbar(marks, ax=ax)
    ax.set_title(style.folded(fig, LABELS[name], 0.75 / cols))
    ax.set(xlabel='Isomap 1', ylabel='Isomap 2', xticks=[], yticks=[])
  fig.suptitle(f'{x.layer}: {len(x.units)} units by their measures')
  classes, axes = style.new_figure(width=3.74, height=2.65)
  _classes(axes[0, 0], x.places, x.classes, size)
  axes[0, 0].set(xlabel='Isomap 1', ylabel='Isomap 2', xticks=[], yticks=[])
  axes[0, 0].set_title(f'{x.layer}: {len(x.units)} units by their measures')
  return {'isomap_metrics_values': fig, 'isomap_metrics_classes': classes}


def distributions(table: TuningTable, walkable: np.ndarray | None) -> Figures:
  """Histogram of each measure, with the maps of units at its quantiles."""
  return {
    f'dist_{name}': distribution(table, name, values, walkable)
    for name, values in values_of(table).items()
    if np.isfinite(values).any()
  }


def distribution(
  table: TuningTable, name: str, values: np.ndarray, walkable: np.ndarray | None
) -> Figure:
  """One measure: its histogram above, and examples below."""
  fig, axes = style.new_figure(2, len(QUANTILES), width=1.5, height=1.7)
  grid = axes[0, 0].get_gridspec()
  for ax in axes[0]:
    ax.remove()
  ax = fig.add_subplot(grid[0, :])
  (known,) = np.nonzero(np.isfinite(values))
  shown = values[known]
  low, high = np.percentile(shown, (0.5, 99.5))
  ax.hist(shown.clip(low, high), 50, color=style.BLUE)
  order = known[np.argsort(shown, kind='stable')]
  for q, below in zip(QUANTILES, axes[1], strict=True):
    unit = order[min(int(q * len(order)), len(order) - 1)]
    ax.axvline(values[unit], color=style.RED, lw=1, ls=':')
    world.draw_map(below, table.curves[unit], colorbar=False, walkable=walkable)
    below.set(xlabel='', ylabel='', xticks=[], yticks=[])
    below.set_title(
      f'{q:.0%}: {values[unit]:.2f}\n#{table.units[unit]}', fontsize=style.SMALL, pad=2
    )
  ax.set(xlabel=LABELS[name], ylabel='units')
  left_out = len(values) - len(known)
  note = f', {left_out} without a value' if left_out else ''
  ax.set_title(f'{table.layer}: {len(known)} units{note}; dotted: the maps below')
  return fig


def _classes(
  ax: Axes, place: np.ndarray, classes: Sequence[str] | np.ndarray, size: float
) -> None:
  marks, counts = [], _counts(classes)
  for name in counts:
    of = np.asarray(classes) == name
    ax.scatter(place[of, 0], place[of, 1], s=size, lw=0, color=COLORS[name])
    marks.append(_mark(COLORS[name], f'{CLASSES[name]} ({of.sum()})'))
  _beside(ax, marks, 'class')


def _counts(classes: Sequence[str] | np.ndarray) -> Mapping[str, int]:
  found = {k: int((np.asarray(classes) == k).sum()) for k in cell_types.NAMES}
  return {k: v for k, v in found.items() if v}


def _mark(color: str, label: str) -> Line2D:
  return Line2D([], [], marker='o', ls='', color=color, label=label)


def _beside(ax: Axes, marks: Sequence[Line2D], title: str) -> None:
  ax.legend(handles=marks, title=title, loc='upper left', bbox_to_anchor=(1, 1))
