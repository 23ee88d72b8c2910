"""Each rule of the settings speaks of a setting that there is."""

import re
from collections.abc import Iterator
from typing import Any

import elements
import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.setup import config, rules

# Of these any number means something.
UNBOUND = {
  'run.log_every',
  'run.report_every',
  'run.save_every',
  'replay.prio.initial',
  'agent.imag_loss.actent',
}
DEFAULTS = elements.Config(config.read_blocks()['defaults']).flat


def each(pattern: str) -> Iterator[str]:
  """The ways to read a pattern: one word of each (a|b), one side of each |."""
  group = re.search(r'\((?!\?)([^()]*)\)', pattern)
  if group:
    for word in group[1].split('|'):
      yield from each(pattern[: group.start()] + word + pattern[group.end() :])
  else:
    yield from pattern.split('|')


def test_reading_a_pattern():
  assert sorted(set(each(r'(a|b)_c|d\.(e|f)'))) == [r'a_c', 'b_c', r'd\.e', r'd\.f']


@pytest.mark.parametrize('pattern', [x[0] for x in rules.RULES])
def test_every_word_of_a_rule_matches_a_setting(pattern):
  for one in set(each(pattern)):
    assert any(re.fullmatch(one, k) for k in DEFAULTS), one


def test_every_number_has_a_rule():
  """So that a new one is not forgotten."""

  def number(value: Any) -> bool:
    first = value[0] if isinstance(value, tuple) and value else value
    return isinstance(first, int | float) and not isinstance(first, bool)

  numbers = {k for k, v in DEFAULTS.items() if number(v)}
  # Beside the last one, that all are finite.
  ruled = {k for k in numbers for x in rules.RULES[:-1] if re.fullmatch(x[0], k)}
  assert numbers - ruled == UNBOUND


def test_devices_are_numbers_from_0():
  flags = config.parse_flags(['--jax.train_devices', '-1'])
  with pytest.raises(UserError, match='--jax.train_devices is -1; expected at least 0'):
    rules.check(config.stack(config.read_blocks(), flags))
