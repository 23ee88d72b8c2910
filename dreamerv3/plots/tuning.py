"""Figures of tuning: classes, their examples, and layers side by side.

figure = example_tuning_curves(results, 'dyn/deter')
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.maps.head_direction import STEPS
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.data.grid import Grid
from dreamerv3.plots import class_intervals, style, world

# What a class is about, by hue: spatial blue to green, facing orange, what is no
# code of place red to purple, nothing grey.
COLORS = {
  'untuned': '#bbbbbb',
  'dead': '#444444',
  'weak': '#d9d0c4',
  'single_field': style.BLUE,
  'border_cells': '#00a0b0',
  'boundary_vector': style.SKY,
  'grid_cells': '#003f6b',
  'remapping': '#8fb4d9',
  'complex_cells': style.GREEN,
  'spatial_HD': '#b5a900',
  'HD_cells': style.ORANGE,
  'egocentric': style.RED,
  'action': '#8c3b73',
  'speed': style.PURPLE,
}
# Every figure calls a class as the tables do.
LABELS = {x: x.replace('_', ' ') for x in cell_types.NAMES}
EXAMPLES = 10  # per class
ACROSS = 5  # panels per row of examples, legible at the width of a page


def si_ev_scatter(results: Results, layer: str, seed: int = 0) -> Figure:
  """Spatial information and held-out variance of each unit, by class."""
  figure, axes = style.new_figure(width=5.2, height=4.0)
  scatter(axes[0, 0], results, layer)
  figure.legend(handles=_legend(results, layer), loc='outside right upper')
  return figure


def scatter(ax: Axes, results: Results, layer: str) -> None:
  """Draws SI against EV with the thresholds; each unit can be picked."""
  table, ids = results.tables[layer], shown(results, layer)
  si, ev = table.metrics['SI'], table.metrics['EVs']
  colors = np.array([COLORS[x] for x in cell_types.NAMES])[ids]
  size = float(np.clip(4000 / max(len(si), 1), 4, 25))
  ax.scatter(si, ev, s=size, c=colors, alpha=0.7, lw=0, picker=True, pickradius=4)
  limits = results.limits
  for value, draw in (
    (limits.SI_thresh, ax.axvline),
    (limits.EV_thresh, ax.axhline),
    (limits.EV_unthresh, ax.axhline),
  ):
    draw(value, color=style.GREY, lw=0.8, ls=':')
  low = np.nanquantile(ev, 0.01) if np.isfinite(ev).any() else 0
  below = int((ev < min(low, -0.3) - 0.05).sum())
  ax.set_ylim(min(low, -0.3) - 0.05, 1.05)
  note = f' ({below} units lie below)' if below else ''
  ax.set(
    xlabel='spatial information, uncorrected [bits]',
    ylabel='held-out explained variance',
    title=f'{layer}: {len(si)} units{note}',
  )


def cell_type_bars(results: Results, layer: str, seed: int = 0) -> Figure:
  """Share of units per class: tested, by thresholds, and in the control."""
  figure, axes = style.new_figure(width=9.0, height=3.2)
  ax = axes[0, 0]
  simple, tested = results.classes(layer)
  bars: list[tuple[str, np.ndarray, dict[str, Any]]] = []
  if tested is not None:
    bars.append(('tested against chance', tested, {'alpha': 1.0}))
  bars.append(('thresholds alone', simple, {'alpha': 0.45}))
  if layer in results.control:
    other = [x for x in results.classes(layer, control=True) if x is not None]
    bars.append(('untrained control', other[-1], {'hatch': '///', 'fill': False}))
  width = 0.8 / len(bars)
  x = np.arange(len(cell_types.NAMES))
  colors = [COLORS[n] for n in cell_types.NAMES]
  for k, (_, ids, look) in enumerate(bars):
    shares = cell_types.fractions(ids) * 100
    place = x + (k - (len(bars) - 1) / 2) * width
    ax.bar(place, shares, width, color=colors, edgecolor=colors, **look)
    for at, share in zip(place, shares, strict=True):
      if share:
        ax.text(
          at,
          share,
          f'{share:.0f}' if share >= 1 else '<1',
          ha='center',
          va='bottom',
          fontsize=6,
        )
  labels = [LABELS[n].replace(' ', '\n') for n in cell_types.NAMES]
  ax.set_xticks(x, labels, fontsize=7)
  ax.set(ylabel='units [%]', title=f'{layer}: {len(simple)} units')
  handles = [
    Patch(facecolor='#777777', edgecolor='#777777', label=label, **look)
    for label, _, look in bars
  ]
  rows = results.metadata.get('class_shares', [])
  drawn = class_intervals.draw(ax, [x for x in rows if x['layer'] == layer])
  ax.legend(handles=[*handles, *drawn])
  return figure


def example_tuning_curves(results: Results, layer: str, seed: int = 0) -> Figure:
  """Up to 10 units of each class, drawn at random, in the order of EV."""
  table, ids = results.tables[layer], shown(results, layer)
  rng = np.random.default_rng([seed, 7])
  chosen: list[tuple[str, np.ndarray]] = []
  for k, name in enumerate(cell_types.NAMES):
    units = np.flatnonzero(ids == k)
    some = rng.choice(units, min(EXAMPLES, len(units)), replace=False)
    score = np.nan_to_num(table.metrics['EVs'], nan=-9)
    if len(some):
      chosen.append((name, some[np.argsort(-score[some], kind='stable')]))
  rows = sum(-(-len(x) // ACROSS) for _, x in chosen)
  figure, axes = style.new_figure(rows, ACROSS, width=1.6, height=1.75)
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
      ax = axes[row + i // ACROSS, i % ACROSS]
      unit_panel(ax, results, table, int(unit))
      if i == 0:
        ax.set_ylabel(
          f'{LABELS[name]}\n{len(units)} of {total}',
          color=COLORS[name],
          weight='bold',
        )
        _scale_bar(ax)
    row += -(-len(units) // ACROSS)
  figure.suptitle(
    f'{layer}: mean activation per tile, each from its lowest (dark) to its '
    'highest (bright);\ngrey tiles were not visited, lines are walls; cross: '
    'mean activation per facing;\nEV held-out variance, SI and HD information '
    '[bits] about place and facing.\nUnits of a class are drawn at random and '
    'ordered by EV; in grey where EV <= 0:\nthe map does not hold on other '
    'episodes.',
    fontsize=9,
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
  ax.set_title(f'#{table.units[unit]}  {shown}', fontsize=8, pad=2, color=color)
  curve = table.hd_curves[unit]
  if np.isfinite(curve).all() and np.ptp(curve) > 0:
    inset = ax.inset_axes((1.04, 0.64, 0.36, 0.36))
    heading(inset, curve)


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


def layer_summary(results: Results) -> Figure:
  """Class shares, information and held-out variance of all layers.

  Layers of one unit have no shares: they are left out, and named.
  """
  single = [x for x, t in results.tables.items() if len(t) == 1]
  names = [x for x in results.tables if x not in single] or single
  simple, tested = _columns(results, control=False)
  panels: list[tuple[str, Mapping[str, np.ndarray]]] = []
  if tested:
    panels.append(('tested against chance', tested))
  panels.append(('thresholds alone', simple))
  if results.control:
    first, second = _columns(results, control=True)
    panels.append(('untrained control', second or first))
  height = 1.4 + 0.28 * len(names)
  figure, axes = style.new_figure(
    1, len(panels) + 2, width=3.1, height=height, sharey=True
  )
  y = np.arange(len(names))
  for ax, (title, ids) in zip(axes[0], panels, strict=False):
    _stack(ax, [ids.get(x) for x in names])
    ax.set(xlabel='units [%]', title=title, xlim=(0, 100))
  for ax, key, title, label in (
    (axes[0, -2], 'SI', 'spatial information', 'uncorrected [bits]'),
    (axes[0, -1], 'EVs', 'explained variance', 'held out'),
  ):
    values = [results.tables[x].metrics[key] for x in names]
    values = [v[np.isfinite(v)] for v in values]
    box = ax.boxplot(
      values,
      positions=y,
      orientation='horizontal',
      widths=0.6,
      patch_artist=True,
      showfliers=False,
      whis=(5, 95),
      medianprops={'color': 'black'},
    )
    for patch in box['boxes']:
      patch.set_facecolor('#d0d0d0')  # colours are classes
    ax.set(xlabel=f'{label}\nbox: quartiles, whiskers: 5-95 %', title=title)
    ax.xaxis.set_major_locator(MaxNLocator(4))
  axes[0, -1].axvline(0, color=style.GREY, lw=0.8, ls=':')
  labels = [f'{x} ({len(results.tables[x])})' for x in names]
  axes[0, 0].set_yticks(y, labels)
  axes[0, 0].set_ylabel('layer (units)')
  if names != single and single:
    figure.suptitle(f'Left out, one unit: {", ".join(single)}.', fontsize=9)
  axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
  handles = [Patch(color=COLORS[x], label=LABELS[x]) for x in cell_types.NAMES]
  figure.legend(
    handles=handles, loc='outside lower center', ncols=(len(COLORS) + 1) // 2
  )
  return figure


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
    fontsize=6,
    transform=ax.transAxes,
  )
  bar.set_in_layout(False)
  text.set_in_layout(False)


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


def _legend(results: Results, layer: str) -> list[Patch]:
  ids = shown(results, layer)
  counts = np.bincount(ids, minlength=len(cell_types.NAMES))
  return [
    Patch(color=COLORS[x], label=f'{LABELS[x]} ({n})')
    for x, n in zip(cell_types.NAMES, counts, strict=True)
    if n
  ]
