"""What may be said of dreams: one paired rule for the floor and for every dream.

Each error is compared with that of a rival on the same dream and the same step, and
the difference is averaged over dreams. A dream is nearer than its rival where the 95 %
interval of that difference, over episodes, lies above 0. Steps are judged in their
order and the first that fails ends the count, so that no correction is needed for
their number (fixed-sequence testing, Maurer et al. 1995).

  found = gains(errors, valid, episode, seed=0)
  print(verdict(found))
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from dreamerv3.analysis.bootstrap import NONE, interval

N_BOOT = 1000
# What each name compares: rival, path.
PAIRS = {
  'floor': ('chance', 'observed'),
  'chance': ('chance', 'replay'),
  'still': ('still', 'replay'),
  'frozen': ('frozen', 'replay'),
  'permuted': ('permuted', 'replay'),
  'untrained': ('untrained', 'replay'),
}
RIVALS = {
  'still': 'a guess that stays at the start',
  'frozen': 'a dream that stands still',
  'permuted': 'dreams along permuted actions',
  'untrained': 'dreams of the untrained model',
}
# A dream that follows the agent beats these, over all steps taken together.
MOVING = ('frozen', 'permuted')


@dataclasses.dataclass(frozen=True)
class Gain:
  """How much nearer to the real path than a rival, at each step 0 to H.

  Attributes:
    mean: (H + 1,) of the paired differences [tiles]; NaN where no dream goes on.
    low, high: (H + 1,) its 95 % interval over episodes; NaN below five episodes.
    overall: mean, low and high over all dreams and steps from 1 on.
  """

  mean: np.ndarray
  low: np.ndarray
  high: np.ndarray
  overall: tuple[float, float, float]

  @property
  def nearer(self) -> bool:
    """Whether over all steps together."""
    return self.overall[1] > 0

  @property
  def reach(self) -> int:
    """Last step up to which every step is nearer; 0 if none."""
    return int(np.cumprod(self.low[1:] > 0).sum())

  @property
  def steps(self) -> np.ndarray:
    """Steps from 1 on that are nearer, each judged by itself."""
    return 1 + np.flatnonzero(self.low[1:] > 0)


def gains(
  errors: Mapping[str, np.ndarray], valid: np.ndarray, episode: np.ndarray, seed: int
) -> dict[str, Gain]:
  """Paired differences of errors (N, H + 1) [tiles], by the names of `PAIRS`.

  Args:
    errors: of each path, and of the guesses constant, prior, still and frozen.
      Chance is the one of constant and prior that errs less at the step.
    valid: (N, H + 1) before the end of the episode.
    episode: (N,) of each dream.
    seed: of the bootstrap.
  """
  known = dict(errors)
  both = np.stack([known['constant'], known['prior']])
  total = np.where(valid, both, 0).sum(1)  # (2, H + 1)
  known['chance'] = both[total.argmin(0), :, np.arange(both.shape[2])].T
  return {
    name: _gain(known[rival] - known[path], valid, episode, seed)
    for name, (rival, path) in PAIRS.items()
    if rival in known
  }


def _gain(
  difference: np.ndarray, valid: np.ndarray, episode: np.ndarray, seed: int
) -> Gain:
  mean, low, high = np.full((3, valid.shape[1]), np.nan)
  for step in np.flatnonzero(valid.any(0)):
    here = valid[:, step]
    mean[step] = difference[here, step].mean()
    ends = interval(difference[here, step], episode[here], N_BOOT, seed)
    low[step], high[step] = ends
  later = valid[:, 1:]
  values, of = difference[:, 1:][later], np.nonzero(later)[0]
  if not len(values):
    return Gain(mean, low, high, (np.nan,) * 3)
  overall = float(values.mean()), *interval(values, episode[of], N_BOOT, seed)
  return Gain(mean, low, high, overall)


def verdict(found: Mapping[str, Gain]) -> str:
  """What the paired comparisons allow to be said of the dreams."""
  floor = found['floor']
  if not np.isfinite(floor.overall[1]):
    return f'Dreams are not compared with chance: {NONE}.'
  if not floor.overall[1] > 0:
    gain = '{:.1f} tiles [{:.1f}, {:.1f}]'.format(*floor.overall)
    return (
      'Even while the agent sees, the decoder is not better than chance '
      f'(nearer by {gain}): dreams cannot be judged.'
    )
  steps, horizon = found['chance'].reach, len(floor.mean) - 1
  if not steps:
    return 'Replayed dreams do not even beat chance on step 1.'
  upto = f'on all {horizon} steps' if steps == horizon else f'up to step {steps}'
  upto += '' if steps == horizon else f' of {horizon}'
  return f'Replayed dreams beat chance {upto}. {_moving(found, horizon)}'


def _moving(found: Mapping[str, Gain], horizon: int) -> str:
  """Whether the dreams also move as the agent did."""
  beaten, unbeaten = [], []
  for name, label in RIVALS.items():
    if name not in found:
      continue
    steps = found[name].steps
    # One test for all steps opens those of single ones, of which one or another passes
    # by chance.
    if found[name].nearer:
      first = f', first on step {steps[0]}' if len(steps) and steps[0] > 1 else ''
      alone = f'{len(steps)} of {horizon}' if len(steps) else 'no step by itself'
      beaten.append(f'{label} over all steps, on {alone}{first}')
    else:
      unbeaten.append(label)
  text = 'They move with the agent'
  if not all(found[x].nearer for x in MOVING if x in found):
    text = 'Nothing shows that they move'
  elif not all(x in found for x in MOVING):
    text = 'They do not stand still; whether they follow the actions was not tested'
  if beaten:
    text += f'; they are nearer than {"; than ".join(beaten)}'
  if unbeaten:
    text += f'; over all steps not shown to be nearer than {", ".join(unbeaten)}'
  return text + '.'
