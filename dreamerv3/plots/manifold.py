"""Figures of the geometry of a code.

figures = all_figures(found)  # {'dyn_deter_srsa': Figure, ...}
"""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreamerv3.analysis.geometry.dreamed import Sleep
from dreamerv3.analysis.geometry.study import (
  Estimate,
  GeometryComparison,
  LayerGeometry,
)
from dreamerv3.plots import style

LEAST = 2e-4  # share of all pairs behind a drawn mean


def all_figures(found: Sequence[GeometryComparison]) -> dict[str, Figure]:
  """Every figure of the results by its file name."""
  figures = {}
  for x in found:
    name = x.geometry.layer.replace('/', '_')
    figures[f'{name}_srsa'] = srsa(x)
    if x.geometry.hill is not None:
      figures[f'{name}_hillfit'] = hillfit(x)
    figures[f'{name}_isomap_position'] = positions(x.geometry)
    if x.geometry.sleep is not None:
      figures[f'{name}_isomap_wakedream'] = wakedream(x.geometry)
      figures[f'{name}_swdist'] = sleep_distance(x.geometry.sleep)
      figures[f'{name}_sw_over_time'] = sleep_course(x.geometry.sleep)
  figures['manifold_summary'] = summary(found)
  return figures


def srsa(x: GeometryComparison) -> Figure:
  """Conditional histogram of the code's distance at each distance in space."""
  both = [x.geometry, *([] if x.control is None else [x.control])]
  wide = style.across(len(both), 2, 2.4)
  fig, axes = style.new_figure(-(-len(both) // wide), wide, width=3.4, height=2.9)
  shares = [_shares(g) for g in both]
  # One scale for both; a bin of few pairs would take it all.
  most = max(float(np.percentile(share, 99.5)) for _, share in shares)
  for ax, g, label, (keep, share) in zip(
    axes.flat, both, ('trained', 'control'), shares, strict=False
  ):
    last = np.flatnonzero(keep)[-1] + 1
    image = ax.pcolormesh(
      np.append(g.space[keep], last) - 0.5,
      np.linspace(0, g.widest, share.shape[1] + 1),
      share.T,
      cmap=style.SEQUENTIAL,
      vmin=0,
      vmax=most,
      rasterized=True,
    )
    ax.set_facecolor(matplotlib.colormaps[style.SEQUENTIAL](0.0))
    ax.set_ylim(0, max(x.widest for x in both))
    ax.plot(g.space[keep], g.code[keep], color='white', lw=1.5)
    label = label if x.control is not None else g.layer
    ax.set_title(f'{label}: sRSA {_text(g.srsa)}')
    ax.set(xlabel='distance in space [tiles]', ylabel='cosine distance of the code')
    label = 'pairs at this distance [% per 0.01]'
    fig.colorbar(image, ax=ax, label=label, extend='max')
  style.headline(fig, f'{x.geometry.layer}, pairs of different episodes; line: mean')
  return fig


def _shares(g: LayerGeometry) -> tuple[np.ndarray, np.ndarray]:
  """Distances in space with enough pairs (S,), and pairs there [% per 0.01]."""
  keep = g.pairs >= LEAST * g.pairs.sum()
  width = g.widest / g.histogram.shape[1]
  return keep, g.histogram[keep] / g.pairs[keep, None] / width


def hillfit(x: GeometryComparison) -> Figure:
  """Mean distance of the code against the distance in space, with its fit."""
  fig, axes = style.new_figure(width=3.28, height=2.34)
  ax = axes[0, 0]
  both = [(x.geometry, style.BLUE, 'trained')]
  if x.control is not None:
    both.append((x.control, style.GREY, 'control'))
  for g, color, label in both:
    keep = g.pairs >= LEAST * g.pairs.sum()
    ax.plot(g.space[keep], g.code[keep], 'o', ms=3, color=color, label=label)
    if g.hill is not None and np.isfinite(g.hill.r2):
      fine = np.linspace(0, g.space[keep][-1], 200)
      half = f'half at {g.hill.x_half:.1f} tiles'
      if g.hill.x_half > g.space[keep][-1]:
        half = 'does not saturate'
      if g.hill.r2 < 0.5:
        half = 'explains nothing'
      ax.plot(fine, g.hill(fine), color=color, label=f'Hill fit: {half}')
  ax.set(xlabel='distance in space [tiles]', ylabel='mean cosine\ndistance of the code')
  ax.set_ylim(0, None)
  ax.set_title(x.geometry.layer)
  fig.legend(loc='outside lower center', ncols=style.across(2, 2, 1.6))
  return fig


def positions(g: LayerGeometry) -> Figure:
  """The states in two dimensions, coloured by where the agent was."""
  wide = style.across(2, 2, 2.0)
  fig, axes = style.new_figure(2 // wide, wide, width=2.57, height=2.34)
  for ax, axis, label in zip(
    axes.flat, (0, 1), ('x (to the east)', 'y (to the south)'), strict=True
  ):
    wake = g.embedding.wake
    marks = ax.scatter(*wake.T, c=g.wake_pos[:, axis], s=4, lw=0, cmap=style.SEQUENTIAL)
    fig.colorbar(marks, ax=ax, label=f'{label} [tiles]')
    _plain(ax, g)
  style.headline(fig, _embedded(g))
  return fig


def wakedream(g: LayerGeometry) -> Figure:
  """Waking and dreamed states in two dimensions."""
  fig, axes = style.new_figure(width=3.28, height=2.65)
  ax = axes[0, 0]
  ax.scatter(*g.embedding.wake.T, s=4, lw=0, color=style.GREY, label='awake')
  ax.scatter(*g.embedding.dream.T, s=4, lw=0, color=style.ORANGE, label='dreaming')
  ax.legend(markerscale=3, loc='upper right')
  _plain(ax, g)
  ax.set_title(_embedded(g))
  return fig


def sleep_distance(sleep: Sleep) -> Figure:
  """Histograms of the distance to the nearest waking state."""
  fig, axes = style.new_figure(width=3.28, height=2.34)
  ax = axes[0, 0]
  wake, dream = (x[np.isfinite(x)] for x in (sleep.wake, sleep.dream))
  edges = np.linspace(0, np.percentile(np.append(wake, dream), 99.5) + 1e-9, 50)
  for values, color, label in (
    (wake, style.GREY, 'waking, to other episodes'),
    (dream, style.ORANGE, 'dreaming'),
  ):
    share = np.histogram(values, edges)[0] / max(len(values), 1)
    ax.stairs(100 * share, edges, color=color, lw=1.8, label=label)
    ax.axvline(np.median(values), color=color, ls='--', lw=1)
  ax.set(xlabel='cosine distance to the nearest waking state', ylabel='states [%]')
  ax.legend(title='dashed: median')
  return fig


def sleep_course(sleep: Sleep) -> Figure:
  """The same distance against the step of the dream."""
  fig, axes = style.new_figure(width=3.28, height=2.34)
  ax = axes[0, 0]
  low, middle, high = sleep.course()
  steps = np.arange(1, len(middle) + 1)
  ax.fill_between(
    steps, low, high, color=style.ORANGE, alpha=0.2, lw=0, label='quartiles'
  )
  ax.plot(steps, middle, color=style.ORANGE, lw=2, label='dreaming, median')
  ax.axhline(sleep.baseline, color=style.GREY, ls='--', label='waking, median')
  ax.set(
    xlabel='step of the dream', ylabel='cosine distance to\nthe nearest waking state'
  )
  ax.set_ylim(0, None)
  ax.legend()
  return fig


def summary(found: Sequence[GeometryComparison]) -> Figure:
  """sRSA, its partial form and the dimension of every layer."""
  wide = 3 if style.across(3, 3, 2.0) == 3 else 1
  fig, axes = style.new_figure(
    3 // wide, wide, width=2.4, height=0.8 + 0.3 * len(found), sharey=True
  )
  names = [x.geometry.layer for x in found]
  at = np.arange(len(found))
  panels = (
    ('srsa', 'sRSA'),
    ('partial', 'sRSA given view and time'),
    ('ratio', 'participation ratio'),
  )
  for ax, (key, label) in zip(axes.flat, panels, strict=True):
    _bars(
      ax, [getattr(x.geometry, key) for x in found], at - 0.12, style.BLUE, 'trained'
    )
    others = [(i, x.control) for i, x in enumerate(found) if x.control is not None]
    if others:
      values = [getattr(x, key) for _, x in others]
      _bars(ax, values, np.array([i for i, _ in others]) + 0.12, style.GREY, 'control')
    ax.set_xlabel(label)
    if key != 'ratio':
      ax.axvline(0, color=style.BLACK, lw=0.8)
  axes[0, 0].set_yticks(at, names)
  axes[0, 0].invert_yaxis()
  axes[0, 0].set_ylim(len(found) - 0.5, -0.5)
  axes[0, -1].legend(loc='upper left', bbox_to_anchor=(1, 1))
  fig.suptitle('Geometry of the code; lines: 95 % over episodes')
  return fig


def _bars(ax: Axes, found: Sequence, at: np.ndarray, color: str, label: str) -> None:
  values = [x.value for x in found]
  ax.plot(values, at, 'o', color=color, label=label)
  for x, y in zip(found, at, strict=True):
    if np.isfinite(x.low):
      ax.plot([x.low, x.high], [y, y], color=color, lw=1.5)


def _plain(ax: Axes, g: LayerGeometry) -> None:
  name = 'Isomap' if g.embedding.method == 'isomap' else 'component'
  ax.set(xlabel=f'{name} 1', ylabel=f'{name} 2', xticks=[], yticks=[])


def _embedded(g: LayerGeometry) -> str:
  kept = f'{g.embedding.explained:.0%}'
  if g.embedding.method == 'isomap':
    return f'{g.layer}, Isomap: the plane keeps {kept} of the distances'
  return f'{g.layer}, principal components: {kept} of the variance'


def _text(x: Estimate) -> str:
  text = f'{x.value:.2f}'
  return text if x.low != x.low else f'{text} [{x.low:.2f}, {x.high:.2f}]'
