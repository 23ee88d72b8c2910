"""Draws the figures of dreams again, from the file of results alone.

Needs neither the agent nor JAX: for another format or width, or another machine.
What the figures show is in docs/dreams.md.

  python dreamerv3/plot_dreams.py --width single --format pdf \\
    --from_pkl logdir/run/dream_results/dream_results.pkl
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Sequence

from dreamerv3.analysis.dreams import measures
from dreamerv3.analysis.dreams.study import DreamStudy
from dreamerv3.base import files, flags
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.flags import flag
from dreamerv3.run_info import noting


@dataclasses.dataclass(frozen=True, kw_only=True)
class DreamFigureSettings(FigureFlags):
  """Draws the figures of --script dream_decode again."""

  from_pkl: str = flag(help='dream_results.pkl of dreams to draw again.')
  save: str = flag('', help='Folder to write to (that of --from_pkl).')


def main(argv: Sequence[str] | None = None) -> None:
  """Runs the command with the arguments of the shell, or with these."""
  args = flags.parse(DreamFigureSettings, argv)
  source = pathlib.Path(args.from_pkl).expanduser()
  study = DreamStudy.open(source)
  save = files.make_folder(args.save or source.resolve().parent)
  with noting(save, 'plot_dreams', args, {'from_pkl': source}) as note:
    from dreamerv3.plots import dreams, style  # slow to import

    with style.page(args.width):
      figures = dreams.all_figures(study)
    for name, figure in figures.items():
      note.outputs += args.save_figure(save, name, figure)
  print('\n'.join(measures.table(study.curves, study.found)))
  print(f'Saved {save}')


if __name__ == '__main__':
  flags.run(main)
