"""Settings of a script: one frozen dataclass, one field per flag.

@dataclasses.dataclass(frozen=True)
class DecodeSettings:
  '''Decodes the position from recorded activations.'''
  data: str = flag(help='Folder of recorded episodes.')
  n_boot: int = flag(1000, low=0, help='Bootstrap draws over episodes.')

if __name__ == '__main__':
  run(main)  # one line and exit code 2 for a user's mistake
"""

import argparse
import dataclasses
import difflib
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from dreamerv3.base import ending
from dreamerv3.base.errors import UserError, one_line
from dreamerv3.base.version import version_line

T = TypeVar('T')

# Of a number of jobs; see base.host.job.
NO_JOBS: dict[float, str] = {0: 'at least 1, or -1 for all CPUs of the job'}


MOST = 2**31 - 1  # of a count or seed that has no other bound; libraries take no more


def flag(
  default: Any = dataclasses.MISSING,
  *,
  help: str,
  low: float | None = None,
  high: float | None = None,
  choices: Sequence[str] = (),
  never: Mapping[float, str] = types.MappingProxyType({}),
  plain: bool = False,
  bare: bool = False,
) -> Any:
  """A field that is a flag; without a default it must be given.

  Args:
    help: what it does, with its unit; the default is appended to it.
    low: smallest allowed value, high: largest one; of whole numbers MOST.
    choices: the allowed words.
    never: values between low and high that mean nothing, with what is expected.
    plain: the first word of a command may be its value, without the flag's name.
    bare: a word that must be given, anywhere, and has no flag.
  """
  if isinstance(default, list):
    raise TypeError('Use a tuple: settings are immutable.')
  return dataclasses.field(
    default=default,
    metadata=dict(
      help=help,
      low=low,
      high=high,
      choices=tuple(choices),
      never=never,
      plain=plain,
      bare=bare,
    ),
  )


def parse(
  settings: Callable[..., T],
  argv: Sequence[str] | None = None,
  prog: str | None = None,
) -> T:
  """Reads a settings dataclass from command-line arguments.

  The annotation decides the form: bool is a switch, `int | None` an optional
  value, `tuple[str, ...]` any number of values, `tuple[int, int]` two.

  Raises:
    UserError: unknown flag (with the nearest known one), missing or bad value.
  """
  parser = make_parser(settings, prog)
  words = list(sys.argv[1:] if argv is None else argv)
  plain = [x.name for x in dataclasses.fields(settings) if x.metadata['plain']]  # type: ignore[arg-type]
  if plain and words and not words[0].startswith('-'):
    words.insert(0, f'--{plain[0]}')
  values = vars(parser.parse_args(words))
  chosen = settings(**values)
  for field in dataclasses.fields(chosen):  # type: ignore[arg-type]
    _check(field, values[field.name])
  return chosen


def make_parser(settings: Any, prog: str | None = None) -> '_Parser':
  """The argparse parser of a settings dataclass; help tells what its module tells."""
  fields = dataclasses.fields(settings)
  module = sys.modules.get(settings.__module__)  # None of a script run by runpy
  parser = _Parser(
    prog=prog,
    usage=' '.join(
      ['%(prog)s', *filter(None, map(_needed, fields)), '[--FLAG VALUE ...]']
    ),
    description=(module and module.__doc__) or settings.__doc__,
    formatter_class=_Help,
    allow_abbrev=False,
  )
  hints = typing.get_type_hints(settings)
  # What a command shares with others, by inheritance, comes after its own.
  own = vars(settings).get('__annotations__', {})
  shared = parser.add_argument_group('shared with other commands')
  for field in sorted(fields, key=lambda x: x.name not in own):
    _add(parser if field.name in own else shared, field, hints[field.name])
  parser.add_argument(
    '--version',
    action=_Version,
    nargs=0,
    default=argparse.SUPPRESS,
    help='print version and commit, and exit',
  )
  return parser


def run(main: Callable[[Sequence[str] | None], Any]) -> NoReturn:
  """Runs a script: exit code 0, or 2 with one line for a user's mistake.

  A failure of the machine, such as a full disk, is one line and exit code 1.
  """
  ending.ready_streams()
  try:
    ending.check_here()
    main(None)
    sys.stdout.flush()
  except BrokenPipeError:  # the reader of our output, such as head, is done
    ending.silence_output()
    sys.exit(141)
  except UserError as e:
    _fail(spelled(str(e)), 2)
  except MemoryError as e:
    _fail(ending.starved(e), 1)
  except OSError as e:
    if e.errno in ending.NO_PLACE:
      _fail(ending.misplaced(e), 2)
    if not ending.lacking(e):
      raise
    line = ending.describe(e)
    ending.silence_output()
    _fail(line, 1)
  except KeyboardInterrupt:
    print(f'{sys.argv[0]}: interrupted', file=sys.stderr)
    sys.exit(130)
  sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
  """Ends with one line, also where a path in it has line ends."""
  print(f'{sys.argv[0]}: error: {one_line(message)}', file=sys.stderr)
  sys.exit(code)


def spelled(text: str) -> str:
  """Settings that a library names in backticks, as the flags of a command."""
  return re.sub(r'`([a-z_][\w.]*)`', r'--\1', text)


def changed(settings: Any, names: Iterable[str]) -> str:
  """Those of some flags that were given, '--a and --b'; '' for none."""
  usual = {x.name: x.default for x in dataclasses.fields(settings)}
  given = [f'--{x}' for x in names if getattr(settings, x) != usual[x]]
  return ' and '.join(given)


def refuse_idle(settings: Any, names: Iterable[str], why: str) -> None:
  """UserError if some flags were given that would do nothing, and why."""
  if given := changed(settings, names):
    _, lacks, needed = why.partition('without --')
    add = f'add --{needed}, or ' if lacks else ''
    raise UserError(f'{given} would do nothing {why}; {add}leave it out.')


def settings_of(command: types.ModuleType) -> type:
  """The settings of a command's module: its one class whose name ends so."""
  named = [v for k, v in vars(command).items() if k.endswith('Settings')]
  own: type
  (own,) = (x for x in named if x.__module__ == command.__name__)
  return own


class _Parser(argparse.ArgumentParser):
  """Errors are exceptions, and an unknown flag names its nearest neighbour."""

  def error(self, message: str) -> NoReturn:
    raise UserError(f'{message}; see --help.')

  def parse_args(  # type: ignore[override]
    self, args: Sequence[str] | None = None, namespace: None = None
  ) -> argparse.Namespace:
    known, unknown = self.parse_known_args(args, namespace)
    if unknown:
      name = unknown[0].partition('=')[0]
      near = difflib.get_close_matches(name, self._option_string_actions, 1)
      hint = f'; did you mean {near[0]}?' if near else '; see --help.'
      raise UserError(f'unknown argument {name}{hint}')
    return known


class _Help(argparse.RawDescriptionHelpFormatter):
  """Does not show how to switch off what is off."""

  def _format_action_invocation(self, action: argparse.Action) -> str:
    if isinstance(action, argparse.BooleanOptionalAction) and not action.default:
      return action.option_strings[0]
    return super()._format_action_invocation(action)


def _needed(field: Any) -> str:
  """A flag that must be given, as usage shows it; '' for others."""
  if field.metadata['bare']:
    return str(_metavar(field.name, field.metadata, None))
  required = field.default is dataclasses.MISSING
  return f'--{field.name} {field.name.upper()}' if required else ''


def _add(parser: argparse._ActionsContainer, field: Any, hint: Any) -> None:
  meta = field.metadata
  if meta['bare']:
    text = _help(meta['help'], field.default)
    shown = _metavar(field.name, meta, None)
    parser.add_argument(field.name, help=text, choices=meta['choices'], metavar=shown)
    return
  required = field.default is dataclasses.MISSING
  kwargs: dict[str, Any] = {'required': required, 'dest': field.name}
  if not required:
    kwargs['default'] = field.default
  kwargs['help'] = _help(meta['help'], field.default)
  if hint is bool:
    kwargs['action'] = argparse.BooleanOptionalAction
  else:
    kwargs |= _values(hint)
    kwargs['metavar'] = _metavar(field.name, meta, kwargs.get('nargs'))
    if meta['choices']:
      kwargs['choices'] = meta['choices']
  if kwargs.pop('sequence', False):
    kwargs['action'] = _Tuple
  parser.add_argument(f'--{field.name}', **kwargs)


def _help(text: str, default: Any) -> str:
  text = text.replace('%', '%%')
  if default is dataclasses.MISSING:
    return f'{text} (required)'
  if default is None or default is False or default == () or default == '':
    return text
  if default is True:
    return f'{text} (on by default)'
  if isinstance(default, tuple):
    default = ' '.join(map(str, default))
  return f'{text} (default: {default})'


def _metavar(name: str, meta: Any, nargs: Any) -> Any:
  if meta['choices']:
    return '{' + ','.join(meta['choices']) + '}'
  word = name.upper()
  return (word,) * nargs if isinstance(nargs, int) else word


def _values(hint: Any) -> dict[str, Any]:
  """Type, and number of values, that an annotation asks for."""
  if isinstance(hint, types.UnionType):
    (hint,) = (x for x in typing.get_args(hint) if x is not type(None))
  if typing.get_origin(hint) is tuple:
    inner = typing.get_args(hint)
    nargs: Any = '*' if inner[-1] is Ellipsis else len(inner)
    return {'type': inner[0], 'nargs': nargs, 'sequence': True}
  return {'type': _integer if hint is int else hint}


class _Version(argparse.Action):
  """Asks git only when it is asked for."""

  def __call__(
    self,
    parser: argparse.ArgumentParser,
    namespace: argparse.Namespace,
    values: object,
    option: str | None = None,
  ) -> None:
    print(version_line(parser.prog))
    parser.exit()


class _Tuple(argparse.Action):
  def __call__(
    self,
    parser: argparse.ArgumentParser,
    namespace: argparse.Namespace,
    values: Any,
    option: str | None = None,
  ) -> None:
    setattr(namespace, self.dest, tuple(values))


def _integer(text: str) -> int:
  """An int; also 1e6, which users of long runs like to write."""
  value = float(text) if any(c in text for c in 'eE.') else int(text)
  if not math.isfinite(value) or value != int(value):
    raise argparse.ArgumentTypeError(f'{text} is not a whole number')
  return int(value)


_integer.__name__ = 'int'


def _check(field: Any, value: Any) -> None:
  if value == '' and field.default is dataclasses.MISSING:
    raise UserError(f'--{field.name} is empty; expected a value.')
  low, high = field.metadata['low'], field.metadata['high']
  for x in value if isinstance(value, tuple) else (value,):
    if x is None or isinstance(x, str | bool):
      continue
    if x != x or abs(x) == math.inf:
      raise UserError(f'--{field.name} is {x}; expected a finite number.')
    if x in field.metadata['never']:
      expected = field.metadata['never'][x]
      raise UserError(f'--{field.name} is {x}; expected {expected}.')
    if low is not None and x < low:
      raise UserError(f'--{field.name} is {x}; expected at least {low}.')
    if high is None and isinstance(x, int):
      high = MOST
    if high is not None and x > high:
      raise UserError(f'--{field.name} is {x}; expected at most {high}.')
