"""Sampling by priority: a sum tree over items, priorities per step.

For the replay, through selectors.make_selector.

  tree = SumTree(1024); tree.set(slots, weights); slot = tree.find(0.5)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .index import MASK, SHIFT, Index, address_of
from .selector import Selector


class SumTree:
  """Non-negative weights, drawn from in proportion in O(log n).

  Each node is the sum of its two children, never a running total, so the tree
  is a function of its leaves alone: rebuilt, it draws the same.
  """

  def __init__(self, size: int) -> None:
    self.size = 1 << max(0, int(size - 1).bit_length())
    self._nodes = np.zeros(2 * self.size)

  @property
  def total(self) -> float:
    """Sum of all weights."""
    return self._nodes[1]

  def get(self, slots: np.ndarray) -> np.ndarray:
    """Weights of some slots."""
    return self._nodes[self.size + slots]

  def set(self, slots: np.ndarray, weights: np.ndarray) -> None:
    """Changes the weights of some slots, and all sums above."""
    if not len(slots):
      return
    nodes = self.size + np.asarray(slots)
    self._nodes[nodes] = weights
    low, high = int(nodes.min()), int(nodes.max())
    if high - low < 64 * len(nodes):
      self._sum_range(low, high)
    else:  # about both ends of the slots
      self._sum_above(nodes)

  def _sum_range(self, low: int, high: int) -> None:
    """Sums above all nodes from low to high of the lowest row."""
    sums = self._nodes
    while low != high:
      low, high = low >> 1, high >> 1
      children = sums[2 * low : 2 * high + 2].reshape(-1, 2)
      sums[low : high + 1] = children[:, 0] + children[:, 1]
    while low > 1:
      low >>= 1
      sums[low] = sums[2 * low] + sums[2 * low + 1]

  def _sum_above(self, nodes: np.ndarray) -> None:
    """Sums above some nodes of the lowest row."""
    while nodes[0] > 1:
      nodes = np.unique(nodes >> 1)
      self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

  def find(self, fraction: float) -> int:
    """Slot at a fraction in [0, 1) of the total; its weight is not 0."""
    goal, node = fraction * self.total, 1
    while node < self.size:
      node *= 2
      left = self._nodes[node]
      # Rounding must not lead into a branch that weighs nothing.
      if goal >= left and self._nodes[node + 1] > 0:
        goal -= left
        node += 1
    return node - self.size


class Prioritized(Selector):
  """p(item) is proportional to a mean and maximum over its steps' priorities.

    weight = maxfrac * max_t(p_t^e) + (1 - maxfrac) * mean_t(p_t^e)

  after Schaul et al. 2016 (arXiv:1511.05952), over sequences as in R2D2
  (Kapturowski et al. 2019). Steps start at `initial`; items with an infinite
  priority come first, uniformly among themselves.

  Args:
    index: The replay's items.
    exponent: e above; 0 is uniform.
    maxfrac: Share of the maximum.
    initial: Priority of steps that were never trained on.
    zero_on_sample: Set the steps of a chosen item to 0, until the agent
      says otherwise.
  """

  def __init__(
    self,
    index: Index,
    exponent: float = 0.8,
    maxfrac: float = 0.5,
    initial: float = np.inf,
    zero_on_sample: bool = True,
  ) -> None:
    super().__init__(index)
    self._exponent = exponent
    self._maxfrac = maxfrac
    self._initial = initial
    self._zero_on_sample = zero_on_sample
    self._steps: dict[int, np.ndarray] = {}  # priorities by chunk serial
    self._numbers: dict[int, np.ndarray] = {}  # item that starts at a step
    self._finite = SumTree(1024)
    self._infinite = SumTree(1024)

  def choose(
    self, rng: np.random.Generator, amount: int, spend: bool = True
  ) -> np.ndarray:
    """Items in proportion to their priorities."""
    found = [self._choose_one(rng, spend) for _ in range(amount)]
    return np.array(found, np.int64)

  def _choose_one(self, rng: np.random.Generator, spend: bool) -> int:
    tree = self._infinite if self._infinite.total else self._finite
    first = self.index.first
    if tree.total:
      slot = tree.find(rng.random())
      number = first + (slot - first) % tree.size
    else:
      number = first + int(rng.integers(0, len(self.index.items)))
    if spend and self._zero_on_sample:
      address = int(self.index.items[number - self.index.first])
      self.prioritize([(address, np.zeros(self.index.length))])
    return number

  def insert(self, number: int) -> None:
    """Gives a new item the priority of its steps."""
    if len(self.index.items) > self._finite.size:
      self._grow()
    address = int(self.index.items[number - self.index.first])
    self._row(self._numbers, address >> SHIFT)[address & MASK] = number
    self._refresh(address, 1)

  def evict(self, number: int, address: int) -> None:
    """Forgets an item."""
    slot = np.array([number % self._finite.size])
    for tree in (self._finite, self._infinite):
      if tree.get(slot).any():
        tree.set(slot, np.zeros(1))
    serial = address >> SHIFT
    self._numbers[serial][address & MASK] = -1
    if serial not in self.index.chunks:
      for table in (self._numbers, self._steps):
        for gone in [x for x in table if x not in self.index.chunks]:
          del table[gone]

  def prioritize(self, rows: Sequence[tuple[int, np.ndarray]]) -> None:
    """Changes the priorities of steps, each row (T,) from its address on."""
    L = self.index.length
    stale = []
    for address, values in rows:
      if not (values >= 0).all():  # NaN neither
        raise ValueError(f'Priorities have to be 0 or more, got {values}.')
      done = 0
      for chunk, start, stop in self.index.segments(address, len(values)):
        amount = stop - start
        row = self._row(self._steps, chunk.serial)
        row[start:stop] = values[done : done + amount]
        done += amount
      start, before = self.index.back(address, L - 1)
      stale.append((start, before + done))
    # Only now, since the rows of a batch overlap.
    for start, count in stale:
      self._refresh(start, count)

  def _refresh(self, address: int, count: int) -> None:
    """Weigh anew the items that start at `count` steps from an address."""
    L = self.index.length
    steps, numbers = self._read(address, count + L - 1)
    if len(steps) < L:
      return
    fresh = np.isinf(steps)
    some = bool(fresh.any())
    powers = (np.where(fresh, 0, steps) if some else steps) ** self._exponent
    windows = _windows(powers, L)
    weights = self._maxfrac * windows.max(1)
    weights += (1 - self._maxfrac) * windows.mean(1)
    items = numbers[: len(weights)]
    live = items >= self.index.first
    if not live.all():
      items, weights = items[live], weights[live]
    slots = items % self._finite.size
    if some:
      infinite = _windows(fresh, L).max(1)[live]
      weights = np.where(infinite, 0, weights)
      self._infinite.set(slots, infinite)
    elif self._infinite.total:
      self._infinite.set(slots, np.zeros(len(slots)))
    self._finite.set(slots, weights)

  def _read(self, address: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Priorities of steps, and the items that start there; -1 for none."""
    span = self.index.segments(address, count)
    steps = [self._row(self._steps, c.serial)[a:b] for c, a, b in span]
    numbers = [self._row(self._numbers, c.serial)[a:b] for c, a, b in span]
    if len(span) == 1:
      return steps[0], numbers[0]
    return np.concatenate(steps), np.concatenate(numbers)

  def _row(self, table: dict[int, np.ndarray], serial: int) -> np.ndarray:
    if serial not in table:
      size = self.index.chunks[serial].size
      empty = self._initial if table is self._steps else -1
      dtype = np.float32 if table is self._steps else np.int64
      table[serial] = np.full(size, empty, dtype)
    return table[serial]

  def _grow(self) -> None:
    count = len(self.index.items)
    numbers = self.index.first + np.arange(count)
    for name in ('_finite', '_infinite'):
      old = getattr(self, name)
      new = type(old)(2 * count)
      slots = numbers % new.size
      order = np.argsort(slots)
      new.set(slots[order], old.get(numbers % old.size)[order])
      setattr(self, name, new)

  def save(self) -> Any:
    """Priorities of all steps; the trees follow from them."""
    chunks = self.index.chunks.values()
    steps = {
      c.serial: self._row(self._steps, c.serial)[: c.length].copy() for c in chunks
    }
    # The slots of items, and so the order of drawing, depend on the size.
    return {'size': self._finite.size, 'steps': steps}

  def load(self, data: Any) -> None:
    """Continues saved priorities; of none, all are new."""
    self._steps, self._numbers = {}, {}
    if not isinstance(data, dict):  # saved by another selector
      data = {'size': 0, 'steps': {}}
    count = len(self.index.items)
    size = max(1024, count, data['size'])
    self._finite, self._infinite = SumTree(size), SumTree(size)
    for serial, values in data['steps'].items():
      if serial in self.index.chunks:
        self._row(self._steps, serial)[: len(values)] = values
    addresses = self.index.items.array()
    numbers = self.index.first + np.arange(count)
    for serial, chunk in self.index.chunks.items():
      mine = addresses >> SHIFT == serial
      at = addresses[mine] & MASK
      self._row(self._numbers, serial)[at] = numbers[mine]
      self._refresh(address_of(chunk, 0), chunk.length)


def _windows(values: np.ndarray, length: int) -> np.ndarray:
  """All runs (N - length + 1, length) of contiguous values (N,), a view.

  As numpy's sliding_window_view, which takes longer than what is done here with it.
  """
  shape = len(values) - length + 1, length
  return np.ndarray(shape, values.dtype, values, 0, values.strides * 2)
