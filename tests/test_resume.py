"""The real agent continues exactly, and refuses what cannot continue."""

import json

import numpy as np
import pytest

from dreamerv3 import main
from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.setup import config, make, rundir
from embodied.core.compact import ClassIndex
from embodied.run import checkpoint
from embodied.run.train import train

BLOCKS = config.read_blocks()

# Episodes of 10 steps: they end at steps 40 and 80 of two environments, where
# a restart changes no observation.
SMALL = (
  '--configs debug --task dummy_disc --env.dummy.length 9 --batch_size 2 '
  '--batch_length 5 --run.envs 2 --run.train_ratio 4 --agent.imag_length 3 '
  '--jax.debug False --run.save_every 0 --run.report_every 0 '
  '--run.log_every 0 --logger.outputs jsonl'
)


def settle(*argv):
  return config.stack(BLOCKS, config.parse_flags([*SMALL.split(), *argv]))


def run(logdir, steps, *argv, whole_latents=False):
  settled = settle('--logdir', str(logdir), '--run.steps', str(steps), *argv)
  names = ('replay', 'env', 'stream', 'logger')
  made = []

  def agent():
    made.append(make.make_agent(settled))
    return made[0]

  replay, env, stream, logger = (make.factory(x, settled) for x in names)
  args = make.run_args(settled)
  if whole_latents:  # of each step, in float32

    def replay(*place):
      kept = make.make_replay(settled, *place)
      assert kept._files
      kept._forms = kept._files.forms = {'dyn/stoch': OneHotVectors(4)}
      return kept

  assert train(agent, replay, env, stream, logger, args) == 0
  return made[0].save()


class OneHotVectors(ClassIndex):
  """One-hot vectors as they are, of classes too."""

  def row(self, shape):
    return shape, np.dtype(np.float32)

  def pack(self, values):
    return np.eye(self.classes, dtype=np.float32)[super().pack(values)]

  def unpack(self, kept):
    return kept


@pytest.mark.slow
def test_n_and_n_updates_equal_2n_bit_for_bit(tmp_path):
  ahead = '--jax.prefetch', '2'
  whole = run(tmp_path / 'whole', 80, *ahead, whole_latents=True)
  half = run(tmp_path / 'parts', 40, *ahead)
  parts = run(tmp_path / 'parts', 80, *ahead)
  assert half['counters'] == {'updates': 9, 'batches': 9, 'actions': 20}
  assert parts['counters'] == whole['counters']
  assert whole['counters']['updates'] == 25
  for name, value in whole['params'].items():
    np.testing.assert_array_equal(parts['params'][name], value, name)
  name = 'pol/head/action/logits/kernel'
  assert not np.array_equal(half['params'][name], whole['params'][name])
  # agent.pkl is what the published agent writes: arrays and three counters.
  found = checkpoint.find(tmp_path / 'whole')
  saved = checkpoint.read(found / 'agent.pkl')
  assert set(saved) == {'params', 'counters'}
  assert {x.dtype.name for x in saved['params'].values()} == {
    'float32',
    'int32',
  }


# ---------------------------------------------------------------------------
# What the folder of a run allows
# ---------------------------------------------------------------------------


def begin(logdir, *argv):
  """A run that has got to its first checkpoint."""
  settled = settle('--logdir', str(logdir), *argv)
  with rundir.training(settled):
    (logdir / 'ckpt').mkdir(exist_ok=True)
    (logdir / 'ckpt/latest').write_text('x')
  return (logdir / 'config.yaml').read_bytes()


def test_the_record_is_the_resolved_nested_settings(tmp_path):
  begin(tmp_path, '--agent.opt.lr', '3e-4')
  saved = rundir.read_saved(tmp_path / 'config.yaml')
  settled = settle('--logdir', str(tmp_path), '--agent.opt.lr', '3e-4')
  assert saved == settled.flat
  text = (tmp_path / 'config.yaml').read_text()
  assert text.startswith('agent:\n')


def test_harmless_changes_go_on(tmp_path):
  before = begin(tmp_path)
  settled = settle(
    '--logdir',
    str(tmp_path),
    '--agent.opt.lr',
    '1e-3',
    '--run.steps',
    '7',
    '--logger.fps',
    '3',
    '--script',
    'train_eval',
    '--agent.imag_length',
    '4',
    '--agent.dyn.rssm.free_nats',
    '2',
    '--agent.retnorm.rate',
    '0.1',
    '--agent.loss_scales.rep',
    '1',
    '--env.crafter.logs',
    'True',
    '--env.crafter.area',
    '9',
    '9',  # not its task
  )
  with rundir.training(settled) as changed:
    assert set(changed) == {
      'agent.opt.lr',
      'run.steps',
      'logger.fps',
      'agent.imag_length',
      'agent.dyn.rssm.free_nats',
      'agent.retnorm.rate',
      'agent.loss_scales.rep',
      'env.crafter.logs',
      'env.crafter.area',
    }
    assert changed['agent.opt.lr'] == (4e-5, 1e-3)
  assert (tmp_path / 'config.yaml').read_bytes() == before


@pytest.mark.parametrize(
  'argv',
  [
    '--agent.dyn.rssm.deter 16',
    '--agent.value.units 9',
    '--agent.enc.simple.depth 4',
    '--agent.rewhead.bins 7',
    '--agent.opt.wd 0.1',
    '--task dummy_cont',
    '--env.dummy.size 32 32',
    '--agent.retnorm.impl none',
    # What inference reads in config.yaml, also where shapes stay the same.
    '--seed 1',
    '--env.dummy.length 8',
    '--agent.dyn.rssm.act relu',
    '--agent.policy.minstd 0.2',
    '--agent.policy.unimix 0.1',
    '--agent.enc.simple.symlog False',
    '--agent.contdisc False',
    '--agent.horizon 100',
    # What a checkpoint holds.
    '--replicas 2',
    '--random_agent True',
    '--replay_context 0',
  ],
)
def test_changes_of_the_agent_or_task_are_refused_with_the_list(tmp_path, argv):
  before = begin(tmp_path)
  settled = settle('--logdir', str(tmp_path), *argv.split())
  key = argv.split()[0][2:]
  with (
    pytest.raises(UserError, match='another form') as caught,
    rundir.training(settled),
  ):
    pass
  assert f'({key}: ' in str(caught.value)
  assert f'--run.from_checkpoint {tmp_path}' in str(caught.value)
  assert (tmp_path / 'config.yaml').read_bytes() == before


def test_a_run_that_never_saved_may_start_over(tmp_path):
  with rundir.training(settle('--logdir', str(tmp_path))):
    pass
  other = settle('--logdir', str(tmp_path), '--agent.value.units', '9')
  with rundir.training(other) as changed:
    assert changed == {}
  old = list(tmp_path.glob('config-*.yaml'))
  assert len(old) == 1  # never destroyed
  assert rundir.read_saved(old[0])['agent.value.units'] == 8


def test_every_folder_of_a_run_is_tested_before_it_goes_on(tmp_path, monkeypatch):
  settled = settle('--logdir', str(tmp_path))
  (tmp_path / 'replay').mkdir()
  check = files.check_writable

  def checked(folder):
    if folder == tmp_path / 'replay':
      raise UserError(f'Cannot write to {folder}')
    check(folder)

  monkeypatch.setattr(files, 'check_writable', checked)
  with pytest.raises(UserError, match='replay'), rundir.training(settled):
    pass
  assert [x.name for x in tmp_path.iterdir()] == ['replay']


def test_two_processes_do_not_share_a_folder(tmp_path):
  settled = settle('--logdir', str(tmp_path))
  with (
    rundir.training(settled),
    pytest.raises(UserError, match='Another process trains'),
    rundir.training(settled),
  ):
    pass
  with rundir.training(settled):
    pass


# ---------------------------------------------------------------------------
# What inference takes over
# ---------------------------------------------------------------------------


def resolve(*argv):
  return main.resolve(config.parse_flags(argv), BLOCKS)


def test_inference_precedence(tmp_path):
  flags = '--agent.value.units 9 --seed 5 --env.dummy.length 7'
  before = begin(tmp_path, *flags.split())
  settled, notes = resolve(
    '--logdir',
    str(tmp_path),
    '--script',
    'eval_only',
    '--configs',
    'size1m',
    '--env.dummy.length',
    '3',
  )
  # defaults < presets < the run's agent, env, task and seed < flags
  assert settled.agent.value.units == 9
  assert settled.agent.dyn.rssm.deter == 8
  assert settled.task == 'dummy_disc'
  assert settled.seed == 5
  assert settled.env.dummy.length == 3
  assert settled.batch_size == 16  # not inherited
  assert 'Flags override: env.dummy.length=3' in '\n'.join(notes)
  (vain,) = (x for x in notes if '--configs' in x)
  assert 'agent.dyn.rssm.deter=512 (here 8)' in vain
  other, notes = resolve(
    '--logdir',
    str(tmp_path),
    '--script',
    'eval_only',
    '--seed',
    '42',
    '--configs',
    'debug',
  )
  assert other.seed == 42
  (vain,) = (x for x in notes if '--configs' in x)
  assert vain.endswith(': agent.value.units=8 (here 9)')
  assert (tmp_path / 'config.yaml').read_bytes() == before


def test_the_run_of_the_checkpoint_gives_the_settings(tmp_path):
  begin(tmp_path / 'run', '--seed', '5')
  (tmp_path / 'run/ckpt/20260101T000000F000000').mkdir(parents=True)
  for place in ('ckpt/20260101T000000F000000', 'ckpt', 'ckpt/latest', ''):
    settled, _ = resolve(
      '--logdir',
      str(tmp_path / 'new'),
      '--script',
      'eval_only',
      '--run.from_checkpoint',
      str(tmp_path / 'run' / place),
    )
    assert settled.seed == 5


def test_runs_of_the_published_agent_are_read(tmp_path):
  """Their config.yaml lacks our flags and has sections that we do not know."""
  (tmp_path / 'config.yaml').write_text(
    json.dumps(
      {
        'task': 'crafter_reward',
        'seed': 3,
        'agent': {'dyn': {'rssm': {'deter': 512}}, 'horizon': 333},
        'env': {
          'crafter': {'size': [64, 64], 'logs': False},
          'atari': {'size': [96, 96]},
        },
        'run': {'actor_batch': -1, 'steps': 1100000.0},
        'loop': 'x',
      }
    )
  )
  settled, notes = resolve('--logdir', str(tmp_path), '--script', 'eval_only')
  text = '\n'.join(notes)
  assert settled.agent.dyn.rssm.deter == 512
  assert settled.seed == 3
  assert 'env.crafter.fixed_seed=True' in text
  assert 'Ignored, unknown here: env.atari, loop, run.actor_batch' in text


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('just text', 'holds str'),
    ('a: [', 'Cannot read'),
    ('agent: {horizon: many}', "agent.horizon: 'many'"),
    ('env: {crafter: {size: 64}}', 'env.crafter.size: 64'),
  ],
)
def test_a_broken_record_is_named(tmp_path, text, message):
  (tmp_path / 'config.yaml').write_text(text)
  with pytest.raises(UserError, match=message):
    resolve('--logdir', str(tmp_path), '--script', 'eval_only')


def test_inference_needs_a_record(tmp_path):
  with pytest.raises(UserError, match=r'There is no config\.yaml'):
    resolve('--logdir', str(tmp_path), '--script', 'eval_trajectory')
