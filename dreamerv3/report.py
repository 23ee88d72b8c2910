"""A run as one page for the browser: verdict, units, episodes, dreams, figures.

The page is one file that needs no network: open it from disk, or mail it.

  python dreamerv3/report.py --logdir logdir/my_run
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
import webbrowser
from collections.abc import Sequence

from dreamerv3.base import files, flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.pages.report import Report
from dreamerv3.pages.sources import Sources
from dreamerv3.run_info import noting


@dataclasses.dataclass(frozen=True)
class Settings:
  """Writes all that a run has given so far as one page for the browser."""

  logdir: str = flag(help='Folder of the training run.')
  save: str = flag('', help='File to write (report.html among the results).')
  open: bool = flag(False, help='Open it in a browser.')


def main(argv: Sequence[str] | None = None) -> None:
  """Writes the page of a run."""
  args = flags.parse(Settings, argv)
  sources = Sources.find(pathlib.Path(args.logdir).expanduser())
  path = target(args, sources)
  found = {x: getattr(sources, x) for x in ('recording', 'tuning', 'decoder', 'dreams')}
  inputs = {k: str(v) for k, v in found.items() if v is not None}
  report = Report(sources)
  with noting(path.parent, 'report', args, inputs) as note:
    with files.atomic(path, 'w') as file:
      file.write(report.text())
    note.outputs.append(path)
  for line in report.notes:
    print(line)
  print(f'Saved {path} ({path.stat().st_size / 1e6:.1f} MB); open it in a browser.')
  if args.open and not webbrowser.open(path.resolve().as_uri()):
    print('No browser could be started here.')


def target(args: Settings, sources: Sources) -> pathlib.Path:
  """The file to write; UserError for another kind of file."""
  if not args.save:
    return sources.results / 'report.html'
  path = pathlib.Path(args.save).expanduser()
  if path.suffix not in ('.html', '.htm') or path.is_dir():
    raise UserError(f'--save is {args.save}; expected a file that ends in .html.')
  return path


if __name__ == '__main__':
  flags.run(main)
