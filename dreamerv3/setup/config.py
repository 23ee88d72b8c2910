"""Which settings does a run have? Presets, flags and the run's own record.

For everyone who starts a script. Stacking: defaults < presets from left to
right < (inference only) what the run was trained with < flags.

  config = stack(read_blocks(), parse_flags(['--configs', 'crafter_small']))
"""

import difflib
import pathlib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import elements
from ruamel.yaml import YAML

from dreamerv3.base.errors import UserError

CONFIGS = pathlib.Path(__file__).parents[1] / 'configs.yaml'

# Flags of the published agent that this program has no use for: its cluster
# mode (here: `jax.distributed`) and tools that need further packages.
GONE = re.compile(
  r'clock_(addr|port)|ipv6|errfile|logger\.user|run\.(episode_timeout'
  r'|(actor|replay|logger)_addr|actor_(batch|threads)|agent_process'
  r'|remote_(replay|envs)|usage\.(gputil|malloc|gc))'
)

Blocks = Mapping[str, Mapping[str, Any]]
Flags = dict[str, list[str]]


def read_blocks() -> Blocks:
  """Blocks of the settings file by name, `defaults` among them."""
  return YAML(typ='safe').load(CONFIGS.read_text())


def parse_flags(argv: Sequence[str]) -> Flags:
  """Splits `--k v1 v2 --j=v` into {k: [v1, v2], j: [v]}; the last one wins.

  A repeated `--k+` appends to what it was given before.
  """
  flags: Flags = {}
  name = ''
  for arg in argv:
    if re.match(r'--\S', arg):
      name, equals, value = arg[2:].partition('=')
      earlier = flags.pop(name, []) if name.endswith('+') else []
      flags[name] = [*earlier, *([value] if equals else [])]
    elif name:
      flags[name].append(arg)
    else:
      raise UserError(f"Got '{arg}' before any flag; write flags as --name value.")
  for name, values in flags.items():
    if not values and name not in ('help', 'version'):
      raise UserError(f'--{name} needs a value.')
  return flags


def stack(
  blocks: Blocks,
  flags: Mapping[str, list[str]],
  inherited: Mapping[str, Any] | None = None,
) -> elements.Config:
  """Resolves the settings of a run.

  Args:
    blocks: the settings file, parsed.
    flags: the command line, parsed; `configs` names the presets.
    inherited: Flat keys that the run under study brings along.

  Raises:
    UserError: unknown preset or flag, or a value of another type.
  """
  config = presets(blocks, flags)
  if inherited:
    config = config.update(inherited)
  return apply_flags(config, flags)


def presets(blocks: Blocks, flags: Mapping[str, list[str]]) -> elements.Config:
  """The defaults under the presets that `configs` names, left to right."""
  config = elements.Config(blocks['defaults'])
  for name in split(flags.get('configs', [])):
    if name not in blocks or name == 'defaults':
      known = [x for x in blocks if x != 'defaults']
      raise UserError(
        f"Unknown preset '{name}' in --configs{nearest(name, known)}; "
        f'known: {", ".join(known)}.'
      )
    try:
      config = config.update(blocks[name])
    except (KeyError, TypeError) as e:
      raise UserError(f"Preset '{name}' does not apply: {e.args[0]}") from e
  return config


def apply_flags(
  config: elements.Config, flags: Mapping[str, list[str]]
) -> elements.Config:
  """Overrides settings by flags: names, lists with `+`, full-match regexes."""
  flat = config.flat
  script = (flags.get('script') or [flat['script']])[-1]
  for name, values in flags.items():
    if name in ('configs', 'help'):
      continue
    if name.endswith('+') and isinstance(flat.get(name[:-1]), tuple):
      key = name[:-1]
      flat[key] = flat[key] + cast(key, flat[key], values)
      continue
    for key in match(name, flat, script):
      flat[key] = cast(key, flat[key], values)
  return elements.Config(flat)


def match(name: str, flat: Mapping[str, Any], script: str = '') -> list[str]:
  """Keys that a flag means: itself, or all that its regex matches fully."""
  if name in flat:
    return [name]
  if GONE.fullmatch(name):
    raise UserError(
      f'--{name} is a flag of the published agent that this program does not '
      'have (see docs/training.md); leave it out.'
    )
  section = [x for x in flat if x.startswith(name + '.')]
  if section:
    raise UserError(
      f'--{name} is a group of flags; set one of --' + ', --'.join(section[:8])
    )
  if re.search(r'[^A-Za-z0-9_.+-]', name):
    try:
      found = [x for x in flat if re.fullmatch(name, x)]
    except re.error as e:
      raise UserError(f'--{name} is not a regular expression: {e}') from e
    if found:
      return found
  # The flags of the chosen script come before those of the others.
  known = sorted(flat, key=lambda x: not x.startswith((f'{script}.', 'run.')))
  raise UserError(
    f'Unknown flag --{name}{nearest(name, known, "--")}; --help lists all flags.'
  )


def nearest(name: str, known: Iterable[str], dashes: str = '') -> str:
  """' (nearest: x)' or nothing, to complete a message about a wrong name."""
  known = list(known)
  # A forgotten prefix: --train_ratio for --run.train_ratio.
  found = [x for x in known if x.endswith(f'.{name}')]
  found = found or difflib.get_close_matches(name, known, 1, 0.6)
  if not found:  # a wrong one
    last = name.rpartition('.')[2]
    found = [x for x in known if x.rpartition('.')[2] == last]
  return f' (nearest: {dashes}{found[0]})' if found else ''


def split(values: Sequence[str]) -> list[str]:
  """['a', 'b,c'] -> ['a', 'b', 'c']."""
  return [y for x in values for y in x.split(',') if y]


def cast(key: str, old: Any, values: Sequence[str]) -> Any:
  """Turns the words behind a flag into the type that the setting has."""
  if isinstance(old, tuple):
    found = tuple(_cast_one(key, old[0], x) for x in split(values))
    if not found:
      raise UserError(f'--{key} needs at least one value.')
    return found
  if len(values) != 1:
    raise UserError(f'--{key} takes one value, got {len(values)}: {values}.')
  return _cast_one(key, old, values[0])


def _cast_one(key: str, old: Any, value: str) -> Any:
  kind = type(old).__name__
  try:
    if isinstance(old, bool):
      return {'True': True, 'False': False}[value]
    if isinstance(old, int):
      number = float(value)
      if number != int(number):
        raise ValueError(value)
      # Not through the float, which cannot hold large integers.
      return int(value) if re.fullmatch(r'[+-]?\d+', value) else int(number)
    return type(old)(value)
  except (KeyError, ValueError, OverflowError):
    hint = f'now {old}'
    if kind == 'bool':
      kind, word = 'True or False', value.capitalize()
      hint = f'write {word}' if word in ('True', 'False') else hint
    raise UserError(f"--{key} takes {kind}, got '{value}' ({hint}).") from None


def fill_logdir(config: elements.Config) -> elements.Config:
  """Puts the time for {timestamp} and the home folder for ~."""
  if not config.logdir:  # such as that of a variable of the shell that is not set
    raise UserError('--logdir is empty; give the folder of a run.')
  stamp = time.strftime('%Y%m%dT%H%M%S')
  logdir = str(config.logdir).replace('{timestamp}', stamp)
  return config.update(logdir=str(pathlib.Path(logdir).expanduser()))
