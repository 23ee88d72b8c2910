"""Where does this file come from? Follows provenance back to the training run.

Every program notes in its folder's run_info.json which command, on which code,
made its files of what. This prints that chain, for whoever finds a figure.

  python dreamerv3/origin.py --file logdir/run/plots/heatmap.png
"""

import pathlib
import sys

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from dreamerv3.data import settings
from dreamerv3.data.errors import UserError
from dreamerv3.data.settings import flag
from dreamerv3.run_info import read_run_info

LEVELS = 4  # folders above a file that may hold its entry
READS = (
  'data', 'test_data', 'control', 'from_model', 'resume', 'decoder_model',
  'logdir', 'compare', 'from_checkpoint',
)  # fmt: skip


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
  """

  path: pathlib.Path
  role: str
  depth: int
  entry: dict[str, Any]

  def lines(self) -> Iterator[str]:
    entry, pad = self.entry, '  ' * self.depth
    code = entry.get('git_sha', 'unknown')
    code += ', with uncommitted changes' if entry.get('git_dirty') else ''
    yield f'{pad}{self.role + ": " if self.role else ""}{self.path}'
    yield f'{pad}  {entry["stage"]}, {entry["timestamp"]}, code {code}'
    yield f'{pad}  {entry["command"]}'


def main(argv: Sequence[str] | None = None) -> None:
  args = settings.parse(Settings, argv)
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

  def follow(path: pathlib.Path, role: str, depth: int) -> None:
    entry = maker(path)
    if entry is None:
      return
    identity = tuple(entry[k] for k in ('stage', 'timestamp', 'command'))
    if identity in seen:
      return
    seen.add(identity)
    steps.append(Step(path, role, depth, entry))
    for name, source in inputs(entry):
      follow(source, name, depth + 1)

  follow(path, '', 0)
  return steps


def maker(path: pathlib.Path) -> dict[str, Any] | None:
  """The newest entry that lists a file, or a file in a folder, as its output.

  A result folder that was moved as a whole is found by its relative paths.
  """
  start = path if path.is_dir() else path.parent
  for folder in (start, *start.parents[:LEVELS]):
    inside = path.relative_to(folder).parts
    for entry in reversed(read_run_info(folder)):
      for output in map(pathlib.PurePath, entry['outputs']):
        if _same(output, path, inside) or path in _parents(entry, output):
          return entry
  return None


def inputs(entry: dict[str, Any]) -> Iterator[tuple[str, pathlib.Path]]:
  """What a command read and what is still there, by the setting it came by."""
  for name, value in entry['args'].items():
    if name.rpartition('.')[2] not in READS:
      continue
    for source in value if isinstance(value, list) else [value]:
      path = pathlib.Path(entry['cwd'], source or '').absolute()
      if source and path.exists():
        yield name, path


def _same(
  output: pathlib.PurePath, path: pathlib.Path, inside: tuple[str, ...]
) -> bool:
  moved = bool(inside) and output.parts[-len(inside) :] == inside
  return moved or output == path


def _parents(
  entry: dict[str, Any], output: pathlib.PurePath
) -> Sequence[pathlib.PurePath]:
  return pathlib.PurePath(entry['cwd'], output).parents


if __name__ == '__main__':
  settings.run(main)
