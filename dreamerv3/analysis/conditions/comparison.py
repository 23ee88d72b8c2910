"""Conditions beside each other: means over agents, differences, tests, effect sizes.

  found = compare(numbers, ['wide', 'narrow'], Rules())
  found.effects[0].p_all

From the table in long form that `collect` makes. Every other condition is compared
with the first one, the reference.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from dreamerv3.analysis.conditions import hierarchy, quantities, scores
from dreamerv3.analysis.conditions.found import Cell, Comparison, Effect, Score
from dreamerv3.analysis.conditions.hierarchy import ENOUGH, PAIRS, Group
from dreamerv3.data import layers

NAN = float('nan')
DRAWS = 500  # of the episodes of each run
SHOWN = 4  # conditions that a note names
PAIRINGS = ('auto', 'always', 'never')


@dataclasses.dataclass(frozen=True)
class Rules:
  """How conditions are compared; the flags of the same names.

  Attributes:
    pairs: 'auto': by seed where seeds match and are PAIRS or more; 'always': where
      they match; 'never'.
    n_boot: draws behind intervals.
    seed: of draws and exchanges.
  """

  pairs: str = 'auto'
  n_boot: int = 2000
  seed: int = 0


class _Key(NamedTuple):
  quantity: str
  layer: str


class _Pair(NamedTuple):
  condition: str
  reference: str
  n: int
  n_reference: int
  paired: bool


class _Run(NamedTuple):
  """One number of one run, with the draws of its episodes around it (P,)."""

  run: str
  condition: str
  seed: int | None
  value: float
  within: np.ndarray


_Runs = dict[str, _Run]  # by name


def compare(
  numbers: pd.DataFrame, conditions: Sequence[str], rules: Rules
) -> Comparison:
  """Means of all conditions, and their differences from the first.

  Args:
    numbers: as `collect` makes it.
    conditions: their order.
    rules: of pairing and drawing.
  """
  known = _read(numbers, rules.seed)
  cells = [
    y for key, runs in known.items() for y in _cells(key, runs, conditions, rules)
  ]
  effects = [
    y for family in _families(known) for y in _effects(family, known, conditions, rules)
  ]
  place = {key: i for i, key in enumerate(known)}
  effects.sort(key=lambda x: place[_Key(x.quantity, x.layer)])
  return Comparison(
    tuple(conditions),
    tuple(cells),
    tuple(effects),
    tuple(_scores(cells, conditions, rules)),
    tuple(_notes(cells, effects, len(conditions) - 1)),
  )


def _read(numbers: pd.DataFrame, seed: int) -> dict[_Key, _Runs]:
  """All numbers of all runs; classes that occur nowhere are left out."""
  rng = np.random.default_rng([seed, 1])
  found: dict[_Key, _Runs] = {}
  for key, run, parts in _by_run(numbers):
    value, weights = parts.values[parts.whole], parts.weights[~parts.whole]
    if len(value) == 1 and np.isfinite(value[0]):
      within = _draws(parts.values[~parts.whole], weights, float(value[0]), rng)
      new = _Run(run, parts.condition, parts.seed, float(value[0]), within)
      found.setdefault(key, {})[run] = new
  some = {
    k.quantity for k, runs in found.items() if any(x.value for x in runs.values())
  }
  place = {x: i for i, x in enumerate(layers.order({k.layer for k in found}))}
  order = sorted(found, key=lambda k: (quantities.rank(k.quantity), place[k.layer]))
  return {k: found[k] for k in order if k.quantity in some or not _is_class(k.quantity)}


class _Rows(NamedTuple):
  """The rows of one number of one run; `whole` is True in that of the run itself."""

  condition: str
  seed: int | None
  values: np.ndarray
  weights: np.ndarray
  whole: np.ndarray


def _by_run(numbers: pd.DataFrame) -> Iterator[tuple[_Key, str, _Rows]]:
  columns = {x: numbers[x].to_numpy(object) for x in ('run', 'condition', 'seed')}
  values = numbers['value'].to_numpy(float)
  weights = numbers['weight'].to_numpy(float)
  whole = numbers['episode'].isna().to_numpy(bool)
  places: dict[tuple[_Key, str], list[int]] = {}
  keys = zip(numbers['quantity'], numbers['layer'], columns['run'], strict=True)
  for i, (quantity, layer, run) in enumerate(keys):
    places.setdefault((_Key(str(quantity), str(layer)), str(run)), []).append(i)
  for (key, run), rows in places.items():
    seed = columns['seed'][rows[0]]
    yield (
      key,
      run,
      _Rows(
        str(columns['condition'][rows[0]]),
        None if pd.isna(seed) else int(seed),
        values[rows],
        weights[rows],
        whole[rows],
      ),
    )


def _is_class(quantity: str) -> bool:
  return quantity.startswith((quantities.CLASS, quantities.CLASS_SIMPLE))


def _draws(
  values: np.ndarray, weights: np.ndarray, whole: float, rng: np.random.Generator
) -> np.ndarray:
  """How far a run's value moves as its episodes (E,) are drawn anew, (P,)."""
  count = len(values)
  if count < 2:
    return np.zeros(DRAWS)
  drawn = rng.multinomial(count, np.full(count, 1 / count), DRAWS)
  below = np.maximum(drawn @ weights, 1e-300)
  means: np.ndarray = drawn @ (values * weights) / below
  return means - whole


def _group(runs: Sequence[Sequence[_Run]]) -> Group:
  """Of L numbers, each of the same n runs."""
  return Group(
    np.array([[x.value for x in row] for row in runs]),
    np.array([[x.within for x in row] for row in runs]),
    tuple(x.seed for x in runs[0]),
  )


def _cells(
  key: _Key, runs: _Runs, conditions: Sequence[str], rules: Rules
) -> Iterator[Cell]:
  for condition in conditions:
    some = [x for x in runs.values() if x.condition == condition]
    if not some:
      continue
    group = _group([some])
    low, high = hierarchy.interval(group, rules.n_boot, rules.seed)
    yield Cell(
      key.quantity,
      key.layer,
      condition,
      float(group.mean[0]),
      float(low[0]),
      float(high[0]),
      tuple(x.value for x in some),
      tuple(x.run for x in some),
    )


def _families(known: dict[_Key, _Runs]) -> list[list[list[_Key]]]:
  """Numbers that are corrected together, in groups that the same runs have.

  A family is a quantity in all its layers, or all classes in all layers.
  """
  families: dict[str, dict[frozenset[str], list[_Key]]] = {}
  for key, runs in known.items():
    name = key.quantity.partition('/')[0] if _is_class(key.quantity) else key.quantity
    families.setdefault(name, {}).setdefault(frozenset(runs), []).append(key)
  return [list(x.values()) for x in families.values()]


def _effects(
  family: list[list[_Key]],
  known: dict[_Key, _Runs],
  conditions: Sequence[str],
  rules: Rules,
) -> Iterator[Effect]:
  """max-T within a group of numbers, Bonferroni over groups and conditions."""
  times = len(family) * max(len(conditions) - 1, 1)
  for keys in family:
    names = list(known[keys[0]])
    members = {
      c: [x for x in names if known[keys[0]][x].condition == c] for c in conditions
    }
    groups = {
      c: _group([[known[k][x] for x in names] for k in keys])
      for c, names in members.items()
      if names
    }
    reference = groups.get(conditions[0])
    for condition in conditions[1:]:
      if reference is None or condition not in groups:
        continue
      first = groups[condition]
      paired = _paired(first, reference, rules.pairs)
      found = hierarchy.difference(first, reference, paired, rules.n_boot, rules.seed)
      for i, key in enumerate(keys):
        pair = _Pair(condition, conditions[0], first.n, reference.n, paired)
        yield _effect(key, pair, found, i, times)


def _effect(
  key: _Key,
  pair: _Pair,
  found: hierarchy.Difference,
  i: int,
  times: int,
) -> Effect:
  scale = float(found.scale[i])
  diff, low, high = (float(x[i]) for x in (found.diff, found.low, found.high))
  p_all = float(np.minimum(found.p_all[i] * times, 1))
  return Effect(
    **key._asdict(),
    **pair._asdict(),
    diff=diff,
    low=low,
    high=high,
    g=diff * scale,
    g_low=low * scale,
    g_high=high * scale,
    p=float(found.p[i]),
    p_all=p_all,
  )


def _paired(first: Group, second: Group, pairs: str) -> bool:
  if pairs == 'never' or not hierarchy.match(first, second):
    return False
  return pairs == 'always' or first.n >= PAIRS


def _scores(
  cells: Sequence[Cell], conditions: Sequence[str], rules: Rules
) -> Iterator[Score]:
  """Interquartile means, and probabilities of improvement over the reference."""
  for name, known in quantities.KNOWN.items():
    some = {x.condition: np.array(x.values) for x in cells if x.quantity == name}
    if not known.score:
      continue
    for condition, values in some.items():
      better, ends = NAN, (NAN, NAN)
      if condition != conditions[0] and conditions[0] in some:
        pair = values, some[conditions[0]]
        better = float(scores.improvement(*pair))
        ends = scores.bounds(scores.improvement, pair, rules.n_boot, rules.seed)
      iqm = float(scores.interquartile_mean(values))
      spread = scores.bounds(
        scores.interquartile_mean, (values,), rules.n_boot, rules.seed
      )
      yield Score(name, condition, len(values), iqm, *spread, better, *ends)


def _notes(
  cells: Sequence[Cell], effects: Sequence[Effect], others: int
) -> Iterator[str]:
  """What the numbers of runs allow to be said, one line each."""
  most: dict[str, int] = {}
  for cell in cells:
    most[cell.condition] = max(most.get(cell.condition, 0), len(cell.values))
  few = [f'{k} has {n}' for k, n in most.items() if n < ENOUGH]
  if few:
    few = few if len(few) <= SHOWN else [*few[:SHOWN], f'{len(few) - SHOWN} more']
    yield (
      f'Fewer than {ENOUGH} runs allow no interval over runs and no p, whatever was '
      f'measured of each: {"; ".join(few)}.'
    )
  sizes = {(x.n, x.n_reference, x.paired) for x in effects if x.p == x.p}
  for n, other, paired in sorted(sizes):
    how = f'{n} pairs' if paired else f'{n} v {other} runs'
    least = hierarchy.least_p(n, other, paired) * max(others, 1)
    if least > 0.05:
      many = f' corrected for {others} comparisons' if others > 1 else ''
      yield f'{how} cannot show a p below {least:.2g}{many}; more seeds can.'
