"""The learning progress of several conditions, each of some seeds, on one page.

figure = progress({'wide': [curves_of_seed_0, curves_of_seed_1], 'narrow': others})
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dreamerv3.analysis import learning
from dreamerv3.analysis.crafter_score import ACHIEVEMENTS
from dreamerv3.analysis.learning import Curve, Curves
from dreamerv3.plots import style
from dreamerv3.plots.runs.training import draw_curves

Groups = Mapping[str, Sequence[Curves]]
Pick = Callable[[Curves], Curve | None]


def panels(groups: Groups, achievements: bool = True, losses: bool = True) -> list[str]:
  """Titles of the panels that have data."""
  runs = [x for some in groups.values() for x in some]
  there = [name for name, (pick, _) in CURVES.items() if any(pick(x) for x in runs)]
  there = [x for x in there if losses or x != LOSS]
  unlocked = achievements and any(x.unlocks for x in runs)
  return [*there, *([UNLOCKS] if unlocked else [])]


def progress(groups: Groups, achievements: bool = True, losses: bool = True) -> Figure:
  """A colour per condition: runs thin, their mean, its 95 % interval over runs.

  Args:
    groups: the runs of each condition, by its name.
    achievements: whether to draw the unlock rates.
    losses: whether to draw the loss of the image, by which a world model is seen to
      learn before the agent does.
  """
  chosen = panels(groups, achievements, losses)
  cols = style.across(len(chosen), 2 if len(chosen) == 4 else 3, 1.9)
  fig, axes = style.new_figure(-(-len(chosen) // cols) or 1, cols, 4.8, 3.6)
  for ax in axes.flat[len(chosen) :]:
    ax.set_visible(False)
  for ax, name in zip(axes.flat, chosen, strict=False):
    ax.set_title(name)
    if name == UNLOCKS:
      _unlocks(ax, groups)
      continue
    pick, unit = CURVES[name]
    for i, (_, runs) in enumerate(groups.items()):
      found = [y for y in map(pick, runs) if y]
      if found:
        draw_curves(ax, found, style.color(i), '', named=True)
    ax.set_ylabel(unit)
    if name == LOSS:
      ax.set_yscale('log')
      style.log_ticks(ax.yaxis)
    style.step_axis(ax)
  for i, (condition, runs) in enumerate(groups.items()):
    label = f'{condition} ({len(runs)} {"run" if len(runs) == 1 else "runs"})'
    axes[0, 0].plot([], [], color=style.color(i), label=label)
  style.legend_above(fig, axes[0, 0])
  window = next(iter(groups.values()))[0].window
  note = (
    f'Means over {window} episodes; thin: runs; bands and bars: 95 % interval of the '
    'mean over runs'
  )
  fig.supxlabel(style.folded(fig, note), fontsize=style.RC['figure.titlesize'])
  return fig


def _unlocks(ax: Axes, groups: Groups) -> None:
  """The last unlock rates as dots, sorted by those of the first condition."""
  last = {
    name: np.array([[x.unlocks[a].value[-1] for a in ACHIEVEMENTS] for x in some])
    for name, runs in groups.items()
    if (some := [x for x in runs if x.unlocks])
  }
  order = np.argsort(-next(iter(last.values())).mean(0), kind='stable')
  step = 0.7 / len(groups)
  for i, name in enumerate(groups):
    color = style.color(i)
    for y, k in enumerate(order if name in last else ()):
      at = y + (i - (len(groups) - 1) / 2) * step
      mean, low, high = learning.interval(last[name][:, k].tolist())
      ax.plot([max(100 * low, 0), min(100 * high, 100)], [at, at], color=color, lw=1)
      ax.plot([100 * mean], [at], 'o', ms=3, color=color)
  names = [ACHIEVEMENTS[k].replace('_', ' ') for k in order]
  ax.set_yticks(np.arange(len(order)), names, fontsize=6.5)
  ax.set_ylim(len(order) - 0.5, -0.5)
  ax.tick_params(axis='y', length=0)
  ax.set(xlabel='episodes that unlock it, last window [%]', xlim=(-2, 102))


UNLOCKS = 'Unlock rate'
LOSS = 'Loss of the image'
CURVES: dict[str, tuple[Pick, str]] = {
  'Episode score': (lambda x: x.score, 'return'),
  'Crafter score': (lambda x: x.crafter_score, 'score [%]'),
  'Cumulative reward': (lambda x: x.reward, 'sum of returns'),
  LOSS: (lambda x: x.losses.get('image'), 'sum of squared errors'),
}
