"""In which world shall an agent be watched? Flags of the environment, as controls.

own = own_settings(pathlib.Path('agents/crafter_small_size1m'))
for control in controls(own): print(control.key, control.own, control.help)
words({'env.crafter.disable_mobs': True}, own)  # of the command that plays
"""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import elements

from dreamerv3.base.errors import UserError
from dreamerv3.setup import config, help, rundir
from dreamerv3.setup.rules import show

BLOCK = 'env.crafter.'
# Of the block: the agent could not see another size, and the rest is no world.
FIXED = ('size', 'logs', 'use_logdir', 'use_seed')
RANGES = {'area': (9, 128), 'egocentric_view': (0, 15)}  # [tiles]


class Control(NamedTuple):
  """A setting of the world that may be changed.

  Attributes:
    key: its flag; own: value of the run, bool, int or (int, int); low, high: of
      numbers; help: what it does.
  """

  key: str
  own: Any
  low: int
  high: int
  help: str

  @property
  def label(self) -> str:
    """Its name in words."""
    return self.key.rpartition('.')[2].replace('_', ' ')


def own_settings(run: pathlib.Path) -> dict[str, Any]:
  """Flat settings of agent, environment and seed that a run has.

  Raises:
    UserError: no settings of a run, or a task whose worlds cannot be recorded.
  """
  defaults = _defaults()
  saved = rundir.read_saved(run / 'config.yaml')
  own = {**defaults, **rundir.Inheritance.of(saved, defaults).values}
  if not str(own['task']).startswith('crafter_'):
    raise UserError(f'{run} plays {own["task"]}; only Crafter can be recorded.')
  return own


def controls(own: Mapping[str, Any]) -> list[Control]:
  """What may be changed, each with the value of the run."""
  helps = help.read_comments(config.CONFIGS.read_text())
  found = []
  for key, value in own.items():
    name = key.removeprefix(BLOCK)
    if key.startswith(BLOCK) and name not in FIXED:
      low, high = RANGES.get(name, (0, 1))
      each = value if isinstance(value, tuple) else (value,)
      found.append(Control(key, value, low, max(high, *each), helps.get(key, '')))
  top = 2**31 - 1
  about = 'another seed is another world, and another chance in what is done'
  return [*found, Control('seed', own['seed'], 0, top, about)]


def changes(chosen: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
  """Of chosen values those that are not the run's own, sorted."""
  return {k: chosen[k] for k in sorted(chosen) if chosen[k] != own[k]}


def words(changed: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
  """The flags of a recording in that world."""
  found = [y for k, v in changed.items() for y in (f'--{k}', *show(v).split())]
  if not {**own, **changed}[f'{BLOCK}fixed_seed']:
    found += ['--eval_trajectory.one_world', 'False']
  return found


def told(changed: Mapping[str, Any]) -> str:
  """Changes in a few words, for a list of recordings."""
  named = (f'{k.removeprefix(BLOCK)} {show(v)}' for k, v in changed.items())
  return ', '.join(named) or 'the world of the run'


@functools.cache
def _defaults() -> dict[str, Any]:
  return dict(elements.Config(config.read_blocks()['defaults']).flat)
