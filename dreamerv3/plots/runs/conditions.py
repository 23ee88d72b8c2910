"""Figures of conditions beside each other, each a mean over agents.

figures = all_figures(found)  # {'decode_heatmap': Figure, ...}
"""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from dreamerv3.analysis.conditions import quantities
from dreamerv3.analysis.conditions.found import Cell, Comparison
from dreamerv3.analysis.conditions.hierarchy import ENOUGH
from dreamerv3.analysis.conditions.tables import differs
from dreamerv3.plots import style

FEW_LAYERS = 2  # of which every one gets a panel
OTHERS = ('decode_error', 'SI', 'EV')  # quantities that other figures show
MAIN = 'dyn/deter'
PANELS = 4  # in a row
COMMON = 0.01  # share of units from which on a class is drawn
MOST_EFFECTS = 40  # rows of the forest

# Classes that are nothing, and all others.
PALE = {'untuned': '#dddddd', 'dead': '#f3f3f3', 'weak': '#bbbbbb'}
COLOURS = (*style.PALETTE[:7], '#7f3b08', '#4d9221', '#40004b', '#8c510a')


def all_figures(found: Comparison) -> dict[str, Figure]:
  """Every figure that the numbers allow, by its file name."""
  there = set(found.quantities())
  figures: dict[str, Figure] = {}
  table: tuple[tuple[str, str, Callable[[Comparison, str], Figure]], ...] = (
    ('decode_heatmap', 'decode_share', heatmap),
    ('decode_lineplot', 'decode_share', lineplot),
    ('tuning_si_heatmap', 'SI', heatmap),
    ('tuning_ev_heatmap', 'EV', heatmap),
  )
  for name, quantity, draw in table:
    if quantity in there:
      figures[name] = draw(found, quantity)
  if _classes(found):
    figures['tuning_celltypes'] = celltypes(found)
  if panels_of(found):
    figures['runs'] = every_run(found)
  if any(np.isfinite(x.g) for x in found.effects):
    figures['effects'] = effects(found)
  return figures


def heatmap(found: Comparison, quantity: str) -> Figure:
  """Layers x conditions: means over runs; a star where the reference differs."""
  of, layers = quantities.of(quantity), found.layers(quantity)
  cells = [[found.of(quantity, y, x) for x in found.conditions] for y in layers]
  values = np.array([[np.nan if x is None else x.mean for x in row] for row in cells])
  width = 2.8 + 0.85 * len(found.conditions)
  fig, axes = style.new_figure(1, 1, width, 1.5 + 0.3 * len(layers))
  ax = axes[0, 0]
  image = ax.imshow(values, aspect='auto', cmap=style.SEQUENTIAL)
  middle = (np.nanmin(values) + np.nanmax(values)) / 2
  places = style.decimals(values)
  for y, layer in enumerate(layers):
    for x, condition in enumerate(found.conditions):
      if np.isnan(values[y, x]):
        continue
      star = '*' if differs(found.effect(quantity, layer, condition)) else ''
      color = 'black' if values[y, x] > middle else 'white'
      text = f'{values[y, x]:.{places}f}{star}'
      ax.text(x, y, text, ha='center', va='center', color=color, fontsize=8)
  names = [_named(found, quantity, x) for x in found.conditions]
  turned = max(map(len, found.conditions)) > 10
  ax.set_xticks(range(len(names)), names, rotation=30 if turned else 0)
  ax.set_yticks(range(len(layers)), layers)
  ax.tick_params(length=0)
  ax.spines[:].set_visible(False)
  fig.colorbar(image, ax=ax, label=of.unit)
  tested = any(x.p == x.p for x in found.effects if x.quantity == quantity)
  fig.suptitle(
    f'{of.label[0].upper()}{of.label[1:]}, mean over runs'
    + (f'\n*: differs from {found.conditions[0]}, all layers at 5 %' if tested else ''),
    fontsize=9,
  )
  return fig


def lineplot(found: Comparison, quantity: str) -> Figure:
  """Along the network: means with intervals over runs, and every run as a dot."""
  layers = found.layers(quantity)
  fig, axes = style.new_figure(1, 1, 2.5 + 0.55 * len(layers), 3.6)
  ax = axes[0, 0]
  step = 0.6 / len(found.conditions)
  for i, condition in enumerate(found.conditions):
    known = [(j, found.of(quantity, y, condition)) for j, y in enumerate(layers)]
    cells = [(j, x) for j, x in known if x is not None]
    if not cells:
      continue
    at = np.array([j for j, _ in cells]) + (i - (len(found.conditions) - 1) / 2) * step
    _dots(ax, at, [x for _, x in cells], i, _label(condition, cells[0][1]))
    ax.plot(at, [x.mean for _, x in cells], color=style.color(i), lw=1.2)
    for x, (_, cell) in zip(at, cells, strict=True):
      if differs(found.effect(quantity, cell.layer, condition)):
        top = max(cell.high, *cell.values)
        ax.text(x, top, '*', color=style.color(i), ha='center', fontsize=12)
  if quantity == 'decode_share':
    ax.axhline(1, color=style.BLACK, lw=1, ls=':', label='best constant')
  ax.set_xticks(range(len(layers)), layers, rotation=40, ha='right')
  ax.set_ylabel(_axis(quantity))
  ax.set_xlim(-0.5, len(layers) - 0.5)
  ax.set_ylim(bottom=0)
  if any(differs(x) for x in found.effects if x.quantity == quantity):
    note = f'*: differs from {found.conditions[0]}, all layers at 5 %'
    ax.set_xlabel(style.folded(fig, note, 0.7))
  style.legend_above(fig, ax)
  return fig


def every_run(found: Comparison) -> Figure:
  """Numbers of whole agents and of their recurrent state: runs, means, intervals."""
  panels = panels_of(found)
  cols = style.across(len(panels), PANELS, 1.7)
  lines = -(-len(panels) // cols)
  fig, axes = style.new_figure(lines, cols, 2.3, 2.6)
  for ax, (quantity, layer) in zip(axes.flat, panels, strict=False):
    for i, condition in enumerate(found.conditions):
      cell = found.of(quantity, layer, condition)
      if cell is not None:
        _dots(ax, np.array([i]), [cell], i, condition)
    star = [differs(found.effect(quantity, layer, x)) for x in found.conditions]
    names = [
      f'{x}{"*" if s else ""}' for x, s in zip(found.conditions, star, strict=True)
    ]
    long = max(map(len, names)) * len(names) > 18
    ax.set_xticks(range(len(names)), names, rotation=30 if long else 0)
    if long:
      for text in ax.get_xticklabels():
        text.set_ha('right')
    ax.set_xlim(-0.6, len(names) - 0.4)
    of = quantities.of(quantity)
    title = style.folded(fig, of.label, 0.7 / cols)
    ax.set_title(title + (f'\n{layer}' if layer else ''), fontsize=8)
    ax.set_ylabel(of.unit)
    ax.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
  for ax in axes.flat[len(panels) :]:
    ax.set_axis_off()
  title = 'Dots: runs; bars: mean and 95 % interval over runs'
  if any(differs(x) for x in found.effects):
    title += f'; *: differs from {found.conditions[0]} at 5 %'
  fig.suptitle(style.folded(fig, title), fontsize=9)
  return fig


def celltypes(found: Comparison) -> Figure:
  """Shares of classes, stacked: a bar per layer and condition, means over runs."""
  classes = _classes(found)
  prefix = classes[0].rpartition('/')[0] + '/'
  layers = found.layers(classes[0])
  bars = [(y, x) for y in layers for x in found.conditions]
  fig, axes = style.new_figure(1, 1, 7.0, 1.3 + 0.24 * len(bars) + 0.1 * len(layers))
  ax = axes[0, 0]
  gap = 0.5
  at = [k + gap * layers.index(y) for k, (y, _) in enumerate(bars)]
  left = np.zeros(len(bars))
  colours = iter(COLOURS * 2)
  for name in classes:
    cells = [found.of(name, y, x) for y, x in bars]
    share = np.array([0.0 if x is None else x.mean for x in cells])
    kind = name.removeprefix(prefix)
    color = PALE.get(kind) or next(colours)
    label = kind.replace('_', ' ')
    ax.barh(at, share, left=left, color=color, ec='white', lw=0.4, label=label)
    left += share
  ax.set_yticks(at, [f'{y}   {x}' for y, x in bars])
  ax.tick_params(axis='y', length=0)
  ax.set_xlim(0, 1)
  ax.invert_yaxis()
  how = 'by test' if prefix == quantities.CLASS else 'by thresholds alone'
  ax.set_xlabel(f'share of units, mean over runs; classes {how}')
  ax.legend(loc='center left', bbox_to_anchor=(1.01, 0.5))
  return fig


def effects(found: Comparison) -> Figure:
  """Forest of standardised differences from the reference, with intervals."""
  known = [
    x for x in found.effects if np.isfinite(x.g) and x.quantity != 'decode_error'
  ]
  names = list(dict.fromkeys((x.quantity, x.layer) for x in known))
  if len(names) > MOST_EFFECTS:  # those of which most is known
    size = {
      k: max(abs(x.g) for x in known if (x.quantity, x.layer) == k) for k in names
    }
    kept = sorted(names, key=lambda k: -size[k])[:MOST_EFFECTS]
    names = [x for x in names if x in kept]
  others = found.conditions[1:]
  fig, axes = style.new_figure(1, 1, 6.4, 1.4 + 0.25 * len(names))
  ax = axes[0, 0]
  step = 0.6 / len(others)
  for i, condition in enumerate(others):
    some = [
      (names.index((x.quantity, x.layer)), x)
      for x in known
      if x.condition == condition and (x.quantity, x.layer) in names
    ]
    at = np.array([y for y, _ in some]) + (i - (len(others) - 1) / 2) * step
    for y, (_, x) in zip(at, some, strict=True):
      fill = style.color(i + 1) if differs(x) else 'white'
      ax.plot([x.g_low, x.g_high], [y, y], color=style.color(i + 1), lw=1.2)
      ax.plot([x.g], [y], 'o', ms=5, mfc=fill, mec=style.color(i + 1))
    ax.plot([], [], 'o', color=style.color(i + 1), label=condition)
  ax.axvline(0, color=style.BLACK, lw=0.8)
  ax.set_yticks(range(len(names)), [_words(*x) for x in names])
  ax.set_ylim(len(names) - 0.5, -0.5)
  fig.supxlabel(
    style.folded(
      fig,
      f"Hedges' g: difference from {found.conditions[0]} in standard deviations "
      'between runs, 95 % interval over runs; filled: holds at 5 % for all layers '
      'together',
    ),
    fontsize=8,
  )
  style.legend_above(fig, ax)
  return fig


def panels_of(found: Comparison, names: Sequence[str] = ()) -> list[tuple[str, str]]:
  """Quantities that get a panel of their own, each in its main layers.

  Args:
    names: of quantities; those that no other figure shows by default.
  """
  usual = [x for x in found.quantities() if '/' not in x and x not in OTHERS]
  panels = []
  for name in names or usual:
    layers = found.layers(name)
    if MAIN in layers or len(layers) > FEW_LAYERS:
      layers = [x for x in layers if x == MAIN] or layers[:FEW_LAYERS]
    panels += [(name, x) for x in layers]
  return panels


def _classes(found: Comparison) -> list[str]:
  """Classes by test, or by thresholds where nothing was tested."""
  for prefix in (quantities.CLASS, quantities.CLASS_SIMPLE):
    names = [x for x in found.quantities() if x.startswith(prefix)]
    if names:
      pale = {prefix + x: i for i, x in enumerate(PALE, 1)}
      return sorted(names, key=lambda x: pale.get(x, 0))
  return []


def _dots(ax: Axes, at: np.ndarray, cells: Sequence[Cell], i: int, label: str) -> None:
  """Runs as dots, their means and intervals beside."""
  color = style.color(i)
  for x, cell in zip(at, cells, strict=True):
    spread = np.linspace(-0.06, 0.06, len(cell.values)) if len(cell.values) > 1 else [0]
    ax.plot(
      x + np.array(spread), cell.values, 'o', ms=3.5, color=color, alpha=0.6, mew=0
    )
    if np.isfinite(cell.low):
      ax.plot([x, x], [cell.low, cell.high], color=color, lw=1.6)
  ax.plot(at, [x.mean for x in cells], '_', ms=9, mew=2, color=color, label=label)


def _label(condition: str, cell: Cell) -> str:
  n = len(cell.values)
  few = ', no interval' if n < ENOUGH else ''
  return f'{condition} ({n} {"run" if n == 1 else "runs"}{few})'


def _named(found: Comparison, quantity: str, condition: str) -> str:
  n = max(
    (
      len(x.values)
      for x in found.cells
      if (x.quantity, x.condition) == (quantity, condition)
    ),
    default=0,
  )
  return f'{condition}\nn = {n}'


def _axis(quantity: str) -> str:
  of = quantities.of(quantity)
  return f'{of.label}\n[{of.unit}]' if of.unit else of.label


def _words(quantity: str, layer: str) -> str:
  label = quantities.of(quantity).label
  return f'{label}, {layer}' if layer else label
