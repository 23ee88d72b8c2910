"""Reads a YAML file that may come from anyone: settings, within bounds.

For whoever reads the settings of a run. YAML can refer to what it has said (a few
lines of references to references are billions of values), merge mappings, and nest
without end. What such a file may be is decided from its events, before anything is
built of it.

  settings = load('RUN/config.yaml')
"""

import os
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
  AliasEvent,
  CollectionEndEvent,
  CollectionStartEvent,
  ScalarEvent,
)

from dreamerv3.base import regular
from dreamerv3.base.errors import UserError, reading, short
from dreamerv3.base.pickles import containers

MOST_BYTES = 1 << 20  # of a file; a config.yaml has 5 kB
MOST_DEPTH = 32
MOST_ALIASES = 1000
MOST_SCALAR = 10_000  # characters of one value


def load(
  path: str | os.PathLike[str],
  expected: str = 'settings of a run; take those of another run',
) -> Any:
  """The content of a YAML file: containers, text and numbers.

  Args:
    path: of the file.
    expected: what it should be, and what to do where it is not.

  Raises:
    UserError: no regular file, no YAML, or larger than settings ever are.
  """
  text = regular.read_text(path, MOST_BYTES)
  with reading(path, expected):
    try:
      _check_events(YAML(typ='safe').parse(text))
      content = YAML(typ='safe').load(text)
    except YAMLError as e:
      raise UserError(f'Cannot read {path}: {short(e, 200)}') from e
    containers.check(content, len(text))
    _check_numbers(content)
  return content


def _check_events(events: Iterator[Any]) -> None:
  depth = aliases = 0
  for event in events:
    if isinstance(event, CollectionStartEvent):
      depth += 1
    elif isinstance(event, CollectionEndEvent):
      depth -= 1
    elif isinstance(event, AliasEvent):
      aliases += 1
    elif isinstance(event, ScalarEvent):
      if len(event.value) > MOST_SCALAR:
        raise ValueError(f'a value of {len(event.value)} characters')
      if event.value == '<<':
        raise ValueError('a merge key, <<')
    if depth > MOST_DEPTH:
      raise ValueError(f'more than {MOST_DEPTH} levels')
    if aliases > MOST_ALIASES:
      raise ValueError(f'more than {MOST_ALIASES} aliases')


def _check_numbers(content: Any) -> None:
  """That whole numbers fit into 64 bits, so that they can be shown and compared."""
  todo, seen = [content], set()
  while todo:
    value = todo.pop()
    if type(value) is int and abs(value) >= 2**63:
      raise ValueError('a number of more than 64 bits')
    if isinstance(value, dict | list) and id(value) not in seen:
      seen.add(id(value))
      todo += [*value, *value.values()] if isinstance(value, dict) else value
