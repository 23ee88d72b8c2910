"""The input of a policy call: a fixed number of rows, few or all of them in use.

  filled = fill(probe, {3: Row(obs, seeds, time=7)})
  carry, act, rows = probe(params, carry, *filled)

For whoever asks the policy of a `Probe`: rollouts, the player, replays.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from dreamerv3.probing.probe import Probe


class Row(NamedTuple):
  """What one row of a policy call is asked.

  Attributes:
    obs: at least the keys of the model's spaces, and `is_first`.
    seeds: uint32 (2,), of the chance in its episode, see `seeds_of`.
    time: timestep in that episode, from 0.
  """

  obs: Mapping[str, np.ndarray]
  seeds: np.ndarray
  time: int


class Filled(NamedTuple):
  """Arrays of a whole call: obs {key: (width, ...)}, seeds, times."""

  obs: dict[str, np.ndarray]
  seeds: np.ndarray
  times: np.ndarray


def seeds_of(seed: int, number: int) -> np.ndarray:
  """Seeds uint32 (2,) of the chance in episode `number` of a recording."""
  return np.random.SeedSequence([seed, number]).generate_state(2)


def row_of(probe: Probe, number: int) -> int:
  """Where episode `number` sits in a policy call, however it is made."""
  return (number - 1) % probe.width


def fill(probe: Probe, rows: Mapping[int, Row]) -> Filled:
  """The rows at their places, and zeros that begin an episode elsewhere."""
  width = probe.width
  spaces = probe.model.spaces
  obs = {k: np.zeros((width, *v.shape), v.dtype) for k, v in spaces.items()}
  obs['is_first'] = np.ones(width, bool)
  seeds, times = np.zeros((width, 2), np.uint32), np.zeros(width, np.int32)
  for place, row in rows.items():
    for key, values in obs.items():
      values[place] = row.obs[key]
    seeds[place], times[place] = row.seeds, row.time
  return Filled(obs, seeds, times)
