"""What does a Crafter world draw next? Its random stream, cheap to rewind.

For the game and its world generator:

  dice = Random(180100604); dice.uniform(); dice.randint(0, 4)

Crafter draws from `numpy.random.RandomState`. Each of its scalar calls costs
microseconds, and a game step makes dozens. This class draws the generator's
raw 32-bit words in blocks and turns them into numbers in plain Python, as
RandomState does: the results are equal, draw by draw.
"""

from __future__ import annotations

import numpy as np

BLOCK = 1024
HIGH, LOW = 5, 6  # bits dropped from the two words of a 53-bit float
SCALE, RANGE = 67108864.0, 9007199254740992.0  # 2**26, 2**53


class Random:
  """`RandomState(seed)`, restricted to the two calls that Crafter makes.

  Args:
    seed: 0 <= seed < 2**32.
    drawn: raw words to skip; with a generator's count of consumed words the
      stream continues where that generator stopped.
  """

  def __init__(self, seed: int, drawn: int = 0):
    self._source = np.random.RandomState(seed)
    if drawn:
      raw_words(self._source, drawn)
    self._words: list[int] = []
    self._next = 0

  def uniform(self) -> float:
    """A float in [0, 1) with 53 random bits, from two words."""
    index = self._next
    words = self._words
    if index + 2 > len(words):
      words, index = self._refill()
    self._next = index + 2
    high, low = words[index] >> HIGH, words[index + 1] >> LOW
    return (high * SCALE + low) / RANGE

  def randint(self, low: int, high: int) -> int:
    """An integer in [low, high): masked words until one is in range."""
    largest = high - low - 1
    if largest < 0:
      raise ValueError(f'empty range: low {low}, high {high}')
    if largest == 0:
      return low  # RandomState draws nothing here, so neither do we
    mask = (1 << largest.bit_length()) - 1
    while True:
      index = self._next
      words = self._words
      if index >= len(words):
        words, index = self._refill()
      self._next = index + 1
      value = words[index] & mask
      if value <= largest:
        return low + value

  def _refill(self) -> tuple[list[int], int]:
    rest = self._words[self._next :]
    self._words = rest + raw_words(self._source, BLOCK).tolist()
    self._next = 0
    return self._words, 0


def raw_words(source: np.random.RandomState, count: int) -> np.ndarray:
  """The next `count` words of the Mersenne Twister, u32 (count,)."""
  return source.randint(0, 2**32, size=count, dtype=np.uint32)
