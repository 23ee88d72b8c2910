"""Which items of the replay come into a batch: uniform, recent, prioritized.

For the replay. All take their randomness from the generator they are given,
so a saved generator continues the same choices.

  selector = make_selector(index, {'uniform': 0.9, 'recency': 0.1})
  numbers = selector.choose(np.random.default_rng(0), 16)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .index import Index
from .priorities import Prioritized
from .selector import Selector


class Uniform(Selector):
  """Every item is equally likely, independently of the others."""

  def choose(
    self, rng: np.random.Generator, amount: int, spend: bool = True
  ) -> np.ndarray:
    """Any item, as likely as every other."""
    count = len(self.index.items)
    return self.index.first + rng.integers(0, count, amount)


class Recency(Selector):
  """p(age) is proportional to (1 + age) ** -exponent, age in items."""

  def __init__(self, index: Index, exponent: float = 1.0) -> None:
    super().__init__(index)
    self._exponent = exponent
    self._sums = np.zeros(0)

  def choose(
    self, rng: np.random.Generator, amount: int, spend: bool = True
  ) -> np.ndarray:
    """New items more often, by a power of their age."""
    count = len(self.index.items)
    if count > len(self._sums):
      ages = np.arange(1, max(1024, 2 * count) + 1, dtype=np.float64)
      self._sums = np.cumsum(ages**-self._exponent)
    goals = rng.random(amount) * self._sums[count - 1]
    ages = np.searchsorted(self._sums[:count], goals, 'right')
    return self.index.first + count - 1 - np.minimum(ages, count - 1)


class Mixture(Selector):
  """Each item of a batch comes from one of several selectors, by chance."""

  def __init__(
    self,
    index: Index,
    parts: Mapping[str, Selector],
    fracs: Mapping[str, float],
  ) -> None:
    super().__init__(index)
    self._parts = [parts[k] for k in parts]
    self._fracs = np.array([fracs[k] for k in parts], np.float64)
    self._fracs /= self._fracs.sum()

  def choose(
    self, rng: np.random.Generator, amount: int, spend: bool = True
  ) -> np.ndarray:
    """Each item by a part that is drawn for it."""
    kinds = rng.choice(len(self._parts), amount, p=self._fracs)
    numbers = np.zeros(amount, np.int64)
    for kind, part in enumerate(self._parts):
      mine = kinds == kind
      numbers[mine] = part.choose(rng, int(mine.sum()), spend)
    return numbers

  def insert(self, number: int) -> None:
    """Tells all parts."""
    for part in self._parts:
      part.insert(number)

  def evict(self, number: int, address: int) -> None:
    """Tells all parts."""
    for part in self._parts:
      part.evict(number, address)

  def prioritize(self, rows: Sequence[tuple[int, np.ndarray]]) -> None:
    """Tells all parts."""
    for part in self._parts:
      part.prioritize(rows)

  def save(self) -> Any:
    """What each part saves."""
    return [x.save() for x in self._parts]

  def load(self, data: Any) -> None:
    """Continues all parts; from another mixture, anew."""
    # Of another choice of selectors there is nothing to go on from.
    known = isinstance(data, list) and len(data) == len(self._parts)
    for i, part in enumerate(self._parts):
      part.load(data[i] if known else None)


def make_selector(
  index: Index,
  fracs: Mapping[str, float],
  prio: Mapping[str, Any] | None = None,
  recexp: float = 1.0,
) -> Selector:
  """The selector for shares {'uniform', 'priority', 'recency'} that sum to 1.

  Args:
    index: The replay's items.
    fracs: Share of each kind; missing ones are 0.
    prio: Arguments of Prioritized.
    recexp: Exponent of Recency.
  """
  kinds: dict[str, Callable[[], Selector]] = {
    'uniform': lambda: Uniform(index),
    'priority': lambda: Prioritized(index, **(prio or {})),
    'recency': lambda: Recency(index, recexp),
  }
  unknown = sorted(set(fracs) - set(kinds))
  total = sum(fracs.values())
  if unknown or min(fracs.values()) < 0 or abs(total - 1) > 1e-6:
    raise ValueError(
      f'Sampling fractions {dict(fracs)}: expected shares of {sorted(kinds)} '
      'that sum to 1.'
    )
  used = {k: v for k, v in fracs.items() if v > 0}
  parts = {k: kinds[k]() for k in used}
  if len(parts) > 1:
    return Mixture(index, parts, used)
  return next(iter(parts.values()))
