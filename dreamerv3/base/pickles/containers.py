"""Plain containers from a file: keys that can be hashed, sizes that can be shown.

Containers in a file may be shared, so 40 lists of `[x, x]` are a few bytes and a
billion values to whoever walks through them; they may hold themselves, or lie in
each other so deep that Python's own recursion fails. `check` walks once through
what is there and refuses what is larger than the file it came from allows.

  check({'a': [1, 2]}, size=100)
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

MOST_DEPTH = 64
MOST_TUPLES = 10_000  # keys of one dict: their hashes can be made to collide
MOST_INT_BYTES = 128  # a state of a random generator has 16
SLACK = 1 << 25  # bytes that the content of any file may unroll to
FACTOR = 64  # and beyond that, in sizes of the file

CONTAINERS = frozenset({list, dict, tuple, set, frozenset, collections.deque})
TEXTS = frozenset({str, bytes, bytearray})
PLAIN = frozenset({int, float, bool, type(None)})
KEYS = frozenset({str, bytes, float, bool, type(None)})


class BadContainer(ValueError):
  """Containers that no program could walk through."""


class Stray(ValueError):
  """Something in a container that is neither plain nor an array."""

  def __init__(self, value: object) -> None:
    self.value = value
    super().__init__(type(value).__name__)


def check_key(value: Any, depth: int = 0) -> Any:
  """The value, if it can be a key: text, a number or a small tuple of those.

  Raises:
    BadContainer: cannot be hashed, or not in fair time.
  """
  kind = type(value)
  if kind in KEYS or isinstance(value, np.generic):
    return value
  if kind is int and -(2**63) <= value < 2**64:
    return value
  if kind is tuple and depth < 3 and len(value) <= 64:
    for x in value:
      check_key(x, depth + 1)
    return value
  raise BadContainer(f'a key that is a {kind.__name__}')


def check_keys(items: Iterable[Any], there: int = 0) -> None:
  """`check_key` of all; `there`: how many the container has so far."""
  tuples = 0
  for x in items:
    if type(x) is not str:
      tuples += type(check_key(x)) is tuple
  if tuples and there + tuples > MOST_TUPLES:
    raise BadContainer(f'more than {MOST_TUPLES} keys that are tuples')


class OnDisk:
  """Marks what stands for an array that is not read yet."""

  @property
  def nbytes(self) -> int:
    """Bytes of the array."""
    raise NotImplementedError


@dataclasses.dataclass(slots=True)
class _Open:
  """A container on the way down."""

  value: Any
  rest: Iterator[Any]
  total: int = 8


def check(value: Any, size: int) -> None:
  """Checks that a value is plain, and no larger than a file of `size` may hold.

  Raises:
    BadContainer: too deep, holds itself, or unrolls to too much.
    Stray: holds something that is neither plain nor an array.
  """
  limit = SLACK + FACTOR * size
  sizes: dict[int, int] = {}  # by id; 0 while the container is open
  way = [_Open([value], iter([value]))]
  while way:
    here = way[-1]
    deeper = _sum(here, sizes)
    if here.total > limit:
      raise BadContainer('containers that are shared so often that nothing can walk')
    if deeper is not None:
      if len(way) > MOST_DEPTH:
        raise BadContainer(f'more than {MOST_DEPTH} containers in each other')
      sizes[id(deeper)] = 0
      way.append(_Open(deeper, _children(deeper)))
      continue
    way.pop()
    sizes[id(here.value)] = here.total
    if way:
      way[-1].total += here.total


def _sum(here: _Open, sizes: dict[int, int]) -> Any:
  """Adds up what a container holds, up to a container not met before."""
  total = here.total
  for child in here.rest:
    kind = type(child)
    if kind is str or kind in TEXTS:
      total += 8 + len(child)
    elif kind in PLAIN:
      total += 8
    elif kind not in CONTAINERS:
      total += 8 + _nbytes(child)
    elif known := sizes.get(id(child), -1):
      if known < 0:
        here.total = total
        return child
      total += known
    else:
      raise BadContainer('a container that holds itself')
  here.total = total
  return None


def _children(value: Any) -> Iterator[Any]:
  if type(value) is dict:
    return itertools.chain(value, value.values())
  return iter(value)


def _nbytes(value: Any) -> int:
  if isinstance(value, np.ndarray | np.generic):
    return int(value.nbytes)
  if isinstance(value, np.dtype):
    return 8
  if isinstance(value, OnDisk):
    return value.nbytes
  raise Stray(value)
