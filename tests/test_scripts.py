"""The run_*.sh as users call them: from anywhere, wrongly, only to look."""

import os
import pathlib
import re
import shlex
import shutil

import pytest

from tests.cli import refused, start

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPTS = sorted(x.name for x in (*ROOT.glob('run_*.sh'), *ROOT.glob('demo*.sh')))
NEED = (
  *('Trajectory', 'Decoding', 'LayerDecoding', 'Tuning', 'Plotting'),
  *('Manifold', 'Clustering'),
)


def call(script, *argv, cwd=ROOT, **settings):
  env = {
    k: v for k, v in os.environ.items() if k in ('PATH', 'HOME') or k.startswith('COV')
  }
  return start('bash', ROOT / script, *argv, cwd=cwd, env=env, **settings)


@pytest.mark.parametrize('script', SCRIPTS)
def test_arguments_are_refused_with_the_settings_there_are(script):
  line = refused(call(script, '--plot', 'heatmap', LOGDIR='x', DRY_RUN='1'))
  assert "got '--plot'" in line
  assert 'LOGDIR=logdir/my_run' in line
  assert 'LOGDIR' in line.partition('my_run: ')[2].split()


@pytest.mark.parametrize('script', SCRIPTS)
def test_help_tells_every_setting_its_meaning_and_default(script):
  done = call(script, '--help')
  assert done.returncode == 0, done.stderr
  text = (ROOT / script).read_text()
  have = re.findall(r'^(?:export )?([A-Z0-9_]+)=\$\{\1:', text, re.M)
  told = re.findall(r'^  ([A-Z0-9_]+) +(?:.*\S)?  +\w', done.stdout, re.M)
  assert set(have) <= set(told), set(have) - set(told)
  assert re.search(r'^  LOGDIR .*folder of', done.stdout, re.M)
  assert f'bash {script}' in done.stdout


def test_settings_are_words_too_and_words_win():
  done = call('run_Crafter.sh', 'STEPS=7', 'AREA=32 24', DRY_RUN='1', STEPS='9')
  assert '--run.steps 7 ' in done.stdout
  assert '--env.crafter.area 32 24 ' in done.stdout


@pytest.mark.parametrize(
  ('wrong', 'right'),
  [('STEPSS', 'STEPS'), ('LOGDR', 'LOGDIR'), ('FIXED_SEDE', 'FIXED_SEED')],
)
def test_a_misspelt_setting_names_its_neighbour(wrong, right):
  by_word = call('run_Crafter.sh', f'{wrong}=1', DRY_RUN='1')
  by_variable = call('run_Crafter.sh', DRY_RUN='1', **{wrong: '1'})
  for done in (by_word, by_variable):
    assert f'{wrong} is no setting; did you mean {right}?' in refused(done)


@pytest.mark.parametrize('name', ['DRY_RUN', 'SUBMIT'])
def test_a_switch_is_0_or_1(name):
  line = refused(call('run_Tuning.sh', LOGDIR='x', **{name: 'yes'}))
  assert f"{name} is 'yes'; expected 0 or 1" in line


def test_only_what_is_close_to_a_setting_counts_as_misspelt():
  innocent = ('PAGER', 'PWD', 'ENV', 'DATE', 'LANG', 'SHELL', 'DISPLAY', 'EDITOR')
  others = {x: 'x' for x in innocent if x not in ('ENV', 'PWD')}
  done = call('run_Crafter.sh', DRY_RUN='1', ROOT='/x', STEPSS='', steps='3', **others)
  assert done.returncode == 0, done.stderr
  line = refused(call('run_Crafter.sh', 'NOTHING_LIKE_IT=1', DRY_RUN='1'))
  assert '--help lists them' in line


def test_stages_hear_of_the_settings_of_others(tmp_path):
  given = {'DRY_RUN': '1', 'LOGDIR': str(tmp_path), 'LAYER': 'enc'}
  assert 'did you mean LAYERS?' in refused(call('run_Tuning.sh', **given))
  done = call('run_Loop.sh', **given)
  assert done.returncode == 0, done.stderr
  assert '--layer enc ' in done.stdout


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


@pytest.mark.parametrize('script', ['run_Loop.sh', 'demo_train.sh'])
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
  assert '--method classification' in alone
  assert '--n_cv_folds' not in alone
  folds = dict(LOGDIR='x', DRY_RUN='1', HOLDOUT_FRAC='0', N_CV_FOLDS='4')
  across = call('run_LayerDecoding.sh', cwd=tmp_path, **folds).stdout
  assert '--holdout_frac 0 --n_cv_folds 4' in across
  only = call('run_LayerDecoding.sh', cwd=tmp_path, **given, FROM_MODEL='m')
  words = shlex.split(only.stdout)
  assert words[words.index('--from_model') + 1] == 'm'
  # decode_position.py refuses these beside it.
  assert not {'--control', '--test_data', '--save_model', '--device'} & {*words}
  assert not {'--holdout_frac', '--n_cv_folds', '--max_samples', '--method'} & {*words}
  ridge = call('run_Decoding.sh', LOGDIR='x', DRY_RUN='1', METHOD='ridge').stdout
  assert '--method ridge' in ridge


# ---------------------------------------------------------------------------
# Which code runs, whatever the environment says
# ---------------------------------------------------------------------------

FAKE_SBATCH = """#!/bin/bash
printf '%s\\n' "$@" >>"$FAKE/sbatch"
env >"$FAKE/env"
echo 7
"""
FAKE_SCONTROL = """#!/bin/bash
[ "$1" = show ] || { echo "$@" >>"$FAKE/scontrol"; exit; }
printf 'JobId=7 JobName=x\\n   BatchFlag=%s\\n   Command=%s\\n' "$BATCH" "$COMMAND"
"""


@pytest.fixture
def cluster(tmp_path):
  """Two clones, a folder without code, and stand-ins of sbatch and scontrol."""
  for name in ('ours', 'other'):
    clone = tmp_path / name
    clone.mkdir()
    (clone / 'slurm').symlink_to(ROOT / 'slurm')
    for path in (*ROOT.glob('run_*.sh'), *ROOT.glob('demo*.sh')):
      shutil.copy(path, clone)
    python = clone / '.venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    told = 'echo "path $PYTHONPATH$PYTHONHOME"'
    python.write_text(f'#!/bin/sh\necho {name} "$1"\n{told}\nexit ${{CODE:-0}}\n')
    python.chmod(0o755)
  (tmp_path / 'elsewhere').mkdir()
  spool = tmp_path / 'spool' / 'job00007'
  spool.mkdir(parents=True)
  shutil.copy(ROOT / 'run_Plotting.sh', spool / 'slurm_script')
  tools = tmp_path / 'tools'
  tools.mkdir()
  for name, text in (('sbatch', FAKE_SBATCH), ('scontrol', FAKE_SCONTROL)):
    (tools / name).write_text(text)
    (tools / name).chmod(0o755)
  return tmp_path


def run_in(cluster, script, *argv, cwd='elsewhere', **settings):
  env = {
    'PATH': f'{cluster / "tools"}:{os.environ["PATH"]}',
    'FAKE': str(cluster),
    'COMMAND': '(null)',
    'BATCH': '1',
    'LOGDIR': 'my_run',
  }
  given = {k: v.replace('<tmp>', str(cluster)) for k, v in {**env, **settings}.items()}
  return start('bash', cluster / script, *argv, cwd=cluster / cwd, env=given)


REDIRECTS = {
  'none': {},
  'ROOT': {'ROOT': '<tmp>/other', 'SELF': 'demo.sh', 'HERE': '<tmp>/other/'},
  'interactive session': {'SLURM_JOB_ID': '7', 'SLURM_SUBMIT_DIR': '<tmp>/other'},
  'session elsewhere': {'SLURM_JOB_ID': '7', 'SLURM_SUBMIT_DIR': '<tmp>/elsewhere'},
  'job of another': {'SLURM_JOB_ID': '7', 'COMMAND': '<tmp>/other/run_Plotting.sh'},
  'CDPATH': {'CDPATH': '<tmp>/other:<tmp>', 'OLDPWD': '<tmp>/other'},
  'PYTHONPATH': {'PYTHONPATH': '<tmp>/other', 'PYTHONHOME': '<tmp>/other'},
  'GIT_DIR': {'GIT_DIR': '<tmp>/other/.git', 'GIT_WORK_TREE': '<tmp>/other'},
  'BASH_ENV': {'BASH_ENV': '<tmp>/other/rc'},
}


@pytest.mark.parametrize('name', REDIRECTS)
def test_the_code_beside_the_script_runs(cluster, name):
  (cluster / 'other' / 'rc').write_text(f'export ROOT={cluster}/other\ncd() {{ :; }}\n')
  for cwd in ('ours', 'elsewhere', 'other'):
    done = run_in(cluster, 'ours/run_Plotting.sh', cwd=cwd, **REDIRECTS[name])
    assert done.returncode == 0, done.stderr
    lines = [x for x in done.stdout.splitlines() if x.startswith(('ours ', 'other '))]
    assert {x.split()[0] for x in lines} == {'ours'}, done.stdout
    assert {x for x in done.stdout.splitlines() if x[:5] == 'path '} == {'path '}
    prefix = '' if cwd == 'ours' else f'{cluster}/ours/'
    assert f'ours {prefix}dreamerv3/plot_trajectories.py' in lines


def test_a_link_to_a_script_runs_the_code_it_points_to(cluster):
  (cluster / 'elsewhere' / 'plot').symlink_to(cluster / 'ours' / 'run_Plotting.sh')
  done = run_in(cluster, 'elsewhere/plot')
  assert f'ours {cluster}/ours/dreamerv3/plot_trajectories.py' in done.stdout


SPOOLED = 'spool/job00007/slurm_script'


@pytest.mark.parametrize(
  ('command', 'submitted', 'runs'),
  [
    ('<tmp>/ours/run_Plotting.sh', '<tmp>/elsewhere', 'ours'),
    ('<tmp>/ours/run_Plotting.sh LOGDIR=x', '<tmp>/other', 'ours'),
    ('(null)', '<tmp>/ours', 'ours'),
    ('<tmp>/elsewhere/my_copy.sh', '<tmp>/ours', 'ours'),
  ],
)
def test_a_spooled_copy_finds_the_code_it_was_submitted_from(
  cluster, command, submitted, runs
):
  job = {'SLURM_JOB_ID': '7', 'COMMAND': command, 'SLURM_SUBMIT_DIR': submitted}
  done = run_in(cluster, SPOOLED, ROOT='<tmp>/other', **job)
  assert done.returncode == 0, done.stderr
  assert f'{runs} {cluster}/{runs}/dreamerv3/plot_trajectories.py' in done.stdout


@pytest.mark.parametrize('script', [SPOOLED, 'elsewhere/run_Plotting.sh'])
def test_a_script_without_its_code_says_so(cluster, script):
  shutil.copy(ROOT / 'run_Plotting.sh', cluster / 'elsewhere')
  job = {'SLURM_JOB_ID': '7', 'SLURM_SUBMIT_DIR': '<tmp>/elsewhere'}
  line = refused(run_in(cluster, script, ROOT='<tmp>/other', **job))
  assert line.startswith('run_Plotting.sh: error: found no code in')


def test_submitting_hands_on_options_and_settings(cluster):
  done = run_in(
    cluster, 'ours/run_Crafter.sh', '--array=0-4', 'STEPS=7', SUBMIT='1', SIZE='size1m'
  )
  assert done.stdout == '7\n', done.stderr
  words = (cluster / 'sbatch').read_text().splitlines()
  assert '--array=0-4' in words
  assert '--export=ALL' in words
  assert words[-1] == f'{cluster}/ours/run_Crafter.sh'
  env = (cluster / 'env').read_text().splitlines()
  assert {'STEPS=7', 'SIZE=size1m', 'SUBMIT=0'} <= {*env}
  assert not list((cluster / 'elsewhere').iterdir())


def test_a_chain_submits_our_scripts_and_takes_no_options(cluster):
  done = run_in(cluster, 'ours/run_Loop.sh', CHAIN='1', ROOT='<tmp>/other')
  assert done.returncode == 0, done.stderr
  words = (cluster / 'sbatch').read_text().splitlines()
  scripts = [x for x in words if x.endswith('.sh')]
  assert len(scripts) == 7
  assert all(x.startswith(f'{cluster}/ours/') for x in scripts)
  line = refused(run_in(cluster, 'ours/run_Loop.sh', '--x', CHAIN='1', SUBMIT='1'))
  assert 'SITE_OPTIONS' in line


@pytest.mark.parametrize(('batch', 'code'), [('1', 0), ('0', 75)])
def test_only_a_batch_job_is_requeued(cluster, batch, code):
  job = {'SLURM_JOB_ID': '7', 'BATCH': batch, 'CODE': '75'}
  python = cluster / 'ours' / '.venv' / 'bin' / 'python'
  python.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\nexit 75\n')
  done = run_in(cluster, 'ours/run_Crafter.sh', **job)
  assert done.returncode == code, done.stderr
  assert (cluster / 'scontrol').exists() == (batch == '1')


@pytest.mark.parametrize(('sent', 'requeued'), [('TERM', False), ('USR1', True)])
def test_a_job_that_was_cancelled_does_not_come_back(cluster, sent, requeued):
  python = cluster / 'ours' / '.venv' / 'bin' / 'python'
  # The job ends by its own hand: SLURM signals the shell of the script.
  python.write_text(
    '#!/bin/sh\n[ "$1" = -c ] && exit 0\n'
    f'trap "exit 75" TERM USR1\nkill -{sent} $PPID\nwhile :; do sleep 0.1; done\n'
  )
  done = run_in(cluster, 'ours/run_Crafter.sh', SLURM_JOB_ID='7', BATCH='1')
  assert done.returncode == (0 if requeued else 75), done.stderr
  assert (cluster / 'scontrol').exists() == requeued


def test_sbatch_needs_no_folder_that_a_fresh_clone_lacks():
  for path in ROOT.glob('run_*.sh'):
    (output,) = re.findall(r'^#SBATCH --output=(.*)$', path.read_text(), re.M)
    assert '/' not in output, path


def test_all_scripts_find_their_code_alike():
  starts = set()
  for path in ROOT.glob('run_*.sh'):
    text = path.read_text()
    start = text[text.index('set -euo') : text.index('# Settings')]
    assert f'SELF={path.name}\n' in start
    starts.add(start.replace(path.name, ''))
  assert len(starts) == 1
