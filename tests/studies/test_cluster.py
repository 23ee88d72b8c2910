"""Studies sent to SLURM, with stand-ins of sbatch and squeue."""

import os
import shlex

import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.studies import cluster, local, state, tasks
from tests import cli
from tests.studies import fakes

# Numbers jobs from 101 on; they stay in the queue until a test takes them out.
SBATCH = """#!/bin/bash
job=$((100 + $(cat "$FAKE/jobs" 2>/dev/null | wc -l) + 1))
printf '%q ' "$@" >>"$FAKE/jobs"; echo >>"$FAKE/jobs"
for word in "$@"; do
  case $word in --array=*) for i in ${word#*=}; do :; done; tasks=${word#*=} ;; esac
done
for i in ${tasks//,/ }; do echo "${job}_$i" >>"$FAKE/queue"; done
env >"$FAKE/env"
echo "$job"
"""
SQUEUE = """#!/bin/bash
cat "$FAKE/queue" 2>/dev/null || true
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
  tools = tmp_path / 'tools'
  tools.mkdir()
  for name, text in (('sbatch', SBATCH), ('squeue', SQUEUE)):
    (tools / name).write_text(text)
    (tools / name).chmod(0o755)
  monkeypatch.setenv('PATH', f'{tools}:{os.environ["PATH"]}')
  monkeypatch.setenv('FAKE', str(tmp_path))
  monkeypatch.setattr(tasks, 'PROGRAMS', fakes.programs(tmp_path / 'programs'))
  return tmp_path


def submit(study, dry=False):
  return [*cluster.submit(study, tasks.tasks(study), dry)]


def jobs(slurm):
  """Options of each sbatch call so far."""
  found = []
  for line in (slurm / 'jobs').read_text().splitlines():
    words = [x for x in shlex.split(line) if x.startswith('--')]
    found.append(dict(x[2:].partition('=')[::2] for x in words))
  return found


def test_a_stage_is_an_array_that_waits_for_the_one_before(slurm):
  study = fakes.make(slurm)
  lines = submit(study)
  assert lines[-1] == 'Sent 12 of 12 tasks.'
  train, record, control = jobs(slurm)
  assert train['array'] == '0,1,2,3'
  assert 'dependency' not in train
  assert (train['mem'], train['time']) == ('6G', '1:00:00')
  assert record['dependency'] == 'aftercorr:101'
  assert control['dependency'] == 'aftercorr:102'
  assert control['kill-on-invalid-dep'] == 'yes'
  env = dict(x.partition('=')[::2] for x in (slurm / 'env').read_text().splitlines())
  assert env['STUDY_RUNS'].split()[2] == 'other_seed0'
  assert {x.word for x in state.standings(study).values()} == {'queued'}
  # They wait, so nothing is sent twice; what SLURM has lost is sent again.
  assert submit(study)[-1] == 'Sent 0 of 12 tasks.'
  queue = (slurm / 'queue').read_text().replace('102_1\n', '').replace('103_1\n', '')
  (slurm / 'queue').write_text(queue)
  assert submit(study)[-1] == 'Sent 2 of 12 tasks.'
  assert [x['array'] for x in jobs(slurm)[3:]] == ['1', '1']
  assert [x['dependency'] for x in jobs(slurm)[3:]] == [
    'aftercorr:101',
    'aftercorr:104',
  ]


def test_only_what_is_not_done_is_sent(slurm):
  study = fakes.make(slurm)
  known = fakes.by_name(study)
  (slurm / 'programs' / 'usual_seed1.train.fail').touch()
  some = ['usual_seed0/train', 'usual_seed0/record', 'usual_seed1/train']
  assert local.run(study, [known[x] for x in some], 1).code == 1
  assert submit(study)[-1] == 'Sent 10 of 12 tasks.'
  sent = [(x['array'], x.get('dependency')) for x in jobs(slurm)]
  # The control of seed 0 waits for nobody: it is an array of its own.
  assert sent == [
    ('1,2,3', None),
    ('1,2,3', 'aftercorr:101'),
    ('0', None),
    ('1,2,3', 'aftercorr:102'),
  ]


def test_a_job_does_the_task_of_its_number(slurm):
  study = fakes.make(slurm)
  submit(study)
  # What slurm/study.sh runs; the stand-in of the interpreter only tells.
  python = slurm / 'python'
  python.write_text('#!/bin/sh\necho "$@"\n')
  python.chmod(0o755)
  given = [f'{k}={v}' for k, v in settings(slurm).items()]
  given.append(f'PYTHON={python}')
  done = cli.start('bash', cluster.SCRIPT, *given, SLURM_ARRAY_TASK_ID='2', cwd=slurm)
  assert done.returncode == 0, done.stderr
  words = done.stdout.splitlines()[-1].split()
  assert words[0].endswith('dreamerv3/study.py')
  (file,) = (slurm / 'out' / 'tasks').glob('submitted_*.yaml')
  assert file.read_bytes() == study.path.read_bytes()
  after = ['--study', str(file), 'run', '--runs', 'other_seed0', '--stages', 'control']
  assert words[1:] == after


def settings(slurm):
  env = dict(x.partition('=')[::2] for x in (slurm / 'env').read_text().splitlines())
  return {k: v for k, v in env.items() if k.startswith('STUDY_')}


def test_a_dry_run_only_says_it(slurm, capsys):
  lines = submit(fakes.make(slurm), dry=True)
  assert lines[-1] == 'Would send 12 of 12 tasks.'
  assert capsys.readouterr().out.count('sbatch --parsable') == 3
  assert lines[1] == 'record: 4 runs, job <record> after <train>'
  assert not (slurm / 'out').exists()
  assert not (slurm / 'jobs').exists()


def test_without_slurm_it_is_one_line(slurm, monkeypatch):
  monkeypatch.setenv('PATH', '/nowhere')
  with pytest.raises(UserError, match='no sbatch here'):
    submit(fakes.make(slurm))
