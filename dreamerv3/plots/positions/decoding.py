"""Figures of position decoding: results in, figures out.

figures = all_figures(Findings.open('decode_results.pkl'))
fig = occupancy_vs_error(result)
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dreamerv3.analysis.bootstrap import NONE
from dreamerv3.analysis.decoding import occupancy
from dreamerv3.analysis.decoding.chance import LEVELS
from dreamerv3.analysis.decoding.findings import Findings
from dreamerv3.analysis.decoding.result import DecodeResult, summary
from dreamerv3.data.metadata import Metadata
from dreamerv3.plots import style, world
from dreamerv3.plots.positions.layer_comparison import layer_comparison
from dreamerv3.plots.positions.probmaps import probmaps

# Layers of layers mode with figures of their own.
DETAILED = ('dyn/deter', 'dyn/stoch')
LEAK = 'Leaks: neighbours of the tested timesteps were trained on.'


def all_figures(found: Findings) -> dict[str, Figure]:
  """{name: figure} of a run; in layers mode the details of the state only.

  Where neighbours of tested timesteps were trained on, all figures say so. Maps of
  probability are left out where the numbers of their episodes are not known.
  """
  made: dict[str, Figure] = {}
  detailed = list(zip(found.results, found.rows, strict=True))
  if found.mode == 'layers':
    control = {k: summary(v, n_boot=0) for k, v in found.control.items()}
    made['layer_comparison'] = layer_comparison(found.results, found.rows, control)
    detailed = [x for x in detailed if x[0].layer in DETAILED]
  known = found.metadata if found.metadata.world_map is not None else None
  for result, row in detailed:
    name = result.layer.replace('/', '_')
    made[f'classification_{name}'] = classification(result, row)
    made[f'occupancy_vs_error_{name}'] = occupancy_vs_error(result, known)
    episodes = np.unique(result.episode[result.example_rows]).tolist()
    for episode in episodes if found.numbers else ():
      number = found.numbers[episode]
      title = f'{result.layer}, held-out episode {number}'
      made[f'probmap_{name}_ep{number}'] = probmaps(result, episode, title)
      if known is not None:
        figure = probmaps(result, episode, title, known)
        made[f'probmap_world_{name}_ep{number}'] = figure
  if found.leaks:
    for figure in made.values():
      note = figure.get_supxlabel()
      figure.supxlabel(f'{note}\n{LEAK}'.strip(), fontsize=7, color=style.RED)
  return made


def classification(result: DecodeResult, row: Mapping[str, Any]) -> Figure:
  """Histogram of held-out errors beside those at chance."""
  fig, axes = style.new_figure(1, 1, width=4.29, height=2.81)
  ax = axes[0, 0]
  known = np.isfinite(result.shuffled).all()
  series = [('decoded', result.errors, style.BLUE)]
  if known:
    series.append((LEVELS['shuffled'].label, result.shuffled, style.RED))
  series.append((LEVELS['best_constant'].label, result.best_constant, style.BLACK))
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
  fig.legend(loc='outside lower center', ncols=style.across(2, 2, 1.9))
  ax.set_title(style.folded(fig, f'Held-out error of {_title(row)}', 0.8))
  return fig


def occupancy_vs_error(
  result: DecodeResult, metadata: Metadata | None = None
) -> Figure:
  """Training visits, held-out error per tile, and one against the other."""
  cols = style.across(3, 3, 1.8)
  fig, axes = style.new_figure(-(-3 // cols), cols, width=3.28, height=3.0)
  axes = axes.reshape(1, -1)
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
  fig.suptitle(f'{result.layer} ({result.units} units)')
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
  ax.axhline(
    result.best_constant.mean(),
    color='black',
    lw=1,
    label=LEVELS['best_constant'].label,
  )
  most = max(x.max(initial=1), 1)
  ticks = [0, 1, 2, 5, 10, 20] if most <= 20 else [0, 1, 10, 100, 1000]
  keep = np.array([t for t in ticks if t <= 2 * most], float)
  ax.set_xticks(_at(keep), [f'{t:g}' for t in keep])
  ax.minorticks_off()
  ax.set_ylim(bottom=0)
  ax.set_xlabel('training visits of the tile\nwhen it was tested')
  ax.set_ylabel('mean error [tiles]')
  ax.legend(loc='upper center', bbox_to_anchor=(0.5, -0.4), ncols=2)


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
