"""Updates that begin while actions are computed give the numbers of those that wait."""

from typing import Any

import numpy as np
import pytest

from embodied.core.streams import Prefetch
from embodied.tests.learner import Learner
from embodied.tests.learner_runs import Factories


class Early(Learner):
  """Begins what is due meanwhile, as an agent on a device does.

  Attributes:
    begun: updates that were.
    ahead: batches that are made ready.
  """

  begun, ahead = 0, 1
  found: Any = ({}, {})

  def policy(self, carry, obs, mode='train', meanwhile=lambda: None):
    found = super().policy(carry, obs, mode)
    meanwhile()
    return found

  def begin(self, carry, data):
    carry, *self.found = self.train(carry, data)
    self.begun += 1
    return carry

  def results(self):
    found, self.found = self.found, None  # to be read once
    return found

  def stream(self, source):
    return Prefetch(source, amount=self.ahead)


class Waiting(Early):
  """The same, but each update begins when its step has been stored."""

  def policy(self, carry, obs, mode='train', meanwhile=None):
    return super().policy(carry, obs, mode)


class Runs(Factories):
  made: Early

  def __init__(self, logdir, kind, ahead=1, **kwargs):
    super().__init__(logdir, **kwargs)
    self.kind, self.ahead = kind, ahead

  def agent(self):
    env = self.env(0)
    self.made = self.kind(env.obs_space, env.act_space, hook=self.hook)
    self.made.ahead = self.ahead
    return self.made


def same(left, right):
  assert left.counters == right.counters
  np.testing.assert_array_equal(left.params['net/kernel'], right.params['net/kernel'])
  np.testing.assert_equal(left.pending, right.pending)


@pytest.mark.parametrize('ahead', [1, 2])
@pytest.mark.parametrize(
  ('envs', 'ratio'), [(1, 4.0), (1, 24.0), (3, 4.0), (3, 24.0), (3, -8.0), (5, 0.5)]
)
def test_updates_that_begin_early_change_no_number(tmp_path, envs, ratio, ahead):
  settings = dict(ahead=ahead, envs=envs, train_ratio=ratio, steps=90.0, log_every=0)
  runs = {x: Runs(tmp_path / x.__name__, x, **settings) for x in (Early, Waiting)}
  for run in runs.values():
    assert run.run() == 0
  same(runs[Early].made, runs[Waiting].made)
  early = runs[Early].made
  assert runs[Waiting].made.begun == 0
  # The first one of each step that has any, but for the very first.
  per_step = early.counters['updates'] / early.counters['actions']
  assert early.begun > 0
  if per_step <= 1:
    assert early.begun == early.counters['updates'] - 1


def test_a_run_that_saves_all_the_time_and_begins_early_goes_on_exactly(tmp_path):
  settings = dict(kind=Early, ahead=2, save_every=-1, train_ratio=24.0)
  whole = Runs(tmp_path / 'whole', **settings)
  whole.run()
  for steps in (40.0, 80.0):
    parts = Runs(tmp_path / 'parts', steps=steps, **settings)
    parts.run()
  same(whole.made, parts.made)
  never = Runs(tmp_path / 'never', **{**settings, 'kind': Waiting, 'save_every': 0})
  never.run()
  same(whole.made, never.made)
