"""From any file back to the training run, along the provenance."""

import datetime
import json
import shutil
import time

import pytest

from dreamerv3 import origin
from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.run_info import log_run_info, noting
from dreamerv3.run_info.chain import trace


def stage_of(step):
  return step.entry and step.entry.stage


@pytest.fixture
def run(tmp_path):
  """A run, its recording, a decoder and dreams that read the decoder."""
  run = tmp_path / 'run'
  for name in (
    'config.yaml',
    'ckpt/latest',
    'trajectories/episode_001.pkl',
    'decoder/classifier_deter.pkl',
    'decoder/map.png',
    'dreams/map.png',
  ):
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()

  def log(stage, folder, args, *outputs):
    log_run_info(run / folder, stage, args, [run / x for x in outputs])

  log('train', '.', {'logdir': str(run)}, 'config.yaml', 'ckpt')
  recorded = 'trajectories/episode_001.pkl'
  log('eval_trajectory', 'trajectories', {'logdir': str(run)}, recorded)
  model = 'decoder/classifier_deter.pkl'
  args = {'data': str(run / 'trajectories'), 'save': str(run / 'decoder')}
  log('decode_position', 'decoder', args, model, 'decoder/map.png')
  args = {'logdir': str(run), 'dream_decode.decoder_model': str(run / model)}
  log('dream_decode', 'dreams', args, 'dreams/map.png')
  return run


def test_a_figure_leads_to_the_config_of_its_training_run(run):
  steps = trace(run / 'dreams' / 'map.png')
  assert [(stage_of(x), x.depth) for x in steps] == [
    ('dream_decode', 0),
    ('train', 1),
    ('decode_position', 1),
    ('eval_trajectory', 2),
  ]
  train = next(x.entry for x in steps if stage_of(x) == 'train')
  assert train
  assert run / 'config.yaml' in train.outputs


def test_a_file_is_told_from_its_namesake(run):
  first = trace(run / 'decoder' / 'map.png')[0]
  assert stage_of(first) == 'decode_position'


def test_folders_and_moved_results(run):
  assert stage_of(trace(run / 'trajectories')[0]) == ('eval_trajectory')
  moved = run / 'thesis'
  (run / 'decoder').rename(moved)
  first = trace(moved / 'map.png')[0]
  assert stage_of(first) == 'decode_position'


def test_the_simple_form_describes_what_was_read_too(run):
  (run / 'trajectories').rename(run / 'elsewhere')
  (run / 'trajectories').mkdir()
  (run / 'trajectories' / 'episode_001.pkl').write_text('another')
  steps = trace(run / 'decoder' / 'map.png')
  assert [(stage_of(x), x.path) for x in steps] == [
    ('decode_position', run / 'decoder' / 'map.png'),
    ('eval_trajectory', run / 'elsewhere'),
    ('train', run),
  ]


def test_the_newest_command_counts(run):
  path = run / 'decoder' / 'map.png'
  log_run_info(run / 'decoder', 'again', outputs=[path])
  assert stage_of(trace(path)[0]) == 'again'


def entry(stage, time, outputs, args=(), **extra):
  return {
    'stage': stage,
    'timestamp': f'2026-01-02T{time}+01:00',
    'cwd': '/',
    'command': f'{stage} at {time}',
    'args': dict(args),
    'extra': extra,
    'outputs': [str(x) for x in outputs],
  }


@pytest.fixture
def continued(tmp_path):
  """A run and a recording of several commands each, then a decoder.

  The recording was made from the checkpoint of 10:30, which is gone.
  """
  run = tmp_path / 'run'
  recorded = run / 'trajectories' / 'episode_001.pkl'
  table = run / 'decoder' / 'summary.csv'
  there = {'checkpoint_step': 900, 'checkpoint': str(run / CHECKPOINT)}
  data = {'data': str(recorded.parent)}
  logdir = {'logdir': str(run), 'run.from_checkpoint': ''}
  entries = {
    run: [
      entry('train', time, [run / 'config.yaml', run / 'ckpt'], logdir)
      for time in ('10:00:00', '10:20:00', '10:40:00')
    ],
    recorded.parent: [
      entry('eval_trajectory', time, [recorded], logdir, **there, new_steps=n)
      for time, n in (('11:00:00', 50), ('11:10:00', 70), ('11:50:00', 0))
    ]
    + [entry('eval_trajectory', '13:00:00', [recorded], logdir, **there)],
    table.parent: [entry('decode_position', '12:00:00', [table], data)],
  }
  for folder, found in entries.items():
    folder.mkdir(parents=True)
    (folder / 'run_info.json').write_text(json.dumps(found))
  for path in (run / 'config.yaml', recorded, table):
    path.touch()
  return run


# Names of checkpoints are UTC: 10:30 where the entries were written.
CHECKPOINT = 'ckpt/20260102T093000F000001'


@pytest.mark.parametrize('zone', ['UTC', 'Asia/Tokyo', 'America/New_York'])
def test_what_came_after_a_file_was_read_did_not_make_it(continued, zone, monkeypatch):
  monkeypatch.setenv('TZ', zone)
  time.tzset()
  steps = trace(continued / 'decoder' / 'summary.csv')
  assert [x.entry and x.entry.command for x in steps] == [
    'decode_position at 12:00:00',
    'eval_trajectory at 11:00:00',
    'eval_trajectory at 11:10:00',
    'train at 10:00:00',
    'train at 10:20:00',
  ]
  assert [x.depth for x in steps] == [0, 1, 1, 2, 2]
  monkeypatch.undo()
  time.tzset()


def test_the_checkpoint_is_named_with_its_step(continued, capsys):
  origin.main(['--file', str(continued / 'decoder' / 'summary.csv')])
  lines = capsys.readouterr().out.splitlines()
  named = [x.strip() for x in lines if 'checkpoint of' in x]
  assert named == [f'checkpoint of step 900: {continued / CHECKPOINT}']


def test_a_saved_result_that_was_viewed_is_followed(continued):
  made = {'from_pkl': str(continued / 'decoder' / 'summary.csv')}
  figure = continued / 'figures' / 'a.png'
  figure.parent.mkdir()
  figure.touch()
  log_run_info(figure.parent, 'tuning_curve', made, outputs=[figure])
  stages = [stage_of(x) for x in trace(figure)]
  assert stages[:2] == ['tuning_curve', 'decode_position']


def test_what_is_printed(run, capsys):
  origin.main(['--file', str(run / 'decoder' / 'map.png')])
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == str(run / 'decoder' / 'map.png')
  assert lines[3] == f'  data: {run / "trajectories"}'


def test_files_without_an_entry(run):
  (run / 'decoder' / 'notes.txt').touch()
  with pytest.raises(UserError, match='knows it'):
    origin.main(['--file', str(run / 'decoder' / 'notes.txt')])
  with pytest.raises(UserError, match='does not exist'):
    origin.main(['--file', str(run / 'nothing.png')])


def make(run, seed):
  """A run with its recording, a decoder and dreams, as the commands note them."""

  def write(name, text=''):
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{seed} {text}')
    return path

  with noting(run, 'train', outputs=[write('config.yaml'), run / 'ckpt']):
    stamp = datetime.datetime.now(datetime.UTC).strftime('%Y%m%dT%H%M%SF%f')
    checkpoint = write(f'ckpt/{stamp}/agent.pkl').parent
  extra = {'checkpoint_step': 900, 'new_steps': 7}
  inputs = {'checkpoint': checkpoint}
  with noting(run / 'rec', 'eval_trajectory', inputs=inputs, extra=extra) as note:
    files.save_pickle(run / 'rec' / 'metadata.pkl', {'fingerprint': {'seed': seed}})
    note.outputs += [write(f'rec/episode_00{x}.pkl') for x in (1, 2)]
  with noting(run / 'dec', 'decode_position', inputs={'data': run / 'rec'}) as note:
    note.outputs += [write('dec/classifier_deter.pkl'), write('dec/map.png')]
  inputs = {'decoder_model': run / 'dec' / 'classifier_deter.pkl'}
  with noting(run / 'dreams', 'dream_decode', inputs=inputs) as note:
    note.outputs.append(write('dreams/map.png'))
  return run


WHOLE = ['dream_decode', 'decode_position', 'eval_trajectory', 'train']


@pytest.fixture
def moved(tmp_path):
  """A run that was moved, and another one that lies at its old place."""
  make(tmp_path / 'old' / 'run', 1)
  (tmp_path / 'new').mkdir()
  (tmp_path / 'old' / 'run').rename(tmp_path / 'new' / 'kept')
  make(tmp_path / 'old' / 'run', 2)
  return tmp_path / 'new' / 'kept'


def test_a_moved_run_is_followed_where_it_lies_now(moved):
  steps = trace(moved / 'dreams' / 'map.png')
  assert [stage_of(x) for x in steps] == WHOLE
  assert all(moved in x.path.parents for x in steps)
  assert [x.remark for x in steps] == [''] * 4
  assert steps[-1].role == 'checkpoint of step 900'


def test_folders_that_were_renamed_are_found_near_by(moved):
  (moved / 'rec').rename(moved / 'thesis data')
  (moved / 'dec').rename(moved.parent / 'decoders')
  steps = trace(moved / 'dreams')
  assert [stage_of(x) for x in steps] == WHOLE
  assert [x.path.name for x in steps[1:3]] == ['classifier_deter.pkl', 'thesis data']


def test_what_was_not_copied_is_told_and_not_taken_from_another_run(moved, capsys):
  away = moved.parents[1] / 'laptop' / 'results' / 'dec'
  shutil.copytree(moved / 'dec', away)
  origin.main(['--file', str(away)])
  lines = capsys.readouterr().out.splitlines()
  old = moved.parents[1] / 'old' / 'run' / 'rec'
  assert lines[3].startswith(f'  data: {old} (not here; another lies there now: made')
  assert 'made by eval_trajectory, ' in lines[3]
  assert len(lines) == 4


def test_a_recording_is_known_by_its_content_alone(moved):
  (moved / 'rec' / 'run_info.json').unlink()
  (moved / 'rec' / 'episode_002.pkl').unlink()
  step = trace(moved / 'dec' / 'map.png')[-1]
  assert (step.path, step.entry) == (moved / 'rec', None)
  assert step.remark.startswith('made by eval_trajectory, ')


def test_what_was_made_again_since_is_told(moved):
  made = moved / 'dec' / 'classifier_deter.pkl'
  with noting(moved / 'dec', 'decode_position') as note:
    made.write_text('another')
    note.outputs.append(made)
  step = trace(moved / 'dreams' / 'map.png')[1]
  assert (stage_of(step), step.remark) == ('decode_position', 'changed since')
  assert step.entry
  assert step.entry.inputs
  shutil.rmtree(moved / 'ckpt')
  assert trace(moved / 'rec')[-1].remark == 'not here any more'


def test_a_folder_of_results_without_an_entry_of_its_own(moved):
  (moved / 'run_info.json').unlink()
  stages = [stage_of(x) for x in trace(moved)]
  assert {*WHOLE} - {'train'} <= {*stages}


def test_a_file_of_a_command_that_was_killed(tmp_path):
  log_run_info(tmp_path, 'before', outputs=[tmp_path / 'other.csv'])
  with noting(tmp_path, 'killed'):
    (tmp_path / 'a.csv').touch()
    (step,) = trace(tmp_path / 'a.csv')
  assert stage_of(step) == 'killed'
  assert 'probably' in step.remark


def test_what_an_entry_of_a_stranger_says_cannot_harm(tmp_path, capsys):
  odd = entry('x\x1b[2J', '10:00:00', ['a.csv'], {'data': 3, 'control': ['a\0b', '']})
  odd |= {'command': 'two\nlines', 'cwd': str(tmp_path), 'extra': {'checkpoint': 1}}
  (tmp_path / 'run_info.json').write_text(json.dumps([odd]))
  (tmp_path / 'a.csv').touch()
  origin.main(['--file', str(tmp_path / 'a.csv')])
  lines = capsys.readouterr().out.splitlines()
  assert lines[2] == r'  two\nlines'
  assert r'x\x1b[2J' in lines[1]
