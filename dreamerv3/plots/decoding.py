"""Figures of position decoding: results in, figures out.

fig = layer_comparison(results, rows, control)
fig = occupancy_vs_error(result)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dreamerv3.analysis.bootstrap import NONE
from dreamerv3.analysis.decoding import occupancy
from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.data.metadata import Metadata
from dreamerv3.plots import style, world

# Chance levels: colour and line.
CHANCE = {
  'best_constant': ('best constant', style.BLACK, '-'),
  'prior': ('occupancy prior', style.GREY, '--'),
}
# Layers of layers mode with figures of their own.
DETAILED = ('dyn/deter', 'dyn/stoch')
LEAK = 'Leaks: neighbours of the tested timesteps were trained on.'
Rows = Sequence[Mapping[str, Any]]


def all_figures(
  results: Sequence[DecodeResult],
  rows: Rows,
  control: Mapping[str, Mapping[str, Any]],
  metadata: Metadata,
  numbers: Sequence[int],
  mode: str,
  leaks: bool = False,
) -> dict[str, Figure]:
  """{name: figure} of a run; in layers mode the details of the state only.

  Args:
    numbers: the episodes' own numbers, by their place in the recording.
    leaks: neighbours of tested timesteps were trained on; all figures say so.
  """
  made: dict[str, Figure] = {}
  detailed = list(zip(results, rows, strict=True))
  if mode == 'layers':
    made['layer_comparison'] = layer_comparison(results, rows, control)
    detailed = [x for x in detailed if x[0].layer in DETAILED]
  known = metadata if metadata.world_map is not None else None
  for result, row in detailed:
    name = result.layer.replace('/', '_')
    made[f'classification_{name}'] = classification(result, row)
    made[f'occupancy_vs_error_{name}'] = occupancy_vs_error(result, known)
    for episode in np.unique(result.episode[result.example_rows]).tolist():
      number = numbers[episode]
      title = f'{result.layer}, held-out episode {number}'
      made[f'probmap_{name}_ep{number}'] = probmaps(result, episode, title)
      if known is not None:
        figure = probmaps(result, episode, title, known)
        made[f'probmap_world_{name}_ep{number}'] = figure
  if leaks:
    for figure in made.values():
      figure.text(0.5, -0.005, LEAK, ha='center', va='top', color=style.RED)
  return made


def classification(result: DecodeResult, row: Mapping[str, Any]) -> Figure:
  """Histogram of held-out errors beside those at chance."""
  fig, axes = style.new_figure(1, 1, width=5.5, height=3.6)
  ax = axes[0, 0]
  known = np.isfinite(result.shuffled).all()
  series = [('decoded', result.errors, style.BLUE)]
  if known:
    series.append(("another episode's path", result.shuffled, style.RED))
  series.append(('best constant', result.constant, style.BLACK))
  top = max(float(np.percentile(x, 99.5)) for _, x, _ in series)
  edges = np.arange(-0.5, np.ceil(top) + 1.5)
  for label, values, color in series:
    style_of = dict(histtype='stepfilled', alpha=0.35)
    if label != 'decoded':
      style_of = dict(histtype='step', linewidth=1.4)
    ax.hist(
      np.clip(values, edges[0], edges[-1]),
      edges,
      density=True,
      color=color,
      label=f'{label}, mean {np.mean(values):.2f}',
      **style_of,
    )
  ax.axvline(row['mean'], color=style.BLUE, lw=1)
  ax.set_xlabel('held-out error |dx| + |dy| [tiles]')
  ax.set_ylabel('share of timesteps')
  ax.xaxis.set_major_locator(MaxNLocator(integer=True))
  fig.legend(loc='outside lower center', ncols=2)
  ax.set_title(_title(row))
  return fig


def layer_comparison(
  results: Sequence[DecodeResult],
  rows: Rows,
  control: Mapping[str, Mapping[str, Any]] | None = None,
) -> Figure:
  """Held-out error of each layer along the network, with chance and control.

  Args:
    results: one per layer, in the order to draw.
    rows: their summaries.
    control: {layer: summary} of the untrained network.
  """
  height = 1.6 + 0.32 * len(results)
  fig, axes = style.new_figure(1, 1, width=7.5, height=height)
  ax = axes[0, 0]
  y = np.arange(len(results))
  boxes = ax.boxplot(
    [x.errors for x in results],
    positions=y,
    orientation='horizontal',
    widths=0.6,
    showfliers=False,
    patch_artist=True,
    medianprops=dict(color='black'),
  )
  for box, result in zip(boxes['boxes'], results, strict=True):
    box.set(facecolor=style.layer_color(result.layer), alpha=0.75)
  means = [x['mean'] for x in rows]
  known = any(x['low'] == x['low'] for x in rows)
  below = [max(x['mean'] - x['low'], 0) if x['low'] == x['low'] else 0 for x in rows]
  above = [max(x['high'] - x['mean'], 0) if x['high'] == x['high'] else 0 for x in rows]
  ax.errorbar(
    means,
    y,
    xerr=[below, above],
    fmt='D',
    ms=4,
    color='white',
    mec='black',
    ecolor='black',
    capsize=2,
    lw=1,
    label='mean, 95 % over episodes' if known else f'mean, {NONE}',
  )
  _chance_marks(ax, rows, y)
  if control:
    there = [
      (control[x.layer]['mean'], i) for i, x in enumerate(results) if x.layer in control
    ]
    constant = next(iter(control.values()))['best_constant']
    ax.plot(
      *zip(*there, strict=True),
      's',
      ms=6,
      mfc='white',
      mec='black',
      mew=1.2,
      label=f'untrained network (its constant {constant:.2f})',
    )
  ax.set_yticks(y, [f'{x.layer} ({x.units})' for x in results])
  ax.set_ylim(len(results) - 0.4, -0.6)
  ax.set_xlim(left=0)
  ax.set_xlabel(
    'held-out error |dx| + |dy| [tiles] of timesteps; boxes: quartiles; '
    'whiskers:\nthe furthest timesteps within 1.5 box lengths of the box'
  )
  for i, mean in enumerate(means):
    ax.text(
      1.01,
      i,
      f'{mean:.2f}',
      transform=ax.get_yaxis_transform(),
      va='center',
      fontsize=8,
    )
  ax.text(1.01, -0.62, 'mean', transform=ax.get_yaxis_transform(), fontsize=8)
  fig.legend(*ax.get_legend_handles_labels(), loc='outside upper center', ncols=3)
  return fig


def _chance_marks(ax: Axes, rows: Rows, y: np.ndarray) -> None:
  for key, (label, color, line) in CHANCE.items():
    ax.axvline(
      rows[0][key],
      color=color,
      ls=line,
      lw=1.2,
      label=f'{label} {rows[0][key]:.2f}',
    )
  shuffled = np.array([x['shuffled'] for x in rows])
  if np.isfinite(shuffled).any():
    ax.plot(
      shuffled,
      y,
      '|',
      color=style.RED,
      ms=12,
      mew=2,
      label="another episode's path",
    )


def probmaps(
  result: DecodeResult,
  episode: int,
  title: str,
  metadata: Metadata | None = None,
) -> Figure:
  """Decoded probability at evenly spaced steps of one held-out episode.

  Args:
    episode: one of those with maps, title: what it is called.
    metadata: draws the maps over the world where it is given.
  """
  places = np.flatnonzero(result.episode[result.example_rows] == episode)
  cols = min(4, len(places))
  count = -(-len(places) // cols)
  fig, axes = style.new_figure(count, cols, width=2.5, height=2.5)
  window = _window(result, episode)
  for ax in axes.flat[len(places) :]:
    ax.set_visible(False)
  for i, (ax, place) in enumerate(zip(axes.flat, places, strict=False)):
    row = result.example_rows[place]
    _probmap(ax, result, int(place), int(row), metadata)
    world.zoom(ax, window)
    ax.set_title(f't = {result.t[row]}, error {result.errors[row]:.0f}')
    last_in_column = i + cols >= len(places)
    ax.set_xlabel('x [tiles]' if last_in_column else '')
    ax.set_ylabel('y [tiles], south down' if i % cols == 0 else '')
  handles, labels = axes.flat[0].get_legend_handles_labels()
  fig.legend(handles, labels, loc='outside upper center', ncols=2)
  note = '' if metadata is not None else '; grey: never visited in training'
  fig.supxlabel(
    f"{title}; colour: probability relative to the panel's largest{note}",
    fontsize=8,
  )
  return fig


def _probmap(
  ax: Axes,
  result: DecodeResult,
  place: int,
  row: int,
  metadata: Metadata | None,
) -> None:
  share = result.proba[place] / max(result.proba[place].max(), 1e-12)
  if metadata is None:
    trained = result.fold_visits[result.fold[row]] > 0
    share = np.where(trained, share, np.nan)
  else:
    world.draw_world(ax, metadata, dim=0.75)
  # Probable is bright on grey, and dark on the pale world.
  cmap = style.HEAT if metadata is None else 'RdPu'
  world.draw_map(
    ax,
    share,
    cmap=cmap,
    colorbar=False,
    vmin=0,
    vmax=1,
    background=world.UNVISITED if metadata is None else None,
    alpha=None if metadata is None else _fade(share),
  )
  ax.plot(
    *result.pos[row],
    'o',
    ms=9,
    mfc='none',
    mec='cyan',
    mew=2,
    label='true position',
  )
  ax.plot(
    *result.pred[row],
    '*',
    ms=8,
    color='lime',
    mec='black',
    mew=0.5,
    label='most probable tile',
  )


def _fade(share: np.ndarray) -> np.ndarray:
  """Improbable tiles let the world through; (W, H) to an image's (H, W)."""
  return np.where(share > 0.05, 0.15 + 0.85 * share, 0.0).T


def _window(result: DecodeResult, episode: int) -> tuple[int, int, int, int]:
  """The square part of the world where things happen, with a margin."""
  rows = result.example_rows[result.episode[result.example_rows] == episode]
  points = np.concatenate([result.pos[rows], result.pred[rows]])
  return world.box(points, result.grid, 6)


def occupancy_vs_error(
  result: DecodeResult, metadata: Metadata | None = None
) -> Figure:
  """Training visits, held-out error per tile, and one against the other."""
  fig, axes = style.new_figure(1, 3, width=4.2, height=3.6)
  # Keeps the labels of the colour bars clear of the next axis.
  fig.set_layout_engine('constrained', wspace=0.08)
  walkable = None if metadata is None else metadata.walkable()
  visits = np.where(result.visits > 0, result.visits, np.nan)
  by_tile = occupancy.tile_means(result.pos, result.errors, result.grid)
  world.draw_map(
    axes[0, 0],
    np.log10(visits),
    label='log10 training visits',
    walkable=walkable,
  )
  many = ', mean of the folds' if len(result.fold_visits) > 1 else ''
  axes[0, 0].set_title(f'training occupancy{many}')
  top = np.nanpercentile(by_tile, 98)
  world.draw_map(
    axes[0, 1],
    by_tile,
    label='mean error [tiles]',
    cmap=style.HEAT,
    vmin=0,
    vmax=max(top, 1),
    walkable=walkable,
  )
  axes[0, 1].set_title('held-out error by true tile')
  _curve(axes[0, 2], by_tile, result)
  fig.suptitle(f'{result.layer} ({result.units} units)', fontsize=10)
  return fig


def _curve(ax: Axes, by_tile: np.ndarray, result: DecodeResult) -> None:
  tested = np.isfinite(by_tile)
  visits = occupancy.tile_means(result.pos, result.own_visits, result.grid)
  x, y = visits[tested], by_tile[tested]
  ax.semilogx(
    _at(x),
    y,
    '.',
    ms=4,
    alpha=0.35,
    color=style.SKY,
    label='a tile',
  )
  curve = occupancy.error_by_visits(by_tile, visits)
  at = _at(curve.visits)
  ax.fill_between(
    at,
    curve.low,
    curve.high,
    color=style.BLUE,
    alpha=0.15,
    lw=0,
    label='quartiles',
  )
  ax.errorbar(
    at,
    curve.mean,
    yerr=np.nan_to_num(curve.sem),
    color=style.BLUE,
    marker='o',
    ms=4,
    label='mean, SEM over tiles',
  )
  ax.axhline(result.constant.mean(), color='black', lw=1, label='best constant')
  most = max(x.max(initial=1), 1)
  ticks = [0, 1, 2, 5, 10, 20] if most <= 20 else [0, 1, 10, 100, 1000]
  keep = np.array([t for t in ticks if t <= 2 * most], float)
  ax.set_xticks(_at(keep), [f'{t:g}' for t in keep])
  ax.minorticks_off()
  ax.set_ylim(bottom=0)
  ax.set_xlabel('training visits of the tile when it was tested')
  ax.set_ylabel('mean error [tiles]')
  ax.legend(fontsize=7)


def _at(visits: np.ndarray) -> np.ndarray:
  """Places on a log axis, on which 0 has none: a quarter of a visit."""
  return np.where(visits > 0, np.maximum(visits, 0.5), 0.25)


def _title(row: Mapping[str, Any]) -> str:
  spread = f' ({NONE})'
  if row['low'] == row['low']:
    spread = f' [{row["low"]:.2f}, {row["high"]:.2f}]'
  return (
    f'{row["layer"]} ({row["units"]} units): {row["mean"]:.2f}{spread} tiles, '
    f'{100 * row["accuracy"]:.0f} % exact'
  )
