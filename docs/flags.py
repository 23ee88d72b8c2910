"""Keeps the tables of flags in docs/commands.md equal to the parsers.

  python docs/flags.py          # rewrite the tables
  python docs/flags.py --check  # exit code 1 if a table is out of date

A table stands between `<!-- flags NAME -->` and `<!-- end -->`; NAME is a
script with a settings dataclass, or a section of configs.yaml.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

import dataclasses
import importlib

from dreamerv3.base import flags

PAGE = ROOT / 'docs' / 'commands.md'
BLOCK = re.compile(r'(<!-- flags (\w+) -->\n).*?(<!-- end -->)', re.DOTALL)


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
  if (ROOT / 'dreamerv3' / f'{name}.py').exists() and not _section(name):
    rows = script_rows(name)
  else:
    rows = _section(name)
  lines = ['| flag | default | what it does |', '|---|---|---|']
  lines += [
    f'| `{x}` | {_safe(default)} | {_safe(text)} |' for x, default, text in rows
  ]
  return '\n'.join(lines) + '\n'


def script_rows(name: str) -> list[tuple[str, str, str]]:
  """(flag, default, help) of a script with a settings dataclass."""
  module = importlib.import_module(f'dreamerv3.{name}')
  settings = flags.settings_of(module)
  parser = flags.make_parser(settings)
  helps = {x.dest: x.help or '' for x in parser._actions}
  rows = []
  for field in dataclasses.fields(settings):
    text = field.metadata['help'].rstrip('.')
    choices = field.metadata['choices']
    if choices:
      text += ': ' + ', '.join(choices)
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
