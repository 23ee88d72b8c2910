"""The run_*.sh as users call them: from anywhere, wrongly, only to look."""

import os
import pathlib
import shlex
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPTS = [*sorted(x.name for x in ROOT.glob('run_*.sh')), 'demo.sh']
NEED = ('Trajectory', 'Decoding', 'LayerDecoding', 'Tuning', 'Plotting')


def call(script, *argv, cwd=ROOT, **settings):
  env = {
    k: v for k, v in os.environ.items() if k in ('PATH', 'HOME') or k.startswith('COV')
  }
  return subprocess.run(
    ['bash', str(ROOT / script), *argv],
    cwd=cwd,
    env={**env, **settings},
    capture_output=True,
    text=True,
    timeout=60,
  )


def refused(done):
  """The one line of a mistake, for which nothing was printed or run."""
  assert done.returncode == 2, done
  assert done.stderr.count('\n') == 1, done.stderr
  assert done.stdout == ''
  return done.stderr


@pytest.mark.parametrize('script', SCRIPTS)
def test_arguments_are_refused_with_the_settings_there_are(script):
  done = call(script, '--plot', 'heatmap', LOGDIR='x', DRY_RUN='1')
  line = refused(done)
  assert "got '--plot'" in line
  assert f'LOGDIR=logdir/my_run bash {script}' in line
  assert ' LOGDIR ' in line.partition(script + ':')[2]


@pytest.mark.parametrize('name', NEED)
def test_a_missing_logdir_is_a_mistake(name):
  assert 'LOGDIR is missing' in refused(call(f'run_{name}.sh', DRY_RUN='1'))


@pytest.mark.skipif(bool(shutil.which('sbatch')), reason='would submit')
def test_submitting_needs_slurm():
  for settings in ({'SUBMIT': '1'}, {'CHAIN': '1'}):
    done = call('run_Loop.sh', LOGDIR='x', **settings)
    assert 'no sbatch here' in refused(done)


def test_an_environment_without_our_packages_is_named(tmp_path):
  python = tmp_path / 'python3'
  python.write_text('#!/bin/sh\nexit 1\n')
  python.chmod(0o755)
  done = call('run_Plotting.sh', LOGDIR='x', PYTHON=str(python))
  assert done.returncode == 2
  assert done.stderr.count('\n') == 1
  assert 'run make venv' in done.stderr


def test_paths_are_those_of_the_callers_directory(tmp_path):
  done = call('run_Plotting.sh', cwd=tmp_path, LOGDIR='my_run', DRY_RUN='1')
  words = shlex.split(done.stdout.splitlines()[0])
  assert words[words.index('--data') + 1] == 'my_run/trajectories'
  # So that the line can be pasted there.
  assert words[1] == str(ROOT / 'dreamerv3' / 'plot_trajectories.py')
  assert not list(tmp_path.iterdir())
  here = call('run_Plotting.sh', LOGDIR='my_run', DRY_RUN='1')
  assert ' dreamerv3/plot_trajectories.py ' in here.stdout


@pytest.mark.parametrize('script', ['run_Loop.sh', 'demo.sh'])
def test_a_dry_run_knows_of_the_control_that_will_be_there(script, tmp_path):
  def uses(**more):
    done = call(script, LOGDIR=str(tmp_path / 'run'), DRY_RUN='1', **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.count(f'--control {tmp_path}/run/trajectories_untrained')

  assert uses() == 3
  assert uses(RECORD_CONTROL='0') == 0
  assert not list(tmp_path.iterdir())


def test_saved_decoders_are_evaluated_without_control_and_test_data(tmp_path):
  (tmp_path / 'c').mkdir()
  given = dict(LOGDIR='x', DRY_RUN='1', TEST_DATA='t', CONTROL='c')
  fitted = call('run_LayerDecoding.sh', cwd=tmp_path, **given).stdout
  assert '--control c' in fitted
  assert '--test_data t' in fitted
  assert '--holdout_frac' not in fitted
  alone = call('run_LayerDecoding.sh', cwd=tmp_path, LOGDIR='x', DRY_RUN='1').stdout
  assert '--holdout_frac 0.2' in alone
  assert '--n_cv_folds' not in alone
  folds = dict(LOGDIR='x', DRY_RUN='1', HOLDOUT_FRAC='0', N_CV_FOLDS='4')
  across = call('run_LayerDecoding.sh', cwd=tmp_path, **folds).stdout
  assert '--holdout_frac 0 --n_cv_folds 4' in across
  only = call('run_LayerDecoding.sh', cwd=tmp_path, **given, FROM_MODEL='m')
  words = shlex.split(only.stdout)
  assert words[words.index('--from_model') + 1] == 'm'
  # decode_position.py refuses these beside it.
  assert not {'--control', '--test_data', '--save_model', '--device'} & {*words}
  assert not {'--holdout_frac', '--n_cv_folds', '--max_samples'} & {*words}
