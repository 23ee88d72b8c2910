"""Priorities as they read in a book: row by row, every level of the tree searched.

What the replay's own are compared with, in tests and in bench/replay.py.
"""

import numpy as np

from embodied.core.priorities import Prioritized, SumTree


class PlainTree(SumTree):
  """Sums above the slots that changed, and above no others."""

  def set(self, slots, weights):
    nodes = self.size + np.asarray(slots)
    self._nodes[nodes] = weights
    while len(nodes) and nodes[0] > 1:
      nodes = np.unique(nodes >> 1)
      self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]


class PlainPrioritized(Prioritized):
  """Weighs anew after each row, in both trees."""

  def __init__(self, index, **kwargs):
    super().__init__(index, **kwargs)
    self._finite, self._infinite = PlainTree(1024), PlainTree(1024)

  def prioritize(self, rows):
    for row in rows:
      super().prioritize([row])

  def evict(self, number, address):
    slots = np.array([number % self._finite.size])
    self._finite.set(slots, np.zeros(1))
    self._infinite.set(slots, np.zeros(1))
    super().evict(number, address)

  def _refresh(self, address, count):
    steps, numbers = self._read(address, count + self.index.length - 1)
    if len(steps) < self.index.length:
      return
    fresh = np.isinf(steps)
    powers = np.where(fresh, 0, steps) ** self._exponent
    view = np.lib.stride_tricks.sliding_window_view
    windows = view(powers, self.index.length)
    weights = self._maxfrac * windows.max(1)
    weights += (1 - self._maxfrac) * windows.mean(1)
    infinite = np.any(view(fresh, self.index.length), axis=1)
    items = numbers[: len(weights)]
    live = np.flatnonzero(items >= self.index.first)
    slots = items[live] % self._finite.size
    order = np.argsort(slots)
    finite = np.where(infinite, 0, weights)[live]
    self._finite.set(slots[order], finite[order])
    self._infinite.set(slots[order], infinite[live][order])


def plain(replay, prio):
  """The replay, still empty, with priorities alone, the plain ones."""
  replay._selector = PlainPrioritized(replay._index, **prio)
  return replay
