"""What a comparison of conditions has found: means, differences, scores.

comparison = Comparison(('wide', 'narrow'), cells, effects, scores)
cell = comparison.of('decode_share', 'dyn/deter', 'wide')
"""

import dataclasses
import functools
from typing import NamedTuple


class Cell(NamedTuple):
  """One number of one condition.

  Attributes:
    quantity, layer, condition: which; layer '' for whole agents.
    mean: over its runs; low, high: 95 % interval over runs; NaN below ENOUGH.
    values, runs: of each run, and its name.
  """

  quantity: str
  layer: str
  condition: str
  mean: float
  low: float
  high: float
  values: tuple[float, ...]
  runs: tuple[str, ...]


class Effect(NamedTuple):
  """How a condition differs from the reference in one number.

  Attributes:
    quantity, layer, condition, reference: what is compared.
    n, n_reference: runs of each; paired: by seed.
    diff, low, high: condition minus reference, 95 % interval.
    g, g_low, g_high: the same in standard deviations between runs (Hedges' g).
    p: two-sided; p_all: for all layers (and classes) and conditions together.
  """

  quantity: str
  layer: str
  condition: str
  reference: str
  n: int
  n_reference: int
  paired: bool
  diff: float
  low: float
  high: float
  g: float
  g_low: float
  g_high: float
  p: float
  p_all: float


class Score(NamedTuple):
  """A score of one condition as rliable reports it.

  Attributes:
    quantity, condition, n: which, of how many runs.
    iqm, low, high: interquartile mean over runs, 95 % interval.
    better, better_low, better_high: probability that a run of it scores higher than
      one of the reference; NaN of the reference.
  """

  quantity: str
  condition: str
  n: int
  iqm: float
  low: float
  high: float
  better: float
  better_low: float
  better_high: float


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Everything that was compared; the first of `conditions` is the reference.

  Attributes:
    conditions: in their order.
    cells, effects, scores: what was found, in the order of `quantities`.
    notes: what the numbers of runs do not allow, a line each.
  """

  conditions: tuple[str, ...]
  cells: tuple[Cell, ...]
  effects: tuple[Effect, ...]
  scores: tuple[Score, ...]
  notes: tuple[str, ...] = ()

  def of(self, quantity: str, layer: str, condition: str) -> Cell | None:
    """A number of a condition; None where no run has it."""
    return self._cells.get((quantity, layer, condition))

  def effect(self, quantity: str, layer: str, condition: str) -> Effect | None:
    """Its difference from the reference; None of the reference itself."""
    return self._effects.get((quantity, layer, condition))

  def layers(self, quantity: str) -> list[str]:
    """Layers that have a quantity, in network order."""
    return list(dict.fromkeys(x.layer for x in self.cells if x.quantity == quantity))

  def quantities(self) -> list[str]:
    """Names of all that some run has."""
    return list(dict.fromkeys(x.quantity for x in self.cells))

  @functools.cached_property
  def _cells(self) -> dict[tuple[str, str, str], Cell]:
    return {(x.quantity, x.layer, x.condition): x for x in self.cells}

  @functools.cached_property
  def _effects(self) -> dict[tuple[str, str, str], Effect]:
    return {(x.quantity, x.layer, x.condition): x for x in self.effects}
