"""Hands a recording out as a file of Neurodata Without Borders.

Positions, episodes as trials, chosen layers as time series with a table of their units,
and where all of it comes from; for pynapple, MatNWB and everything that reads NWB.

  python dreamerv3/export_nwb.py --data logdir/run/trajectories \\
    --save logdir/run/recording.nwb --layers deter
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from dreamerv3.analysis.opening import Opening
from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.results import Results, flat
from dreamerv3.base import files, flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.data import layers, nwb
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.run_info import noting, plain, read_run_info, version_line
from dreamerv3.run_info.chain import trace
from dreamerv3.run_info.inputs import describe, describe_all


@dataclasses.dataclass(frozen=True, kw_only=True)
class NwbSettings(Opening):
  """Writes a recording as a file of Neurodata Without Borders (NWB)."""

  data: str = flag(help='Folder of recorded episodes.')
  save: str = flag(help='File to write to, FILE.nwb.')
  layers: tuple[str, ...] = flag(
    ('dyn/deter',), help=f'{layers.PATTERNS}; * for all of them.'
  )
  tuning: str = flag(
    '', help='tuning_results.pkl: its measures and classes beside the units.'
  )
  images: bool = flag(False, help='Write what the agent saw, too.')
  step_s: float = flag(
    1.0, low=1e-6, help='How long a timestep lasts [s]; the game has no clock.'
  )


def main(argv: Sequence[str] | None = None) -> None:
  """Writes the file and notes where it came from."""
  args = flags.parse(NwbSettings, argv)
  path = pathlib.Path(args.save).expanduser().absolute()
  if path.suffix != '.nwb' or path.is_dir():
    raise UserError(f'--save is {args.save}; expected a file that ends in .nwb.')
  data = args.open(args.data)
  names = layers.select(args.layers, data.layers())
  if args.images and not all('image' in x.arrays for x in data.episodes):
    raise UserError(f'{args.data} has no images; leave --images out.')
  units = _units(args.tuning, data, names) if args.tuning else {}
  save = files.make_folder(path.parent)
  inputs = {'data': args.data, 'tuning': args.tuning}
  extra = {'layers': names, 'step_s': args.step_s}
  with noting(save, 'export_nwb', args, inputs, [path], extra) as note:
    about = _about(data, names, args)
    content = nwb.build(data, names, about, units, args.images)
    with files.atomic_path(path) as file:
      nwb.write(content, file)
    note.extra['identifier'] = about.identifier
  print(f'Saved {path}: {len(data)} episodes, {", ".join(names)}.')


def _about(data: Trajectories, names: Sequence[str], args: NwbSettings) -> nwb.About:
  """Identifier, beginning and provenance of the recording."""
  here = pathlib.Path.cwd()
  source = describe('data', args.data, here)
  entries = read_run_info(data.path if data.path.is_dir() else data.path.parent)
  made = [x for x in entries if x.id in source.made_by]
  changed = datetime.datetime.fromtimestamp(data.path.stat().st_mtime).astimezone()
  start = made[0].timestamp if made else changed
  lines = [version_line('export_nwb'), f'recording: {source.digest}']
  for step in trace(data.path):
    lines += step.lines()
  facts = {'world': data.metadata.world, 'source': data.source()}
  lines.append(json.dumps(plain(facts)))
  episodes = [x.number for x in data.episodes]
  measures = [x.digest for x in describe_all({'tuning': args.tuning}, here)]
  chosen = (source.digest, names, args.step_s, args.images, episodes, measures)
  identifier = hashlib.sha256(repr(chosen).encode()).hexdigest()[:32]
  weights = data.metadata.source['weights']
  agent = data.path.resolve().parent.name + (f'-{weights}' if weights else '')
  return nwb.About(identifier, start, agent, '\n'.join(lines), args.step_s)


def _units(
  path: str, data: Trajectories, names: Sequence[str]
) -> Mapping[str, Mapping[str, np.ndarray]]:
  """Measures and classes, {layer: {measure: (D,)}}; NaN and '' of units not measured.

  Raises:
    UserError: results of other units or layers than the recording has.
  """
  results = Results.open(path)
  found: dict[str, dict[str, np.ndarray]] = {}
  for name in (x for x in names if x in results.tables):
    table, count = results.tables[name], data.layers()[name]
    if table.units.max() >= count:
      raise UserError(
        f'{path} has unit {table.units.max()} of {name}, and {data.path} has {count} '
        'units; give the results of this recording.'
      )
    simple, tested = results.classes(name)
    kinds = np.array(cell_types.NAMES)
    columns = {'cell_type': kinds[simple]}
    if tested is not None:
      columns['cell_type_tested'] = kinds[tested]
    columns |= {k: np.asarray(v, np.float64) for k, v in flat(table).items()}
    found[name] = {k: _spread(v, table.units, count) for k, v in columns.items()}
  if not found:
    raise UserError(f'{path} has none of {", ".join(names)}; leave --tuning out.')
  return found


def _spread(values: np.ndarray, units: np.ndarray, count: int) -> np.ndarray:
  """Values of some units (d,) in a row for all of them (D,)."""
  nothing = np.nan if values.dtype.kind == 'f' else ''
  spread = np.full(count, nothing, values.dtype)
  spread[units] = values
  return spread


if __name__ == '__main__':
  flags.run(main)
