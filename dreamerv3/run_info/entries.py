"""What a folder's run_info.json says, of today's form and of earlier ones.

  for entry in read_run_info('results'): print(entry.stage, entry.outputs)

Earlier entries have absolute paths, or such that begin where the command ran;
they are seen from the folder as it lies now, wherever it was then.
"""

import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from dreamerv3.base import regular
from dreamerv3.base.errors import reading

NAME = 'run_info.json'
BESIDE = 'run_info.*.part.json'  # entries of those who could not lock
FORMAT = 2
# What an entry must have, and what stands for it where it lacks.
_FORM: dict[str, type] = {
  'stage': str,
  'timestamp': str,
  'command': str,
  'cwd': str,
  'args': dict,
  'inputs': list,
  'outputs': list,
  'extra': dict,
}


@dataclasses.dataclass(frozen=True)
class Input:
  """Something that a command read.

  Attributes:
    role: the setting it came by, e.g. 'data'.
    path: seen from the folder of the entry as it was then; '' where unknown.
    absolute: the same from the root of that machine.
    kind: 'file', 'recording', 'checkpoint', 'run', 'folder' or 'missing'.
    digest: of the content; '' where unknown.
    identity: of a recording, also when episodes are added or lost.
    made_by: ids of the entries that made it, as far as its folder knew.
    maker: the last of these in words: stage, time, code and command.
  """

  role: str
  path: str
  absolute: str
  kind: str = 'missing'
  digest: str = ''
  identity: str = ''
  made_by: tuple[str, ...] = ()
  maker: str = ''

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> 'Input':
    """Raises TypeError for values of another kind."""
    found = {
      x.name: values[x.name] for x in dataclasses.fields(cls) if x.name in values
    }
    made_by = tuple(found.pop('made_by', ()))
    for value in (*found.values(), *made_by):
      if not isinstance(value, str):
        raise TypeError(f'an input holds {value!r}')
    return cls(made_by=made_by, **found)


@dataclasses.dataclass(frozen=True)
class Entry:
  """One command, as the folder of its results knows it.

  Attributes:
    folder: where the entry lies now.
    id: tells it from all others.
    timestamp: when it began (of earlier forms: ended), with its zone.
    ended: when it ended, None while it runs and if it was killed.
    status: 'running', 'done', 'failed' or 'stopped'.
    error: why it failed, in one line.
    outputs: files and folders that it made, where they would be now.
    home: the folder, where it lay then.
    values: the entry as the file has it.
  """

  folder: pathlib.Path
  id: str
  stage: str
  timestamp: datetime.datetime
  ended: datetime.datetime | None
  status: str
  error: str
  command: str
  args: Mapping[str, Any]
  inputs: tuple[Input, ...]
  outputs: tuple[pathlib.Path, ...]
  extra: Mapping[str, Any]
  home: pathlib.Path
  values: Mapping[str, Any]

  @property
  def moved(self) -> bool:
    """Whether the folder lay elsewhere when the command ran."""
    return self.home.resolve() != self.folder.resolve()

  def lines(self) -> list[str]:
    """Stage, time, code and how it ended; then the command."""
    code = str(self.values.get('git_sha', 'unknown'))
    code += ', with uncommitted changes' if self.values.get('git_dirty') else ''
    end = '' if self.status == 'done' else f', {self.status}'
    if self.status == 'running':
      end = ', running or killed'
    end += f': {self.error}' if self.error else ''
    first = f'{self.stage}, {self.values["timestamp"]}, code {code}{end}'
    return [_printable(first), _printable(self.command)]


def read_run_info(save_dir: str | os.PathLike) -> list[Entry]:
  """All entries of a folder, oldest first; empty when there are none.

  Raises:
    UserError: the file holds something else.
  """
  folder = pathlib.Path(save_dir).expanduser().absolute()
  found: dict[str, Entry] = {}
  for path in (folder / NAME, *sorted(folder.glob(BESIDE))):
    if path.exists():
      with (
        reading(path, 'provenance of this project; move it away'),
        regular.opened(path) as file,
      ):
        for values in json.loads(file.readall()):
          entry = _entry(folder, values)
          found[entry.id] = entry
  return sorted(found.values(), key=lambda x: x.timestamp)


def _printable(text: str) -> str:
  """Without line breaks and codes that act on a terminal."""
  return ''.join(x if x.isprintable() else repr(x)[1:-1] for x in text)


def is_path(value: Any) -> bool:
  """Whether something from a file can be asked for on a disk."""
  return isinstance(value, str) and bool(value) and '\0' not in value


def identify(values: Mapping[str, Any]) -> str:
  """The id of an entry; those of earlier forms have one by their content."""
  if values.get('id'):
    return str(values['id'])
  text = json.dumps(values, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:12]


def _entry(folder: pathlib.Path, given: Any) -> Entry:
  values, name = dict(given), identify(given)
  for key, kind in _FORM.items():
    if not isinstance(values.setdefault(key, kind()), kind):
      raise TypeError(f'{key} is {values[key]!r}')
  ended = values.get('ended')
  inputs = tuple(Input.from_dict(x) for x in values['inputs'])
  paths = [*values['outputs'], *(y for x in inputs for y in (x.path, x.absolute))]
  if not all(is_path(x) for x in paths) or '\0' in f'{values["cwd"]}':
    raise ValueError('a path is none')
  now = is_path(values.get('folder'))
  home = pathlib.Path(values['folder']) if now else _home(folder, values)
  return Entry(
    folder=folder,
    id=name,
    stage=values['stage'],
    timestamp=_time(values['timestamp']),
    ended=_time(ended) if ended else None,
    status=str(values.get('status', 'done')),
    error=str(values.get('error') or ''),
    command=values['command'],
    args=values['args'],
    inputs=inputs,
    outputs=tuple(_output(folder, home, values, x) for x in values['outputs']),
    extra=values['extra'],
    home=home,
    values=values,
  )


def _time(text: str) -> datetime.datetime:
  found = datetime.datetime.fromisoformat(text)
  return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def shift(path: pathlib.Path, home: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
  """Where a path went that lay beside or in `home` when this became `folder`."""
  return pathlib.Path(os.path.normpath(folder / os.path.relpath(path, home)))


def _output(
  folder: pathlib.Path, home: pathlib.Path, values: Mapping[str, Any], output: Any
) -> pathlib.Path:
  name = os.fspath(output)
  if values.get('format', 1) >= FORMAT:
    return pathlib.Path(os.path.normpath(folder / name))
  return shift(pathlib.Path(values['cwd'] or '/', name), home, folder)


def _home(folder: pathlib.Path, values: Mapping[str, Any]) -> pathlib.Path:
  """The folder that an entry of an earlier form was written in.

  It is the one below which its outputs lay as they lie below `folder` now.
  """
  outputs = [
    pathlib.Path(os.path.normpath(pathlib.Path(values['cwd'] or '/', os.fspath(x))))
    for x in values['outputs']
  ]
  if not outputs or any(folder in x.parents for x in outputs):
    return folder
  for output in outputs:
    for parent in list(output.parents)[:3]:
      if (folder / output.relative_to(parent)).exists():
        return parent
  return outputs[0].parent
