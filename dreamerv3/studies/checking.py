"""Would the commands of a study take their flags? Asked of their own parsers.

  notes = check(study)  # raises UserError before anything starts

Days of training lie between a misspelt flag of an analysis and its refusal.
"""

import importlib

import elements

from dreamerv3.base import flags as parsers
from dreamerv3.base.errors import UserError
from dreamerv3.setup import config, rules
from dreamerv3.studies.kinds import KINDS, nearest
from dreamerv3.studies.study import Condition, Stage, Study
from dreamerv3.studies.tasks import Task, full_name, tasks, words


def check(study: Study) -> dict[str, elements.Config]:
  """Settings with which each condition trains.

  Raises:
    UserError: a flag that a command does not have, a value that it does not take,
      or stages that do not go together.
  """
  blocks = config.read_blocks()
  first = {(x.condition, x.stage): x for x in reversed(tasks(study))}
  settled = {}
  for condition in study.conditions:
    _check_names(study, condition)
    task = first[condition.name, 'train']
    where = f'{study.path}, condition {condition.name}'
    settled[condition.name] = _settings(where, task, blocks)
  for stage in study.stages[1:]:
    where = f'{study.path}, stage {stage.name}'
    task = first[study.conditions[0].name, stage.name]
    if task.kind.program == 'main':
      _check_group(where, stage, blocks)
      _settings(where, task, blocks)
    else:
      _parse(where, task)
  _check_kept(study, settled)
  _check_decoder(study)
  return settled


def _settings(where: str, task: Task, blocks: config.Blocks) -> elements.Config:
  try:
    flags = config.parse_flags(words(task))
    settled = config.fill_logdir(config.stack(blocks, flags))
    rules.check(settled)
  except UserError as e:
    raise UserError(f'{where}: {e}') from e
  return settled


def _check_names(study: Study, condition: Condition) -> None:
  """That a condition sets nothing that the study does."""
  for name in condition.flags:
    if name in KINDS['train'].ours:
      raise UserError(
        f'{study.path}, condition {condition.name}: {name} is set by the study; '
        'drop it.'
      )


def _check_group(where: str, stage: Stage, blocks: config.Blocks) -> None:
  """Names without a dot are those of the script's own group of flags."""
  kind = KINDS[stage.name]
  known = blocks['defaults'][kind.block]
  for name in stage.flags:
    if '.' not in name and name not in known:
      raise UserError(f'{where}: {name} is unknown{nearest(name, known)}.')


def _parse(where: str, task: Task) -> None:
  # By name, as main.py does: a command is no library.
  program = task.kind.program
  module = importlib.import_module(f'dreamerv3.{program}')
  try:
    args = parsers.parse(parsers.settings_of(module), words(task), program)
    if hasattr(module, 'check_flags'):  # those that do not go together
      module.check_flags(args)
  except UserError as e:
    raise UserError(f'{where}: {e}') from e


def _check_kept(study: Study, settled: dict[str, elements.Config]) -> None:
  """That training keeps the checkpoints that are to be looked at."""
  if not study.stage('checkpoints'):
    return
  for name, values in settled.items():
    if values.run.ckpt_keep == (0,):
      raise UserError(
        f'{study.path}, condition {name}: stage checkpoints finds the newest alone; '
        'set run.ckpt_keep, e.g. to 50000 for one every so many steps.'
      )


def _check_decoder(study: Study) -> None:
  """That decoding leaves the decoder that dreams are read with."""
  decode = study.stage('decode')
  if study.stage('dreams') is None or decode is None:
    return
  kind = KINDS['decode']
  flags = {full_name(kind, k): v for k, v in decode.flags.items()}
  lost = flags.get('repr', ('all',)) not in (('all',), ('deter',))
  if lost or flags.get('save_model') == ('False',):
    raise UserError(
      f'{study.path}: stage dreams reads decoder_results/classifier_deter.pkl, which '
      'decode does not leave with these flags; set repr: deter and save_model: true.'
    )
