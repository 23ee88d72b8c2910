"""How a run learned: score, unlocked achievements, losses, expected return.

Reads scores.jsonl and metrics.jsonl of a logdir, while the run writes them or
after it; several seeds give their mean and interval, several conditions of some seeds
each lie beside each other.

  python dreamerv3/plot_training.py --logdir logdir/run --save logdir/run/plots
  python dreamerv3/plot_training.py --logdir logdir/a0:wide \\
    --compare logdir/a1:wide logdir/b0:narrow logdir/b1:narrow
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dreamerv3.analysis import learning
from dreamerv3.analysis.conditions import runs
from dreamerv3.base import files, flags, shipped
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.data.metrics_log import MetricsLog
from dreamerv3.plots import style
from dreamerv3.plots.runs import training, training_conditions
from dreamerv3.plots.screen import windows
from dreamerv3.run_info import noting


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingPlotSettings(FigureFlags):
  """Plots the learning curves of a run, or of several seeds of it."""

  logdir: str = flag(
    help='Folder of the run, with its .jsonl logs; RUN:label to compare conditions.'
  )
  save: str = flag('', help='Folder to write to; LOGDIR/plots by default.')
  smooth: int = flag(
    50,
    low=1,
    help='Episodes that a mean is taken over; a fifth of all at most.',
  )
  no_achievements: bool = flag(False, help='Leave out the unlock rates.')
  no_losses: bool = flag(
    False, help='Leave out the losses, and reward, return and value.'
  )
  compare: tuple[str, ...] = flag(
    (),
    help='Further runs: other seeds of the same condition, or RUN:label, several with '
    'one label being its seeds.',
  )
  show: bool = flag(False, help='Open the figure in a window, too.')


def main(argv: Sequence[str] | None = None) -> None:
  """Draws the learning curves and writes their numbers."""
  args = flags.parse(TrainingPlotSettings, argv)
  chosen = _runs(args)
  if args.show:
    windows.check()
  curves = read([x.trained_in for x in chosen], args.smooth)
  page = Page.of(args, chosen, curves)
  save = files.make_folder(args.save or shipped.results_of(chosen[0].path) / 'plots')
  inputs: dict[str, pathlib.Path | list[pathlib.Path]]
  inputs = {'logdir': chosen[0].path, 'compare': [x.path for x in chosen[1:]]}
  extra = {x.path: {**x.summary, 'lacks': x.lacks} for x in curves}
  with noting(
    save, 'plot_training', args, inputs, extra=extra, replaces=lambda _: True
  ) as note:
    table = files.save_csv(save / 'training_progress.csv', page.rows)
    note.outputs.append(table)
    with style.page(args.width):
      figure = page.draw()
    note.outputs += args.save_figure(save, 'training_progress', figure)
  print('\n'.join(str(x) for x in note.outputs))
  if args.show:
    windows.show([figure])


class Page(NamedTuple):
  """What is written: rows of the table, and what draws the figure."""

  rows: list[dict[str, str | float]]
  draw: Callable[[], Any]

  @classmethod
  def of(
    cls,
    args: TrainingPlotSettings,
    chosen: Sequence[runs.Run],
    curves: Sequence[learning.Curves],
  ) -> 'Page':
    """Of one condition, or of several by their labels.

    Raises:
      UserError: the flags leave nothing to plot.
    """
    unlocks, losses = not args.no_achievements, not args.no_losses
    if not chosen[0].label:
      there = len(training.panels(curves, unlocks, losses))
      page = cls(
        learning.rows(curves), lambda: training.progress(curves, unlocks, losses)
      )
    else:
      groups: dict[str, list[learning.Curves]] = {}
      for run, found in zip(chosen, curves, strict=True):
        groups.setdefault(run.label, []).append(found)
      there = len(training_conditions.panels(groups, unlocks, losses))
      rows = [
        {'condition': k, **row}
        for k, some in groups.items()
        for row in learning.rows(some)
      ]
      page = cls(rows, lambda: training_conditions.progress(groups, unlocks, losses))
    if not there:
      raise UserError(
        f'{args.logdir} has nothing that these flags leave to plot: '
        f'{"; ".join(curves[0].lacks)}.'
      )
    return page


def _runs(args: TrainingPlotSettings) -> list[runs.Run]:
  """Runs of one condition without a label, or of several with theirs."""
  words = (args.logdir, *args.compare)
  if any(_labelled(x) for x in words):
    return runs.parse(words)
  found = [runs.Run(pathlib.Path(x).expanduser(), '') for x in words]
  if len({x.path.resolve() for x in found}) < len(found):
    raise UserError('--compare names a run twice; each seed counts once.')
  return found


def _labelled(word: str) -> bool:
  folder, colon, label = word.rpartition(':')
  known = pathlib.Path(folder).expanduser().is_dir()
  return bool(colon and label and known) and not pathlib.Path(word).is_dir()


def read(folders: Sequence[pathlib.Path], smooth: int) -> list[learning.Curves]:
  """The curves of all runs; prints what is missing in their logs."""
  logs = [MetricsLog.open(x) for x in folders]
  window = min(smooth, *(learning.widest(x) for x in logs))
  if window < smooth:
    print(
      f'Means are over {window} episodes, a fifth of all, instead of '
      f'--smooth {smooth}.',
      file=sys.stderr,
    )
  found = [learning.curves(x, window) for x in logs]
  for log, run in zip(logs, found, strict=True):
    for line in (*log.notes, *run.lacks):
      print(f'{log.path}: {line}', file=sys.stderr)
    numbers = (
      f'{k} {f"{v:.2f}" if isinstance(v, float) else f"{v:,}"}'
      for k, v in run.summary.items()
    )
    print(f'{log.path}: {"  ".join(numbers)}')
  return found


if __name__ == '__main__':
  flags.run(main)
