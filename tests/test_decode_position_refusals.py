"""decode_position.py refuses mistakes in a line, and survives kills."""

import signal
import subprocess
import time

import numpy as np
import pytest

from dreamerv3.base import files, unpickle
from tests import synthetic
from tests.decoding_cli import SCRIPT, damaged, names, run, words


def test_a_control_must_be_untrained_and_of_the_same_network(recording, tmp_path):
  flags = ['--data', recording, '--save', tmp_path / 'r', '--control']
  trained = synthetic.copy(recording, tmp_path / 'a', trained=True)
  assert 'of a trained network' in run(*flags, trained, fails=True)
  other = synthetic.copy(recording, tmp_path / 'b', trained=False, world_seed=9)
  assert 'of world 9' in run(*flags, other, fails=True)
  small = synthetic.record(tmp_path / 'c', {'dyn/deter': synthetic.noise})
  about = unpickle.load(small / 'metadata.pkl') | {'trained': False}
  files.save_pickle(small / 'metadata.pkl', about)
  assert 'dyn/deter has 8 units and 120' in run(*flags, small, fails=True)
  assert not (tmp_path / 'r').exists()


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


def spoil(episode):
  episode['act/dyn/deter'][3, 2] = np.nan


MISTAKES = {
  'no episodes': (lambda r, t: ['--data', t], 'no episodes'),
  'no folder': (lambda r, t: ['--data', t / 'none'], 'does not exist'),
  'one episode': (lambda r, t: ['--data', r, '--max_episodes', 1], '1 episode'),
  'min_bbox': (lambda r, t: ['--data', r, '--min_bbox', 9999], '--min_bbox 9999'),
  'layer': (
    lambda r, t: ['--data', r, '--mode', 'layers', '--layers', 'enc/cnn9'],
    'nearest: enc/cnn0',
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
  'one fold': (
    lambda r, t: ['--data', r, *words('--holdout_frac 0 --n_cv_folds 1')],
    'expected at least 2',
  ),
  'model': (lambda r, t: ['--data', r, '--from_model', t], 'no classifier_*.pkl'),
}


# Flags that would do nothing, and what the refusal says.
IDLE = {
  '--layers deter': '--layers would do nothing without --mode layers',
  '--layers x --resume x': '--layers and --resume would do nothing',
  '--mode layers --repr deter': 'without --mode standard',
  '--n_cv_folds 5': '--n_cv_folds would do nothing without --holdout_frac 0',
  '--n_iters 0 --patience 9': '--patience would do nothing with --n_iters 0',
  '--test_data x --holdout_frac 0': '--holdout_frac would do nothing with --test_data',
  '--test_data x --n_cv_folds 5': '--n_cv_folds would do nothing with --test_data',
  '--test_data x --cv timesteps': '--cv would do nothing with --test_data',
  '--from_model x --n_iters 9': '--n_iters would do nothing with --from_model',
  '--from_model x --patience 9 --repr stoch': '--patience and --repr would do nothing',
  '--from_model x --control y --save_model': '--control and --save_model would do',
  '--from_model x --n_jobs 2': '--n_jobs would do nothing with --from_model',
}


@pytest.mark.parametrize('flags', sorted(IDLE))
def test_a_flag_that_would_do_nothing_is_refused(flags, tmp_path):
  line = run('--data', tmp_path, *flags.split(), fails=True)
  assert IDLE[flags] in line


@pytest.mark.parametrize('mistake', sorted(MISTAKES))
def test_a_mistake_is_one_line_and_writes_nothing(
  mistake, recording, tmp_path, monkeypatch
):
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
  make, expected = MISTAKES[mistake]
  line = run(*make(recording, tmp_path), '--save', tmp_path / 'r', fails=True)
  assert expected in line
  assert not names(tmp_path / 'r')
  assert not (tmp_path / 'r').exists()


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
      *words('--mode layers --layers dyn/deter pol.* --n_jobs 3'),
      *words('--n_iters 1000000 --patience 0'),
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
      *words('--mode layers --n_jobs 2 --n_iters 100000 --patience 0'),
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
