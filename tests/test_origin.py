"""From any file back to the training run, along the provenance."""

import json

import pytest

from dreamerv3 import origin
from dreamerv3.base.errors import UserError
from dreamerv3.run_info import log_run_info
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


def test_what_came_after_a_file_was_read_did_not_make_it(continued):
  steps = trace(continued / 'decoder' / 'summary.csv')
  assert [x.entry and x.entry.command for x in steps] == [
    'decode_position at 12:00:00',
    'eval_trajectory at 11:00:00',
    'eval_trajectory at 11:10:00',
    'train at 10:00:00',
    'train at 10:20:00',
  ]
  assert [x.depth for x in steps] == [0, 1, 1, 2, 2]


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
