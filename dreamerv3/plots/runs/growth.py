"""Runs over training: decoding error, sRSA and score against environment steps.

figure = growth.over_training(runs)
"""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreamerv3.analysis.geometry.study import Estimate
from dreamerv3.analysis.growth import CheckpointCode, Growth, halves
from dreamerv3.base.errors import one_line
from dreamerv3.plots import style


def over_training(runs: Sequence[Growth]) -> Figure:
  """One panel each for error, sRSA where it is known, and score, over shared steps.

  Each run has a colour; bars are 95 % intervals over episodes. Dotted lines show where
  code and score are half-way, in the panel of each.
  """
  similar = any(x.srsa.value == x.srsa.value for run in runs for x in run.codes)
  scored = any(x.score for x in runs)
  count = 1 + similar + scored
  cols = style.across(count, 3, 1.9)
  figure, axes = style.new_figure(-(-count // cols), cols, 4.4, 3.3, sharex=True)
  ax, *others = panels = axes.flat[:count]
  for empty in axes.flat[count:]:
    empty.set_axis_off()
  _codes(ax, runs, lambda x: x.error)
  constants = [x.constant for run in runs for x in run.codes]
  for value in sorted({round(x, 6) for x in constants}):
    ax.axhline(value, color=style.GREY, lw=1, ls='--')
  ax.plot([], [], color=style.GREY, ls='--', label='best constant position')
  if scored:
    ax.plot([], [], color=style.GREY, ls=':', label='half-way')
  ax.set(title='Code: decoding error', ylabel='held-out error [tiles]')
  ax.set_ylim(bottom=0)
  if similar:
    _codes(others[0], runs, lambda x: x.srsa)
    others[0].set(title='Code: similarity of distances', ylabel='sRSA')
  if scored:
    _scores(others[-1], runs)
  for i, run in enumerate(runs):
    half = halves(run)
    for panel, step in ((ax, half.code), (panels[-1], half.score)):
      if step == step and scored:
        panel.axvline(step, color=style.color(i), lw=1, ls=':')
  for panel in panels:
    style.step_axis(panel, 5)
    panel.tick_params(labelbottom=True)
  ax.legend(fontsize=7, loc='best')
  return figure


def _codes(
  ax: Axes, runs: Sequence[Growth], of: Callable[[CheckpointCode], Estimate]
) -> None:
  for i, run in enumerate(runs):
    found = [(x.step, of(x)) for x in run.codes]
    steps = np.array([x for x, _ in found], float)
    value, low, high = np.array([(y.value, y.low, y.high) for _, y in found]).T
    bars = np.nan_to_num(np.stack([value - low, high - value]))
    ax.errorbar(
      steps,
      value,
      np.maximum(bars, 0),
      color=style.color(i),
      marker='o',
      ms=4,
      lw=1.3,
      capsize=2,
      label=one_line(run.run),
    )


def _scores(ax: Axes, runs: Sequence[Growth]) -> None:
  for i, run in enumerate(runs):
    if run.score is not None:
      ax.plot(run.score.step, run.score.value, color=style.color(i), lw=1.3)
  ax.set(title='Score', ylabel='return, mean over episodes')
