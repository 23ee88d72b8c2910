"""All numbers of some runs in one table in long form.

  numbers = collect([Run(pathlib.Path('logdir/a0'), 'wide')])
  numbers.to_csv('numbers.csv', index=False)

What a run lacks, or what cannot be read, costs a line in `Collected.notes` and leaves
everything else. Columns are in docs/studies.md.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from dreamerv3.analysis.conditions import copies, readers
from dreamerv3.analysis.conditions.readers import WHOLE, Number
from dreamerv3.analysis.conditions.runs import LOGS, Run
from dreamerv3.base.errors import UserError, reading
from dreamerv3.data import layers
from dreamerv3.data.metrics_log import MetricsLog

# Folders of results, as our scripts, the demo and the fork name them.
DECODE = ('layer_decoder_results', 'layer_results', 'decoder_results')
TUNING = ('tuning_results',)
GEOMETRY = ('manifold_results',)
DREAMS = ('dream_results',)

COLUMNS = (
  *('run', 'condition', 'seed', 'quantity', 'layer', 'episode', 'value', 'weight'),
)


@dataclasses.dataclass(frozen=True)
class Wanted:
  """What is collected, and where it is looked for.

  Attributes:
    decode_subdir, tuning_subdir: folders inside a run; the usual ones if ''.
    layers: see `layers.select`; all if empty.
    no_decode, no_tuning: leave these results out.
  """

  decode_subdir: str = ''
  tuning_subdir: str = ''
  layers: tuple[str, ...] = ()
  no_decode: bool = False
  no_tuning: bool = False


class Collected(NamedTuple):
  """A table in long form, and a line for everything that is not in it.

  Attributes:
    numbers: columns COLUMNS; `episode` is missing in the value of a whole run, `layer`
      is '' for whole agents, `seed` is missing where it is unknown.
    notes: what was left out, and why.
    inputs: files that were read.
  """

  numbers: pd.DataFrame
  notes: tuple[str, ...]
  inputs: tuple[pathlib.Path, ...]


class Source(NamedTuple):
  """One kind of results: folders, names of files, reader, words for it."""

  folders: tuple[str, ...]
  files: tuple[str, ...]
  read: Callable[[pathlib.Path], list[Number]]
  what: str


EVERYTHING = Wanted()


def collect(runs: Sequence[Run], wanted: Wanted = EVERYTHING) -> pd.DataFrame:
  """The table of `gather` alone."""
  return gather(runs, wanted).numbers


def gather(runs: Sequence[Run], wanted: Wanted = EVERYTHING) -> Collected:
  """Reads whatever each run's folders hold.

  Raises:
    UserError: a pattern of `wanted.layers` that matches no layer of any run.
  """
  rows: list[tuple[object, ...]] = []
  notes: list[str] = []
  inputs: list[pathlib.Path] = []
  steps: list[int] = []
  for run in runs:
    try:
      seed = run.seed
    except UserError as e:
      notes.append(f'{run.name}: seed unknown: {e}')
      seed = None
    for source in _sources(wanted):
      path = run.find(source.folders, source.files)
      if path is None:
        notes.append(f'{run.name} ({run.label}) has no {source.what}.')
        continue
      try:
        found = source.read(path)
      except UserError as e:
        notes.append(f'{run.name} ({run.label}) without {source.what}: {e}')
        continue
      inputs.append(path)
      rows += [_row(run, seed, x) for x in found]
    rows += [_row(run, seed, x) for x in _training(run, notes, inputs, steps)]
  for copy in copies.copies(runs, rows):
    notes.append(copy.line())
    rows = rows if copy.counted else [x for x in rows if x[0] != copy.run]
  notes += copies.same_seeds(rows)
  if steps and max(steps) > 1.05 * min(steps):
    notes.append(
      f'Runs were trained for {min(steps):,} to {max(steps):,} environment steps; '
      'what differs may be that.'
    )
  return Collected(_table(rows, wanted.layers), tuple(notes), tuple(inputs))


def reopen(path: str | os.PathLike[str]) -> pd.DataFrame:
  """The table that an earlier call wrote as csv.

  Raises:
    UserError: no such file, or another one.
  """
  path = pathlib.Path(path).expanduser()
  what = 'numbers.csv of compare_conditions.py; compare again'
  if not path.is_file():
    raise UserError(f'{path} is no file; expected {what}.')
  with reading(path, what):
    found = pd.read_csv(path, dtype={'condition': str, 'layer': str})
    found['layer'] = found['layer'].fillna('')
    found = found.astype({'seed': 'Int64', 'episode': 'Int64', 'value': float})
    return found[[*COLUMNS, *(x for x in found if x not in COLUMNS)]]


def narrow(table: pd.DataFrame, patterns: Sequence[str]) -> pd.DataFrame:
  """The rows of whole agents and of the layers that match.

  Raises:
    UserError: a pattern that matches none.
  """
  there = {str(x) for x in table['layer']} - {''}
  if not patterns or not there:
    return table
  return table[table['layer'].isin(['', *layers.select(patterns, there)])]


def _sources(wanted: Wanted) -> Iterator[Source]:
  if not wanted.no_decode:
    yield Source(
      (wanted.decode_subdir,) if wanted.decode_subdir else DECODE,
      ('layer_decode_results.pkl', 'decode_results.pkl'),
      readers.decoding,
      'results of decoding',
    )
  if not wanted.no_tuning:
    yield Source(
      (wanted.tuning_subdir,) if wanted.tuning_subdir else TUNING,
      ('tuning_results.pkl',),
      readers.tuning,
      'results of tuning',
    )
  yield Source(
    GEOMETRY, ('manifold_results.pkl',), readers.geometry, 'results on geometry'
  )
  yield Source(DREAMS, ('dream_results.pkl',), readers.dreams, 'dreams')


def _training(
  run: Run, notes: list[str], inputs: list[pathlib.Path], steps: list[int]
) -> list[Number]:
  """Scores from the logs of a run."""
  try:
    log = MetricsLog.open(run.trained_in)
    found = readers.training(log)
  except UserError as e:
    notes.append(f'{run.name} ({run.label}) without scores: {e}')
    return []
  if not found:
    notes.append(f'{run.name} ({run.label}) has logs, but no finished episode in them.')
    return []
  inputs += [log.path / x for x in LOGS if (log.path / x).is_file()]
  steps.append(log.last_step)
  return found


def _row(run: Run, seed: int | None, x: Number) -> tuple[object, ...]:
  episode = None if x.episode == WHOLE else x.episode
  return run.name, run.label, seed, x.quantity, x.layer, episode, x.value, x.weight


def _table(rows: Sequence[tuple[object, ...]], patterns: Sequence[str]) -> pd.DataFrame:
  """Run after run, as they were named: conditions keep their order in it."""
  table = pd.DataFrame(rows, columns=pd.Index(COLUMNS))
  table = table.astype({'seed': 'Int64', 'episode': 'Int64', 'value': float})
  return narrow(table, patterns).reset_index(drop=True)
