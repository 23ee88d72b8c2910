"""Figures of tuning: classes, their examples, and layers side by side.

figure = example_tuning_curves(results, 'dyn/deter')
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.maps.head_direction import STEPS
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.analysis.tuning.shares import effect
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.data.grid import Grid
from dreamerv3.plots import style, world
from dreamerv3.plots.units import class_intervals

# A colour per class: any two differ by at least 14 (CIEDE2000), as trichromats see them
# and under protanopia, deuteranopia and tritanopia (tests/plots/test_palette.py).
COLORS = {
  'untuned': '#a5a5a5',
  'dead': '#373737',
  'weak': '#efd7a5',
  'single_field': '#0650d8',
  'border_cells': '#358da3',
  'boundary_vector': '#07dffc',
  'grid_cells': '#052d7f',
  'remapping': '#d6e3e1',
  'internal': '#240024',
  'complex_cells': '#617758',
  'spatial_HD': '#908021',
  'HD_cells': '#fba00e',
  'egocentric': '#8f3b06',
  'action': '#6d546c',
  'speed': '#c867ff',
}
# Every figure calls a class as the tables do.
LABELS = {x: x.replace('_', ' ') for x in cell_types.NAMES}
NO_CODE = (cell_types.UNTUNED, cell_types.WEAK, cell_types.DEAD)
EXAMPLES = 5  # per class: a figure of all classes fits a page
ACROSS = 5  # panels per row of examples, legible at the width of a page


def si_ev_scatter(results: Results, layer: str, seed: int = 0) -> Figure:
  """Spatial information and held-out variance of each unit, by class."""
  figure, axes = style.new_figure(width=4.06, height=3.12)
  scatter(axes[0, 0], results, layer)
  figure.legend(handles=_legend(results, layer), loc='outside right upper')
  return figure


def scatter(ax: Axes, results: Results, layer: str) -> None:
  """Draws SI against EV with the thresholds; each unit can be picked."""
  table, ids = results.tables[layer], shown(results, layer)
  si, ev = table.metrics['SI'], table.metrics['EVs']
  colors = np.array([COLORS[x] for x in cell_types.NAMES])[ids]
  size = float(np.clip(4000 / max(len(si), 1), 4, 25))
  ax.scatter(
    si, ev, s=size, c=colors, alpha=0.8, lw=0.3, ec='white', picker=True, pickradius=4
  )
  _thresholds(ax, results, si)
  low = np.nanquantile(ev, 0.01) if np.isfinite(ev).any() else 0
  below = int((ev < min(low, -0.3) - 0.05).sum())
  ax.set_ylim(min(low, -0.3) - 0.05, 1.05)
  note = f' ({below} below the axis)' if below else ''
  ax.set(
    xlabel='spatial information, uncorrected [bits]',
    ylabel='held-out explained variance',
    title=f'{layer}:\n{len(si)} units{note}' if note else f'{layer}: {len(si)} units',
  )


def _thresholds(ax: Axes, results: Results, si: np.ndarray) -> None:
  """The limits between classes, each with its name; SI only where units are near."""
  limits = results.limits
  line: dict[str, Any] = dict(color=style.GREY, lw=0.8, ls=':')
  for value, text in (
    (limits.EV_thresh, 'a single field needs more'),
    (limits.EV_unthresh, 'explains nothing below'),
  ):
    ax.axhline(value, **line)
    ax.text(
      1,
      value,
      text,
      transform=ax.get_yaxis_transform(),
      fontsize=style.SMALL,
      color=style.GREY,
      ha='right',
      va='bottom',
    )
  widest = float(np.nanmax(si, initial=0)) * 1.08 or 1.0
  if limits.SI_thresh > 1.3 * widest:
    ax.set_xlim(-0.03 * widest, widest)
    return
  ax.axvline(limits.SI_thresh, **line)
  ax.text(
    limits.SI_thresh,
    0.02,
    ' informative',
    transform=ax.get_xaxis_transform(),
    fontsize=style.SMALL,
    color=style.GREY,
  )


def cell_type_bars(results: Results, layer: str, seed: int = 0) -> Figure:
  """Share of units per class: tested, by thresholds, and in the control.

  Under each kind of code that was found: EV, the median over its units of the
  held-out variance that their best model explains.
  """
  figure, axes = style.new_figure(width=7.02, height=2.8)
  narrow = figure.get_figwidth() < 5  # names stand upright, and bars have no numbers
  ax = axes[0, 0]
  simple, tested = results.classes(layer)
  bars: list[tuple[str, np.ndarray, dict[str, Any]]] = []
  if tested is not None:
    bars.append(('tested against chance', tested, {}))
  bars.append(('thresholds alone', simple, {'hatch': '.....', 'fill': False}))
  if layer in results.control:
    other = [x for x in results.classes(layer, control=True) if x is not None]
    bars.append(('untrained control', other[-1], {'hatch': '/////', 'fill': False}))
  rows = [x for x in results.metadata.get('class_shares', []) if x['layer'] == layer]
  # Where there are intervals they lie between the bars, clear of the numbers.
  step = 2 if rows else 1
  width = min(0.9 / (step * (len(bars) - 1) + 1), 0.8 / len(bars))
  places = (np.arange(len(bars)) - (len(bars) - 1) / 2) * step * width
  x = np.arange(len(cell_types.NAMES))
  colors = [COLORS[n] for n in cell_types.NAMES]
  for beside, (_, ids, look) in zip(places, bars, strict=True):
    shares = cell_types.fractions(ids) * 100
    place = x + beside
    ax.bar(place, shares, width, color=colors, edgecolor=colors, **look)
    for at, share in zip(place, shares, strict=True):
      if share and not narrow:
        ax.text(
          at,
          share,
          f'{share:.0f}' if share >= 1 else '<1',
          ha='center',
          va='bottom',
          fontsize=style.SMALL,
        )
  ax.set_xticks(x, _names(results, layer, narrow), fontsize=style.SMALL)
  slant = dict(rotation=90) if narrow else dict(rotation=38, rotation_mode='anchor')
  ax.tick_params('x', length=0)
  ax.set_xlim(-0.6, len(x) - 0.4)
  for text in ax.get_xticklabels():
    text.set(ha='center' if narrow else 'right', **slant)
  ax.set(ylabel='units [%]', title=f'{layer}: {len(simple)} units')
  handles: list[Any] = [
    Patch(facecolor='#777777', edgecolor='#777777', label=label, **look)
    for label, _, look in bars
  ]
  between = {'': places[0] + width, 'control_': places[-1] - width}
  handles += class_intervals.draw(ax, rows, between)
  if narrow:
    figure.set_figheight(3.6)
  figure.legend(handles=handles, loc='outside upper center', ncols=1 if narrow else 3)
  return figure


def _names(results: Results, layer: str, narrow: bool) -> list[str]:
  """Names of the classes and, where there is room, how strong their codes are."""
  names = [LABELS[n] for n in cell_types.NAMES]
  table = results.tables[layer]
  if narrow or not table.q:
    return names
  for k, name in enumerate(cell_types.NAMES):
    strength = effect(table, name, results.limits)
    if k not in NO_CODE and np.isfinite(strength):
      names[k] += f'\nEV {strength:.2f}'
  return names


def example_tuning_curves(results: Results, layer: str, seed: int = 0) -> Figure:
  """Up to 5 units of each class, drawn at random, in the order of EV."""
  table, ids = results.tables[layer], shown(results, layer)
  rng = np.random.default_rng([seed, 7])
  wide = style.across(ACROSS, ACROSS, 1.15)
  chosen: list[tuple[str, np.ndarray]] = []
  for k, name in enumerate(cell_types.NAMES):
    units = np.flatnonzero(ids == k)
    some = rng.choice(units, min(EXAMPLES, wide, len(units)), replace=False)
    score = np.nan_to_num(table.metrics['EVs'], nan=-9)
    if len(some):
      chosen.append((name, some[np.argsort(-score[some], kind='stable')]))
  rows = sum(-(-len(x) // wide) for _, x in chosen)
  figure, axes = style.new_figure(rows, wide, width=1.25, height=1.36)
  # Room below each map for the scale bar.
  engine = figure.get_layout_engine()
  assert isinstance(engine, ConstrainedLayoutEngine)
  engine.set(w_pad=0.03, h_pad=0.08, wspace=0, hspace=0)
  for ax in axes.ravel():
    ax.set_axis_off()
  row = 0
  for name, units in chosen:
    total = int((ids == cell_types.NAMES.index(name)).sum())
    for i, unit in enumerate(units):
      ax = axes[row + i // wide, i % wide]
      unit_panel(ax, results, table, int(unit))
      if i == 0:
        ax.set_ylabel(
          f'{LABELS[name]}\n{len(units)} of {total}',
          color=style.ink(COLORS[name]),
          weight='bold',
        )
        _scale_bar(ax)
    row += -(-len(units) // wide)
  style.headline(
    figure,
    f'{layer}: mean activation per tile, from the lower number (dark) to the upper one '
    '(bright); north is up; grey tiles were not visited, lines are walls; cross: mean '
    'activation per facing; EV held-out variance, SI and HD information [bits] about '
    'place and facing. Units of a class are drawn at random and ordered by EV; in grey '
    'where EV <= 0: the map does not hold on other episodes.',
  )
  return figure


def unit_panel(ax: Axes, results: Results, table: TuningTable, unit: int) -> None:
  """A small map with the unit's scores and its facing curve in a corner."""
  ax.set_axis_on()
  world.draw_map(ax, table.curves[unit], colorbar=False, walkable=results.walkable)
  world.frame(ax, Grid(*table.occupancy.shape), labels=False)
  _crop(ax, table.occupancy > 0)
  m = {k: v[unit] for k, v in table.metrics.items()}
  scores = (('EV', 'EVs'), ('\nSI', 'SI'), ('  HD', 'HD_info'))
  shown = ''.join(f'{k} {m[x]:.2f}' for k, x in scores if np.isfinite(m[x]))
  color = 'black' if m['EVs'] > 0 else style.GREY
  low, high = np.nanmin(table.curves[unit]), np.nanmax(table.curves[unit])
  digits = _digits(max(abs(low), abs(high)))
  ax.text(
    1.05,
    0,
    f'{high:.{digits}f}\n{low:.{digits}f}',
    fontsize=style.SMALL,
    va='bottom',
    transform=ax.transAxes,
  )
  ax.set_title(
    f'#{table.units[unit]}  {shown}', fontsize=style.SMALL, pad=2, color=color
  )
  curve = table.hd_curves[unit]
  if np.isfinite(curve).all() and np.ptp(curve) > 0:
    inset = ax.inset_axes((1.04, 0.64, 0.36, 0.36))
    heading(inset, curve)


def _digits(value: float) -> int:
  """Decimals that leave two digits of a value, and of all that are set beside it."""
  return int(np.clip(1 - np.floor(np.log10(max(value, 1e-9))), 0, 6))


def heading(ax: Axes, curve: np.ndarray) -> None:
  """The facing curve as four arms from 0 (or its minimum) to its maximum."""
  low = min(curve.min(), 0)
  span = curve.max() - low
  arms = (curve - low) / span if span > 0 else np.zeros(4)
  ax.set_facecolor('white')
  ax.set(xlim=(-1.1, 1.1), ylim=(1.1, -1.1), xticks=[], yticks=[])
  ax.set_aspect('equal')
  for side in ('top', 'right'):
    ax.spines[side].set_visible(True)
  for arm, step in zip(arms, STEPS, strict=True):
    ax.plot((0, arm * step[0]), (0, arm * step[1]), color='black', lw=1.5)


def shown(results: Results, layer: str) -> np.ndarray:
  """The classes that figures colour by: tested where there were nulls."""
  simple, tested = results.classes(layer)
  return simple if tested is None else tested


FIGURES: dict[str, Callable[[Results, str, int], Figure]] = {
  'si_ev_scatter': si_ev_scatter,
  'cell_types': cell_type_bars,
  'example_tuning_curves': example_tuning_curves,
}


def _crop(ax: Axes, visited: np.ndarray) -> None:
  """Zooms to the visited part of a world that is mostly unknown."""
  part = world.box(np.argwhere(visited), Grid(*visited.shape), 2)
  if max(part[2:]) <= 0.7 * max(visited.shape):
    world.zoom(ax, part)


def _scale_bar(ax: Axes) -> None:
  """A bar of a round number of tiles below a panel, whatever its zoom."""
  low, high = ax.get_xlim()
  tiles = next(x for x in (20, 10, 5, 2, 1) if x <= max((high - low) / 3, 1))
  length = tiles / (high - low)
  (bar,) = ax.plot(
    (0, length),
    (-0.06, -0.06),
    color='black',
    lw=2,
    clip_on=False,
    transform=ax.transAxes,
  )
  text = ax.text(
    length + 0.04,
    -0.06,
    f'{tiles} tiles',
    va='center',
    fontsize=style.SMALL,
    transform=ax.transAxes,
  )
  bar.set_in_layout(False)
  text.set_in_layout(False)


def _legend(results: Results, layer: str) -> list[Patch]:
  ids = shown(results, layer)
  counts = np.bincount(ids, minlength=len(cell_types.NAMES))
  return [
    Patch(color=COLORS[x], label=f'{LABELS[x]} ({n})')
    for x, n in zip(cell_types.NAMES, counts, strict=True)
    if n
  ]
