"""What a study found: its finished runs in one table, and compared.

numbers = collect(study, standings(study))
sys.exit(report(study, standings(study)))
"""

import pathlib
import subprocess
import sys
from collections.abc import Iterator, Mapping

from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.studies import tasks
from dreamerv3.studies.kinds import KINDS
from dreamerv3.studies.state import Standing
from dreamerv3.studies.study import Study

NUMBERS, REPORT, GROWTH = 'numbers.csv', 'report', 'growth'


def finished(study: Study, known: Mapping[str, Standing]) -> dict[pathlib.Path, str]:
  """{logdir: condition} of the runs that are through all stages.

  Raises:
    UserError: none is.
  """
  made = tasks.tasks(study)
  lacking = {x.logdir for x in made if known[x.name].word != 'done'}
  found = {x.logdir: x.condition for x in made if x.logdir not in lacking}
  if not found:
    raise UserError(f'No run of {study.path} is through all stages; see status.')
  return found


def left_out(study: Study, known: Mapping[str, Standing]) -> Iterator[str]:
  """A line per run that is not finished: its first task that is not done."""
  told = set()
  for task in tasks.tasks(study):
    word = known[task.name].word
    if word != 'done' and task.run not in told:
      told.add(task.run)
      yield f'{task.run} is left out: {task.stage} is {word}.'


def collect(study: Study, known: Mapping[str, Standing]) -> pathlib.Path:
  """Writes every number of the finished runs as one table in long form."""
  from dreamerv3.analysis.conditions import collect, runs  # slow to import

  found = collect.gather([runs.Run(k, v) for k, v in finished(study, known).items()])
  for line in found.notes:
    print(line, file=sys.stderr)
  path = study.folder / NUMBERS
  with files.atomic(path, 'w') as file:
    found.numbers.to_csv(file, index=False, float_format='%.9g')
  return path


def report(study: Study, known: Mapping[str, Standing]) -> int:
  """Compares the conditions of the finished runs; returns the exit code.

  Of a study with the stage `growth`, all runs over training in one figure, too.
  """
  runs = finished(study, known)
  save = study.folder / REPORT
  words = ['--conditions', *(f'{k}:{v}' for k, v in runs.items())]
  code = _call('compare_conditions', *words, '--save', str(save))
  if study.stage('growth') and not code:
    tables = [str(k / KINDS['growth'].folder / KINDS['growth'].proof) for k in runs]
    save = study.folder / GROWTH
    code = _call('over_training', '--from_csv', *tables, '--save', str(save))
  return code


def _call(program: str, *words: str) -> int:
  line = [sys.executable, str(tasks.PROGRAMS / f'{program}.py'), *words]
  return subprocess.run(line, check=False).returncode
