"""Sends the tasks of a study to SLURM: an array of jobs per stage, over the runs.

  for line in submit(study, chosen, dry=False): print(line)

Task i of a stage waits for task i of the stages before it (aftercorr). What is done,
waits or runs already is not sent. Where some runs wait for other jobs than the rest,
as after failures, they are an array of their own. slurm/study.sh is the job; it
requeues itself, and takes partitions and account from site.env.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from dreamerv3.base import files
from dreamerv3.base.errors import UserError, short
from dreamerv3.studies import state
from dreamerv3.studies.state import Standing, TaskRecord
from dreamerv3.studies.study import Study
from dreamerv3.studies.tasks import Task, tasks

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / 'slurm' / 'study.sh'
# Of stages other than training, unless the study says otherwise.
SHORT = ('--time=08:00:00', '--mem=32G')

Jobs = tuple[str, ...]


def submit(study: Study, chosen: Sequence[Task], dry: bool) -> Iterator[str]:
  """Sends what is not done; a line per array, and per task that is left out.

  Args:
    dry: only say the commands; nothing is written or sent.

  Raises:
    UserError: no SLURM here, or it refuses.
  """
  if not dry and not (shutil.which('sbatch') and shutil.which('squeue')):
    raise UserError('There is no sbatch here; do the study on this machine with run.')
  if not SCRIPT.is_file():
    raise UserError(f'{SCRIPT} is missing; submit from a clone of the repository.')
  known = state.standings(study)
  waiting = set() if dry else _queue()
  file = study.path if dry else _freeze(study)
  jobs = {
    k: v.record.job.partition('_')[0]
    for k, v in known.items()
    if v.record and v.record.job and v.record.job in waiting
  }
  sent = 0
  for stage in study.stages:
    todo = [
      x
      for x in chosen
      if x.stage == stage.name
      and known[x.name].word not in ('done', 'running')
      and x.name not in jobs
    ]
    groups: dict[Jobs, list[Task]] = {}
    for task in todo:
      before = _before(task, known, jobs)
      if isinstance(before, str):
        yield f'{task.name} is left out: {before}'
      else:
        groups.setdefault(before, []).append(task)
    for before, group in groups.items():
      job = _send(study, file, group, before, known, dry)
      jobs |= {x.name: job for x in group}
      sent += len(group)
      after = f' after {", ".join(before)}' if before else ''
      yield f'{stage.name}: {len(group)} runs, job {job}{after}'
  yield f'{"Would send" if dry else "Sent"} {sent} of {len(chosen)} tasks.'


def _before(
  task: Task, known: Mapping[str, Standing], jobs: Mapping[str, str]
) -> Jobs | str:
  """The jobs that a task waits for, or why it cannot be sent."""
  found = []
  for name in task.needs:
    if name in jobs:
      found.append(jobs[name])
    elif known[name].word != 'done':
      return f'{name} is {known[name].word} and not sent'
  return tuple(sorted({*found}))


def _send(
  study: Study,
  file: pathlib.Path,
  group: Sequence[Task],
  before: Jobs,
  known: Mapping[str, Standing],
  dry: bool,
) -> str:
  """Submits an array and writes its tasks down; returns its number."""
  words = ['bash', str(SCRIPT), *_settings(study, file, group[0])]
  words += _options(study, group, before)
  if dry:
    print(_call(words, dry=True))
    return f'<{group[0].stage}>'
  with state.claiming(study):  # a job that begins at once waits for its record
    job = _call(words).partition(';')[0]
    for task in group:
      now = known[task.name].record
      spent = now.seconds if now else 0.0
      record = TaskRecord(
        'queued', task.digest, task.flags, seconds=spent, job=f'{job}_{task.index}'
      )
      state.write(study, task, record)
  return job


def _settings(study: Study, file: pathlib.Path, task: Task) -> list[str]:
  runs = dict.fromkeys(x.run for x in tasks(study))
  return [
    'SUBMIT=1',
    f'PYTHON={sys.executable}',
    f'STUDY_FILE={file}',
    f'STUDY_STAGE={task.stage}',
    f'STUDY_RUNS={" ".join(runs)}',
    f'STUDY_KIND={"gpu" if task.kind.gpu else "cpu"}',
  ]


def _options(study: Study, group: Sequence[Task], before: Jobs) -> list[str]:
  stage = group[0].stage
  logs = state.folder_of(study).absolute()
  found = [
    f'--array={",".join(str(x.index) for x in group)}',
    f'--job-name={study.folder.name}-{stage}',
    f'--output={logs}/slurm-{stage}-%A_%a.out',
    *(() if stage == 'train' else SHORT),
    *study.slurm.get('all', ()),
    *study.slurm.get(stage, ()),
  ]
  if before:
    found += [f'--dependency=aftercorr:{":".join(before)}', '--kill-on-invalid-dep=yes']
  return found


def _freeze(study: Study) -> pathlib.Path:
  """A copy of the file: jobs that wait do what was asked when they were sent."""
  folder = files.make_folder(state.folder_of(study))
  path = folder / f'submitted_{time.strftime("%Y%m%dT%H%M%S")}.yaml'
  with files.atomic(path) as file:
    file.write(study.path.read_bytes())
  return path


def _queue() -> set[str]:
  """Jobs that SLURM knows as waiting or running, '12_3' each."""
  return {*_call(['squeue', '--noheader', '--array', '--format=%i']).split()}


def _call(words: Sequence[str], dry: bool = False) -> str:
  """What a command prints; of slurm/study.sh in a dry run, what it would have run.

  Raises:
    UserError: it failed; with its last line.
  """
  # What SLURM says of the job that we may be in does not hold for those we send.
  env = {
    k: v
    for k, v in os.environ.items()
    if k == 'SLURM_CONF' or not k.startswith('SLURM_')
  }
  env['DRY_RUN'] = str(int(dry))
  done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
  if done.returncode:
    said = (done.stderr or done.stdout).strip().splitlines()
    raise UserError(f'{words[0]} failed: {short(said[-1], 300) if said else "?"}')
  return (done.stderr if dry else done.stdout).strip()
