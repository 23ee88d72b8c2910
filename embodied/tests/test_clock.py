"""Clocks: 0 is never, negative always; state survives a restart."""

import pytest

from embodied.core.clock import Clock, Ratio


class Time:
  def __init__(self, value=0.0):
    self.value = value

  def __call__(self):
    return self.value


def test_zero_is_never():
  clock = Clock(0)
  assert not any(clock() for _ in range(3))


def test_negative_is_always():
  assert Clock(-1)()
  assert Ratio(-1)(0) == 1


def test_clock_counts_from_its_first_call():
  now = Time(100)
  clock = Clock(10, now)
  seen = []
  for now.value in (100, 109, 110, 111, 119, 120, 150, 151, 160):
    seen.append(clock())
  assert seen == [
    False,
    False,
    True,
    False,
    False,
    True,
    True,
    False,
    True,
  ]


def test_clock_continues_with_the_time_that_had_passed():
  now = Time(100)
  clock = Clock(10, now)
  clock()
  now.value = 107
  state = clock.save()
  later = Time(5000)
  resumed = Clock(10, later)
  resumed.load(state)
  later.value = 5002
  assert not resumed()
  later.value = 5003
  assert resumed()


def test_unstarted_clock_saves_as_unstarted():
  clock = Clock(10, Time(3))
  clock.load(Clock(10).save())
  assert not clock()


@pytest.mark.parametrize('ratio', [0.5, 1.0, 512 / 1024, 0.3, 3.0, 0.1])
def test_ratio_is_met_exactly(ratio):
  counter = Ratio(ratio)
  total = sum(counter(step) for step in range(1088, 11088 + 1))
  assert total == 1 + int(10000 * ratio)


@pytest.mark.parametrize('ratio', [-1.0, 0.0, 0.5, 3.0])
def test_what_is_due_is_known_beforehand_and_asking_changes_nothing(ratio):
  counter = Ratio(ratio)
  for step in range(10, 30):
    before = counter.save()
    due = counter.due(step)
    assert counter.save() == before
    assert counter(step) == due
  other = Ratio(ratio)
  assert [other(x) for x in range(10, 30)][-1] == due
  assert other.save() == counter.save()


def test_ratio_gives_one_update_at_first_and_none_on_resume():
  counter = Ratio(0.5)
  assert counter(1000) == 1
  assert [counter(x) for x in (1001, 1002, 1003)] == [0, 1, 0]
  resumed = Ratio(0.5)
  resumed.load(counter.save())
  assert [resumed(x) for x in (1003, 1004)] == [0, 1]


def test_a_changed_ratio_counts_from_now_on():
  counter = Ratio(0.5)
  [counter(x) for x in range(100)]
  resumed = Ratio(2.0)
  with pytest.raises(ValueError, match=r'0.5'):
    resumed.load(counter.save())
  resumed.load(counter.save(), step=100)
  assert [resumed(x) for x in (100, 101)] == [0, 2]


def test_ratio_zero_is_no_update():
  assert [Ratio(0)(x) for x in range(3)] == [0, 0, 0]
