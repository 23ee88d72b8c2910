"""What the settings turn into: environments, replay, streams, logs."""

import elements
import numpy as np
import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.base.host import job
from dreamerv3.setup import config, machine, make
from embodied.core import logging
from embodied.core.random_agent import RandomAgent
from embodied.envs.registry import env_seed
from embodied.run.checkpoint import CheckpointError

BASE = '--task dummy_disc --env.dummy.length 5 --batch_size 2 --batch_length 4'


def settle(*argv):
  flags = config.parse_flags([*BASE.split(), *argv])
  return config.stack(config.read_blocks(), flags)


def crafter(*argv, index=0):
  settled = settle('--configs', 'crafter_small', '--task', 'crafter_reward', *argv)
  return make.make_env(settled, index)


def test_each_environment_has_its_seed():
  for index in (0, 3):
    assert crafter('--seed', '7', index=index).env_seed == env_seed(7, index)
  other = crafter('--seed', '7', '--replicas', '2', '--replica', '1')
  # After the training and evaluation environments of the first process.
  assert other.env_seed == env_seed(7, 1 + 4)
  unseeded = [crafter('--env.crafter.use_seed', 'False').env_seed for _ in range(2)]
  assert unseeded[0] != unseeded[1]


def test_flags_reach_crafter():
  env = crafter('--env.crafter.egocentric_view', '7')
  assert env.world_map.shape == (32, 32)


def test_a_resumed_run_plays_the_next_episode():
  settled = settle('--task', 'crafter_reward', '--env.crafter.area', '32,32')
  env = make.make_env(settled, 0, episode=4)
  obs = env.step({'action': np.int32(0), 'reset': True})
  assert obs['log/episode'] == 4


def test_use_logdir_writes_per_environment(tmp_path):
  settled = settle(
    '--task',
    'crafter_reward',
    '--env.crafter.use_logdir',
    'True',
    '--env.crafter.area',
    '32',
    '32',
    '--logdir',
    str(tmp_path),
  )
  make.spaces(settled)  # asks an environment that is never played
  assert not list(tmp_path.iterdir())
  make.make_env(settled, 2).close()
  assert (tmp_path / 'env2').is_dir()
  # An evaluation writes nothing into the run that it looks at.
  settled = settled.update(script='eval_only')
  make.make_env(settled, 2).close()
  assert (tmp_path / 'eval_only/env2').is_dir()


def test_episodes_that_a_resume_repeats_count_once(tmp_path):
  settled = settle(
    '--task',
    'crafter_reward',
    '--env.crafter.use_logdir',
    'True',
    '--env.crafter.area',
    '32',
    '32',
    '--logdir',
    str(tmp_path),
  )
  path = tmp_path / 'env0/stats.jsonl'
  make.make_env(settled, 0).close()
  path.write_text(''.join(f'{{"episode": {i}}}\n' for i in (1, 2, 3, 4)))
  make.make_env(settled, 0, episode=3).close()
  assert path.read_text() == '{"episode": 1}\n{"episode": 2}\n'


@pytest.mark.parametrize(
  ('argv', 'error', 'message'),
  [
    ('--task what_now', UserError, "unknown environment 'what'"),
    ('--task dummy_what', UserError, 'dummy task must be one of'),
    ('--run.from_checkpoint /none', CheckpointError, 'There is no'),
  ],
)
def test_check_says_what_is_not_there(argv, error, message, tmp_path):
  settled = settle('--logdir', str(tmp_path), *argv.split())
  with pytest.raises(error, match=message):
    make.check(settled)


def fill(replay, steps):
  for number in range(steps):
    replay.add({'x': np.int32(number), 'is_first': number == 0})


@pytest.mark.parametrize(('mode', 'length'), [('train', 1 + 4), ('report', 1 + 3)])
def test_streams(mode, length, tmp_path):
  settled = settle('--report_length', '3')
  replay = make.make_replay(settled, tmp_path)
  fill(replay, 20)
  batch = next(make.make_stream(settled, replay, mode))
  assert batch['x'].shape == (2, length)
  assert (np.diff(batch['x']) == 1).all()
  assert (batch['consec'] == 0).all()


def test_consecutive_batches_share_their_context(tmp_path):
  settled = settle('--consec_train', '2')
  replay = make.make_replay(settled, tmp_path)
  fill(replay, 20)
  stream = make.make_stream(settled, replay, 'train')
  first, second = next(stream), next(stream)
  np.testing.assert_array_equal(first['x'][:, -1], second['x'][:, 0])
  assert (second['consec'] == 1).all()


def test_processes_share_a_batch(tmp_path):
  settled = settle('--replicas', '2')
  replay = make.make_replay(settled, tmp_path)
  fill(replay, 20)
  batch = next(make.make_stream(settled, replay, 'train'))
  assert len(batch['x']) == 1
  args = make.run_args(settled)
  assert args.batch_size == 1
  assert args.replicas == 2


def test_log_keys_follow_the_flag():
  assert make.run_args(settle()).log_keys == '^log/reward$'
  noisy = settle('--task', 'crafter_reward', '--env.crafter.logs', 'True')
  assert make.run_args(noisy).log_keys == ''


def test_logger_outputs(tmp_path):
  step = elements.Counter(5)
  settled = settle(
    '--logdir', str(tmp_path), '--logger.outputs', 'jsonl', 'tensorboard'
  )
  (tmp_path / 'scores.jsonl').write_text('{"step": 5}\n{"step": 6}\n')
  logger = make.make_logger(settled, step, resumed=5)
  kinds = [type(x) for x in logger.outputs]
  assert kinds == [
    logging.Terminal,
    logging.Videos,
    logging.JsonLines,
    logging.JsonLines,
    logging.TensorBoard,
  ]
  logger.add({'score': 1.0, 'achievement_eat': 2.0}, prefix='episode')
  logger.add({'openloop/image': np.zeros((2, 8, 8, 3))}, prefix='report')
  logger.close()
  assert (tmp_path / 'scores.jsonl').read_text() == (
    '{"step": 5}\n{"step": 5, "episode/score": 1.0, "episode/achievement_eat": 2.0}\n'
  )
  name = 'report_openloop_image-000000005.gif'
  assert (tmp_path / 'report' / name).stat().st_size > 0


def test_inference_logs_beside_the_run(tmp_path):
  settled = settle('--logdir', str(tmp_path), '--script', 'eval_only')
  make.make_logger(settled, elements.Counter()).close()
  assert (tmp_path / 'eval_only').is_dir()


def test_each_evaluation_has_logs_of_its_own(tmp_path):
  settled = settle('--logdir', str(tmp_path), '--script', 'eval_only')
  for number in range(2):
    logger = make.make_logger(settled, elements.Counter())
    logger.add({'a': number})
    logger.close()
  texts = [x.read_text() for x in sorted(tmp_path.glob('*/metrics.jsonl'))]
  assert texts == ['{"step": 0, "a": 1.0}\n', '{"step": 0, "a": 0.0}\n']


def test_the_users_variable_decides_where_nothing_else_does(monkeypatch, capsys):
  monkeypatch.setenv('JAX_PLATFORMS', 'tpu')
  assert make.platform(settle()).jax.platform == 'auto'
  assert 'as JAX_PLATFORMS says' in capsys.readouterr().out
  settled = make.platform(settle('--jax.platform', 'cpu'))
  assert settled.jax.platform == 'cpu'
  monkeypatch.setenv('JAX_PLATFORMS', 'cuda')
  monkeypatch.setattr(machine, 'find_gpus', lambda: machine.Gpus((), plugin=True))
  with pytest.raises(UserError, match='^JAX_PLATFORMS cuda cannot be had'):
    make.platform(settle())
  monkeypatch.delenv('JAX_PLATFORMS')
  for gpus, expected in (((), 'cpu'), ((1,), 'auto')):
    found = machine.Gpus(gpus, plugin=True)
    monkeypatch.setattr(machine, 'find_gpus', lambda found=found: found)
    assert make.platform(settle()).jax.platform == expected


@pytest.mark.parametrize(
  ('flags', 'train', 'act', 'devices'),
  [
    ([], (0, 1), (0, 1), 2),  # 3 cores, but a batch of 2
    (['--batch_size', '12', '--run.envs', '6'], (0, 1, 2), (0, 1, 2), 3),
    (['--batch_size', '12', '--run.envs', '4'], (0, 1, 2), (0, 1), 3),
    (['--run.envs', '1'], (0, 1), (0,), 2),
    (['--script', 'train_eval', '--run.eval_envs', '3'], (0, 1), (0,), 2),
    (['--jax.mock_devices', '0'], (0,), (0,), 0),
    (['--jax.mock_devices', '5'], (0,), (0,), 5),
    (['--jax.train_devices', '1'], (1,), (0,), 0),
    (['--jax.policy_devices', '0', '1'], (0,), (0, 1), 0),
    (['--replicas', '2'], (0,), (0,), 0),
    (['--script', 'eval_only'], (0,), (0,), 0),
  ],
)
def test_cores_of_a_cpu_train_as_devices(
  monkeypatch, capsys, flags, train, act, devices
):
  monkeypatch.setattr(job, 'cpus', lambda: 3)
  found = make.platform(settle('--jax.platform', 'cpu', *flags)).jax
  assert found.train_devices == train
  assert found.policy_devices == act
  assert found.mock_devices == devices
  said = capsys.readouterr().out
  assert (f'{len(train)} devices of it train' in said) == (len(train) > 1)


def test_a_cpu_is_not_more_devices_than_pay():
  assert machine.split_cpu(64, 100) == machine.MOST
  assert machine.split_cpu(7, 4) == 1
  assert machine.split_cpu(6, 4) == 3


def test_random_agent():
  agent = make.make_agent(settle('--random_agent', 'True', '--seed', '3'))
  assert isinstance(agent, RandomAgent)
  obs = {'is_first': np.ones(50, bool)}
  _, act, _ = agent.policy((), obs)
  assert act['action'].shape == (50,)
  assert set(act['action']) == set(range(5))
  saved = agent.save()
  _, second, _ = agent.policy((), obs)
  other = make.make_agent(settle('--random_agent', 'True', '--seed', '3'))
  other.load(saved)
  np.testing.assert_array_equal(other.policy((), obs)[1]['action'], second['action'])
  assert not np.array_equal(act['action'], second['action'])
