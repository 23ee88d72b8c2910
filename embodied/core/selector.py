"""What the replay asks of a way to choose items.

numbers = Uniform(index).choose(np.random.default_rng(0), 16)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .index import Index


class Selector:
  """Chooses items by number; hears of items and priorities that change.

  All randomness comes from the generator that is passed, so a saved generator
  continues the same choices.
  """

  def __init__(self, index: Index) -> None:
    self.index = index

  def choose(
    self, rng: np.random.Generator, amount: int, spend: bool = True
  ) -> np.ndarray:
    """Numbers (amount,) of items, with replacement.

    Args:
      spend: Whether being chosen may change the chances of later choices.
    """
    raise NotImplementedError('choose(rng, amount) -> numbers')

  def insert(self, number: int) -> None:
    """An item was added to the index."""

  def evict(self, number: int, address: int) -> None:
    """An item was removed from the index."""

  def prioritize(self, rows: Sequence[tuple[int, np.ndarray]]) -> None:
    """New priorities: (address, values (T,) of the steps from there on) per row."""

  def save(self) -> Any:
    """State beyond the index, or None."""
    return None

  def load(self, data: Any) -> None:
    """Continue from `save`; the index is loaded already."""
