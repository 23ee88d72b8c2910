"""The learning progress of a run, or of several seeds, on one page.

figure = training.progress([learning.curves(log)])
"""

import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreamerv3.analysis import learning
from dreamerv3.analysis.crafter_score import ACHIEVEMENTS
from dreamerv3.analysis.learning import Curve, Curves
from dreamerv3.base.errors import one_line
from dreamerv3.plots import style

Panel = Callable[[Axes, Sequence[Curves]], None]

COLUMNS = 2
BINS = 120  # most columns of the map of unlock rates; one per episode at most
# What a loss is of, beside its name in the logs.
MEANINGS = {
  'con': 'con: does it go on',
  'dyn': 'dyn: foreseen latent',
  'image': 'image: reconstruction',
  'policy': 'policy: actor',
  'rep': 'rep: latent to foresee',
  'repval': 'repval: critic, replayed',
  'rew': 'rew: reward',
  'value': 'value: critic, imagined',
}


def progress(
  runs: Sequence[Curves], achievements: bool = True, losses: bool = True
) -> Figure:
  """All panels that the logs allow.

  Args:
    runs: one run, or seeds of one condition; these are drawn thin, with their
      mean and its 95 % interval over seeds.
    achievements: whether to draw the unlock rates.
    losses: whether to draw the losses, and reward, return and value.
  """
  chosen = panels(runs, achievements, losses)
  cols = style.across(len(chosen), COLUMNS, 2.8)
  rows = -(-len(chosen) // cols) or 1
  figure, axes = style.new_figure(rows, cols, 3.5, 2.8)
  for ax, draw in zip(axes.flat, chosen, strict=False):
    draw(ax, runs)
    style.step_axis(ax)
  for ax in axes.flat[len(chosen) :]:
    ax.set_axis_off()
  figure.suptitle(_title(runs))
  return figure


def panels(runs: Sequence[Curves], achievements: bool, losses: bool) -> list[Panel]:
  """The drawing functions of the panels that have data."""
  table: tuple[tuple[Panel, bool], ...] = (
    (_score, any(x.score for x in runs)),
    (_crafter, any(x.crafter_score for x in runs)),
    (_unlocks, achievements and any(x.unlocks for x in runs)),
    (_reward, any(x.reward for x in runs)),
    (_losses, losses and any(x.losses for x in runs)),
    (_signals, losses and any(x.signals for x in runs)),
  )
  return [draw for draw, there in table if there]


def _score(ax: Axes, runs: Sequence[Curves]) -> None:
  found = [x.score for x in runs if x.score]
  if len(runs) == 1 and found[0].raw is not None:
    ax.plot(
      found[0].step,
      found[0].raw,
      '.',
      color=style.GREY,
      ms=2.5,
      alpha=0.6,
      label='episode',
    )
  window = runs[0].window
  label = f'mean of {window} episodes' if window > 1 else 'episode'
  draw_curves(ax, found, style.BLUE, label)
  ax.set(title='Episode score: sum of rewards', ylabel='return')
  _legend(ax)


def _reward(ax: Axes, runs: Sequence[Curves]) -> None:
  draw_curves(ax, [x.reward for x in runs if x.reward], style.GREEN, 'sum')
  ax.set(title='Cumulative reward', ylabel='sum of returns')
  if len(runs) > 1:
    _legend(ax)


def _crafter(ax: Axes, runs: Sequence[Curves]) -> None:
  found = [x.crafter_score for x in runs if x.crafter_score]
  window = runs[0].window
  label = f'window of {window} episodes, bias corrected' if window > 1 else 'episode'
  draw_curves(ax, found, style.RED, label)
  ax.set(
    title='Crafter score: geometric mean of unlock rates' + _totals(runs),
    ylabel=('upper bound of the ' if _bound(runs) else '') + 'score [%]',
  )
  ax.set_ylim(bottom=0)
  _legend(ax)


def _unlocks(ax: Axes, runs: Sequence[Curves]) -> None:
  """Rates as a map: 22 lines in one panel cannot be told apart."""
  step, rates = rate_map(runs, min(BINS, max(x.episodes for x in runs)))
  order = np.argsort(-rates[:, -1], kind='stable')
  edges = np.linspace(step[0], step[-1], len(step) + 1)
  image = ax.pcolormesh(
    edges,
    np.arange(len(order) + 1),
    100 * rates[order],
    cmap=style.SEQUENTIAL,
    vmin=0,
    vmax=100,
    rasterized=True,
  )
  names = [ACHIEVEMENTS[i].replace('_', ' ') for i in order]
  ax.set_yticks(np.arange(len(order)) + 0.5, names, fontsize=style.SMALL)
  ax.tick_params(axis='y', length=0)
  for y, i in enumerate(order):
    ax.text(
      1.01,
      y + 0.5,
      f'{100 * rates[i, -1]:.0f}',
      fontsize=style.SMALL,
      va='center',
      transform=ax.get_yaxis_transform(),
    )
  ax.invert_yaxis()
  what = 'at most (from mean counts)' if _bound(runs) else 'of episodes'
  ax.set_title('Unlock rate' + (', mean of runs' if len(runs) > 1 else ''))
  ax.figure.colorbar(
    image, ax=ax, label=f'share {what} [%]; beside: last', pad=0.08, aspect=30
  )


def _losses(ax: Axes, runs: Sequence[Curves]) -> None:
  lowest = _each(ax, runs, lambda x: x.losses)
  if lowest > 0:
    ax.set_yscale('log')
    ax.set_ylabel('loss')
  else:
    # The loss of the policy changes its sign: linear close to zero.
    ax.set_yscale('symlog', linthresh=0.1)
    ax.set_ylabel('loss (log, linear within ±0.1)')
  style.log_ticks(ax.yaxis)
  ax.set_title('Losses')


def _signals(ax: Axes, runs: Sequence[Curves]) -> None:
  _each(ax, runs, lambda x: x.signals)
  ax.set(
    title='Reward, return, value in imagination',
    ylabel='mean over imagined steps',
  )


def _each(
  ax: Axes,
  runs: Sequence[Curves],
  pick: Callable[[Curves], Mapping[str, Curve]],
) -> float:
  """Draws named curves of all runs, a colour per name; returns the lowest."""
  names = list(dict.fromkeys(name for x in runs for name in pick(x)))
  lowest = np.inf
  for i, name in enumerate(names):
    found = [pick(x)[name] for x in runs if name in pick(x)]
    color = style.color(i)
    shown = MEANINGS.get(name, name)
    # Curves may coincide, as the losses of dynamics and representation do:
    # the earlier one is wider, and seen through the gaps of the later one.
    hides = any(
      _coincide(found, [pick(x)[y] for x in runs if y in pick(x)]) for y in names[:i]
    )
    dash = '--' if hides or i >= len(style.PALETTE) else '-'
    width = max(2.6 - 0.2 * i, 1.0)
    draw_curves(ax, found, color, shown, dash, width, named=True)
    known = np.concatenate([x.value[np.isfinite(x.value)] for x in found])
    lowest = min(lowest, known.min(initial=np.inf))
  _legend(ax)
  return lowest


def _coincide(first: Sequence[Curve], second: Sequence[Curve]) -> bool:
  return len(first) == len(second) and all(
    len(a.value) == len(b.value) and np.allclose(a.value, b.value, 1e-3, 1e-6)
    for a, b in zip(first, second, strict=True)
  )


def _legend(ax: Axes) -> None:
  """Below the panel, where it covers no curve."""
  ax.legend(loc='upper center', bbox_to_anchor=(0.5, -0.22), ncols=2)


def draw_curves(
  ax: Axes,
  curves: Sequence[Curve],
  color: str,
  label: str,
  dash: str = '-',
  width: float = 1.6,
  named: bool = False,
) -> None:
  """One curve, or thin ones with their mean and interval.

  Args:
    curves: of one condition, a run each.
    color, dash, width: of the curve or the mean.
    label: of it in the legend.
    named: the mean has this label, too, and the interval none.
  """
  if len(curves) == 1:
    # A single record would be invisible as a line.
    mark = 'o' if len(curves[0].step) == 1 else None
    ax.plot(
      curves[0].step,
      curves[0].value,
      dash,
      color=color,
      marker=mark,
      lw=width,
      label=label,
    )
    return
  for curve in curves:
    ax.plot(curve.step, curve.value, dash, color=color, lw=0.6, alpha=0.45)
  band = learning.band(curves)
  if band is None:
    return
  mean = label if named else f'mean of {len(curves)} runs'
  ax.plot(band.step, band.mean, dash, color=color, lw=width, label=mean)
  ax.fill_between(
    band.step,
    band.low,
    band.high,
    color=color,
    alpha=0.2,
    lw=0,
    label=None if named else '95 % interval',
  )


def rate_map(runs: Sequence[Curves], bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
  """Steps (B,) and unlock rates (22, B), the mean of the runs.

  Bins span the steps that all runs share; a bin shows the rates at its middle.
  """
  found = [x.unlocks for x in runs if x.unlocks]
  steps = [x[ACHIEVEMENTS[0]].step for x in found]
  first, last = max(x[0] for x in steps), min(x[-1] for x in steps)
  last = max(last, first + 1)
  grid = np.linspace(first, last, bins)
  rates = [
    [np.interp(grid, x[a].step, x[a].value) for a in ACHIEVEMENTS] for x in found
  ]
  return grid, np.mean(rates, 0)


def _bound(runs: Sequence[Curves]) -> bool:
  return any(x.bound for x in runs)


def _totals(runs: Sequence[Curves]) -> str:
  """Score and return over all episodes, and the score at the benchmark's budget."""
  score = _total(runs, 'crafter_score', '{} %')
  mean = _total(runs, 'return_mean', 'return {}')
  first = _total(runs, 'crafter_score_1e6', '{} % (first 1e6 steps)')
  whole = ', '.join(x for x in (score, mean) if x)
  lines = [f'{whole} (all episodes)' if whole else '', first]
  return ''.join(f'\n{x}' for x in lines if x)


def _total(runs: Sequence[Curves], key: str, text: str) -> str:
  """A number in words, with its interval over runs; '' where a run lacks it."""
  if not all(key in x.summary for x in runs):
    return ''
  mean, low, high = learning.interval([x.summary[key] for x in runs])
  spread = f' [{low:.1f}, {high:.1f}]' if len(runs) > 1 else ''
  return text.format(f'{mean:.1f}{spread}')


def _title(runs: Sequence[Curves]) -> str:
  count = sum(x.episodes for x in runs)
  last = max(x.summary['last_step'] for x in runs)
  names = f'{len(runs)} runs'
  if len(runs) == 1:
    names = one_line(pathlib.Path(runs[0].path).resolve().name)
  return f'{names}: {count:,} episodes, {last:,.0f} environment steps'
