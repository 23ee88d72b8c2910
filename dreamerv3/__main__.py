"""Which commands are there? Lists them, and runs one by its name.

python -m dreamerv3
python -m dreamerv3 decode_position --help
"""

import ast
import difflib
import importlib
import pathlib
import sys
from collections.abc import Sequence

if not __package__:
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

from dreamerv3.base import flags
from dreamerv3.base.errors import UserError
from dreamerv3.base.version import version_line

FOLDER = pathlib.Path(__file__).resolve().parent


def commands() -> dict[str, str]:
  """Name of each command and the first line of its docstring.

  Read from the source: nothing is imported, since some take seconds to.
  """
  found = {}
  for path in sorted(FOLDER.glob('[!_]*.py')):
    tree = ast.parse(path.read_text(encoding='utf-8'))
    if any(isinstance(x, ast.FunctionDef) and x.name == 'main' for x in tree.body):
      found[path.stem] = (ast.get_docstring(tree) or '').partition('\n')[0]
  return found


def listing() -> str:
  """One line for each command."""
  known = commands()
  width = max(map(len, known))
  lines = [f'  {name:{width}}  {line}' for name, line in known.items()]
  return '\n'.join(
    [
      'usage: python -m dreamerv3 COMMAND [--help] [--version] ...',
      '',
      *lines,
      '',
      'What main.py can do with an agent: python -m dreamerv3 main --help',
    ]
  )


def choose(argv: Sequence[str] | None) -> None:
  """Prints the commands, or raises UserError for a name that is none."""
  words = sys.argv[1:] if argv is None else argv
  if words[:1] == ['--version']:
    print(version_line('dreamerv3'))
    return
  if words and words[0] not in ('-h', '--help', 'help'):
    near = difflib.get_close_matches(words[0], commands(), 1, 0.4)
    raise UserError(
      f'{words[0]} is no command; '
      + (f'did you mean {near[0]}?' if near else f'there are {", ".join(commands())}.')
    )
  print(listing())


def main() -> None:
  """Runs the command that the first argument names; never returns."""
  name, *rest = sys.argv[1:] or ['']
  sys.argv[0] = 'dreamerv3'
  if name not in commands():
    flags.run(choose)
  # Imported by its name, so that what it sends to other processes is found there.
  module = importlib.import_module(f'dreamerv3.{name}')
  sys.argv = [f'dreamerv3 {name}', *rest]
  flags.run(module.main)


if __name__ == '__main__':
  main()
