"""The command as users type it: help, mistakes, scripts, files of a run."""

import inspect
import json
import os
import pathlib
import resource

import pytest

from dreamerv3 import main
from dreamerv3.base.errors import UserError
from dreamerv3.run_info.chain import trace
from dreamerv3.setup import config, make
from embodied.core.random_agent import RandomAgent
from embodied.run import checkpoint
from tests import cli

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Collects steps without learning: everything but the agent, in seconds.
QUICK = (
  '--task dummy_disc --random_agent True --run.steps 300 --run.envs 2 '
  '--env.dummy.length 50 --batch_size 2 --batch_length 5 --report_length 5 '
  '--run.usage.nvsmi False'
)
DEBUG = ['--configs', 'debug', '--task', 'dummy_disc', '--jax.platform', 'cpu']


def call(*argv, **kwargs):
  return cli.script('main', *argv, **kwargs)


@pytest.mark.parametrize('name', main.SCRIPTS)
def test_every_script_takes_what_it_is_given(name):
  script = main.SCRIPTS[name]
  takes = inspect.signature(script.resolve()).parameters
  assert [*takes] == [*(f'make_{x}' for x in script.needs), script.gives]


def test_needs_are_factories():
  for script in main.SCRIPTS.values():
    assert set(script.needs) <= set(make.FACTORIES)
    assert script.gives in ('args', 'config')


def test_help_lists_scripts_presets_and_flags():
  done = call('--help', cwd='/')
  assert done.returncode == 0
  for word in (*main.SCRIPTS, 'crafter_small', 'size400m', '--run.train_ratio'):
    assert word in done.stdout


def test_without_arguments_nothing_is_trained(tmp_path):
  done = call(env={**os.environ, 'HOME': str(tmp_path)})
  assert done.returncode == 2
  assert 'usage:' in done.stderr
  assert '--configs crafter_small' in done.stderr
  assert done.stderr.count('\n') < 15
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
  ('argv', 'message'),
  [
    (['--run.stepz', '1'], 'nearest: --run.steps'),
    (['--configs', 'size2m'], "Unknown preset 'size2m'"),
    (['--script', 'eval_trajectoy'], 'nearest: eval_trajectory'),
    (['--batch_size', '0'], 'expected above 0'),
    (['--script', 'eval_only', '--logdir', '/nowhere'], 'no config.yaml'),
    (
      ['--logdir', '/proc/nowhere', *QUICK.split()],
      'Cannot write to /proc/nowhere',
    ),
    (['--task', 'atari_pong', '--logdir', '{tmp}'], "environment 'atari'"),
    (
      [
        '--task',
        'crafter_reward',
        '--env.crafter.egocentric_view',
        '4',
        '--logdir',
        '{tmp}',
      ],
      'egocentric_view',
    ),
    (
      ['--run.from_checkpoint', '{tmp}/none', '--logdir', '{tmp}', *QUICK.split()],
      'There is no',
    ),
    ([*DEBUG, '--agent.dyn.rssm.act', 'foo', '--logdir', '{tmp}'], "'foo'"),
    (
      [*DEBUG, '--agent.dyn.rssm.deter', '12', '--logdir', '{tmp}'],
      'The agent cannot be made',
    ),
    (
      [*DEBUG, '--jax.train_devices', '3', '--logdir', '{tmp}'],
      'devices [3]: this process sees 1',
    ),
  ],
)
def test_mistakes_are_one_line_and_exit_code_2(argv, message, tmp_path):
  argv = [x.replace('{tmp}', str(tmp_path)) for x in argv]
  # What asks jax for devices has to be the first in its process.
  apart = '--jax.platform' in argv
  done = call(*argv) if apart else cli.inside(main.main, *argv)
  refuses(done, message, tmp_path)


def refuses(done, message, tmp_path):
  assert done.returncode == 2, done.stderr
  assert message in done.stderr
  assert done.stderr.count('\n') == 1
  assert 'Traceback' not in done.stderr
  assert not list(tmp_path.iterdir())  # nothing half-written


def test_cuda_without_a_gpu_names_the_way_out(tmp_path):
  env = {**os.environ, 'CUDA_VISIBLE_DEVICES': ''}
  done = call('--jax.platform', 'cuda', '--logdir', tmp_path, env=env)
  assert done.returncode == 2
  assert '--jax.platform cpu' in done.stderr
  assert done.stderr.count('\n') == 1
  assert not list(tmp_path.iterdir())


def test_a_run_leaves_its_files_and_its_rerun_adds_none(tmp_path):
  argv = [*QUICK.split(), '--logdir', tmp_path / 'run']
  done = call(*argv)
  assert done.returncode == 0, done.stderr
  run = tmp_path / 'run'
  names = {x.name for x in run.iterdir() if not x.name.startswith(('.', 'ev'))}
  assert names == {
    'config.yaml',
    'run_info.json',
    'ckpt',
    'replay',
    'metrics.jsonl',
    'scores.jsonl',
  }
  assert list(run.glob('events.out.tfevents.*'))
  (entry,) = json.loads((run / 'run_info.json').read_text())
  assert entry['stage'] == 'train'
  assert entry['args']['run.steps'] == 300
  assert 'scores.jsonl' in entry['outputs']
  assert entry['status'] == 'done'
  scores = (run / 'scores.jsonl').read_text()
  # 2 environments, 150 steps each, episodes of 51.
  assert len([x for x in scores.splitlines() if 'episode/score' in x]) == 4
  again = call(*argv)
  assert again.returncode == 0
  assert 'Nothing to do: 300 steps are done.' in again.stdout
  assert (run / 'scores.jsonl').read_text() == scores
  more = call(*argv, '--run.steps', '400')
  assert more.returncode == 0
  assert 'Changed since this run began: run.steps 300.0 -> 400.0' in more.stdout
  assert 'Continuing at step 300' in more.stdout
  entries = json.loads((run / 'run_info.json').read_text())
  assert entries[-1]['extra']['changed'] == {'run.steps': [300.0, 400.0]}


@pytest.mark.parametrize('limit', [1000, 20_000])
def test_a_full_disk_is_one_line_and_the_run_goes_on_later(limit, tmp_path):
  argv = [*QUICK.split(), '--logdir', tmp_path]
  assert call(*argv).returncode == 0
  before = checkpoint.find(tmp_path)

  def full() -> None:  # files cannot grow beyond the limit, as on a quota
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

  argv += ['--run.steps', '9000', '--run.log_every', '-1']
  done = call(*argv, preexec_fn=full)
  assert done.returncode == 1
  assert 'Traceback' not in done.stderr
  last = done.stderr.splitlines()[-1]
  assert 'File too large' in last
  assert 'run the same command again' in last
  assert checkpoint.find(tmp_path) == before
  for name in ('step', 'agent', 'replay', 'run'):
    checkpoint.read(before / f'{name}.pkl')
  done = call(*argv, '--run.steps', '400')
  assert done.returncode == 0, done.stderr
  assert 'Continuing at step 300' in done.stdout
  logged = (tmp_path / 'metrics.jsonl').read_text().splitlines()
  steps = [json.loads(x)['step'] for x in logged]
  assert steps == sorted(steps)


def test_a_loss_that_is_not_finite_is_one_line(tmp_path, monkeypatch, capfd):
  """The first checkpoint stays, and the same command goes on from it."""
  learn = RandomAgent.train
  argv = [*QUICK.split(), '--logdir', str(tmp_path)]
  calls = []

  def train(self, carry, data):
    calls.append(1)
    if len(calls) == 20:
      raise FloatingPointError('loss/dyn, loss/rep not finite at update 19')
    return learn(self, carry, data)

  with monkeypatch.context() as patch:
    patch.setattr(RandomAgent, 'train', train)
    with pytest.raises(SystemExit) as left:
      main.main(argv)
  assert left.value.code == 1
  (line,) = [x for x in capfd.readouterr().err.splitlines() if 'finite' in x]
  assert 'error: loss/dyn, loss/rep not finite at update 19, step ' in line
  assert f'nothing was saved since. The checkpoint in {tmp_path / "ckpt"} is' in line
  assert 'a lower --agent.opt.lr (now 4e-05)' in line
  assert checkpoint.step_of(checkpoint.find(tmp_path)) == 0
  main.main(argv)
  assert checkpoint.step_of(checkpoint.find(tmp_path)) == 300


@pytest.mark.parametrize(
  ('script', 'advice'), [('train', 'smaller --batch_size'), ('eval_only', 'fewer')]
)
def test_memory_that_a_device_lacks_is_one_line(monkeypatch, capsys, script, advice):
  def launch(*_):
    raise RuntimeError('RESOURCE_EXHAUSTED: Out of memory, 9 bytes.\nFrames:')

  monkeypatch.setattr(main, 'launch', launch)
  settled = config.stack(config.read_blocks(), {'script': [script]})
  assert main.attempt(settled) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert 'error: RESOURCE_EXHAUSTED: Out of memory, 9 bytes. No file' in line
  assert advice in line


def test_a_checkpoint_that_does_not_fit_is_one_line(monkeypatch):
  def launch(*_):
    raise checkpoint.CheckpointError('it does not fit\nmissing (1): a')

  monkeypatch.setattr(main, 'launch', launch)
  with pytest.raises(UserError, match=r'^it does not fit; missing \(1\): a$'):
    main.attempt(config.stack(config.read_blocks(), {}))


def test_eval_only_from_a_logdir_alone(tmp_path):
  argv = [*QUICK.split(), '--logdir', tmp_path]
  assert call(*argv).returncode == 0
  before = {x.name: x.read_bytes() for x in tmp_path.glob('*.*')}
  done = call(
    '--logdir',
    tmp_path,
    '--script',
    'eval_only',
    '--run.steps',
    '200',
    '--random_agent',
    'True',
    '--run.envs',
    '1',
  )
  assert done.returncode == 0, done.stderr
  assert 'Settings of agent, env, task and seed from' in done.stdout
  assert (tmp_path / 'eval_only/scores.jsonl').read_text().count('\n') == 3
  evaluated, trained = trace(tmp_path / 'eval_only' / 'scores.jsonl')
  assert evaluated.entry
  assert (evaluated.entry.stage, evaluated.entry.status) == ('eval_only', 'done')
  assert trained.entry
  assert (trained.entry.stage, trained.path) == ('train', checkpoint.find(tmp_path))
  for name, data in before.items():
    assert (tmp_path / name).read_bytes() == data, name


def test_replica_from_the_cluster(monkeypatch):
  flags, blocks = config.parse_flags(['--replicas', '2']), config.read_blocks()
  monkeypatch.setenv('JOB_COMPLETION_INDEX', '')
  monkeypatch.setenv('SLURM_PROCID', '1')
  assert main.resolve(flags, blocks)[0].replica == 1
  monkeypatch.setenv('JOB_COMPLETION_INDEX', 'first')
  with pytest.raises(UserError, match="JOB_COMPLETION_INDEX is 'first'.* --replica"):
    main.resolve(flags, blocks)


def test_training_loads_no_analysis():
  tops = cli.loaded(
    'import dreamerv3.main, dreamerv3.setup.make, embodied.run.train, dreamerv3.agent'
  )
  assert not tops & {'torch', 'sklearn', 'pynapple', 'matplotlib', 'pandas'}
