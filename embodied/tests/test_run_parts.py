"""A run's state in one file: what comes back, and what is said of the rest."""

import elements
import pytest

from embodied.core import clock
from embodied.run.parts import Owed, Parts


class Valued:
  """A saveable number."""

  def __init__(self, value):
    self.value = value

  def save(self):
    return self.value

  def load(self, value):
    self.value = value


@pytest.fixture
def step():
  return elements.Counter(7)


def test_parts_come_back_in_silence(step, capsys):
  saved = Parts({'a': Valued(1), 'ratio': clock.Ratio(0.5)}, step).save()
  parts = Parts({'a': Valued(0), 'ratio': clock.Ratio(0.5)}, step)
  parts.load(saved)
  assert parts.parts['a'].value == 1
  assert capsys.readouterr().out == ''


def test_a_part_that_was_not_saved_begins_anew_and_is_named(step, capsys):
  parts = Parts({'a': Valued(0), 'b': Valued(5)}, step)
  parts.load({'a': 2, 'old': 3})
  assert (parts.parts['a'].value, parts.parts['b'].value) == (2, 5)
  said = capsys.readouterr().out.splitlines()
  assert said == [
    'Not in the checkpoint, begins anew: b',
    'In the checkpoint, but of no use here: old',
  ]


def test_what_an_agent_owes_is_handed_out_once():
  class Indebted:
    def flush(self):
      return {'x': 1}, {'loss': 2.0}

  owed = Owed()
  owed.put(Indebted())
  again = Owed()
  again.load(owed.save())
  assert again.take() == ({'x': 1}, {'loss': 2.0})
  assert again.take() == ({}, {})
