"""Numbers of planted studies: agents that differ, episodes that differ, an effect."""

import numpy as np
import pandas as pd

from dreamerv3.analysis.conditions.collect import COLUMNS

LAYERS = tuple(f'enc/cnn{i}' for i in range(4)) + ('dyn/deter', 'dyn/stoch')


def numbers(
  rng: np.random.Generator,
  effect: float = 0.0,
  seeds: int = 5,
  layers: tuple[str, ...] = LAYERS,
  shared: float = 0.0,
  episodes: int = 8,
  quantity: str = 'decode_share',
) -> pd.DataFrame:
  """Two conditions of `seeds` agents each, in the table of `collect`.

  Args:
    effect: difference of the second in the first layer, in standard deviations
      between agents.
    shared: share of an agent's deviation that all its layers have in common.
  """
  rows: list[tuple[object, ...]] = []
  for condition in 'ab':
    for seed in range(seeds):
      run = f'{condition}{seed}'
      common = rng.normal()
      for i, layer in enumerate(layers):
        own = shared**0.5 * common + (1 - shared) ** 0.5 * rng.normal()
        truth = 0.6 + 0.1 * (own + effect * (condition == 'b' and i == 0))
        values = truth + 0.1 * rng.normal(size=episodes)
        weights = rng.integers(50, 300, episodes).astype(float)
        whole = float(values @ weights / weights.sum())
        known = (run, condition, seed, quantity, layer)
        rows.append((*known, None, whole, 1.0))
        rows += [
          (*known, k, float(v), w)
          for k, (v, w) in enumerate(zip(values, weights, strict=True))
        ]
  table = pd.DataFrame(rows, columns=pd.Index(COLUMNS))
  return table.astype({'seed': 'Int64', 'episode': 'Int64'})


def agents(condition: str, values: np.ndarray) -> pd.DataFrame:
  """Agents (n,) of a condition, of which nothing but one number each is known."""
  rows = [
    (f'{condition}{i}', condition, None, 'srsa', 'dyn/deter', None, float(x), 1.0)
    for i, x in enumerate(values)
  ]
  table = pd.DataFrame(rows, columns=pd.Index(COLUMNS))
  return table.astype({'seed': 'Int64', 'episode': 'Int64'})
