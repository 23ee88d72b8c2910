"""From a file back to the training run: who made it, of what, made by whom.

  for step in trace(pathlib.Path('run/plots/heatmap.png')): print(step.lines())

Inputs are looked for beside the results, where they lay then, and near by under
another name; something else that lies at an old path is not taken for them.
"""

import dataclasses
import datetime
import itertools
import os
import pathlib
from collections.abc import Iterator

from dreamerv3.base.errors import UserError
from dreamerv3.run_info import inputs
from dreamerv3.run_info.entries import NAME, Entry, Input, read_run_info
from dreamerv3.run_info.makers import LEVELS, makers, saved

NEAR = 300  # folders that are searched for what was renamed


@dataclasses.dataclass(frozen=True)
class Step:
  """One command of a chain, or an input of which no command is known here.

  Attributes:
    path: what it made.
    role: the setting through which the next command read it; '' at first.
    depth: commands between it and the file asked for.
    entry: its entry of run_info.json; None where that is not here.
    again: it only went on with what the step before it had begun.
    remark: what there is to say of the path, e.g. 'not here'.
  """

  path: pathlib.Path
  role: str
  depth: int
  entry: Entry | None = None
  again: bool = False
  remark: str = ''

  def lines(self) -> Iterator[str]:
    """As origin.py prints it."""
    pad = '  ' * self.depth
    if not self.again:
      remark = f' ({self.remark})' if self.remark else ''
      yield f'{pad}{self.role + ": " if self.role else ""}{self.path}{remark}'
    for line in self.entry.lines() if self.entry else ():
      yield f'{pad}  {line}'


@dataclasses.dataclass(frozen=True)
class _Found:
  """Where an input is now, and who made it."""

  path: pathlib.Path
  entries: list[Entry]
  remark: str = ''


def trace(path: pathlib.Path) -> list[Step]:
  """The command that made a file, those that made its inputs, and so on.

  Of a folder without an entry of its own, the same for those in it.

  Raises:
    UserError: a run_info.json on the way is damaged.
  """
  steps: list[Step] = []
  seen: set[str] = set()

  def follow(found: _Found, role: str, depth: int) -> None:
    new = [x for x in found.entries if x.id not in seen]
    seen.update(x.id for x in new)
    if not found.entries:
      steps.append(Step(found.path, role, depth, None, False, found.remark))
    for i, entry in enumerate(new):
      steps.append(Step(found.path, role, depth, entry, i > 0, found.remark))
    for entry in new:
      for known in read_by(entry):
        follow(find(entry, known), known.role, depth + 1)

  for found in _start(path.absolute()):
    follow(found, '', 0)
  return steps


def _start(path: pathlib.Path) -> Iterator[_Found]:
  if found := makers(path):
    yield _Found(path, found)
    return
  if path.is_dir():
    below = sorted([*path.glob(f'*/{NAME}'), *path.glob(f'*/*/{NAME}')])
    for folder in [x.parent for x in below]:
      if found := makers(folder):
        yield _Found(folder, found)
    return
  # Of a command that was killed, its files are all that is known.
  changed = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
  open_ = [
    x
    for x in read_run_info(path.parent)
    if x.status != 'done' and x.timestamp <= changed <= (x.ended or changed)
  ]
  if open_:
    yield _Found(path, open_[-1:], 'probably: it did not come to list its files')


def read_by(entry: Entry) -> list[Input]:
  """What a command read; of entries without inputs, what its flags named."""
  if entry.inputs:
    return [dataclasses.replace(x, role=_role(x.role, entry)) for x in entry.inputs]
  cwd = pathlib.Path(entry.values['cwd'] or '/')
  named = inputs.named(entry.args, entry.extra)
  return [
    _earlier(role, cwd / path, entry)
    for role, path in named
    if (cwd / path).absolute() != entry.home
  ]


def _role(name: str, entry: Entry) -> str:
  step = entry.extra.get('checkpoint_step')
  known = name == 'checkpoint' and step is not None
  return f'checkpoint of step {step}' if known else name


def _earlier(role: str, path: pathlib.Path, entry: Entry) -> Input:
  path = pathlib.Path(os.path.normpath(path.absolute()))
  return Input(_role(role, entry), os.path.relpath(path, entry.home), str(path))


def find(entry: Entry, known: Input) -> _Found:
  """An input of a command, as far as it is here."""
  places = list(dict.fromkeys(_places(entry, known)))
  if known.made_by:
    for place in places:
      found = [x for x in _entries(place) if x.id in known.made_by]
      if found:
        return _Found(place, found, _remark(known, place))
  for place in places:
    if inputs.same(known, place):
      made = [] if known.made_by else makers(place, _before(entry, place))
      remark = '' if made else f'made by {known.maker}' if known.maker else ''
      return _Found(place, made, remark)
  if not (known.digest or known.made_by):
    return _unproven(entry, known, places[:2])
  who = f': made by {known.maker}' if known.maker else ''
  other = '; another lies there now' if pathlib.Path(known.absolute).exists() else ''
  return _Found(pathlib.Path(known.absolute), [], f'not here{other}{who}')


def _unproven(entry: Entry, known: Input, places: list[pathlib.Path]) -> _Found:
  """An input of which neither content nor maker was noted."""
  for place in places:
    made = makers(place, _before(entry, place))
    if made or place.exists():
      elsewhere = entry.moved and place == pathlib.Path(known.absolute)
      return _Found(place, made, 'the same path, not proven to be it' * elsewhere)
  return _Found(pathlib.Path(known.absolute), [], 'not here')


def _before(entry: Entry, place: pathlib.Path) -> datetime.datetime:
  """A maker of what the entry read began before this time."""
  return min(saved(place) or entry.timestamp, entry.timestamp)


def _remark(known: Input, place: pathlib.Path) -> str:
  if not place.exists():
    return 'not here any more'
  return 'changed since' if inputs.same(known, place) is False else ''


def _places(entry: Entry, known: Input) -> Iterator[pathlib.Path]:
  """Where an input may be now, the likeliest first."""
  beside = pathlib.Path(os.path.normpath(entry.folder / known.path))
  absolute = pathlib.Path(known.absolute)
  yield beside
  yield absolute
  for folder in _near(entry.folder):
    if known.kind in ('recording', 'folder', 'run') and not (folder / NAME).exists():
      yield folder
    elif {x.id for x in _read(folder)} & {*known.made_by}:
      inside = [folder / beside.name, folder / beside.parent.name / beside.name]
      yield next((x for x in inside if x.exists()), folder)


def _near(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Folders around one: above it, beside it, and in these."""
  above = [x for x in list(folder.parents)[:2] if x != x.parent]
  found = itertools.chain(
    above,
    *(x.glob('[!.]*/') for x in above),
    *(x.glob('[!.]*/[!.]*/') for x in above[:1]),
  )
  yield from itertools.islice((x for x in found if x.is_dir()), NEAR)


def _entries(path: pathlib.Path) -> list[Entry]:
  """Of a folder, or that of a file, and of those above it."""
  start = path if path.is_dir() else path.parent
  return [x for f in (start, *list(start.parents)[:LEVELS]) for x in _read(f)]


def _read(folder: pathlib.Path) -> list[Entry]:
  try:
    return read_run_info(folder)
  except UserError:  # what another program wrote near by is no matter here
    return []
