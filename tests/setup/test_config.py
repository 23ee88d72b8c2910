"""Stacking of presets and flags, and what is said about wrong ones."""

import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.setup import config, help, rules

BLOCKS = config.read_blocks()

# Preset: deter, hidden, classes, depth, units; deter = 8 units, depth = 1/16.
SIZES = {
  'size1m': 64,
  'size12m': 256,
  'size25m': 384,
  'size50m': 512,
  'size100m': 768,
  'size200m': 1024,
  'size400m': 1536,
}


def settle(*argv):
  return config.stack(BLOCKS, config.parse_flags(argv))


def test_defaults_are_those_of_size200m():
  assert settle().flat == settle('--configs', 'size200m').flat


@pytest.mark.parametrize(('name', 'units'), SIZES.items())
def test_sizes(name, units):
  agent = settle('--configs', name).agent
  rssm = agent.dyn.rssm
  assert (rssm.deter, rssm.hidden, rssm.classes) == (
    8 * units,
    units,
    units // 16,
  )
  for net in (agent.enc.simple, agent.dec.simple):
    assert (net.depth, net.units) == (units // 16, units)
  for head in (agent.rewhead, agent.conhead, agent.policy, agent.value):
    assert head.units == units


def test_every_preset_applies_and_is_sane():
  for name in BLOCKS:
    if name != 'defaults':
      rules.check(settle('--configs', name))


def test_crafter_small():
  found = settle('--configs', 'crafter_small', 'size12m')
  assert found.task == 'crafter_reward'
  assert found.env.crafter.area == (32, 32)
  assert found.run.steps == 1.1e6
  assert found.run.envs == 1
  assert found.run.train_ratio == 512
  assert settle('--configs', 'crafter').env.crafter.area == (64, 64)


def test_presets_apply_from_left_to_right_and_flags_last():
  one = settle('--configs', 'size1m', 'size12m')
  other = settle('--configs=size12m,size1m')
  assert one.agent.policy.units == 256
  assert other.agent.policy.units == 64
  over = settle('--agent.policy.units', '7', '--configs', 'size12m')
  assert over.agent.policy.units == 7
  assert over.agent.value.units == 256


def test_debug_reaches_every_net():
  agent = settle('--configs', 'size12m', 'debug').agent
  assert agent.dyn.rssm.deter == 8
  assert agent.dyn.rssm.imglayers == 2
  assert agent.dec.simple.bspace == 8
  assert agent.rewhead.bins == agent.value.bins == 5


def test_casts():
  found = settle(
    '--batch_size',
    '1e1',
    '--run.steps',
    '5',
    '--seed',
    '9007199254740993',
    '--env.crafter.logs',
    'True',
    '--env.crafter.area',
    '8,9',
    '--env.crafter.size',
    '16',
    '32',
    '--method=a=b',
  )
  assert found.batch_size == 10
  assert isinstance(found.batch_size, int)
  assert isinstance(found.run.steps, float)
  assert found.seed == 9007199254740993
  assert found.env.crafter.logs is True
  assert found.env.crafter.area == (8, 9)
  assert found.env.crafter.size == (16, 32)
  assert found.method == 'a=b'


def test_regex_matches_whole_keys_and_plus_appends():
  found = settle(r'--agent\..*\.units', '12', '--jax.train_devices+', '1')
  assert found.agent.policy.units == found.agent.enc.simple.units == 12
  assert found.jax.train_devices == (0, 1)
  with pytest.raises(UserError, match='Unknown flag'):
    settle(r'--.*\.unit', '12')  # a prefix of keys is not enough


@pytest.mark.parametrize(
  ('argv', 'message'),
  [
    (['--run.stepz', '1'], r'nearest: --run\.steps'),
    (['--train_ratio', '1'], r'nearest: --run\.train_ratio'),
    (
      ['--script', 'eval_trajectory', '--num_episodes', '3'],
      r'nearest: --eval_trajectory\.num_episodes',
    ),
    (
      ['--num_episodes', '3', '--script', 'dream_decode'],
      r'nearest: --dream_decode\.num_episodes',
    ),
    (['--configs', 'crafter_smal'], 'nearest: crafter_small'),
    (['--configs', 'defaults'], 'Unknown preset'),
    (['--batch_size', '1.5'], "takes int, got '1.5'"),
    (['--batch_size', 'inf'], 'takes int'),
    (['--batch_size', '1', '2'], 'takes one value'),
    (['--env.crafter.logs', 'yes'], r'True or False, .* \(now False\)'),
    (['--env.crafter.logs', 'true'], r"got 'true' \(write True\)"),
    (['--run.steps', 'many'], 'takes float'),
    (['--env.crafter.area', '1,x'], 'takes int'),
    (['--seed'], 'needs a value'),
    (['stray'], 'before any flag'),
    (['--agent.opt', '1'], 'is a group of flags'),
    (['--run.actor_batch', '1'], 'published agent'),
    (['--(', '1'], 'not a regular expression'),
  ],
)
def test_mistakes_name_their_remedy(argv, message):
  with pytest.raises(UserError, match=message) as caught:
    settle(*argv)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  ('argv', 'message'),
  [
    ('--batch_size 0', '--batch_size is 0; expected above 0'),
    ('--run.envs -1', 'above 0'),
    ('--jax.coordinator_address node1', 'is node1; expected host:port'),
    ('--run.envs 1e9', 'at most 10000'),
    ('--replay.chunksize 1e15', 'at most 1048575'),
    ('--run.steps nan', 'above 0'),
    ('--jax.platform tpu', 'one of auto, cpu'),
    ('--jax.compute_dtype int8', 'bfloat16'),
    ('--logger.outputs jsonl scope', 'jsonl, tensorboard, wandb'),
    ('--logger.filter (', 'a regular expression'),
    ('--replay.fracs.recency 0.5', 'add up to 1.5'),
    ('--run.ckpt_keep 5 -1', 'steps above 0'),
    ('--report_length 100', 'at most'),
    ('--jax.train_devices 0 1 2', 'multiple of the 3'),
    ('--replicas 3', 'multiple of the 1 train devices in each of 3 processes'),
    ('--replica 1', 'less than --replicas'),
    ('--task crafter', 'crafter_reward'),
    ('--eval_trajectory.dtype float64', 'float16, float32'),
    ('--env.crafter.area 0 9', 'above 0'),
    ('--configs crafter multicpu', 'run.envs is 1; .* the 2 --jax.policy_dev'),
    ('--configs multicpu --script train_eval --run.eval_envs 3', 'eval_envs'),
    ('--consec_report 3 --report_length 5 --batch_length 10', 'is 15; .* = 10'),
    ('--run.steps inf', 'finite'),
    ('--replay.size inf', 'finite'),
    ('--agent.opt.lr inf', 'finite'),
    ('--report_length 1', 'at least 2'),
    ('--batch_length 1 --report_length 1', 'at least 2'),
    ('--agent.imag_last 1', '0 or at least 2'),
    ('--jax.train_devices 0 0', 'each device once'),
    ('--agent.policy_dist_disc binary', 'categorical, onehot'),
    ('--agent.policy_dist_cont mse', 'bounded_normal'),
    ('--agent.conhead.output mse', 'one of binary'),
    ('--agent.value.output categorical', 'symexp_twohot, symlog_mse, mse'),
    ('--jax.enable_policy False', 'every script acts'),
  ],
)
def test_values_out_of_range(argv, message):
  with pytest.raises(UserError, match=message):
    rules.check(settle(*argv.split()))


def test_timestamp_and_home():
  found = config.fill_logdir(settle('--logdir', '~/a/{timestamp}')).logdir
  assert not found.startswith('~')
  assert len(found.rpartition('/')[2]) == len('20260129T183613')
  with pytest.raises(UserError, match='--logdir is empty'):
    config.fill_logdir(settle('--logdir', ''))


def test_help_by_topic():
  def ask(*topics):
    text = config.CONFIGS.read_text()
    return help.help_text(text, {'train': 'Trains.'}, BLOCKS, topics).splitlines()

  lines = ask('env.crafter')
  assert lines
  assert all(x.startswith('  --env.crafter.') for x in lines)
  assert ask('--env')[0].startswith('  --env.')
  assert ask('seed', 'scripts') == [ask('seed')[0], 'scripts:', '  train  Trains.']
  assert any('size12m' in x for x in ask('presets'))
  with pytest.raises(UserError, match=r"no topic 'agnt' \(nearest: agent\); known: "):
    ask('agnt')


def test_help_names_every_flag_and_takes_comments_from_the_file():
  text = help.help_text(config.CONFIGS.read_text(), {'train': 'Trains.'}, BLOCKS)
  for key in settle().flat:
    assert f'--{key} ' in text
  for name in BLOCKS:
    assert name == 'defaults' or f'  {name} ' in text
  comments = help.read_comments(config.CONFIGS.read_text())
  assert comments['run.steps'] == 'environment steps, of each process'
  assert set(comments) <= set(settle().flat) | {'replay.fracs', 'run.usage'}
