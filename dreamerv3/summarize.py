"""What a run has given so far: its main numbers, and last what they say.

Reads the files that the other programs left under a training run's folder.

  python dreamerv3/summarize.py logdir/my_run
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import collections
import csv
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence

from dreamerv3.analysis.bootstrap import NONE
from dreamerv3.analysis.decoding.chance import LEVELS
from dreamerv3.analysis.decoding.comparisons import ALPHA
from dreamerv3.analysis.decoding.result import counts
from dreamerv3.analysis.dreams.measures import LABELS, steps_of
from dreamerv3.base import flags, regular, shipped
from dreamerv3.base.errors import UserError, reading, short
from dreamerv3.base.flags import flag
from dreamerv3.data.coverage import Coverage
from dreamerv3.pages.verdicts import distinct, verdicts
from dreamerv3.run_info import read_run_info

# What the tests of a table call them.
TESTED = {'best_constant': 'chance'}
MOST_BYTES = 1 << 30  # of a table
FIGURES = ('.png', '.gif', '.mp4', '.pdf')


@dataclasses.dataclass(frozen=True)
class SummarySettings:
  """Prints the main numbers of a run, and last what may be said of it."""

  logdir: str = flag(
    help='Folder of the training run; may be given as the first word.', plain=True
  )
  verdicts: bool = flag(False, help='Only what may be said, a line each.')
  files: bool = flag(False, help='List all figures, too, before what may be said.')


def main(argv: Sequence[str] | None = None) -> None:
  """Prints the summary of a run."""
  args = flags.parse(SummarySettings, argv)
  logdir = pathlib.Path(args.logdir).expanduser()
  if not logdir.is_dir():
    raise UserError(f'{logdir} is no folder; give that of a training run.')
  results = shipped.results_of(logdir)
  if args.verdicts and args.files:
    raise UserError('--verdicts prints nothing else; leave --files out.')
  lines = [] if args.verdicts else list(summary(results, args.files))
  last = list(said(results))
  if lines and last:
    lines += ['', 'What may be said']
  lines += last
  if not lines:
    raise UserError(f'{logdir} holds no results yet; record and analyse first.')
  print('\n'.join(lines))


def summary(logdir: pathlib.Path, pictures: bool = False) -> Iterator[str]:
  """The tables of a run; of a file that is another, why it is left out.

  Args:
    pictures: list the figures, too.
  """
  shown: list[tuple[str, Callable[[pathlib.Path], Iterator[str]]]] = [
    ('run_info.json', recorded),
    ('summary.csv', decoding),
    ('layer_summary.csv', decoding),
    ('units.csv', cell_types),
    ('dream_curves.csv', dreams),
    *([('run_info.json', figures)] if pictures else []),
  ]
  for name, show in shown:
    for path in sorted(logdir.rglob(name)):
      try:
        with reading(path, f'{path.name} of this project'):
          yield from list(show(path))
      except UserError as e:
        yield f'Left out: {e}'


def recorded(path: pathlib.Path) -> Iterator[str]:
  """Size of a recording, and how well it covers its world.

  Raises:
    UserError: provenance cannot be read.
  """
  entries = [x for x in read_run_info(path.parent) if x.stage == 'eval_trajectory']
  for entry in entries[-1:]:
    if not {'episodes', 'timesteps'} <= entry.extra.keys():
      continue  # it did not come to its end
    yield ''
    yield f'Recording ({path.parent})'
    yield f'  {entry.extra["episodes"]} episodes, {entry.extra["timesteps"]} timesteps'
    if found := entry.extra.get('coverage'):
      coverage = Coverage(**found)
      yield f'  {coverage.line()}'
      yield from (f'  Warning: {x}' for x in coverage.warnings())


def said(logdir: pathlib.Path) -> Iterator[str]:
  """What each analysis says of the run, under its name and folder."""
  for one, lines in distinct(tuple(verdicts(logdir))):
    yield f'{one.entry.stage} ({one.folder})'
    yield from (f'  {x}' for x in lines)


def decoding(path: pathlib.Path) -> Iterator[str]:
  """Error per layer, with its interval, each chance level and the control."""
  rows = _rows(path)
  if 'quantity' in rows[0]:  # of compare_conditions.py, which is about many runs
    return
  yield ''
  yield f'Position decoding, mean error [tiles] ({path})'
  head = ('layer', 'units', 'error', '95 %', 'constant', 'prior', 'shuffled')
  if rows[0].get('episodes'):
    yield counts(rows[0])
  if all(float(x['low']) != float(x['low']) for x in rows):
    yield f'{NONE.capitalize()}.'
  yield _line(head) + f'{"untrained":>11}{"its constant":>14}'
  for row in rows:
    low, high = float(row['low']), float(row['high'])
    interval = f'{low:.2f}-{high:.2f}' if low == low else '-'
    cells = (
      row['layer'],
      row['units'],
      _round(row['mean']),
      interval,
      _round(row['best_constant']),
      _round(row['prior']),
      _round(row['shuffled']),
    )
    control = _round(row['control']), _round(row['control_constant'])
    yield _line(cells) + f'{control[0]:>11}{control[1]:>14}'
  for row in rows:
    if row['layer'] in ('deter', 'dyn/deter'):
      yield meaning(row)


def meaning(row: dict[str, str]) -> str:
  """A layer's error in words, against the hardest chance level and control.

  Errors count as shares of that of the best constant guess: the untrained
  agent walks other paths, which can be easier or harder to guess.
  """
  constant = float(row['best_constant'])
  if not constant:
    return f'{row["layer"]}: the agent hardly moved, a constant guess is right.'
  low, share, high = (float(row[k]) / constant for k in ('low', 'mean', 'high'))
  known = low == low
  spread = f'95 %: {low:.0%} to {high:.0%}' if known else NONE
  text = (
    f'{row["layer"]}: {share:.0%} of the error of the best constant guess ({spread})'
  )
  levels = {x: float(row[x]) / constant for x in LEVELS}
  name = min(levels, key=lambda x: (levels[x] != levels[x], levels[x]))
  least = f'{LEVELS[name].guess} {levels[name]:.0%}'
  text += f'; hardest chance level: {least}'
  if known:
    text += f', {_against(row, name, levels[name])} that'
  other_constant = float(row['control_constant'])
  if other_constant > 0:
    other = float(row['control']) / other_constant
    text += f'; untrained {other:.0%}'
    if known:
      text += f', {_against(row, "control", other)} that'
  return text + '.'


def _against(row: dict[str, str], name: str, other: float) -> str:
  """By the test over episodes of both; older tables have the interval alone.

  Args:
    other: error as a share of that of its own best constant.
  """
  low, share, high = (
    float(row[k]) / float(row['best_constant']) for k in ('low', 'mean', 'high')
  )
  p = float(row.get(f'p_vs_{TESTED.get(name, name)}') or 'nan')
  differs = p <= ALPHA if p == p else high < other or low > other
  if not differs:
    return 'not told apart from'
  return 'better than' if share < other else 'worse than'


def cell_types(path: pathlib.Path) -> Iterator[str]:
  """Share of units per class that also passes its test, beside the control."""
  trained = _shares(_rows(path))
  control_path = path.with_name('units_control.csv')
  control = _shares(_rows(control_path)) if control_path.exists() else {}
  yield ''
  yield f'Cell types that differ from chance, share of units ({path})'
  yield f'{"class":<18}{"trained":>9}{"untrained":>11}'
  for name in sorted(trained | control, key=lambda x: -trained.get(x, 0)):
    other = f'{control.get(name, 0):.1%}' if control else '-'
    yield f'{name:<18}{trained.get(name, 0):>9.1%}{other:>11}'


def dreams(path: pathlib.Path) -> Iterator[str]:
  """Distance from the real path at some steps."""
  rows = _rows(path)
  steps = steps_of(len(rows) - 1)
  yield ''
  yield f'Dreams, mean error [tiles] ({path})'
  yield _line(('', *(f'step {x}' for x in steps)))
  for name, label in LABELS.items():
    if name in rows[0]:
      yield _line((label, *(_round(rows[x][name]) for x in steps)))


def figures(path: pathlib.Path) -> Iterator[str]:
  """Every picture that provenance lists and that is still there."""
  found: dict[str, list[str]] = {}
  for entry in read_run_info(path.parent):
    for picture in entry.outputs:
      if picture.suffix in FIGURES and picture.exists():
        names = found.setdefault(f'{entry.stage}: {picture.parent}', [])
        if picture.name not in names:
          names.append(picture.name)
  for title, names in found.items():
    yield ''
    yield f'Figures of {title}'
    yield from (f'  {x}' for x in names)


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
  with reading(path, 'table of this project; make it again'):
    try:
      rows = list(csv.DictReader(io.StringIO(regular.read_text(path, MOST_BYTES))))
    except csv.Error as e:
      raise UserError(f'{path} is no table ({short(e)}); make it again.') from e
  if not rows:
    raise UserError(f'{path} is empty; make it again.')
  return rows


def _shares(rows: list[dict[str, str]]) -> dict[str, float]:
  column = 'cell_type_tested' if rows[0].get('cell_type_tested') else 'cell_type'
  counts = collections.Counter(x[column] for x in rows)
  return {k: v / len(rows) for k, v in counts.items()}


def _round(text: str) -> str:
  try:
    value = float(text)
  except ValueError:
    return text
  return '-' if value != value else f'{value:.2f}'


def _line(cells: Sequence[str]) -> str:
  first, *others = cells
  return f'{first:<20}' + ''.join(f' {x:>11}' for x in others)


if __name__ == '__main__':
  flags.run(main)
