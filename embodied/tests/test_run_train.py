"""The training loop with a numpy agent: numbers, logs, resume, kills."""

import time

import elements
import numpy as np
import pytest

from embodied.core.random_agent import RandomAgent
from embodied.envs.dummy import Dummy
from embodied.run import checkpoint
from embodied.run.eval_only import eval_only
from embodied.run.train import train
from embodied.run.train_eval import train_eval
from embodied.tests.learner_runs import Factories, logged


def test_a_run_trains_logs_and_saves(tmp_path):
  run = Factories(tmp_path, report_every=-1)
  assert run.run() == 0
  # 80 steps of 2 environments; sequences of 5 steps; training from 8
  # sequences on: after 2 * 4 + 8 steps. One update, then half a one per step.
  updates = 1 + (80 - 16) // 2
  assert run.made.counters['updates'] == updates
  assert run.made.counters['actions'] == 40
  names = {k for x in run.lines() for k in x}
  assert {
    'step',
    'episode/score',
    'episode/length',
    'train/loss/test',
    'report/loss/test',
    'epstats/log/count/max',
    'epstats/reward_rate',
    'replay/items',
    'replay/replay_ratio',
    'usage/psutil/proc_ram_gb',
    'fps/policy',
    'fps/train',
  } <= names
  # Episodes of 10 steps with the reset one: 4 of each environment.
  scores = run.lines('scores.jsonl')
  assert len(run.lines()) == len({x['step'] for x in run.lines()})
  assert set(scores[0]) == {'step', 'episode/score'}
  assert [n for _, n in logged(run.lines(), 'episode/length')] == [10] * 8
  assert checkpoint.step_of(checkpoint.find(tmp_path)) == 80
  files = {x.name for x in checkpoint.find(tmp_path).iterdir()}
  assert files == {
    'step.pkl',
    'agent.pkl',
    'replay.pkl',
    'run.pkl',
    'done',
  }


def test_processes_give_the_numbers_of_a_serial_run(tmp_path):
  serial = Factories(tmp_path / 'a', log_every=0)
  parallel = Factories(tmp_path / 'b', log_every=0, debug=False)
  serial.run()

  def env(index, episode=0):  # sent by value, without the rest of this test
    return Dummy('disc', (8, 8), 9)

  train(
    parallel.agent,
    parallel.replay,
    env,
    parallel.stream,
    parallel.logger,
    parallel.args,
  )
  np.testing.assert_array_equal(
    serial.made.params['net/kernel'], parallel.made.params['net/kernel']
  )


def test_train_ratio_0_only_collects(tmp_path):
  run = Factories(tmp_path, train_ratio=0.0)
  run.run()
  assert run.made.counters['updates'] == 0


def test_duration_ends_a_run_with_a_save(tmp_path):
  run = Factories(tmp_path, steps=1e9, duration=1, train_ratio=0.0)
  assert run.run() == 0
  assert checkpoint.step_of(checkpoint.find(tmp_path)) > 0


@pytest.mark.parametrize('consec', [1, 3])
def test_n_and_n_updates_equal_2n(tmp_path, consec):
  # Episodes end at step 40 and 80 of the run, so a restart there, which
  # resets the environments, changes no observation.
  whole = Factories(tmp_path / 'whole', consec_train=consec)
  whole.run()
  first = Factories(tmp_path / 'parts', steps=40.0, consec_train=consec)
  first.run()
  # In the middle of a sequence, if there is one.
  assert consec == 1 or first.made.counters['updates'] % consec
  half = first.made.params['net/kernel'].copy()
  second = Factories(tmp_path / 'parts', consec_train=consec)
  second.run()
  assert not np.array_equal(half, whole.made.params['net/kernel'])
  assert second.made.counters == whole.made.counters
  for key, value in whole.made.params.items():
    np.testing.assert_array_equal(second.made.params[key], value)
  # Also the logs are those of one run.
  for name in ('metrics.jsonl', 'scores.jsonl'):
    for key in ('episode/score', 'episode/length'):
      got = logged(second.lines(name), key)
      assert got == logged(whole.lines(name), key)
  means = dict(logged(second.lines(), 'train/loss/test'))
  expected = dict(logged(whole.lines(), 'train/loss/test'))
  assert means.keys() >= expected.keys() - {40}
  assert all(means[k] == v for k, v in expected.items() if k > 60)


def test_saving_changes_nothing(tmp_path):
  rare = Factories(tmp_path / 'a')
  often = Factories(tmp_path / 'b', save_every=-1, report_every=-1)
  rare.run()
  often.run()
  np.testing.assert_array_equal(
    rare.made.params['net/kernel'], often.made.params['net/kernel']
  )


def test_evaluation_of_a_random_agent_leaves_its_training():
  spaces = Dummy('disc', (8, 8), 9).act_space
  obs = {'is_first': np.zeros(20, bool)}
  one, two = (RandomAgent({}, spaces, seed=3) for _ in range(2))
  two.policy((), obs, mode='eval')
  acts = [x.policy((), obs)[1]['action'] for x in (one, two)]
  np.testing.assert_array_equal(acts[0], acts[1])
  assert one.save() == two.save()


def test_a_finished_run_is_left_as_it_is(tmp_path, capsys):
  Factories(tmp_path).run()
  before = {x: x.read_bytes() for x in tmp_path.rglob('*') if x.is_file()}
  assert Factories(tmp_path).run() == 0
  assert 'Nothing to do: 80 steps are done.' in capsys.readouterr().out
  after = {x: x.read_bytes() for x in tmp_path.rglob('*') if x.is_file()}
  assert after == before


def test_more_steps_continue_a_finished_run(tmp_path):
  Factories(tmp_path).run()
  run = Factories(tmp_path, steps=100.0)
  run.run()
  assert checkpoint.step_of(checkpoint.find(tmp_path)) == 100
  # Dummy has no numbered episodes; those that have go on with the next one.
  assert run.episodes == {0: 1, 1: 1}


def test_numbered_episodes_go_on_with_the_next_one(tmp_path):
  class Numbered(Dummy):
    number = 0

    @property
    def obs_space(self):
      return {**super().obs_space, 'log/episode': elements.Space(np.int32)}

    def step(self, action):
      self.number += bool(action['reset'])
      return {**super().step(action), 'log/episode': np.int32(self.number)}

  class NumberedRun(Factories):
    def env(self, index, episode=0):
      self.episodes[index] = episode
      env = Numbered('disc', size=(8, 8), length=9)
      env.number = max(0, episode - 1)
      return env

  first = NumberedRun(tmp_path, steps=50.0)
  first.run()
  assert first.episodes == {0: 0, 1: 0}
  second = NumberedRun(tmp_path)
  second.run()
  # 25 steps each: two episodes of 10 and half of the third.
  assert second.episodes == {0: 4, 1: 4}


def test_schedule_keeps_checkpoints(tmp_path):
  def slow(agent):  # time for saves to end
    time.sleep(0.02)

  Factories(tmp_path, hook=slow, ckpt_keep=[30.0], save_every=-1).run()
  folders = checkpoint.complete(tmp_path / 'ckpt')
  *kept, last = [checkpoint.step_of(x) for x in folders]
  assert last == 80
  # A save under way postpones the next one, so not exactly 30 and 60.
  assert kept
  assert [x // 30 for x in kept] in ([1], [2], [1, 2])


def test_a_new_run_can_start_from_a_checkpoint(tmp_path):
  first = Factories(tmp_path / 'a')
  first.run()
  run = Factories(tmp_path / 'b', from_checkpoint=str(tmp_path / 'a'), steps=10.0)
  run.run()
  np.testing.assert_array_equal(
    first.made.params['net/kernel'], run.made.params['net/kernel']
  )
  assert checkpoint.step_of(checkpoint.find(tmp_path / 'b')) == 10


def test_train_eval(tmp_path):
  run = Factories(tmp_path, report_every=-1, log_every=-1)
  run.run(train_eval)
  names = {k for x in run.lines() for k in x}
  assert {'eval/episode/score', 'eval/loss/test', 'report/loss/test'} <= names
  files = {x.name for x in checkpoint.find(tmp_path).iterdir()}
  assert {'replay_train.pkl', 'replay_eval.pkl'} <= files
  scores = run.lines('scores.jsonl')
  assert all(set(x) == {'step', 'episode/score'} for x in scores)


def test_evaluations_do_not_favour_short_episodes(tmp_path):
  class ShortFirst(Factories):
    def env(self, index, episode=0):
      # Evaluation: two short ones, then two long ones with one more step.
      return Dummy('disc', size=(8, 8), length={2: 3, 3: 30}.get(index, 9))

  run = ShortFirst(tmp_path, report_every=-1, eval_envs=2, eval_eps=2, steps=20.0)
  run.run(train_eval)
  found = {x for _, x in logged(run.lines(), 'eval/episode/length')}
  assert found == {(4 + 4 + 31 + 31) / 4}


@pytest.mark.parametrize(('first', 'then'), [(train, train_eval), (train_eval, train)])
def test_a_resume_by_the_other_script_keeps_the_replay(tmp_path, first, then):
  Factories(tmp_path).run(first)
  run = Factories(tmp_path, steps=82.0)
  run.run(then)
  # 40 steps of each environment in sequences of 5, and those of this run.
  assert len(run.replays[0]) == 2 * (40 - 4) + 2 * 5


def test_eval_only(tmp_path):
  Factories(tmp_path).run()
  run = Factories(tmp_path, steps=50.0, from_checkpoint=str(tmp_path))
  run.logdir = tmp_path / 'eval_only'
  before = (tmp_path / 'metrics.jsonl').read_text()
  assert eval_only(run.agent, run.env, run.logger, run.args) == 0
  assert len(run.lines('scores.jsonl')) > 0
  assert run.made.counters['updates'] == 33  # those of the checkpoint
  assert (tmp_path / 'metrics.jsonl').read_text() == before


def test_eval_only_takes_a_part_of_a_checkpoint_and_acts_greedily(tmp_path):
  Factories(tmp_path).run()
  settings = dict(steps=20.0, from_checkpoint=str(tmp_path))
  for greedy, regex in ((False, ''), (True, 'net/')):
    run = Factories(
      tmp_path / str(greedy),
      greedy=greedy,
      from_checkpoint_regex=regex,
      **settings,
    )
    eval_only(run.agent, run.env, run.logger, run.args)
    assert run.made.modes == {'greedy' if greedy else 'eval'}
    assert run.made.loaded == (regex or None)


def test_eval_only_without_a_checkpoint(tmp_path):
  run = Factories(tmp_path / 'none')
  with pytest.raises(checkpoint.CheckpointError, match='There is no'):
    eval_only(run.agent, run.env, run.logger, run.args)
  assert not (tmp_path / 'none').exists()


def test_bad_losses_end_the_run(tmp_path):
  def hook(agent):
    if agent.counters['updates'] == 5:
      raise FloatingPointError('loss is nan')

  with pytest.raises(FloatingPointError):
    Factories(tmp_path, hook=hook).run()
