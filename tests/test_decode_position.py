"""decode_position.py as its users run it: files, flags, kills and mistakes."""

import contextlib
import io
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dreamerv3 import decode_position
from dreamerv3.analysis.decoding.decoder import LinearDecoder
from dreamerv3.base import files, unpickle
from dreamerv3.base import flags as settings
from dreamerv3.run_info import read_run_info
from tests import synthetic

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = [sys.executable, str(ROOT / 'dreamerv3' / 'decode_position.py')]
QUICK = ['--n_iters', '100', '--n_boot', '50']


def run(*args, fails=False):
  """The script in this process, as its last line runs it; what it printed."""
  out, err = io.StringIO(), io.StringIO()
  code: object = 0
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    try:
      settings.run(lambda _: decode_position.main([str(x) for x in args]))
    except SystemExit as e:
      code = e.code
  if not fails:
    assert not code, err.getvalue()
    return out.getvalue()
  assert code == 2, err.getvalue()
  lines = err.getvalue().strip().splitlines()
  assert len(lines) == 1, lines
  return lines[0]


def names(folder):
  return {
    x.relative_to(folder).as_posix()
    for x in folder.rglob('*')
    if x.is_file() and not x.name.startswith('.')
  }


@pytest.fixture(scope='module')
def layered(recording, tmp_path_factory):
  """Layers mode with saved decoders, and the folder it wrote."""
  save = tmp_path_factory.mktemp('layers') / 'new' / 'results'
  out = run(
    '--data',
    recording,
    '--save',
    save,
    '--mode',
    'layers',
    '--save_model',
    '--control',
    recording,
    '--n_jobs',
    2,
    *QUICK,
  )
  return save, out


def test_standard_mode_writes_all_its_files(recording, tmp_path):
  out = run(
    '--data',
    recording,
    '--save',
    tmp_path / 'r',
    '--save_model',
    '--holdout_frac',
    0,
    '--n_cv_folds',
    3,
    *QUICK,
  )
  found = names(tmp_path / 'r')
  for name in ('deter', 'stoch', 'combined'):
    assert f'classification_{name}.png' in found
    assert f'occupancy_vs_error_{name}.png' in found
    assert f'classifier_{name}.pkl' in found
    for kind in ('probmap_', 'probmap_world_'):
      assert sum(x.startswith(f'{kind}{name}_ep') for x in found) == 3
    assert name in out
  results = unpickle.load(tmp_path / 'r' / 'decode_results.pkl')
  assert results['representations'] == ['deter', 'stoch', 'combined']
  assert results['grid'] == (12, 10)
  errors = results['results']['deter']['errors']
  assert len(errors) == results['n_samples']
  assert results['summary'][0]['mean'] == pytest.approx(errors.mean())
  (entry,) = read_run_info(tmp_path / 'r')
  assert entry['stage'] == 'decode_position'
  written = {pathlib.Path(x).name for x in entry['outputs']}
  assert written == {pathlib.Path(x).name for x in found} - {'run_info.json'}


def test_layers_mode_writes_all_its_files(layered, recording):
  save, out = layered
  found = names(save)
  assert {
    'layer_comparison.png',
    'layer_decode_results.pkl',
    'layer_summary.csv',
    'layer_decode_checkpoint.pkl',
    'layer_decoders/manifest.pkl',
    'layer_decoders/dyn_deter.pkl',
    'layer_decoders/pol_mlp_linear0.pkl',
    'run_info.json',
  } <= found
  results = unpickle.load(save / 'layer_decode_results.pkl')
  assert results['ordered'] == ['enc/cnn0', 'dyn/stoch', 'dyn/deter', 'pol/mlp/linear0']
  manifest = unpickle.load(save / 'layer_decoders' / 'manifest.pkl')
  assert manifest['layer_sizes']['enc/cnn0'] == 40
  (entry,) = read_run_info(save)
  assert {pathlib.Path(x).name for x in entry['outputs']} == {
    pathlib.Path(x).name for x in found
  } - {'run_info.json'}
  # The control is the recording itself here, so that it decodes as well.
  for row in results['summary']:
    assert row['control'] == pytest.approx(row['mean'])
  assert 'untrained' in out


def test_modes_share_a_folder_that_holds_one_run_of_each(recording, tmp_path):
  here = ('--data', recording, '--save', tmp_path, *QUICK)
  out = run(*here, '--repr', 'deter', '--save_model')
  assert 'Trained on 5 episodes, ' in out
  run(*here, '--mode', 'layers', '--layers', 'pol/.*')
  run(*here, '--repr', 'stoch')
  found = names(tmp_path)
  assert {
    'classifier_deter.pkl',
    'classification_stoch.png',
    'layer_comparison.png',
    'layer_decode_checkpoint.pkl',
  } <= found
  assert 'classification_deter.png' not in found


def test_from_model_gives_the_numbers_of_the_fit(layered, recording, tmp_path):
  save, _ = layered
  run(
    '--data',
    recording,
    '--save',
    tmp_path,
    '--mode',
    'layers',
    '--from_model',
    save / 'layer_decoders',
  )
  fitted = unpickle.load(save / 'layer_decode_results.pkl')['results']
  again = unpickle.load(tmp_path / 'layer_decode_results.pkl')['results']
  for name, before in fitted.items():
    after = again[name]
    tested = np.isin(after['episode'], before['episode'])
    np.testing.assert_array_equal(after['errors'][tested], before['errors'])
    held = LinearDecoder.from_dict(
      unpickle.load(save / 'layer_decoders' / (name.replace('/', '_') + '.pkl'))
    ).held_out
    assert held['error'] == pytest.approx(after['errors'][tested].mean())


def test_from_model_refuses_other_worlds_and_sizes(layered, tmp_path):
  save, _ = layered
  wide = synthetic.record(tmp_path / 'a', {'dyn/deter': synthetic.noise}, 2, 20)
  line = run(
    '--data',
    wide,
    '--save',
    tmp_path / 'r',
    '--mode',
    'layers',
    '--from_model',
    save / 'layer_decoders',
    fails=True,
  )
  assert '120 units' in line
  other = synthetic.record(
    tmp_path / 'b',
    {'dyn/deter': synthetic.noise},
    2,
    20,
    tiles=synthetic.world((9, 9)),
  )
  line = run(
    '--data',
    other,
    '--save',
    tmp_path / 'r',
    '--mode',
    'layers',
    '--from_model',
    save / 'layer_decoders',
    fails=True,
  )
  assert '(12, 10)' in line
  assert '(9, 9)' in line
  assert not names(tmp_path / 'r')


def test_test_data_trains_on_all_of_data(recording, tmp_path):
  other = synthetic.record(
    tmp_path / 'test', {'dyn/deter': synthetic.one_hot_places}, 3, 40, seed=9
  )
  out = run(
    '--data',
    recording,
    '--test_data',
    other,
    '--save',
    tmp_path / 'r',
    '--mode',
    'layers',
    *QUICK,
  )
  assert 'left out: dyn/stoch, enc/cnn0, pol/mlp/linear0' in out
  results = unpickle.load(tmp_path / 'r' / 'layer_decode_results.pkl')
  assert results['ordered'] == ['dyn/deter']
  deter = results['results']['dyn/deter']
  assert sorted(set(deter['episode'])) == [6, 7, 8]
  assert deter['errors'][deter['visited']].max() == 0


def test_a_control_must_be_untrained_and_of_the_same_network(recording, tmp_path):
  flags = ['--data', recording, '--save', tmp_path / 'r', '--control']
  trained = synthetic.copy(recording, tmp_path / 'a', trained=True)
  assert 'of a trained network' in run(*flags, trained, fails=True)
  other = synthetic.copy(recording, tmp_path / 'b', trained=False, world_seed=9)
  assert 'of world 9' in run(*flags, other, fails=True)
  small = synthetic.record(tmp_path / 'c', {'dyn/deter': synthetic.noise}, 4, 20)
  about = unpickle.load(small / 'metadata.pkl') | {'trained': False}
  files.save_pickle(small / 'metadata.pkl', about)
  assert 'dyn/deter has 8 units and 120' in run(*flags, small, fails=True)
  assert not (tmp_path / 'r').exists()


def test_many_worlds_are_decoded_relative_to_the_spawn(recording, tmp_path):
  many = synthetic.copy(recording, tmp_path / 'd', fixed_seed=False, world_map=None)
  flags = ['--data', many, '--save', tmp_path / 'r', '--repr', 'deter', *QUICK]
  assert '--spawn_relative' in run(*flags, fails=True)
  run(*flags, '--spawn_relative')
  results = unpickle.load(tmp_path / 'r' / 'decode_results.pkl')
  assert results['grid'] == (23, 19)
  assert results['protocol']['spawn_relative']


def test_both_modes_share_a_folder(recording, tmp_path):
  flags = ['--data', recording, '--save', tmp_path, *QUICK]
  run(*flags, '--repr', 'deter')
  before = (tmp_path / 'summary.csv').read_bytes()
  run(*flags, '--mode', 'layers', '--layers', 'pol.*')
  assert (tmp_path / 'summary.csv').read_bytes() == before
  assert 'pol/mlp/linear0' in (tmp_path / 'layer_summary.csv').read_text()


def test_results_lie_beside_a_recording_called_dot(recording, tmp_path, monkeypatch):
  folder = synthetic.copy(recording, tmp_path / 'trajectories')
  monkeypatch.chdir(folder)
  run('--data', '.', '--repr', 'stoch', *QUICK)
  assert (tmp_path / 'decoder_results' / 'summary.csv').exists()
  assert not (folder / 'decoder_results').exists()


def test_the_older_protocol_says_that_it_leaks(recording, tmp_path):
  done = subprocess.run(
    [
      *SCRIPT,
      '--data',
      str(recording),
      '--save',
      str(tmp_path),
      '--repr',
      'stoch',
      '--cv',
      'timesteps',
      *QUICK,
    ],
    capture_output=True,
    text=True,
    check=True,
  )
  assert 'They leak' in done.stderr
  assert 'They leak' in done.stdout
  results = unpickle.load(tmp_path / 'decode_results.pkl')
  assert results['protocol']['cv'] == 'timesteps'


@pytest.mark.slow
def test_resume_after_a_kill_continues_and_refuses_other_flags(recording, tmp_path):
  save = tmp_path / 'r'
  # Without patience a layer takes long enough to be killed in between.
  flags = [
    '--data',
    recording,
    '--save',
    save,
    '--mode',
    'layers',
    '--n_iters',
    4000,
    '--patience',
    0,
    '--save_model',
  ]
  process = subprocess.Popen([*SCRIPT, *map(str, flags)], stdout=subprocess.DEVNULL)
  checkpoint = save / 'layer_decode_checkpoint.pkl'
  while not checkpoint.exists():
    assert process.poll() is None
    time.sleep(0.02)
  process.send_signal(signal.SIGKILL)
  process.wait()
  done = list(unpickle.load(checkpoint)['results'])
  assert 0 < len(done) < 4
  assert not (save / 'layer_decode_results.pkl').exists()

  line = run(
    *flags[:-5], '--n_iters', 4001, '--patience', 0, '--resume', checkpoint, fails=True
  )
  assert 'n_iters is 4001 and was 4000' in line
  line = run(*flags, '--resume', checkpoint, '--seed', 5, fails=True)
  assert 'seed is 5 and was 0' in line
  assert 'split is' in line

  out = run(*flags, '--resume', save)
  for name in done:
    assert f'{name}: ' not in out
  resumed = unpickle.load(save / 'layer_decode_results.pkl')['results']
  run(*flags[:3], tmp_path / 'whole', *flags[4:])
  whole = unpickle.load(tmp_path / 'whole' / 'layer_decode_results.pkl')
  for name, result in whole['results'].items():
    np.testing.assert_array_equal(result['pred'], resumed[name]['pred'])


def damaged(folder, recording, change):
  """A copy of the recording whose episodes went through `change`."""
  folder.mkdir()
  for path in sorted(recording.glob('*.pkl')):
    content = unpickle.load(path)
    if path.name != 'metadata.pkl':
      change(content)
    files.save_pickle(folder / path.name, content)
  return folder


def spoil(episode):
  episode['act/dyn/deter'][3, 2] = np.nan


def stand(episode):
  episode['player_pos'][:] = (4, 4)


MISTAKES = {
  'no episodes': (lambda r, t: ['--data', t], 'no episodes'),
  'no folder': (lambda r, t: ['--data', t / 'none'], 'does not exist'),
  'one episode': (lambda r, t: ['--data', r, '--max_episodes', 1], '1 episode'),
  'min_bbox': (lambda r, t: ['--data', r, '--min_bbox', 9999], '--min_bbox 9999'),
  'layer': (
    lambda r, t: ['--data', r, '--mode', 'layers', '--layers', 'enc/cnn9'],
    'there are: enc/cnn0, dyn/stoch',
  ),
  'area': (lambda r, t: ['--data', r, '--area', 5, 5], '--area is (5, 5)'),
  'NaN': (
    lambda r, t: ['--data', damaged(t / 'd', r, spoil), '--repr', 'deter'],
    'act/dyn/deter holds NaN',
  ),
  'cuda': (lambda r, t: ['--data', r, '--device', 'cuda'], '--device cpu'),
  'flag': (lambda r, t: ['--data', r, '--n_iter', 5], 'mean --n_iters'),
  'resume': (
    lambda r, t: ['--data', r, '--mode', 'layers', '--resume', t / 'x.pkl'],
    'Cannot read',
  ),
  'layers mode': (
    lambda r, t: ['--data', r, '--layers', 'deter'],
    '--layers works with --mode layers',
  ),
  'samples mode': (
    lambda r, t: ['--data', r, '--layers', 'a', '--max_samples', 9],
    '--layers and --max_samples work with --mode layers',
  ),
  'repr mode': (
    lambda r, t: ['--data', r, '--mode', 'layers', '--repr', 'deter'],
    '--repr works with --mode standard',
  ),
  'one fold': (lambda r, t: ['--data', r, '--n_cv_folds', 1], 'expected at least 2'),
  'resume mode': (lambda r, t: ['--data', r, '--resume', t], '--mode layers'),
  'model': (lambda r, t: ['--data', r, '--from_model', t], 'no classifier_*.pkl'),
}


@pytest.mark.parametrize('mistake', sorted(MISTAKES))
def test_a_mistake_is_one_line_and_writes_nothing(
  mistake, recording, tmp_path, monkeypatch
):
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
  make, expected = MISTAKES[mistake]
  line = run(*make(recording, tmp_path), '--save', tmp_path / 'r', fails=True)
  assert expected in line
  assert not names(tmp_path / 'r')
  # Only what is found when the work has begun leaves an empty folder.
  assert (tmp_path / 'r').exists() == (mistake in ('NaN', 'resume'))


def test_an_error_while_fits_run_is_one_line(recording, tmp_path):
  # In a process of its own: threads that outlive the error would abort it.
  def spoil_last(episode):
    episode['act/pol/mlp/linear0'][3, 2] = np.nan

  spoilt = damaged(tmp_path / 'd', recording, spoil_last)
  done = subprocess.run(
    [
      *SCRIPT,
      '--data',
      spoilt,
      '--save',
      tmp_path / 'r',
      '--mode',
      'layers',
      '--layers',
      'dyn/deter',
      'pol.*',
      '--n_jobs',
      '3',
      '--n_iters',
      '1000000',
      '--patience',
      '0',
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2, done.stderr
  (line,) = done.stderr.splitlines()
  assert 'act/pol/mlp/linear0 holds NaN' in line


@pytest.mark.slow
def test_an_interrupt_stops_the_fits(recording, tmp_path):
  process = subprocess.Popen(
    [
      *SCRIPT,
      '--data',
      recording,
      '--save',
      tmp_path / 'r',
      '--mode',
      'layers',
      '--n_jobs',
      '2',
      '--n_iters',
      '100000',
      '--patience',
      '0',
    ],
    stderr=subprocess.PIPE,
    text=True,
  )
  while not (tmp_path / 'r').exists():  # made when the fits begin
    assert process.poll() is None
    time.sleep(0.02)
  time.sleep(0.5)
  process.send_signal(signal.SIGINT)
  _, err = process.communicate(timeout=60)
  assert process.returncode == 130, err
  (line,) = err.splitlines()
  assert line.endswith('interrupted')


def test_an_unwritable_folder_is_refused(recording, tmp_path):
  (tmp_path / 'file').touch()
  line = run('--data', recording, '--save', tmp_path / 'file', fails=True)
  assert 'Cannot write' in line


def test_one_visited_tile_decodes_and_draws(recording, tmp_path):
  still = damaged(tmp_path / 'd', recording, stand)
  run('--data', still, '--save', tmp_path / 'r', '--repr', 'deter', *QUICK)
  results = unpickle.load(tmp_path / 'r' / 'decode_results.pkl')
  assert results['summary'][0]['mean'] == 0
