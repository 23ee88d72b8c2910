"""The recording script: what it refuses, in one line with exit code 2."""

import json

import numpy as np
import pytest

from dreamerv3.recording.plan import expected_length
from tests.recorded_runs import fails, make_run


def bare(tmp_path, text='task: crafter_reward\n'):
  logdir = tmp_path / 'run'
  logdir.mkdir()
  if text:
    (logdir / 'config.yaml').write_text(text)
  return logdir


@pytest.mark.parametrize(
  ('flag', 'value', 'message'),
  [
    ('num_episodes', '0', 'expected above 0'),
    ('num_episodes', 'many', 'takes int'),
    ('envs', '-1', 'expected above 0'),
    ('first_episode', '0', 'expected above 0'),
    ('first_episode', '999902', 'expected at most 1000000'),
    ('dtype', 'float8', 'one of float16, float32'),
    ('episodes', '3', 'nearest: --eval_trajectory.num_episodes'),
  ],
)
def test_values_out_of_range(tmp_path, flag, value, message):
  line = fails(bare(tmp_path), f'--eval_trajectory.{flag}', value)
  assert message in line


def test_a_logdir_without_config(tmp_path):
  line = fails(bare(tmp_path, ''))
  assert 'There is no config.yaml' in line


def test_a_logdir_without_checkpoint(tmp_path):
  line = fails(bare(tmp_path))
  assert 'holds no checkpoint' in line


def test_a_checkpoint_that_is_still_being_written(tmp_path):
  logdir = bare(tmp_path)
  folder = logdir / 'ckpt' / '20260101T000000F000000'
  folder.mkdir(parents=True)
  (folder / 'agent.pkl').write_bytes(b'')
  (logdir / 'ckpt' / 'latest').write_text(folder.name)
  line = fails(logdir)
  assert 'is not complete' in line


@pytest.mark.slow
def test_settings_that_cannot_be_recorded(tmp_path):
  logdir = make_run(tmp_path / 'run')
  line = fails(logdir, '--eval_trajectory.layers', 'enc/rnn')
  assert "No layer 'enc/rnn'; nearest: enc/" in line
  line = fails(logdir, '--task', 'dummy_disc')
  assert 'cannot be recorded' in line
  line = fails(logdir, '--random_agent', 'True')
  assert 'has no layers' in line
  line = fails(
    logdir,
    '--eval_trajectory.num_episodes',
    '200000',
    '--eval_trajectory.save_path',
    str(tmp_path / 'x'),
  )
  assert 'The recording takes about' in line


def test_expected_length_comes_from_the_log(tmp_path):
  assert expected_length(tmp_path) == (250, 'a guess')
  lines = [json.dumps({'step': k, 'episode/length': k}) for k in range(300)]
  text = '\n'.join([*lines, '{"step": 300}', '{"episode/length": 9'])
  (tmp_path / 'metrics.jsonl').write_text(text)
  length, _ = expected_length(tmp_path)
  assert length == np.mean(range(200, 300))


@pytest.mark.parametrize(
  ('ended', 'length'), [([60] * 5, 250), ([400] * 5, 400), ([60] * 20, 60)]
)
def test_the_first_deaths_are_no_expected_length(tmp_path, ended, length):
  lines = [json.dumps({'episode/length': x}) for x in ended]
  (tmp_path / 'metrics.jsonl').write_text('\n'.join(lines))
  found, why = expected_length(tmp_path)
  assert found == length
  assert ('only 5 ended' in why) == (length == 250)
