"""Where does this file come from? Follows provenance back to the training run.

Every program notes in its folder's run_info.json which command, on which code,
made its files of what. This prints that chain, for whoever finds a figure. A
training run and a recording may be the work of several commands, since they
go on when they are repeated: all up to the moment of use are listed.

  python dreamerv3/origin.py --file logdir/run/plots/heatmap.png
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
import datetime
import re
from collections.abc import Iterator, Sequence
from typing import Any

from dreamerv3.base import flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.flags import flag
from dreamerv3.run_info import read_run_info

LEVELS = 4  # folders above a file that may hold its entry
READS = (
  'data',
  'test_data',
  'control',
  'from_model',
  'resume',
  'decoder_model',
  'logdir',
  'compare',
  'from_checkpoint',
  'from_pkl',
)
# Where a checkpoint was looked for, no matter once it is known which it was.
PLACES = ('logdir', 'from_checkpoint')
# Stages of which a repeated command goes on with what is there.
GROWING = {
  'train': 'training',
  'train_eval': 'training',
  'eval_trajectory': 'recording',
}


@dataclasses.dataclass(frozen=True)
class Settings:
  """Tells which commands, on which code and inputs, made a file."""

  file: str = flag(help='A figure, table, model, recording or folder.')


@dataclasses.dataclass(frozen=True)
class Step:
  """One command of a chain.

  Attributes:
    path: what it made.
    role: the setting through which the next command read it; '' at first.
    depth: commands between it and the file asked for.
    entry: its entry of run_info.json.
    again: it only went on with what the step before it had begun.
  """

  path: pathlib.Path
  role: str
  depth: int
  entry: dict[str, Any]
  again: bool = False

  def lines(self) -> Iterator[str]:
    entry, pad = self.entry, '  ' * self.depth
    code = entry.get('git_sha', 'unknown')
    code += ', with uncommitted changes' if entry.get('git_dirty') else ''
    if not self.again:
      yield f'{pad}{self.role + ": " if self.role else ""}{self.path}'
    yield f'{pad}  {entry["stage"]}, {entry["timestamp"]}, code {code}'
    yield f'{pad}  {entry["command"]}'


def main(argv: Sequence[str] | None = None) -> None:
  args = flags.parse(Settings, argv)
  path = pathlib.Path(args.file).expanduser().absolute()
  if not path.exists():
    raise UserError(f'{path} does not exist; name a file or a folder.')
  steps = list(trace(path))
  if not steps:
    raise UserError(
      f'No run_info.json at or above {path} knows it; was it moved away from '
      'the folder that it was made in?'
    )
  for step in steps:
    print('\n'.join(step.lines()))


def trace(path: pathlib.Path) -> list[Step]:
  """The command that made a file, those that made its inputs, and so on."""
  steps: list[Step] = []
  seen: set[tuple[str, ...]] = set()

  def follow(source: 'Source', depth: int) -> None:
    found = []
    for entry in makers(source.path, source.before):
      identity = tuple(entry[k] for k in ('stage', 'timestamp', 'command'))
      if identity not in seen:
        seen.add(identity)
        found.append(entry)
    for i, entry in enumerate(found):
      steps.append(Step(source.path, source.role, depth, entry, i > 0))
    for entry in found:
      for source in inputs(entry):
        follow(source, depth + 1)

  follow(Source(path), 0)
  return steps


def makers(
  path: pathlib.Path, before: datetime.datetime | None = None
) -> list[dict[str, Any]]:
  """Entries that list a file, or a file in a folder, as their output.

  A result folder that was moved as a whole is found by its relative paths.

  Args:
    path: need not be there any more.
    before: of the command that read it; later ones cannot have made it.

  Returns:
    The newest; of a training run or a recording all, oldest first, without
    those that had nothing left to record.
  """
  start = path if path.is_dir() else path.parent
  for folder in (start, *start.parents[:LEVELS]):
    inside = path.relative_to(folder).parts
    found = [
      x
      for x in read_run_info(folder)
      if _lists(x, path, inside)
      and _extra(x).get('new_steps') != 0
      and (before is None or _time(x) <= before)
    ]
    growing = [x for x in found if x['stage'] in GROWING]
    if growing and (path == folder or growing[-1] is found[-1]):
      kind = GROWING[growing[-1]['stage']]
      return [x for x in growing if GROWING[x['stage']] == kind]
    if found:
      return found[-1:]
  return []


@dataclasses.dataclass(frozen=True)
class Source:
  """What a command read.

  Attributes:
    path: of it.
    role: the setting it came by; '' if nobody read it.
    before: it was made before this time.
  """

  path: pathlib.Path
  role: str = ''
  before: datetime.datetime | None = None


def inputs(entry: dict[str, Any]) -> Iterator[Source]:
  """What a command read and what is still there; a checkpoint in any case."""
  time, extra = _time(entry), _extra(entry)
  checkpoint = extra.get('checkpoint')
  if checkpoint:
    path = pathlib.Path(entry['cwd'], checkpoint)
    step = extra.get('checkpoint_step')
    role = 'checkpoint' + ('' if step is None else f' of step {step}')
    yield Source(path, role, _saved(path, time))
  for name, value in entry['args'].items():
    last = name.rpartition('.')[2]
    if last not in READS or (checkpoint and last in PLACES):
      continue
    for source in value if isinstance(value, list) else [value]:
      path = pathlib.Path(entry['cwd'], source or '').absolute()
      if source and path.exists():
        yield Source(path, name, time)


def _extra(entry: dict[str, Any]) -> dict[str, Any]:
  return entry.get('extra', {})


def _time(entry: dict[str, Any]) -> datetime.datetime:
  return datetime.datetime.fromisoformat(entry['timestamp'])


def _saved(checkpoint: pathlib.Path, otherwise: datetime.datetime) -> datetime.datetime:
  """When a checkpoint was saved, as its name says."""
  found = re.fullmatch(r'(\d{8}T\d{6})F\d{6}', checkpoint.name)
  if not found:
    return otherwise
  named = datetime.datetime.strptime(found[1], '%Y%m%dT%H%M%S')
  # Names lack the time zone; take that of the machine that read it.
  return min(named.replace(tzinfo=otherwise.tzinfo), otherwise)


def _lists(entry: dict[str, Any], path: pathlib.Path, inside: tuple[str, ...]) -> bool:
  """Whether a file, its folder, or something in it is among the outputs."""
  for output in map(pathlib.PurePath, entry['outputs']):
    whole = pathlib.PurePath(entry['cwd'], output)
    if whole == path or path in whole.parents or whole in path.parents:
      return True
    if any(_ends(output, inside[:k]) for k in range(1, len(inside) + 1)):
      return True
  return False


def _ends(output: pathlib.PurePath, inside: tuple[str, ...]) -> bool:
  """Whether an output lies at `inside` of a folder that was moved."""
  return output.parts[-len(inside) :] == inside


if __name__ == '__main__':
  flags.run(main)
