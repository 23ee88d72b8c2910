"""Are comparisons of conditions honest, and strong enough? Planted studies.

  python bench/studies.py               # as docs/studies.md has it
  python bench/studies.py --trials 1000
  python bench/studies.py --numbers planted.csv   # one study, for compare_conditions.py

Two conditions of n agents each, six layers, eight episodes each. The agents of a
condition differ with a standard deviation of 0.1 of chance's error, which the layers
share to 0.3, their episodes with another 0.1. Equal conditions should differ in 5 %
of studies, in one layer and in any of the six after correction; an effect in one
layer, in standard deviations between agents, should be found there.
"""

import argparse
import pathlib
import sys

sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

import numpy as np
import pandas as pd

from dreamerv3.analysis.conditions.comparison import Rules, compare
from dreamerv3.analysis.conditions.hierarchy import least_p
from dreamerv3.analysis.conditions.tables import differs
from tests.analysis import planted_studies

SHARED = 0.3


def equal(seeds: int, trials: int, pairs: str = 'auto') -> tuple[float, float, float]:
  """How often equal conditions differ, and how often intervals hold.

  Returns:
    Shares of studies: with p <= 0.05 of the first layer, with any corrected p <= 0.05;
    and of intervals of the differences that hold 0.
  """
  rng, alone, families, held = np.random.default_rng([seeds, 0]), 0, 0, []
  for trial in range(trials):
    numbers = planted_studies.numbers(rng, seeds=seeds, shared=SHARED)
    effects = compare(numbers, 'ab', Rules(pairs, 300, trial)).effects
    alone += effects[0].p <= 0.05
    families += any(x.p_all <= 0.05 for x in effects)
    held += [x.low <= 0 <= x.high for x in effects]
  return alone / trials, families / trials, float(np.mean(held))


def power(effect: float, seeds: int, trials: int) -> tuple[float, float]:
  """How often an effect in one of six layers is found: alone, corrected."""
  rng, alone, corrected = np.random.default_rng([seeds, 1]), 0, 0
  for trial in range(trials):
    numbers = planted_studies.numbers(rng, effect, seeds, shared=SHARED)
    found = compare(numbers, 'ab', Rules('auto', 100, trial)).effects
    (there,) = [x for x in found if x.layer == planted_studies.LAYERS[0]]
    alone += there.p <= 0.05
    corrected += there.p_all <= 0.05
  return alone / trials, corrected / trials


def unequal(first: int, second: int, trials: int) -> tuple[float, float]:
  """How often conditions of one mean and spreads 1 and 5 differ: by p, and named."""
  rng, passed, named = np.random.default_rng([first, second]), 0, 0
  for trial in range(trials):
    table = pd.concat(
      planted_studies.agents(x, spread * rng.normal(size=n))
      for x, spread, n in (('a', 1, first), ('b', 5, second))
    )
    (effect,) = compare(table, 'ab', Rules('never', 300, trial)).effects
    passed += effect.p_all <= 0.05
    named += differs(effect)
  return passed / trials, named / trials


def main() -> None:
  """Prints calibration, coverage and power."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--trials', type=int, default=200)
  parser.add_argument('--numbers', help='only write the numbers of one study here')
  args = parser.parse_args()
  if args.numbers:
    table = planted_studies.numbers(np.random.default_rng(3), 3, shared=SHARED)
    table.to_csv(args.numbers, index=False)
    return
  trials = args.trials
  print(f'Equal conditions, {trials} studies: share that differs at 5 %')
  for seeds, pairs in (
    (3, 'never'),
    (4, 'never'),
    (5, 'never'),
    (6, 'auto'),
    (8, 'auto'),
  ):
    alone, family, held = equal(seeds, trials, pairs)
    how = f'{seeds} pairs' if pairs == 'auto' else f'{seeds} v {seeds} runs'
    least = least_p(seeds, seeds, pairs == 'auto')
    print(
      f'  {how}: {alone:.1%} in one layer, {family:.1%} in any of six, corrected '
      f'(least p {least:.3f}); 95 % intervals hold {held:.1%}',
      flush=True,
    )
  print('One number of agents, those of the second condition spread five times as much')
  for first, second in ((5, 5), (8, 3), (10, 4), (3, 8)):
    passed, named = unequal(first, second, 3 * trials)
    print(f'  {first} v {second}: p <= 0.05 in {passed:.1%}, named {named:.1%}')
  print('An effect in one of six layers, found at 5 % alone and corrected')
  for seeds in (3, 5, 8):
    for effect in (1, 2, 3):
      alone, corrected = power(effect, seeds, trials)
      print(
        f'  {effect} standard deviations, {seeds} seeds: {alone:.1%}, {corrected:.1%}',
        flush=True,
      )


if __name__ == '__main__':
  main()
