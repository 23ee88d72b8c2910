"""Studies on this machine: failures stay alone, kills cost what was in the making."""

import os
import shutil
import signal
import subprocess
import sys
import time
import unittest.mock

import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.base.host.holder import here
from dreamerv3.studies import again, checking, local, results, state, tables, tasks
from dreamerv3.studies.working import Stop, work
from tests import cli
from tests.studies import fakes


@pytest.fixture
def programs(tmp_path, monkeypatch):
  folder = fakes.programs(tmp_path / 'programs')
  monkeypatch.setattr(tasks, 'PROGRAMS', folder)
  return folder


def run(study, jobs=2):
  return local.run(study, tasks.tasks(study), jobs)


def test_all_tasks_are_done_once(tmp_path, programs):
  study = fakes.make(tmp_path)
  assert run(study).code == 0
  assert len(fakes.calls(programs)) == 12
  assert run(study).code == 0
  assert len(fakes.calls(programs)) == 12
  assert {x.word for x in state.standings(study).values()} == {'done'}
  run_folder = tmp_path / 'out' / 'usual_seed1'
  shutil.rmtree(run_folder / 'trajectories')
  # Recordings may be deleted once all that read them are done.
  assert {x.word for x in state.standings(study).values()} == {'done'}
  shutil.rmtree(run_folder / 'trajectories_untrained')
  assert state.standings(study)['usual_seed1/record'].word == 'missing'
  assert run(study).code == 0
  assert len(fakes.calls(programs)) == 14


def test_a_failure_blocks_its_own_run_alone(tmp_path, programs):
  study = fakes.make(tmp_path)
  fail = programs / 'usual_seed0.eval_trajectory.fail'
  fail.touch()
  outcome = run(study)
  assert outcome.code == 1
  words = {k: v for k, v in outcome.words.items() if v != 'done'}
  assert words == {'usual_seed0/record': 'failed', 'usual_seed0/control': 'blocked'}
  text = '\n'.join(tables.status(study, state.standings(study)))
  assert 'usual_seed0/record failed: the disk is full' in text
  assert '10 done, 1 failed, 1 blocked' in text
  # The report goes without it.
  known = state.standings(study)
  finished = results.finished(study, known)
  assert [x.name for x in finished] == ['usual_seed1', 'other_seed0', 'other_seed1']
  left = [*results.left_out(study, known)]
  assert left == ['usual_seed0 is left out: record is failed.']
  fail.unlink()
  assert run(study).code == 0
  assert fakes.calls(programs).count('usual_seed0.train') == 1


def test_a_changed_study_is_not_mixed_with_the_old(tmp_path, programs):
  study = fakes.make(tmp_path)
  assert run(study).code == 0
  changed = fakes.make(tmp_path, steps=200)
  known, chosen = state.standings(changed), tasks.tasks(changed)
  with pytest.raises(UserError, match='run.steps 100, now 200.*--redo_stale') as caught:
    again.refuse(changed, known, chosen)
  assert 'usual_seed0, usual_seed1, other_seed0, other_seed1' in str(caught.value)
  # Only what was asked for is touched.
  some = [x for x in chosen if x.run == 'usual_seed0']
  moved = again.set_aside(changed, known, some)
  assert [x.name for x in moved] == ['usual_seed0']
  assert (moved[0] / 'trajectories' / 'run_info.json').exists()
  assert local.run(changed, some, 1).code == 0
  words = {k: v.word for k, v in state.standings(changed).items()}
  assert {v for k, v in words.items() if k.startswith('usual_seed0')} == {'done'}
  assert words['usual_seed1/train'] == 'stale'
  # What cannot be done again stays, and what it needs is named.
  done = fakes.start(
    programs, '--study', changed.path, 'run', '--stages', 'control', '--redo_stale'
  )
  assert done.returncode == 1
  line = 'usual_seed1/control is left out: usual_seed1/record is stale'
  assert line in done.stdout
  assert (changed.folder / 'usual_seed1' / 'trajectories_untrained').is_dir()
  assert len([*(changed.folder / 'stale').iterdir()]) == 1


def test_what_another_process_works_on_is_left_to_it(tmp_path, programs):
  study = fakes.make(tmp_path)
  task = fakes.by_name(study)['usual_seed0/train']
  linger = programs / 'usual_seed0.train.linger'
  linger.touch()
  other = subprocess.Popen(
    [sys.executable, '-c', fakes.STARTED, programs, '--study', study.path, 'run']
    + ['--runs', 'usual_seed0', '--stages', 'train'],
    cwd=cli.ROOT,
  )
  until(lambda: state.standings(study)[task.name].word == 'running')
  until((programs / 'calls').exists)
  # Killed, it leaves the command at work, which is waited for.
  other.send_signal(signal.SIGKILL)
  other.wait()
  assert state.standings(study)[task.name].word == 'running'
  linger.unlink()
  assert work(study, task, Stop()).word == 'done'
  assert state.standings(study)[task.name].word == 'done'
  assert fakes.calls(programs) == ['usual_seed0.train']


def test_ctrl_c_ends_it_cleanly_and_it_goes_on(tmp_path, programs):
  study = fakes.make(tmp_path)
  linger = programs / 'other_seed0.train.linger'
  linger.touch()
  words = [sys.executable, '-c', fakes.STARTED, programs, '--study', study.path, 'run']
  process = subprocess.Popen(words, cwd=cli.ROOT, stdout=subprocess.PIPE, text=True)
  until(lambda: state.standings(study)['other_seed0/train'].word == 'running')
  until(lambda: 'other_seed0.train' in fakes.calls(programs))
  process.send_signal(signal.SIGINT)
  out, _ = process.communicate(timeout=60)
  assert process.returncode == 130
  assert '6 done, 1 stopped, 5 missing' in out
  linger.unlink()
  assert fakes.start(programs, '--study', study.path, 'run').returncode == 0
  assert len(fakes.calls(programs)) == 13


def test_only_a_second_ctrl_c_kills():
  stop = Stop()
  stop(signal.SIGUSR1)
  stop(signal.SIGUSR1)
  stop(signal.SIGTERM)
  assert (stop.number, stop.kill) == (signal.SIGUSR1, False)
  stop(signal.SIGINT)
  assert stop.kill


def test_a_silent_process_elsewhere_is_not_waited_for(tmp_path):
  study = fakes.make(tmp_path)
  task = fakes.by_name(study)['usual_seed0/train']
  holder = state.Holder('node17', 'b', 's', 7, '1').text()
  record = state.TaskRecord('running', task.digest, task.flags, holder=holder)
  state.folder_of(study).mkdir(parents=True)
  state.write(study, task, record)
  assert state.standings(study)[task.name].word == 'running'
  long_ago = time.time() - 1000
  os.utime(state.path_of(study, task), (long_ago, long_ago))
  now = state.standings(study)[task.name]
  assert (now.word, now.why) == ('stopped', 'was killed')


def test_progress_is_read_from_the_log_of_the_run(tmp_path):
  study = fakes.make(tmp_path)
  task = fakes.by_name(study)['usual_seed0/train']
  state.folder_of(study).mkdir(parents=True)
  task.logdir.mkdir()
  (task.logdir / 'config.yaml').write_text('run: {steps: 1000}\n')
  # It was resumed at 100; the last line is still being written.
  (task.logdir / 'metrics.jsonl').write_text('{"step": 100}\n{"step": 400}\n{"st')
  record = state.TaskRecord(
    'running',
    task.digest,
    task.flags,
    began=time.time() - 30,
    first=100,
    holder=here().text(),
  )
  state.write(study, task, record)
  (line,) = (
    x
    for x in tables.status(study, state.standings(study))
    if x.startswith('usual_seed0')
  )
  assert '40%, 1m 0s left' in line


def test_flags_belong_to_actions(tmp_path):
  path = fakes.write(tmp_path)
  for words in (['plan', '--jobs', '2'], ['run', '--watch']):
    line = cli.refused(cli.script('study', '--study', path, *words))
    assert 'would do nothing' in line
  line = cli.refused(
    cli.script('study', '--study', path, 'run', '--runs', 'usul_seed0')
  )
  assert 'did you mean usual_seed0?' in line
  assert not (tmp_path / 'out').exists()


def test_tasks_are_listed_once_for_plan_and_status(tmp_path, monkeypatch):
  found = fakes.make(tmp_path)
  task = unittest.mock.Mock(wraps=tasks._task)
  monkeypatch.setattr(tasks, '_task', task)
  known = state.standings(found)
  settled = checking.check(found)
  assert [*tables.plan(found, settled, known), *tables.status(found, known)]
  assert task.call_count == len(known)


def test_a_plan_writes_nothing_and_says_what_it_costs(tmp_path):
  done = cli.script('study', '--study', fakes.write(tmp_path), 'plan')
  assert done.returncode == 0, done.stderr
  assert '4 runs, 3 stages, 12 tasks' in done.stdout
  assert 'Estimates, of each task alone' in done.stdout
  assert not (tmp_path / 'out').exists()


def until(holds, seconds=60):
  for _ in range(int(seconds / 0.05)):
    if holds():
      return
    time.sleep(0.05)
  raise AssertionError('it never came')
