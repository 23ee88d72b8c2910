"""Which layers hold the position? Errors along the network, and what they beat.

fig = layer_comparison(results, rows, control)
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreamerv3.analysis.bootstrap import NONE
from dreamerv3.analysis.decoding.chance import LEVELS
from dreamerv3.analysis.decoding.comparisons import ALPHA
from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.plots import style

Rows = Sequence[Mapping[str, Any]]
# Chance levels: colour and line.
CHANCE = {
  'best_constant': (style.BLACK, '-'),
  'prior': (style.GREY, '--'),
}


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
  fig, axes = style.new_figure(1, 1, width=6.4)
  ax = axes[0, 0]
  y = np.arange(len(results))
  boxes = ax.boxplot(
    [x.errors for x in results],
    positions=y,
    orientation='horizontal',
    widths=0.6,
    showfliers=False,
    showcaps=False,
    whis=(25, 75),  # none: the only lines are the intervals of the means
    patch_artist=True,
    medianprops=dict(color='black'),
  )
  for box, result in zip(boxes['boxes'], results, strict=True):
    color = style.layer_color(result.layer)
    box.set(facecolor=color, edgecolor=color, alpha=0.75)
  _mean_marks(ax, rows, y)
  _chance_marks(ax, rows, y)
  _control_marks(ax, results, rows, control or {})
  ax.set_yticks(y, [f'{x.layer} ({x.units})' for x in results])
  ax.set_ylim(len(results) - 0.4, -0.6)
  # A box of zeros alone is a line at 0, clear of the axis.
  ax.set_xlim(left=-0.015 * ax.get_xlim()[1])
  ax.set_xlabel(
    'held-out error |dx| + |dy| [tiles]; boxes: median and quartiles of timesteps'
  )
  if _verdicts(ax, rows, narrow=fig.get_figwidth() < 4.5):
    ax.set_xlabel(
      f'{ax.get_xlabel()}\nright: errs less (<) or more (>), all layers together at '
      '5 %; –: not told apart'
    )
  ax.set_xlabel(style.folded(fig, ax.get_xlabel(), 0.7))
  handles, labels = ax.get_legend_handles_labels()
  cols = style.across(2, 2, 1.9)
  fig.legend(handles, labels, loc='outside upper center', ncols=cols)
  lines = -(-len(labels) // cols) + ax.get_xlabel().count('\n')
  fig.set_figheight(0.8 + 0.25 * len(results) + 0.15 * lines)
  return fig


def _mean_marks(ax: Axes, rows: Rows, y: np.ndarray) -> None:
  """Means with their intervals; filled where they differ from chance."""
  known = any(x['low'] == x['low'] for x in rows)
  tested = any(_known(x, 'chance') for x in rows)
  label = 'mean, 95 % over episodes' if known else f'mean, {NONE}'
  label += '; black: beats the constant' if tested else ''
  for differs, fill in ((False, 'white'), (True, 'black')):
    some = [i for i, x in enumerate(rows) if _below(x, 'chance') == differs]
    if not some:
      continue
    means = np.array([rows[i]['mean'] for i in some])
    low, high = (np.array([rows[i][k] for i in some]) for k in ('low', 'high'))
    spread = np.nan_to_num(np.maximum([means - low, high - means], 0))
    ax.errorbar(
      means,
      y[some],
      xerr=spread,
      fmt='D',
      ms=4,
      color=fill,
      mec='black',
      ecolor='black',
      capsize=2,
      lw=1,
      label=label,
    )
    label = ''


def _control_marks(
  ax: Axes,
  results: Sequence[DecodeResult],
  rows: Rows,
  control: Mapping[str, Mapping[str, Any]],
) -> None:
  """Squares of the untrained network; filled where the layer differs from it."""
  if not control:
    return
  constant = next(iter(control.values()))['best_constant']
  paired = any(x.get('control_paired') == 1 for x in rows)
  label = 'untrained' + (', same path' if paired else ', on paths of its own')
  if not paired:
    ax.axvline(
      constant,
      color=style.GREY,
      ls=':',
      lw=1,
      label=f'best constant of the untrained {constant:.2f}',
    )
  if any(_differs(x, 'control') for x in rows):
    label += '; grey: the layer differs'
  for differs in (False, True):
    there = [
      (control[x.layer]['mean'], i)
      for i, (x, row) in enumerate(zip(results, rows, strict=True))
      if x.layer in control and _differs(row, 'control') == differs
    ]
    if there:
      fill = style.GREY if differs else 'white'
      ax.plot(
        *zip(*there, strict=True),
        's',
        ms=6,
        mfc=fill,
        mec='black',
        mew=1.2,
        label=label,
      )
      label = ''


def _known(row: Mapping[str, Any], name: str) -> bool:
  p = row.get(f'p_vs_{name}_all', np.nan)
  return bool(p == p)


def _differs(row: Mapping[str, Any], name: str) -> bool:
  """Whether a layer does, corrected for all layers; older rows do not say."""
  return bool(row.get(f'p_vs_{name}_all', np.nan) <= ALPHA)


def _below(row: Mapping[str, Any], name: str) -> bool:
  return _differs(row, name) and row[f'diff_{name}'] < 0


def _verdicts(ax: Axes, rows: Rows, narrow: bool) -> bool:
  """Columns on the right: the mean and, where there is room, what it differs from."""
  columns: list[tuple[str, Callable[[Mapping[str, Any]], str]]]
  columns = [('mean', lambda x: f'{x["mean"]:.2f}')]
  for name, title in (('chance', 'const.'), ('control', 'untr.'), ('seen', 'seen')):
    if not narrow and any(_known(x, name) for x in rows):
      columns.append((title, functools.partial(_sign, name=name)))
  for k, (title, text) in enumerate(columns):
    right = 4 if k == 0 else 16 + 26 * k  # of the panel [pt]
    for y, line in [(-0.62, title), *((i, text(x)) for i, x in enumerate(rows))]:
      ax.annotate(
        line,
        (1, y),
        (right, 0),
        xycoords=ax.get_yaxis_transform(),
        textcoords='offset points',
        va='center',
        ha='left' if k == 0 else 'center',
        fontsize=style.SMALL,
        annotation_clip=False,
      )
  return len(columns) > 1


def _sign(row: Mapping[str, Any], name: str) -> str:
  if not _differs(row, name):
    return '–'
  return '<' if row[f'diff_{name}'] < 0 else '>'


def _chance_marks(ax: Axes, rows: Rows, y: np.ndarray) -> None:
  for key, (color, line) in CHANCE.items():
    ax.axvline(
      rows[0][key],
      color=color,
      ls=line,
      lw=1.2,
      label=f'{LEVELS[key].label} {rows[0][key]:.2f}',
    )
  if rows[0].get('seen'):
    ax.axvline(
      rows[0]['seen_error'],
      color=style.GREEN,
      ls=':',
      lw=1.4,
      label=f'seen now ({rows[0]["seen"]}) {rows[0]["seen_error"]:.2f}',
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
      label=LEVELS['shuffled'].label,
    )
