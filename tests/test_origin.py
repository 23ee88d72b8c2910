"""From any file back to the training run, along the provenance."""

import pytest

from dreamerv3 import origin
from dreamerv3.data.errors import UserError
from dreamerv3.run_info import log_run_info


@pytest.fixture
def run(tmp_path):
  """A run, its recording, a decoder and dreams that read the decoder."""
  run = tmp_path / 'run'
  for name in (
    'config.yaml', 'ckpt/latest', 'trajectories/episode_001.pkl',
    'decoder/classifier_deter.pkl', 'decoder/map.png', 'dreams/map.png',
  ):  # fmt: skip
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
  steps = origin.trace(run / 'dreams' / 'map.png')
  assert [(x.entry['stage'], x.depth) for x in steps] == [
    ('dream_decode', 0), ('train', 1), ('decode_position', 1),
    ('eval_trajectory', 2),
  ]  # fmt: skip
  train = next(x for x in steps if x.entry['stage'] == 'train')
  assert str(run / 'config.yaml') in train.entry['outputs']


def test_a_file_is_told_from_its_namesake(run):
  first = origin.trace(run / 'decoder' / 'map.png')[0]
  assert first.entry['stage'] == 'decode_position'


def test_folders_and_moved_results(run):
  assert origin.trace(run / 'trajectories')[0].entry['stage'] == (
    'eval_trajectory'
  )
  moved = run / 'thesis'
  (run / 'decoder').rename(moved)
  first = origin.trace(moved / 'map.png')[0]
  assert first.entry['stage'] == 'decode_position'


def test_the_newest_command_counts(run):
  path = run / 'decoder' / 'map.png'
  log_run_info(run / 'decoder', 'again', outputs=[path])
  assert origin.trace(path)[0].entry['stage'] == 'again'


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
