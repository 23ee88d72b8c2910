"""The figure of positions without sight.

figure = blind_steps(found)
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dreamerv3.analysis.without_sight.blind_study import BlindJudgement, BlindStudy
from dreamerv3.plots import style

LINES = (
  ('blind', style.BLUE, '-', 'without sight'),
  ('sighted', style.GREEN, '-', 'with sight (floor)'),
  ('frozen', style.ORANGE, '--', 'place where sight ended, kept'),
  ('constant', style.BLACK, '--', 'best constant (chance)'),
)


def blind_steps(found: BlindStudy) -> Figure:
  """Error against steps without sight, of the network and its control."""
  sides = [(found.trained, 'trained')]
  if found.control is not None:
    sides.append((found.control, 'untrained, same path'))
  cols = style.across(len(sides), 2, 2.2)
  rows = len(sides) // cols
  fig, axes = style.new_figure(rows, cols, width=3.9, height=3.2, sharey=True)
  for ax, (x, title) in zip(axes.flat, sides, strict=True):
    _panel(ax, x)
    ax.set_title(f'{title}: {_lost(x)}')
  for ax in axes[:, 0]:
    ax.set_ylabel('error [tiles], band: 95 % over episodes')
  axes[0, 0].set_ylim(0, None)
  handles = axes[0, 0].get_legend_handles_labels()
  fig.legend(*handles, loc='outside lower center', ncols=2 * cols)
  curves = found.trained.curves
  limits = ', '.join(map(str, np.unique(curves.limit)))
  style.headline(
    fig,
    f'{curves.layer}: images withheld after {limits} timesteps, real actions go on;\n'
    f'{len(curves.number)} starts in {len(np.unique(curves.number))} episodes',
  )
  return fig


def _panel(ax: Axes, x: BlindJudgement) -> None:
  steps = np.arange(1, x.curves.steps + 1)
  for name, color, line, label in LINES:
    course = x.courses[name]
    ax.plot(steps, course.mean, line, color=color, lw=1.8, label=label)
    if np.isfinite(course.low).all() and name != 'constant':
      ax.fill_between(steps, course.low, course.high, color=color, alpha=0.15, lw=0)
  if x.lost is not None:
    ax.axvline(x.lost, color=style.GREY, lw=1, ls=':')
  ax.set_xlabel('steps without sight')
  ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def _lost(x: BlindJudgement) -> str:
  if x.lost is None:
    return f'known for all {x.curves.steps} steps'
  return f'lost at step {x.lost}'
