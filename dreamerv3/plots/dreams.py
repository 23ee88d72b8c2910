"""Figures of dreams: paths over the world, probabilities, error and horizon.

figures = all_figures(DreamStudy.open('dream_results.pkl'))
figure = compare(dreams, curves, found)
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator

from dreamerv3.analysis.bootstrap import NONE
from dreamerv3.analysis.dreams.judgement import verdict
from dreamerv3.analysis.dreams.measures import Coherence, DreamCurves, DreamSet
from dreamerv3.analysis.dreams.study import DreamStudy
from dreamerv3.data.metadata import Metadata
from dreamerv3.plots import style, world

STARTS = 6  # of the figure of paths
SHOWN = 6  # steps of a map of probability
LEAST = 11  # tiles a side of a panel
TIME = 'plasma'
FAINT = 0.02  # of a panel's largest probability; less is left clear
FRESH = 1_000_000  # episodes that dreams start in are numbered from here on
ACTIONS = {'replay': 'real actions', 'policy': 'own actions'}

COLORS = {
  'replay': style.BLUE,
  'policy': style.SKY,
  'observed': style.GREEN,
  'real': style.BLACK,
  'shuffled': style.PURPLE,
  'still': style.GREY,
  'permuted': style.ORANGE,
  'untrained': style.GREY,
  'frozen': style.GREY,
  'constant': style.RED,
  'prior': style.RED,
}
LINES = {
  'replay': 'dream, real actions',
  'policy': 'dream, own actions',
  'observed': 'decoded while seeing (floor)',
  'permuted': 'dream, permuted actions',
  'untrained': 'dream, untrained model',
  'still': 'stays at the start',
  'constant': 'chance: best constant',
  'prior': 'chance: occupancy',
  'shuffled': 'shuffled dreams',
}
DASHES = {
  'untrained': ':',
  'still': '--',
  'constant': '--',
  'prior': ':',
  'shuffled': '-.',
}
BANDS = ('replay', 'observed')  # more of them merge into one block
BARS = {
  'replay': 'dream,\nreal actions',
  'policy': 'dream,\nown actions',
  'observed': 'while\nseeing',
  'shuffled': 'shuffled\ndreams',
}


def all_figures(study: DreamStudy) -> dict[str, Figure]:
  """{name: figure}: distances, paths, and maps of the first dreams."""
  dreams, metadata = study.dreams, study.metadata
  return {
    'dream_vs_real': compare(dreams, study.curves, study.found),
    'dream_trajectories_world': paths(dreams, metadata),
    **{
      f'dream_probmap_{i + 1}': probabilities(dreams, study.proba, i, metadata)
      for i in range(len(study.proba['replay']))
    },
  }


def paths(dreams: DreamSet, metadata: Metadata) -> Figure:
  """Decoded paths over the world, coloured by step, beside the real one.

  Each start has two panels: dreamed along the real actions, and along those
  of the dreaming policy.
  """
  count = min(STARTS, len(dreams))
  pairs = style.across(4, 4) // 2 or 1
  rows = -(-count // pairs)
  fig, axes = style.new_figure(rows, 2 * pairs, width=2.26, height=2.34)
  norm = Normalize(0, dreams.horizon)
  for i, pair in enumerate(axes.reshape(-1, 2)):
    if i >= count:
      for ax in pair:
        ax.set_axis_off()
      continue
    keep = dreams.valid[i]
    real = dreams.real[i, keep]
    both = [dreams.decoded[x][i, keep] for x in ACTIONS]
    part = world.box(np.concatenate([real, *both]), dreams.grid, 1, LEAST)
    for ax, path, label in zip(pair, both, ACTIONS.values(), strict=True):
      world.draw_floor(ax, dreams.grid, metadata.walkable())
      world.zoom(ax, part)
      _path(ax, path, real, norm)
      ax.set_title(f'{_named(dreams, i)}\n{label}', fontsize=style.SMALL)
  _label_edges(axes)
  mappable = ScalarMappable(norm, TIME)
  bar = fig.colorbar(mappable, ax=axes, shrink=0.5, label='step of the dream')
  bar.locator = MaxNLocator(6, integer=True)
  _legend(fig)
  return fig


def _named(dreams: DreamSet, i: int) -> str:
  """Where dream `i` begins; fresh episodes are counted from 1."""
  return f'fresh episode {dreams.episode[i] % FRESH}, t {dreams.t[i]}'


def probabilities(
  dreams: DreamSet, proba: Mapping[str, np.ndarray], i: int, metadata: Metadata
) -> Figure:
  """Maps of probability at some steps of dream `i` (of `proba` too).

  Args:
    proba: {'replay', 'policy'}: (N, H, W, Hg), steps from 1.
  """
  last = int(dreams.valid[i].sum()) - 1
  steps = np.unique(np.linspace(1, last, min(SHOWN, last)).round().astype(int))
  wide = style.across(len(steps), len(steps), 1.1)
  fold = -(-len(steps) // wide)
  fig, axes = style.new_figure(2 * fold, wide, width=1.3, height=1.5)
  shown = np.concatenate(
    [dreams.real[i, : last + 1], *(dreams.decoded[k][i, : last + 1] for k in ACTIONS)]
  )
  part = world.box(shown, dreams.grid, 1, LEAST)
  halves = np.split(axes, 2)
  for half, (kind, label) in zip(halves, ACTIONS.items(), strict=True):
    for ax in half.flat[len(steps) :]:
      ax.set_axis_off()
    for ax, step in zip(half.flat, steps, strict=False):
      world.draw_floor(ax, dreams.grid, metadata.walkable())
      _cloud(ax, proba[kind][i, step - 1])
      _marker(ax, dreams.real[i, step], 'o', 'white', 30)
      _marker(ax, dreams.decoded[kind][i, step], 'x', style.SKY, 25)
      world.zoom(ax, part)
      ax.set_title(f'step {step}\n{label}', fontsize=style.SMALL)
  _label_edges(axes)
  norm = Normalize(0, 1)
  mappable = ScalarMappable(norm, style.PALE_HEAT)
  label = 'probability / largest of the panel'
  fig.colorbar(mappable, ax=axes, shrink=0.6, label=label)
  handles = [
    _handle('o', 'white', 'where the agent really was'),
    _handle('x', style.SKY, 'most probable tile'),
  ]
  fig.legend(handles=handles, loc='outside lower center', ncols=2)
  fig.suptitle(f'Dream from {_named(dreams, i)}')
  return fig


def compare(
  dreams: DreamSet, curves: DreamCurves, found: Mapping[str, Coherence]
) -> Figure:
  """Error against the horizon with floor and chance, and share of jumps."""
  # A column has no room beside the curves.
  rows = 3 - style.across(2, 2, 2.0)
  ratios: dict[str, Any] = {'width_ratios' if rows == 1 else 'height_ratios': (3, 1)}
  fig, axes = style.new_figure(rows, 3 - rows, width=3.5, height=3.2, **ratios)
  axes = axes.reshape(1, 2)
  _curves(axes[0, 0], curves)
  _jumps(axes[0, 1], found)
  episodes = len(np.unique(dreams.episode))
  bands = f', {NONE}'
  if any(np.isfinite(x).any() for x in curves.low.values()):
    bands = ', bands: 95 % over episodes'
  style.headline(
    fig,
    f'{verdict(curves.gains)}\n{len(dreams)} dreams from {episodes} fresh '
    f'{"episode" if episodes == 1 else "episodes"}{bands}',
  )
  return fig


def _curves(ax: Axes, curves: DreamCurves) -> None:
  steps = np.arange(len(curves.count))
  for name, label in LINES.items():
    if name not in curves.mean:
      continue
    mean = curves.mean[name]
    dream = name in curves.low
    ax.plot(
      steps,
      mean,
      DASHES.get(name, '-'),
      color=COLORS[name],
      label=label,
      lw=2.2 if dream else 1.2,
      marker='o' if len(steps) == 2 else None,
    )
    if name in BANDS and np.isfinite(curves.low[name]).any():
      ax.fill_between(
        steps,
        curves.low[name],
        curves.high[name],
        color=COLORS[name],
        alpha=0.15,
        lw=0,
      )
  ax.set(xlabel='step of the dream', ylabel='distance to the real path [tiles]')
  ax.set_ylim(0, None)
  ax.set_xlim(0, steps[-1])
  ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
  figure = ax.get_figure()
  assert isinstance(figure, Figure)
  handles, labels = ax.get_legend_handles_labels()
  figure.legend(
    handles, labels, loc='outside lower center', ncols=style.across(9, 4, 1.7)
  )


def _jumps(ax: Axes, found: Mapping[str, Coherence]) -> None:
  names = list(BARS)
  values = [100 * found[x].jumps for x in names]
  colors = [COLORS[x] for x in names]
  bars = ax.barh(range(len(names)), values, color=colors, height=0.7)
  ax.bar_label(bars, fmt='%.0f %%', padding=3)
  ax.set_yticks(range(len(names)), [BARS[x] for x in names])
  ax.invert_yaxis()
  ax.set_xlim(0, 1.35 * max(*values, 10))
  ax.xaxis.set_major_locator(MaxNLocator(4))
  ax.set_xlabel('steps over more\nthan one tile [%]')


def _path(ax: Axes, path: np.ndarray, real: np.ndarray, norm: Normalize) -> None:
  ax.plot(*real.T, color='black', lw=4.5, zorder=4, solid_capstyle='round')
  ax.plot(*real.T, color='white', lw=2.5, zorder=4, solid_capstyle='round')
  _marker(ax, real[-1], 'D', 'white', 34)
  line = LineCollection(
    [*np.stack([path[:-1], path[1:]], 1)],
    cmap=TIME,
    norm=norm,
    lw=1.6,
    zorder=5,
  )
  line.set_array(np.arange(1, len(path)))
  ax.add_collection(line)
  steps = np.arange(len(path))
  ax.scatter(
    path[:, 0], path[:, 1], c=steps, cmap=TIME, norm=norm, s=12, zorder=6, lw=0
  )
  colors = colormaps[TIME](norm(steps[[0, -1]]))
  _marker(ax, path[0], 'o', colors[0], 60)
  _marker(ax, path[-1], 's', colors[-1], 60)


def _cloud(ax: Axes, proba: np.ndarray) -> None:
  """Probability of each tile, in the colours of the bar."""
  share = np.ma.masked_less(proba.T / max(float(proba.max()), 1e-30), FAINT)
  height, width = share.shape
  ax.imshow(
    share,
    extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    zorder=2,
    cmap=style.PALE_HEAT,
    vmin=0,
    vmax=1,
  )


def _marker(ax: Axes, at: np.ndarray, form: str, color: Any, size: float) -> None:
  x, y = at
  if form == 'x':
    ax.scatter(x, y, marker='x', color='black', s=size, lw=3.6, zorder=7)
    ax.scatter(x, y, marker='x', color=color, s=size, lw=1.8, zorder=8)
    return
  ax.scatter(
    x,
    y,
    marker=form,
    s=size,
    zorder=7,
    color=[color],
    edgecolors='black',
    linewidths=1.1,
  )


def _label_edges(axes: np.ndarray) -> None:
  """Axis labels on the outer panels alone."""
  for i, row in enumerate(axes):
    for j, ax in enumerate(row):
      ax.tick_params(labelsize=style.SMALL)
      for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
      below = i + 1 < len(axes) and axes[i + 1, j].axison
      if below:
        ax.set_xlabel('')
      if j:
        ax.set_ylabel('')


def _legend(fig: Figure) -> None:
  handles = [
    _handle('o', colormaps[TIME](0.0), 'decoded start'),
    _handle('s', colormaps[TIME](1.0), 'end of the dream'),
    Line2D([], [], color='white', lw=2.5, label='real path'),
    _handle('D', 'white', 'end of the real path'),
  ]
  outline = Stroke(linewidth=4.5, foreground='black')
  handles[2].set_path_effects([outline, Normal()])
  fig.legend(handles=handles, loc='outside lower center', ncols=style.across(4, 4, 1.2))


def _handle(form: str, color: Any, label: str) -> Line2D:
  edge = color if form == 'x' else 'black'
  return Line2D(
    [],
    [],
    ls='',
    marker=form,
    ms=7,
    label=label,
    markerfacecolor=color,
    markeredgecolor=edge,
  )
