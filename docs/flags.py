"""Keeps the tables of flags in docs/commands.md equal to the parsers.

  python docs/flags.py          # rewrite the tables
  python docs/flags.py --check  # exit code 1 if a table is out of date

A table stands between `<!-- flags NAME -->` and `<!-- end -->`; NAME is a
script with a settings dataclass, a section of configs.yaml, or what several
scripts share, which stands once.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

import dataclasses
import importlib
from collections.abc import Iterable

from dreamerv3.analysis.opening import Opening, Placed
from dreamerv3.base import flags
from dreamerv3.base.drawing import FigureFlags

PAGE = ROOT / 'docs' / 'commands.md'
BLOCK = re.compile(r'(<!-- flags (\w+) -->\n).*?(<!-- end -->)', re.DOTALL)

SHARED: dict[str, tuple[type, ...]] = {
  'figures': (FigureFlags,),
  'recordings': (Opening, Placed),
}


def main() -> int:
  """Rewrites the tables; with --check, exit code 1 if one is out of date."""
  old = PAGE.read_text()
  new = BLOCK.sub(lambda m: m[1] + '\n' + table(m[2]) + '\n' + m[3], old)
  if '--check' in sys.argv:
    return int(new != old)
  PAGE.write_text(new)
  return 0


def table(name: str) -> str:
  """The rows of one script as Markdown."""
  also = ''
  if name in SHARED:
    rows = settings_rows(SHARED[name][-1])
  elif (ROOT / 'dreamerv3' / f'{name}.py').exists() and not _section(name):
    settings = flags.settings_of(importlib.import_module(f'dreamerv3.{name}'))
    shared = {k: v for k, v in SHARED.items() if issubclass(settings, v[0])}
    rows = [x for x in settings_rows(settings) if x not in _of(settings, shared)]
    if shared:
      also = '\nAnd those of ' + ' and '.join(f'[{x}](#{x})' for x in shared) + '.\n'
  else:
    rows = _section(name)
  lines = ['| flag | default | what it does |', '|---|---|---|']
  lines += [
    f'| `{x}` | {_safe(default)} | {_safe(text)} |' for x, default, text in rows
  ]
  return '\n'.join(lines) + '\n' + also


def _of(settings: type, shared: Iterable[str]) -> list[tuple[str, str, str]]:
  """Rows of what a script shares, where it has the same default and help."""
  bases = [x for name in shared for x in SHARED[name] if issubclass(settings, x)]
  return [row for base in bases for row in settings_rows(base)]


def settings_rows(settings: type) -> list[tuple[str, str, str]]:
  """(flag, default, help) of a settings dataclass."""
  parser = flags.make_parser(settings)
  helps = {x.dest: x.help or '' for x in parser._actions}
  rows = []
  for field in dataclasses.fields(settings):
    text = field.metadata['help'].rstrip('.')
    choices = field.metadata['choices']
    if not all(x in text for x in choices):
      text += f' ({", ".join(choices)})'
    if '(required)' in helps[field.name]:
      default = 'required'
    else:
      default = _plain(field.default)
    dashes = '' if field.metadata['bare'] else '--'
    rows.append((dashes + field.name, default, text))
  return rows


def _section(name: str) -> list[tuple[str, str, str]]:
  """(flag, default, comment) of a section of configs.yaml."""
  text = (ROOT / 'dreamerv3' / 'configs.yaml').read_text()
  match = re.search(rf'^  {name}:\n((?:    .*\n)+)', text, re.MULTILINE)
  if not match:
    return []
  rows = []
  for line in match[1].splitlines():
    key, value, comment = re.fullmatch(r'    (\w+): (.*?)(?:  # (.*))?', line).groups()  # type: ignore[union-attr]
    rows.append((f'--{name}.{key}', value.strip("'"), comment or ''))
  return rows


def _safe(text: str) -> str:
  """Text that Markdown takes neither for HTML nor for a column."""
  return text.replace('<', '&lt;').replace('|', '\\|')


def _plain(value: object) -> str:
  if value is None or value == () or value == '':
    return ''
  if isinstance(value, bool):
    return 'on' if value else 'off'
  if isinstance(value, tuple):
    return ' '.join(map(str, value))
  return str(value)


if __name__ == '__main__':
  sys.exit(main())
