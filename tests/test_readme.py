"""The README is true: its flags exist, all flags are in it, commands run."""

import importlib
import os
import pathlib
import re
import shlex
import sys

import pytest

from dreamerv3.base import flags
from dreamerv3.run_info.chain import trace
from tests import cli
from tests.studies import fakes

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text()
CLUSTER = (ROOT / 'docs/cluster.md').read_text()
SCRIPTS = (
  'analyze_tuning',
  'blind_steps',
  'compare_conditions',
  'dashboard',
  'export_nwb',
  'decode_position',
  'manifold_analysis',
  'tuning_curve',
  'plot_trajectories',
  'plot_dreams',
  'plot_training',
  'report',
  'summarize',
  'origin',
  'over_training',
  'study',
)

# The README's commands with budgets of seconds. What is not named here runs as
# it stands.
SMALLER = {
  'size25m': 'debug',
  '--eval_trajectory.num_episodes 100': '--eval_trajectory.num_episodes 4',
  '--run.steps 6000': '--run.steps 100',
}
MORE = {
  'my_run --env.crafter.random_spawn': '--run.steps 400 --run.train_ratio 4',
  'tuning_curve.py': '--n_shuffles 20',
  'manifold_analysis.py': '--n_shuffles 20 --max_wake_samples 300',
  'dream_decode': '--dream_decode.num_batches 1',
}


def commands():
  """Every Python command of the README, in its order, on one line each."""
  for block in re.findall(r'```bash\n(.*?)```', README, re.DOTALL):
    for line in block.replace('\\\n', ' ').splitlines():
      line = ' '.join(line.split())
      if re.match(r'(\w+=\S* )*python ', line):
        yield line


def main_flags():
  done = cli.script('main', '--help')
  return set(re.findall(r'^  --(\S+)', done.stdout, re.MULTILINE))


def script_flags(name):
  module = importlib.import_module(f'dreamerv3.{name}')
  parser = flags.make_parser(flags.settings_of(module))
  return {x.lstrip('-') for x in parser._option_string_actions}


def test_tables_of_flags_are_those_of_the_parsers():
  done = cli.python('docs/flags.py', '--check')
  assert done.returncode == 0, 'run python docs/flags.py'
  page = (ROOT / 'docs' / 'commands.md').read_text()
  named = set(re.findall(r'<!-- flags (\w+) -->', page))
  modes = {'eval_trajectory', 'replay_activations', 'dream_decode'}
  assert named == {*SCRIPTS, *modes, 'figures', 'recordings'}


def test_every_flag_in_the_readme_exists():
  known = main_flags().union(*(script_flags(x) for x in SCRIPTS))
  known |= {'script', 'array', 'time', 'configs'}
  text = README.replace("'--agent\\..*\\.act'", '')
  used = set(re.findall(r'(?<![\w-])--([A-Za-z_][\w.]*)', text))
  assert used <= known, used - known


def test_cluster_settings_are_those_of_the_scripts():
  rows = re.findall(r'^\| `(run_\w+\.sh)` \|.*\| (.*) \|$', CLUSTER, re.M)
  assert {x for x, _ in rows} == {x.name for x in ROOT.glob('run_*.sh')}
  for row in rows:
    text = (ROOT / row[0]).read_text()
    have = set(re.findall(r'^(?:export )?([A-Z_]+)=\$\{\1:', text, re.M))
    told = set(re.findall(r'\b[A-Z_]{2,}\b', row[1].partition(', and')[0]))
    assert told == have - {'EXTRA', 'ROOT'}, row[0]


def test_the_readme_is_read_in_ten_minutes():
  assert len(README.split()) <= 2200, 'details belong into docs/'


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_commands_run_in_order(tmp_path):
  """What a newcomer does: one command after the other, in one folder."""
  for name in ('agents', 'dreamerv3', 'embodied'):
    (tmp_path / name).symlink_to(ROOT / name)
  # As large as the others; everything else of it is real.
  (tmp_path / 'docs').mkdir()
  (tmp_path / 'docs' / 'study_example.yaml').write_text(fakes.TINY)
  seen = []
  for line in commands():
    for old, new in SMALLER.items():
      line = line.replace(old, new)
    for part, extra in MORE.items():
      if part in line:
        line += ' ' + extra
    words = shlex.split(line)
    # All that is printed and read has to do without Unicode.
    env = {**os.environ, 'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
    while '=' in words[0]:
      name, _, value = words.pop(0).partition('=')
      env[name] = value
    # As a user has it: the tests' strict numerics stay in the tests.
    for name in ('JAX_NUMPY_RANK_PROMOTION', 'JAX_NUMPY_DTYPE_PROMOTION'):
      env.pop(name, None)
    words[0] = sys.executable
    done = cli.start(*words, cwd=tmp_path, env=env, timeout=1800)
    assert done.returncode == 0, f'{line}\n{done.stdout}\n{done.stderr}'
    seen.append(line)
  assert len(seen) >= 13
  run = tmp_path / 'logdir' / 'my_run'
  for path in (
    'trajectories/all_episodes.pkl',
    'decoder_results/classifier_deter.pkl',
    'layer_results/layer_comparison.png',
    'tuning_results/units.csv',
    'dream_results/dream_vs_real.png',
    'plots/training_progress.png',
  ):
    assert (run / path).exists(), path
  assert (run.parent / 'study_example' / 'report' / 'summary.csv').exists()
  # From a figure back to the settings of the training run.
  steps = trace(run / 'dream_results' / 'dream_vs_real.png')
  stages = {x.entry.stage: x.entry for x in steps if x.entry}
  assert {*stages} == {
    'dream_decode',
    'decode_position',
    'eval_trajectory',
    'replay_activations',  # the control
    'train',
  }
  assert run / 'config.yaml' in stages['train'].outputs
