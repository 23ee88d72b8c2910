"""What does the folder of a run say, and may this command go on in it?

A training run writes config.yaml once. Inference inherits from it, a resumed
run is compared with it, and nothing ever overwrites it.

  with training(config) as notes: ...       # locks the folder
  values = Inheritance.of(read_saved('RUN/config.yaml'), defaults).values
"""

import contextlib
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import elements
from ruamel.yaml import YAML

from dreamerv3.base import files, shipped, yaml_file
from dreamerv3.base.errors import UserError, reading
from dreamerv3.base.host.locks import Lock
from dreamerv3.setup import config as settings

# What inference takes over from the run it looks at.
INHERITED = re.compile(r'agent\..*|env\..*|seed|task')

# Of these, what inference does not compute with: how the agent learns, how its
# parameters were drawn, and what is logged. A resumed run may change them; all
# else has to stay, since config.yaml keeps what inference goes by.
LEARNING = re.compile(
  r'agent\.(loss_scales\.\w+|opt\.\w+|ac_grads|imag_(last|length)'
  r'|(imag|repl)_loss\.\w+|slowvalue\.\w+|(reward|repval)_grad|repval_loss'
  r'|report|report_gradnorms|(ret|val|adv)norm\.(rate|limit|perclo|perchi)'
  r'|.*\.(free_nats|outscale|winit))|env\.\w+\.(logs|use_logdir)'
)

# Where a run lives and what is done there are no settings of it.
PLACES = ('logdir', 'script', 'replica')


def read_saved(path: str | os.PathLike) -> dict[str, Any]:
  """Flat settings of a run's config.yaml, ours or the published agent's."""
  found = yaml_file.load(path)
  if not isinstance(found, dict):
    raise UserError(
      f'{path} holds {type(found).__name__}, expected the settings of a run.'
    )
  return flatten(found)


def flatten(nested: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """{'a': {'b': [1]}} -> {'a.b': (1,)}."""
  flat: dict[str, Any] = {}
  for key, value in nested.items():
    if isinstance(value, Mapping):
      flat.update(flatten(value, f'{prefix}{key}.'))
    else:
      value = tuple(value) if isinstance(value, list) else value
      flat[f'{prefix}{key}'] = value
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
  def of(cls, saved: Mapping[str, Any], defaults: Mapping[str, Any]) -> 'Inheritance':
    """Takes from a record what inference goes by.

    Args:
      saved: flat settings of the record.
      defaults: ours.

    Raises:
      UserError: a value of the record has another type than ours.
    """
    keys = [k for k in defaults if INHERITED.fullmatch(k)]
    values = {k: saved[k] for k in keys if k in saved}
    for key, value in values.items():
      if not fits(value, defaults[key]):
        raise UserError(
          f'config.yaml of the run says {key}: {value!r}, expected a value '
          f'like {defaults[key]!r}.'
        )
    return cls(
      values,
      [k for k in keys if k not in saved],
      [k for k in saved if k not in defaults],
    )

  def notes(self, path: pathlib.Path, config: elements.Config) -> list[str]:
    """Lines for the user: what was inherited, lacking and ignored."""
    flat = config.flat
    lines = [f'Settings of agent, env, task and seed from {path}.']
    other = {k: v for k, v in self.values.items() if flat[k] != v}
    if other:
      lines.append(f'Flags override: {pairs({k: flat[k] for k in other})}')
    if self.missing:
      lacking = {k: flat[k] for k in self.missing}
      lines.append(f'Not in that file, so set here: {pairs(lacking)}')
    if self.unknown:
      groups = sorted({'.'.join(k.split('.')[:2]) for k in self.unknown})
      lines.append(f'Ignored, unknown here: {", ".join(groups)}')
    return lines

  def vain(self, asked: Mapping[str, Any]) -> list[str]:
    """A line for presets that the run's own settings outweigh.

    Args:
      asked: Flat settings that the presets change.
    """
    lost = {
      k: f'{asked[k]} (here {v})'
      for k, v in self.values.items()
      if k in asked and asked[k] != v
    }
    if not lost:
      return []
    return [f'Ignored of --configs, as the run has its own: {pairs(lost, 4)}']


def inherit(
  config: elements.Config, blocks: settings.Blocks, flags: settings.Flags
) -> tuple[elements.Config, list[str]]:
  """The settings with which to look at a run, and lines for the user.

  Args:
    config: presets and flags alone; says where the run is.
    blocks, flags: it was made of.

  Raises:
    UserError: no run there.
  """
  record = record_of(config)
  if record is None:
    raise UserError(
      f'There is no config.yaml in {config.logdir}, which --script '
      f'{config.script} takes its settings from; give the --logdir of a '
      'run, or --run.from_checkpoint.'
    )
  defaults = elements.Config(blocks['defaults']).flat
  found = Inheritance.of(read_saved(record), defaults)
  settled = settings.stack(blocks, flags, found.values)
  asked = settings.presets(blocks, flags).flat
  vain = found.vain({k: v for k, v in asked.items() if v != defaults[k]})
  notes = [*found.notes(record, settled), *vain]
  settled = settled.update(logdir=config.logdir)
  run = pathlib.Path(config.logdir)
  if not shipped.is_shipped(run):
    return settled, notes
  place = shipped.results_of(run)
  notes.append(f'{run} is a finished run, nothing is written there; using {place}.')
  source = config.run.from_checkpoint or config.logdir
  return settled.update({'logdir': str(place), 'run.from_checkpoint': source}), notes


def fits(value: Any, old: Any) -> bool:
  """Whether a value from a file has the type of a setting."""
  if isinstance(old, bool) or isinstance(value, bool):
    return isinstance(old, bool) and isinstance(value, bool)
  if isinstance(old, int):
    return isinstance(value, int | float) and value % 1 == 0  # no infinity, no NaN
  if isinstance(old, float):
    return isinstance(value, int | float)
  if isinstance(old, tuple):
    return isinstance(value, tuple) and all(fits(x, (*old, '')[0]) for x in value)
  return isinstance(value, str)


def pairs(values: Mapping[str, Any], most: int = 12) -> str:
  """'a=1, b=2 and 3 more'."""
  shown = [f'{k}={v}' for k, v in list(values.items())[:most]]
  more = f' and {len(values) - most} more' if len(values) > most else ''
  return ', '.join(shown) + more


Changes = dict[str, tuple[Any, Any]]  # key: (in the record, now)


def changes(
  saved: Mapping[str, Any], config: elements.Config
) -> tuple[Changes, Changes]:
  """Settings that differ from a run's record.

  Returns:
    Those with which it would be another agent or another task, and the
    harmless ones.
  """
  differ = {
    k: (saved[k], v)
    for k, v in config.flat.items()
    if k in saved and saved[k] != v and k not in PLACES
  }
  suite = config.task.partition('_')[0]
  other = re.compile(rf'env\.(?!{suite}\.)')  # settings of other suites
  grave = {k: v for k, v in differ.items() if not other.match(k) and _grave(k, *v)}
  return grave, {k: v for k, v in differ.items() if k not in grave}


def _grave(key: str, then: Any, now: Any) -> bool:
  # Weight decay is a stage of the optimizer, latents are columns of the replay.
  if key in ('agent.opt.wd', 'replay_context'):
    return bool(then > 0) != bool(now > 0)
  if key in ('replicas', 'random_agent'):
    return True
  return bool(INHERITED.fullmatch(key)) and not LEARNING.fullmatch(key)


@contextlib.contextmanager
def training(config: elements.Config) -> Iterator[Changes]:
  """Holds the logdir of a training run, new or resumed.

  Yields:
    The harmless changes against the run's config.yaml; empty for a new run.

  Raises:
    UserError: not writable, in use, or changes that make it another run.
  """
  if shipped.is_shipped(pathlib.Path(config.logdir)):
    raise UserError(
      f'{config.logdir} is a finished run that nothing is written into; train on in '
      f'a new --logdir with --run.from_checkpoint {config.logdir}.'
    )
  logdir = files.make_folder(config.logdir)
  for name in ('ckpt', 'replay', 'report'):  # of a run that goes on
    if (logdir / name).exists():
      files.check_writable(logdir / name)
  with Lock(logdir / '.lock', f'trains in {logdir}', 'take another --logdir'):
    yield _enter(logdir, config)


def _enter(logdir: pathlib.Path, config: elements.Config) -> Changes:
  record = logdir / 'config.yaml'
  begun = (logdir / 'ckpt' / 'latest').exists()
  if record.exists() and begun:
    with reading(record, 'settings of a run; take another --logdir'):
      grave, harmless = changes(read_saved(record), config)
    if grave:
      listed = '; '.join(f'{k}: {a} -> {b}' for k, (a, b) in grave.items())
      raise UserError(
        f'{logdir} holds a run of another form, so it cannot go on with these '
        f'flags ({listed}). Give the flags of its config.yaml, or begin '
        f'another run with them: a new --logdir, with --run.from_checkpoint '
        f'{logdir} if its parameters are to be taken over.'
      )
    return harmless
  if record.exists():  # died before its first checkpoint
    stamp = elements.timestamp(millis=True)
    record.replace(logdir / f'config-{stamp}.yaml')
  save(record, config)
  return {}


def save(path: pathlib.Path, config: elements.Config) -> None:
  """Writes the nested settings, keys sorted, as any YAML reader takes them."""
  yaml = YAML(typ='safe')
  yaml.default_flow_style = False
  stream = io.StringIO()
  yaml.dump(_plain(config), stream)
  with files.atomic(path, 'w') as file:
    file.write(stream.getvalue())


def _plain(value: Any) -> Any:
  if isinstance(value, Mapping):
    return {k: _plain(v) for k, v in sorted(value.items())}
  return list(value) if isinstance(value, tuple) else value


def record_of(config: elements.Config) -> pathlib.Path | None:
  """config.yaml of the run that an inference script looks at.

  That of the run which the checkpoint belongs to, else that of the logdir.
  """
  places = [pathlib.Path(config.logdir)]
  if config.run.from_checkpoint:
    given = pathlib.Path(config.run.from_checkpoint).expanduser().absolute()
    places = [given, *list(given.parents)[:2], *places]
  for place in places:
    if os.path.lexists(place / 'config.yaml'):  # what is no file is refused by name
      return place / 'config.yaml'
  return None
