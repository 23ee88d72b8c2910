"""The contract of agents, held against two small ones and a broken one."""

import numpy as np
import pytest

from embodied.core.random_agent import RandomAgent
from embodied.tests.agent_contract import AgentContract
from embodied.tests.learner import Learner


class TestRandomAgent(AgentContract):
  make = staticmethod(RandomAgent)


class TestLearner(AgentContract):
  make = staticmethod(Learner)


class Forgetful(RandomAgent):
  """Violates the contract: its actions do not follow from its state."""

  def load(self, data, regex=None):
    self.calls = 0


class Outside(RandomAgent):
  """Violates the contract: acts outside of the space."""

  def policy(self, carry, obs, mode='train'):
    carry, act, out = super().policy(carry, obs, mode)
    return carry, {'action': act['action'] + np.int32(4)}, out


@pytest.mark.parametrize(
  ('agent', 'test'),
  [
    (Forgetful, 'test_continues_from_its_pickled_state'),
    (Outside, 'test_actions_fill_their_spaces'),
  ],
)
def test_a_violation_is_found(agent, test):
  class Check(AgentContract):
    make = staticmethod(agent)

  with pytest.raises(AssertionError):
    getattr(Check(), test)()
