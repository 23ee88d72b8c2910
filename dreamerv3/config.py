"""Which settings does a run have? Presets, flags and the run's own record.

For everyone who starts a script. Stacking: defaults < presets from left to
right < (inference only) what the run was trained with < flags.

  config = stack(read_blocks(), parse_flags(['--configs', 'crafter_small']))
"""

import dataclasses
import difflib
import pathlib
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import elements
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dreamerv3.data.errors import UserError

CONFIGS = pathlib.Path(__file__).parent / 'configs.yaml'

# What inference takes over from the run it looks at.
INHERITED = re.compile(r'(agent\..*|env\..*|seed|task)')

# A change of these gives parameters, observations or actions another form.
SHAPES = re.compile(
  r'task|env\.\w+\.size|agent\.(policy_dist_\w+|(ret|val|adv)norm\.'
  r'(impl|debias)|.*\.(typ|deter|hidden|stoch|classes|blocks|imglayers'
  r'|obslayers|dynlayers|absolute|norm|depth|mults|layers|units|outer'
  r'|kernel|strided|bspace|output|bins))'
)

# Flags of the published agent's cluster mode, which this program replaces by
# `jax.distributed`; their presence in an old config.yaml is no mistake.
GONE = re.compile(
  r'clock_(addr|port)|ipv6|errfile|logger\.user|run\.(episode_timeout'
  r'|(actor|replay|logger)_addr|actor_(batch|threads)|agent_process'
  r'|remote_(replay|envs))'
)

Blocks = Mapping[str, Mapping[str, Any]]
Flags = dict[str, list[str]]


def read_blocks(path: pathlib.Path = CONFIGS) -> Blocks:
  """Blocks of the settings file by name, `defaults` among them."""
  return YAML(typ='safe').load(path.read_text())


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
      raise UserError(
        f"Got '{arg}' before any flag; write flags as --name value."
      )
  for name, values in flags.items():
    if not values and name != 'help':
      raise UserError(f'--{name} needs a value.')
  return flags


def stack(
  blocks: Blocks,
  flags: Mapping[str, list[str]],
  inherited: Mapping[str, Any] | None = None,
) -> elements.Config:
  """Resolves the settings of a run.

  Args:
    blocks: Of the settings file.
    flags: Of the command line; `configs` names the presets.
    inherited: Flat keys that the run under study brings along.
  """
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
  if inherited:
    config = config.update(inherited)
  return apply_flags(config, flags)


def apply_flags(
  config: elements.Config, flags: Mapping[str, list[str]]
) -> elements.Config:
  """Overrides settings by flags: names, lists with `+`, full-match regexes."""
  flat = config.flat
  for name, values in flags.items():
    if name in ('configs', 'help'):
      continue
    if name.endswith('+') and isinstance(flat.get(name[:-1]), tuple):
      key = name[:-1]
      flat[key] = flat[key] + cast(key, flat[key], values)
      continue
    for key in match(name, flat):
      flat[key] = cast(key, flat[key], values)
  return elements.Config(flat)


def match(name: str, flat: Mapping[str, Any]) -> list[str]:
  """Keys that a flag means: itself, or all that its regex matches fully."""
  if name in flat:
    return [name]
  if GONE.fullmatch(name):
    raise UserError(
      f'--{name} belongs to the cluster mode of the published agent, which '
      'this program does not have; leave it out (several nodes: docs/'
      'training.md).'
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
  raise UserError(
    f'Unknown flag --{name}{nearest(name, flat, "--")}; --help lists all flags.'
  )


def nearest(name: str, known: Iterable[str], dashes: str = '') -> str:
  """' (nearest: x)' or nothing, to complete a message about a wrong name."""
  known = list(known)
  found = difflib.get_close_matches(name, known, 1, 0.6)
  if not found:  # a forgotten prefix: --train_ratio for --run.train_ratio
    last = name.rpartition('.')[2]
    found = [x for x in known if x.rpartition('.')[2] == last][:1]
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
    hint = ' (True or False)' if kind == 'bool' else ''
    raise UserError(
      f"--{key} takes {kind}{hint}, got '{value}' (now {old})."
    ) from None


def fill_logdir(config: elements.Config) -> elements.Config:
  """Puts the time for {timestamp} and the home folder for ~."""
  stamp = time.strftime('%Y%m%dT%H%M%S')
  logdir = str(config.logdir).replace('{timestamp}', stamp)
  return config.update(logdir=str(pathlib.Path(logdir).expanduser()))


# ---------------------------------------------------------------------------
# The record of a run
# ---------------------------------------------------------------------------


def read_saved(path: pathlib.Path) -> dict[str, Any]:
  """Flat settings of a run's config.yaml, ours or the published agent's."""
  try:
    found = YAML(typ='safe').load(path.read_text())
  except (OSError, UnicodeDecodeError, YAMLError) as e:
    line = ' '.join(str(e).split())[:200]
    raise UserError(f'Cannot read {path}: {line}') from e
  if not isinstance(found, dict):
    raise UserError(f'{path} holds no settings, but {type(found).__name__}.')
  return _flatten(found)


def _flatten(nested: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  flat = {}
  for key, value in nested.items():
    if isinstance(value, Mapping):
      flat.update(_flatten(value, f'{prefix}{key}.'))
    else:
      flat[f'{prefix}{key}'] = (
        tuple(value) if isinstance(value, list) else value
      )
  return flat


@dataclasses.dataclass(frozen=True)
class Inheritance:
  """What a run's record says about the settings that we know.

  Attributes:
    values: Known keys with the values of the run.
    missing: Known keys that the record lacks; ours apply.
    unknown: Keys of the record that this program does not have.
  """

  values: dict[str, Any]
  missing: list[str]
  unknown: list[str]

  @classmethod
  def of(
    cls,
    saved: Mapping[str, Any],
    defaults: Mapping[str, Any],
    wanted: re.Pattern = INHERITED,
  ) -> 'Inheritance':
    keys = [k for k in defaults if wanted.fullmatch(k)]
    unknown = [k for k in saved if k not in defaults and wanted.fullmatch(k)]
    values = {k: saved[k] for k in keys if k in saved}
    for key, value in values.items():
      if not _fits(value, defaults[key]):
        raise UserError(
          f'config.yaml of the run says {key}: {value!r}, expected a value '
          f'like {defaults[key]!r}.'
        )
    return cls(values, [k for k in keys if k not in saved], unknown)


def _fits(value: Any, old: Any) -> bool:
  if isinstance(old, bool) or isinstance(value, bool):
    return isinstance(old, bool) and isinstance(value, bool)
  if isinstance(old, int):
    return isinstance(value, int) or (
      isinstance(value, float) and value.is_integer()
    )
  if isinstance(old, float):
    return isinstance(value, (int, float))
  if isinstance(old, tuple):
    return isinstance(value, tuple) and all(_fits(x, old[0]) for x in value)
  return isinstance(value, str)


def changes(
  saved: Mapping[str, Any], config: elements.Config
) -> tuple[dict[str, tuple], dict[str, tuple]]:
  """Settings that differ from a run's record, as {key: (then, now)}.

  Returns:
    Those that alter the form of parameters, observations or actions, and the
    harmless ones. Where a run lives and what is done there are no settings.
  """
  flat = config.flat
  differ = {
    k: (saved[k], v)
    for k, v in flat.items()
    if k in saved and saved[k] != v and k not in ('logdir', 'script', 'replica')
  }
  grave = {k: v for k, v in differ.items() if SHAPES.fullmatch(k)}
  return grave, {k: v for k, v in differ.items() if k not in grave}
