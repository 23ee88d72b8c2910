"""What a study asks: conditions, seeds, and the stages that each run goes through.

  study = load(pathlib.Path('docs/study_example.yaml'))
  for condition in study.conditions: print(condition.name, condition.flags)

A study is one YAML file. docs/running_studies.md says what may stand in it.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from dreamerv3.base import yaml_file
from dreamerv3.base.errors import UserError, reading
from dreamerv3.studies.kinds import KINDS, nearest

KEYS = ('folder', 'seeds', 'conditions', 'stages', 'slurm')
NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')
# A value of the file, as the words behind its flag.
Words = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Condition:
  """Flags of main.py in which some agents differ from others."""

  name: str
  flags: Mapping[str, Words]


@dataclasses.dataclass(frozen=True)
class Stage:
  """A step of the pipeline, and the flags with which all runs take it.

  Attributes:
    name: a key of `kinds.KINDS`.
    flags: of its command, without dashes.
  """

  name: str
  flags: Mapping[str, Words]


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
  """Conditions x seeds, each a run that goes through all stages.

  One is equal to itself alone, so that its tasks are listed once.

  Attributes:
    path: of the file.
    folder: for runs, results and what is known of the work.
    seeds: of each condition.
    stages: in the order of the pipeline, `train` first.
    slurm: {'all' or stage: options of sbatch}.
  """

  path: pathlib.Path
  folder: pathlib.Path
  seeds: tuple[int, ...]
  conditions: tuple[Condition, ...]
  stages: tuple[Stage, ...]
  slurm: Mapping[str, Words]

  def stage(self, name: str) -> Stage | None:
    """The stage of this name, if the study has it."""
    return next((x for x in self.stages if x.name == name), None)


def load(path: pathlib.Path) -> Study:
  """Reads a study.

  Raises:
    UserError: no such file, or something in it that is none of a study.
  """
  expected = 'study; docs/study_example.yaml shows one'
  content = yaml_file.load(path, expected)
  with reading(path, expected):
    return _study(path, content)


def _study(path: pathlib.Path, content: Any) -> Study:
  values = _mapping('the file', content)
  _known('', values, KEYS)
  lacking = [x for x in KEYS[:4] if not values.get(x)]
  if lacking:
    raise UserError(f'{", ".join(lacking)} missing; docs/study_example.yaml has all.')
  if not isinstance(values['folder'], str):
    raise UserError(f'folder is {values["folder"]!r}; expected a path.')
  conditions = _mapping('conditions', values['conditions'])
  if len({x.casefold() for x in conditions}) < len(conditions):
    raise UserError(
      f'conditions {", ".join(conditions)}: two differ in case alone, which not all '
      'file systems tell apart; rename one.'
    )
  return Study(
    path=path,
    folder=pathlib.Path(values['folder']).expanduser(),
    seeds=_seeds(values['seeds']),
    conditions=tuple(Condition(_name(k), _flags(k, v)) for k, v in conditions.items()),
    stages=_stages(_mapping('stages', values['stages'])),
    slurm=_slurm(values.get('slurm') or {}),
  )


def _stages(values: Mapping[str, Any]) -> tuple[Stage, ...]:
  _known('stage ', values, KINDS)
  found = tuple(Stage(k, _flags(k, values[k])) for k in KINDS if k in values)
  for name in values:
    lacking = [x for x in KINDS[name].needs if x not in values]
    if lacking:
      raise UserError(f'stage {name} needs stage {" and ".join(lacking)}; add it.')
  for stage in found:
    ours = [x for x in stage.flags if x in KINDS[stage.name].ours]
    if ours:
      raise UserError(f'stage {stage.name}: {ours[0]} is set by the study; drop it.')
  return found


def _seeds(values: Any) -> tuple[int, ...]:
  seeds = values if isinstance(values, list) else [values]
  good = all(type(x) is int and x >= 0 for x in seeds)
  if not good or len({*seeds}) < len(seeds):
    raise UserError(f'seeds are {seeds}; expected different whole numbers from 0 on.')
  return tuple(seeds)


def _slurm(values: Any) -> Mapping[str, Words]:
  options = _mapping('slurm', values)
  _known('slurm: ', options, ('all', *KINDS))
  return {k: _words(f'slurm: {k}', v) for k, v in options.items()}


def _flags(owner: str, values: Any) -> Mapping[str, Words]:
  found = _mapping(owner, values or {})
  return {str(k).lstrip('-'): _words(f'{owner}: {k}', v) for k, v in found.items()}


def _words(owner: str, value: Any) -> Words:
  """A value as words of a command line."""
  if isinstance(value, list):
    return tuple(y for x in value for y in _words(owner, x))
  if isinstance(value, bool | int | float | str):
    return (str(value),)
  raise UserError(
    f'{owner} is {value!r}; expected a number, a word, or a list of them.'
  )


def _mapping(owner: str, value: Any) -> Mapping[str, Any]:
  if isinstance(value, Mapping):
    return {str(k): v for k, v in value.items()}
  raise UserError(f'{owner}: got {value!r}, expected names with settings below them.')


def _name(name: str) -> str:
  if not NAME.fullmatch(name):
    raise UserError(f"condition '{name}': letters, digits, _ . - only; rename it.")
  return name


def _known(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
  for name in given:
    if name not in [*known]:
      raise UserError(f'{owner}{name} is unknown{nearest(name, known)}.')
