"""Do conditions differ? Trained agents beside each other, each counted once.

Decoding, tuning, geometry, dreams and scores of all runs: means and intervals over
runs, differences from the first condition with tests and effect sizes, figures.

  python dreamerv3/compare_conditions.py --conditions logdir/a0:wide logdir/a1:wide \\
    logdir/b0:narrow logdir/b1:narrow --save logdir/wide_narrow
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from dreamerv3.analysis.conditions import alike, collect, runs, sweeps, tables
from dreamerv3.analysis.conditions.comparison import PAIRINGS, Rules, compare
from dreamerv3.analysis.conditions.found import Comparison
from dreamerv3.analysis.conditions.sweeps import Sweep
from dreamerv3.base import files, flags
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.data.layers import PATTERNS
from dreamerv3.run_info import noting, read_run_info

STAGE = 'compare_conditions'
NUMBERS, SUMMARY = 'numbers.csv', 'summary.csv'


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConditionsSettings(FigureFlags):
  """Compares conditions, each of one or several trained runs."""

  conditions: tuple[str, ...] = flag(
    (),
    help='RUN:label, several with one label are its seeds; the first is the reference.',
  )
  save: str = flag('', help='Folder to write to (that of --from_csv).')
  decode_subdir: str = flag(
    '',
    help='Folder of decoding results in each run (layer_decoder_results, layer_results '
    'or decoder_results, the first that is there).',
  )
  tuning_subdir: str = flag(
    '', help='Folder of tuning results in each run (tuning_results).'
  )
  layers: tuple[str, ...] = flag((), help=f'{PATTERNS}; all by default.')
  no_decode: bool = flag(False, help='Leave out decoding.')
  no_tuning: bool = flag(False, help='Leave out tuning.')
  sweep: tuple[str, ...] = flag(
    (),
    help='Settings that the conditions differ in: two for a grid, three weights of a '
    'mixture (or one list of them) for a triangle. RUN needs no label then.',
  )
  sweep_of: tuple[str, ...] = flag(
    (),
    help='Quantities of that figure, as in numbers.csv; those of runs.png by default.',
  )
  pairs: str = flag(
    'auto',
    choices=PAIRINGS,
    help='Pair runs by seed where all seeds match: from 6 pairs on, always, or never.',
  )
  n_boot: int = flag(2000, low=100, help='Draws of runs behind the 95 % intervals.')
  seed: int = flag(0, low=0, help='Seed of draws and exchanges.')
  from_csv: str = flag('', help='Compare the runs of this numbers.csv again.')


# Settings that choose what is read; a table that was read has it already.
READS = ('conditions', 'decode_subdir', 'tuning_subdir', 'no_decode', 'no_tuning')


def main(argv: Sequence[str] | None = None) -> None:
  """Collects, compares, saves, draws and prints, as the flags say."""
  args = flags.parse(ConditionsSettings, argv)
  _check(args)
  read = _gather(args)
  sweep = Sweep.of(read.numbers, args.sweep) if args.sweep else None
  for line in read.notes:
    print(line, file=sys.stderr)
  save = _folder(args)
  with noting(
    save,
    STAGE,
    args,
    {'conditions': read.inputs, 'from_csv': args.from_csv},
    replaces=lambda _: True,
    keep=(NUMBERS,) if args.from_csv else (),
  ) as note:
    conditions = list(dict.fromkeys(read.numbers['condition']))
    if not args.from_csv:
      note.outputs.append(save / NUMBERS)
      with files.atomic(save / NUMBERS, 'w') as file:
        read.numbers.to_csv(file, index=False)
    rules = Rules(args.pairs, args.n_boot, args.seed)
    found = compare(read.numbers, conditions, rules)
    note.extra |= {'verdicts': tables.verdicts(found), 'lacks': read.notes}
    note.outputs.append(files.save_csv(save / SUMMARY, tables.rows(found)))
    from dreamerv3.plots import style  # slow to import

    with style.page(args.width):
      for name, figure in _figures(found, sweep, args.sweep_of):
        note.outputs += args.save_figure(save, name, figure)
  print('\n'.join(tables.lines(found)))
  print(f'Saved {save}')


def _check(args: ConditionsSettings) -> None:
  """Flags that do not go together."""
  if bool(args.from_csv) == bool(args.conditions):
    raise UserError('Give --conditions to compare runs, or --from_csv to do so again.')
  given = flags.changed(args, READS)
  if args.from_csv and given:
    raise UserError(f'--from_csv holds what was read then; leave out {given}.')
  for name in ('decode', 'tuning'):
    if getattr(args, f'no_{name}'):
      flags.refuse_idle(args, (f'{name}_subdir',), f'with --no_{name}')
  if not args.sweep:
    flags.refuse_idle(args, ('sweep_of',), 'without --sweep')
  if not args.save and not args.from_csv:
    raise UserError('--save is missing; give a folder for the comparison.')


def _gather(args: ConditionsSettings) -> collect.Collected:
  """All numbers, in the order of the conditions."""
  if args.from_csv:
    table = collect.narrow(collect.reopen(args.from_csv), args.layers)
    found = collect.Collected(table, (), ())
  else:
    found = _read(args)
  there = set(found.numbers['quantity'])
  lost = [x for x in args.sweep_of if x not in there]
  if lost:
    raise UserError(
      f'No run has the quantity {lost[0]}; there are {", ".join(sorted(there))}.'
    )
  return found


def _read(args: ConditionsSettings) -> collect.Collected:
  """What the folders of the runs hold, with their settings in a sweep."""
  names = [x.name for x in dataclasses.fields(collect.Wanted)]
  wanted = collect.Wanted(**{x: getattr(args, x) for x in names})
  label_of = (lambda x: sweeps.label(x, args.sweep)) if args.sweep else None
  chosen = runs.parse(args.conditions, label_of)
  found = collect.gather(chosen, wanted)
  if found.numbers.empty:
    raise UserError(
      'None of the runs has anything to compare; analyse them first, for instance with '
      'decode_position.py --mode layers.'
    )
  there = set(found.numbers['condition'])
  lost = [x for x in runs.labels(chosen) if x not in there]
  notes = (
    *found.notes,
    *alike.unlike([x for x in map(_measured, found.inputs) if x]),
    *(f'No run of {x} has anything to compare: it is left out.' for x in lost),
  )
  numbers = sweeps.add(found.numbers, chosen, args.sweep)
  return found._replace(numbers=numbers, notes=notes)


def _measured(path: pathlib.Path) -> alike.Measured | None:
  """How a file of results was made; None where its folder does not say."""
  with contextlib.suppress(UserError):
    for x in reversed(read_run_info(path.parent)):
      if path.name in {y.name for y in x.outputs} and not x.args.get('from_pkl'):
        return alike.Measured(x.stage, x.args, x.extra)
  return None


def _folder(args: ConditionsSettings) -> pathlib.Path:
  """The folder to write to; never one with a summary of another program."""
  save = pathlib.Path(args.save or pathlib.Path(args.from_csv).parent).expanduser()
  if (save / SUMMARY).exists() and not any(
    x.stage == STAGE for x in read_run_info(save)
  ):
    raise UserError(
      f'{save} has a {SUMMARY} of another program; choose another folder with --save.'
    )
  return files.make_folder(save)


def _figures(
  found: Comparison, sweep: Sweep | None, quantities: Sequence[str]
) -> Iterator[tuple[str, Any]]:
  """Names and figures, those of a sweep if it is one."""
  from dreamerv3.plots.runs import conditions  # slow to import
  from dreamerv3.plots.runs.sweeps import sweep_figure

  yield from conditions.all_figures(found).items()
  if sweep is not None:
    panels = conditions.panels_of(found, quantities)
    yield 'sweep', sweep_figure(found, sweep, panels)


if __name__ == '__main__':
  flags.run(main)
