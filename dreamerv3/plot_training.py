"""How a run learned: score, unlocked achievements, losses, expected return.

Reads scores.jsonl and metrics.jsonl of a logdir, while the run writes them or
after it; several seeds give their mean and interval.

  python dreamerv3/plot_training.py --logdir logdir/run --save logdir/run/plots
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Sequence

from dreamerv3.analysis import learning
from dreamerv3.base import files, flags, shipped
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.data.metrics_log import MetricsLog
from dreamerv3.plots import training
from dreamerv3.plots.screen import windows
from dreamerv3.run_info import noting


@dataclasses.dataclass(frozen=True)
class TrainingPlotSettings:
  """Plots the learning curves of a run, or of several seeds of it."""

  logdir: str = flag(help='Folder of the run, with its .jsonl logs.')
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
    (), help='Further runs of the same condition, e.g. other seeds.'
  )
  show: bool = flag(False, help='Open the figure in a window, too.')


def main(argv: Sequence[str] | None = None) -> None:
  """Draws the learning curves and writes their numbers."""
  args = flags.parse(TrainingPlotSettings, argv)
  runs = read(args)
  if args.show:
    windows.check()
  if not training.panels(runs, not args.no_achievements, not args.no_losses):
    raise UserError(
      f'{args.logdir} has nothing that these flags leave to plot: '
      f'{"; ".join(runs[0].lacks)}.'
    )
  save = files.make_folder(
    args.save or shipped.results_of(pathlib.Path(args.logdir)) / 'plots'
  )
  inputs = {'logdir': args.logdir, 'compare': args.compare}
  extra = {x.path: {**x.summary, 'lacks': x.lacks} for x in runs}
  with noting(
    save, 'plot_training', args, inputs, extra=extra, replaces=lambda _: True
  ) as note:
    table = files.save_csv(save / 'training_progress.csv', learning.rows(runs))
    note.outputs.append(table)
    figure = training.progress(runs, not args.no_achievements, not args.no_losses)
    note.outputs.append(files.save_figure(save / 'training_progress.png', figure))
  print('\n'.join(str(x) for x in note.outputs))
  if args.show:
    windows.show([figure])


def read(args: TrainingPlotSettings) -> list[learning.Curves]:
  """The curves of all runs; prints what is missing in their logs."""
  folders = [pathlib.Path(x).expanduser() for x in (args.logdir, *args.compare)]
  if len({x.resolve() for x in folders}) < len(folders):
    raise UserError('--compare names a run twice; each seed counts once.')
  logs = [MetricsLog.open(x) for x in folders]
  window = min(args.smooth, *(learning.widest(x) for x in logs))
  if window < args.smooth:
    print(
      f'Means are over {window} episodes, a fifth of all, instead of '
      f'--smooth {args.smooth}.',
      file=sys.stderr,
    )
  runs = [learning.curves(x, window) for x in logs]
  for log, run in zip(logs, runs, strict=True):
    for line in (*log.notes, *run.lacks):
      print(f'{log.path}: {line}', file=sys.stderr)
    numbers = '  '.join(f'{k} {v:.6g}' for k, v in run.summary.items())
    print(f'{log.path}: {numbers}')
  return runs


if __name__ == '__main__':
  flags.run(main)
