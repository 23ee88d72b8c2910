"""A recording command: checks first, provenance whatever happens, summary last."""

import dataclasses
import json

import pytest

from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.recording import plan as planning
from dreamerv3.recording.plan import RecordingPlan
from dreamerv3.recording.session import Played, RecordingSession
from dreamerv3.run_info import read_run_info
from tests.recording import recordings as recorded


@pytest.fixture
def plan(tmp_path):
  """Of two episodes of a run whose folder is the parent's."""
  known = recorded.metadata()
  known.extra.update(checkpoint=str(tmp_path / 'run' / 'ckpt'), checkpoint_step=9)
  known = dataclasses.replace(known, task='crafter', settings={'env': {}})
  (tmp_path / 'run' / 'ckpt').mkdir(parents=True)
  (tmp_path / 'run' / 'ckpt' / 'agent.pkl').write_bytes(b'weights')
  return RecordingPlan(
    stage='eval_trajectory',
    folder=tmp_path / 'elsewhere' / 'r',
    logdir=tmp_path / 'run',
    metadata=known,
    columns=recorded.COLUMNS,
    numbers=range(1, 3),
    envs=1,
    joined=True,
    summary=tmp_path / 'run' / 'eval_achievements.out',
    inputs={'checkpoint': known.extra['checkpoint']},
  )


def play(recorder, numbers):
  for number in numbers:
    recorded.play(recorder, number, 3)
  return Played(3 * len(numbers), 0)


def test_the_plan_says_what_is_left_out_and_how_it_would_be_recorded(plan):
  plan.folder.mkdir(parents=True)
  assert not [x for x in plan.lines(2) if 'without' in x]
  plan = dataclasses.replace(plan, left_out=['enc/cnn0', 'dec/conv0'])
  (line,) = [x for x in plan.lines(2) if 'without' in x]
  assert 'enc/cnn0, dec/conv0' in line
  assert "--eval_trajectory.layers '.*'" in line


def test_the_entry_is_there_while_episodes_come(plan):
  def watched(recorder, numbers):
    (entry,) = read_run_info(plan.folder)
    assert entry.status == 'running'
    assert plan.folder / 'episode_002.pkl' in entry.outputs
    assert not (plan.folder / 'metadata.pkl').exists()
    return play(recorder, numbers)

  assert RecordingSession(plan, {'seed': 0}, watched).run() == 0
  (entry,) = read_run_info(plan.folder)
  assert entry.status == 'done'
  assert [x.name for x in entry.outputs] == [
    'metadata.pkl',
    'episode_001.pkl',
    'episode_002.pkl',
    'all_episodes.pkl',
    'eval_achievements.out',
  ]
  (checkpoint,) = entry.inputs
  assert (checkpoint.role, checkpoint.kind) == ('checkpoint', 'checkpoint')
  assert entry.extra['new_steps'] == 6
  assert entry.extra['episodes'] == 2
  assert entry.extra['weights'] == 'abc'


def test_the_summary_of_a_run_that_ships_goes_to_a_folder_that_is_new(plan, tmp_path):
  new = tmp_path / 'logdir' / 'shipped' / 'eval_achievements.out'
  plan = dataclasses.replace(plan, summary=new)
  assert RecordingSession(plan, {'seed': 0}, play).run() == 0
  assert new.read_text()


def test_a_logdir_that_is_not_ours_keeps_the_summary_out(plan, monkeypatch, capsys):
  check = files.check_writable

  def checked(folder):
    if folder == plan.logdir:
      raise UserError('Cannot write')
    check(folder)

  monkeypatch.setattr(files, 'check_writable', checked)
  assert RecordingSession(plan, {}, play).run() == 0
  assert 'eval_achievements.out goes to' in capsys.readouterr().out
  text = (plan.folder / 'eval_achievements.out').read_text()
  assert text.startswith('Episodes: 2')
  assert not (plan.logdir / 'eval_achievements.out').exists()


def test_a_late_failure_loses_no_provenance(plan, monkeypatch):
  def full(*args):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr('dreamerv3.recording.session.Summary.report', full)
  with pytest.raises(OSError, match='No space'):
    RecordingSession(plan, {}, play).run()
  (entry,) = read_run_info(plan.folder)
  assert (entry.status, entry.error[:7]) == ('failed', 'OSError')
  assert len(entry.outputs) == 4
  assert all(x.exists() for x in entry.outputs)


def test_a_signal_is_noted(plan):
  def stopped(recorder, numbers):
    recorded.play(recorder, 1, 3)
    return Played(3, 75)

  assert RecordingSession(plan, {}, stopped).run() == 75
  (entry,) = json.loads((plan.folder / 'run_info.json').read_text())
  assert entry['status'] == 'stopped'
  assert entry['outputs'] == ['metadata.pkl', 'episode_001.pkl']


def test_what_the_disk_cannot_hold_leaves_nothing(plan, monkeypatch):
  monkeypatch.setattr(RecordingPlan, 'free', lambda self: 10)
  with pytest.raises(UserError, match='has 0.0 kB left'):
    RecordingSession(plan, {}, play).run()
  assert not plan.folder.exists()


def test_all_in_one_file_by_default_where_it_is_small(plan, monkeypatch, capsys):
  plan = dataclasses.replace(plan, joined=None)
  monkeypatch.setattr(planning, 'JOINED', 1000.0)
  assert RecordingSession(plan, {}, play).run() == 0
  assert not (plan.folder / 'all_episodes.pkl').exists()
  assert 'eval_trajectory.all_episodes True writes it.' in capsys.readouterr().out
  assert plan.need(2) == 3 * 250 * plan.step_bytes  # one of them in progress, too
  monkeypatch.setattr(planning, 'JOINED', 1e9)
  assert RecordingSession(plan, {}, play).run() == 0
  assert (plan.folder / 'all_episodes.pkl').exists()
  assert plan.need(2) == 5 * 250 * plan.step_bytes
