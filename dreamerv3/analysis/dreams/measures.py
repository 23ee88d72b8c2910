"""Do imagined trajectories stay where the world is? Statistics of dreams.

For whoever asks how long a world model keeps track of its place without
seeing. Each dream begins in a state of a real episode. `replay` is dreamed
along the actions that were really taken, so that it should follow the real
path; `policy` along actions of its own, so that it should merely be possible.

  curves = make_curves(dreams, decoder.training_path(), seed=0)
  print(verdict(curves))

Equations and reasons are in docs/dreams.md.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from dreamerv3.analysis.bootstrap import NONE, interval
from dreamerv3.analysis.decoding import chance as baselines
from dreamerv3.data.grid import Grid, manhattan

KINDS = ('replay', 'policy', 'observed')

SHUFFLED = 8000  # shuffled dreams, about; all chance in them averages out
N_BOOT = 1000
CLEAR = 0.9  # of chance; a floor below it says that the decoder works
STEPS = (1, 5, 10, 15)  # of the printed table, and the last one


@dataclasses.dataclass(frozen=True)
class DreamSet:
  """N dreams of H steps, decoded. Column 0 of each path is the start.

  Attributes:
    grid: the world.
    episode, t: (N,) where each dream begins, after the observation at t.
    past: (N, W, 2) real positions up to the start, which is the last.
    real: (N, H + 1, 2) real positions from the start on [tiles].
    valid: (N, H + 1) False after the end of the episode; whatever the other
      arrays hold there counts nowhere.
    decoded: {kind: (N, H + 1, 2)} decoded positions of `replay`, `policy` and
      `observed`, the states of the agent that went on seeing.
  """

  grid: Grid
  episode: np.ndarray
  t: np.ndarray
  past: np.ndarray
  real: np.ndarray
  valid: np.ndarray
  decoded: Mapping[str, np.ndarray]

  def __post_init__(self):
    n, steps = self.valid.shape
    shapes = {'real': self.real, **self.decoded}
    wrong = {k: v.shape for k, v in shapes.items() if v.shape != (n, steps, 2)}
    if wrong or set(self.decoded) != set(KINDS):
      raise ValueError(
        f'paths of {sorted(self.decoded)}, {wrong}; expected {sorted(KINDS)} '
        f'and shapes {(n, steps, 2)}'
      )
    if not n or not self.valid[:, 0].all():
      raise ValueError(f'{n} dreams; expected some, each with a valid start')
    if (np.diff(self.valid.astype(np.int8), axis=1) > 0).any():
      raise ValueError('valid turns True again after the end of an episode')

  def __len__(self) -> int:
    return len(self.valid)

  @property
  def horizon(self) -> int:
    return self.valid.shape[1] - 1


@dataclasses.dataclass(frozen=True)
class Curves:
  """Mean distance from the real position at each step, 0 to H [tiles].

  Attributes:
    count: (H + 1,) dreams that are compared at each step.
    mean: {name: (H + 1,)}: the three kinds; `still` (stays at the start),
      `constant` and `prior` (chance of the decoder's training occupancy),
      `shuffled` (replayed dreams of other starts); `divergence` of replayed
      dreams from the observed states, both decoded.
    low, high: {kind: (H + 1,)} bootstrap over episodes, 95 %; NaN for few.
  """

  count: np.ndarray
  mean: Mapping[str, np.ndarray]
  low: Mapping[str, np.ndarray]
  high: Mapping[str, np.ndarray]

  @property
  def chance(self) -> np.ndarray:
    """The better of the two guesses from occupancy."""
    return np.minimum(self.mean['constant'], self.mean['prior'])


@dataclasses.dataclass(frozen=True)
class Coherence:
  """How a path moves; all over consecutive steps before the episode's end.

  Attributes:
    median, mean: step length [tiles], Euclidean.
    jumps: share of steps over more than one tile, which no agent can do.
    walkable: share of positions on tiles one can stand on; NaN without a map.
  """

  median: float
  mean: float
  jumps: float
  walkable: float


def make_curves(dreams: DreamSet, past: np.ndarray, seed: int) -> Curves:
  """All errors against the horizon.

  Args:
    past: training positions (M, 2), see LinearDecoder.training_path.
    seed: of the shuffle and the bootstrap.
  """
  real, valid = dreams.real, dreams.valid
  paths = dict(dreams.decoded)
  paths['still'] = np.broadcast_to(real[:, :1], real.shape)
  tile = baselines.best_constant(past, dreams.grid)
  paths['constant'] = np.broadcast_to(tile, real.shape)
  errors = {k: manhattan(v, real).astype(float) for k, v in paths.items()}
  prior = baselines.prior_error(past, real.reshape(-1, 2), dreams.grid)
  errors['prior'] = prior.reshape(valid.shape)
  replay, observed = dreams.decoded['replay'], dreams.decoded['observed']
  errors['divergence'] = manhattan(replay, observed).astype(float)
  mean = {k: _mean(v, valid) for k, v in errors.items()}
  other, rows = shuffle(replay, valid, np.random.default_rng(seed))
  exchanged = _exchanged(valid)
  mean['shuffled'] = _mean(manhattan(other, real[rows]), exchanged[rows])
  bands = {k: _band(errors[k], valid, dreams.episode, seed) for k in KINDS}
  return Curves(
    valid.sum(0),
    mean,
    {k: v[0] for k, v in bands.items()},
    {k: v[1] for k, v in bands.items()},
  )


def shuffle(
  path: np.ndarray, valid: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """At every step, each dream gets the latent of another dream.

  What is left is where dreams tend to be; what is gone is whose dream it is
  and how it moves. Only latents before the end of an episode are exchanged.

  Args:
    path: (N, H + 1, 2) decoded positions.

  Returns:
    (M, H + 1, 2), many shuffles one after another, and the dream (M,) whose
    latents were exchanged in each row.
  """
  repeats = max(1, SHUFFLED // len(path))
  found = np.tile(path, (repeats, 1, 1))
  for start in range(0, len(found), len(path)):
    for step in range(path.shape[1]):
      order = rng.permutation(np.flatnonzero(valid[:, step]))
      found[start + order, step] = path[np.roll(order, 1), step]
  return found, np.tile(np.arange(len(path)), repeats)


def coherence(
  path: np.ndarray, valid: np.ndarray, walkable: np.ndarray | None
) -> Coherence:
  """Statistics of paths (N, H + 1, 2), the start included."""
  both = valid[:, 1:] & valid[:, :-1]
  moves = np.diff(path, axis=1)[both]
  lengths = np.sqrt(np.square(moves.astype(float)).sum(-1))
  far = np.abs(moves).sum(-1) > 1
  share = float('nan')
  if walkable is not None and valid[:, 1:].any():
    share = float(walkable[tuple(path[:, 1:][valid[:, 1:]].T)].mean())
  if not len(moves):
    none = float('nan')
    return Coherence(none, none, none, share)
  return Coherence(
    float(np.median(lengths)), float(lengths.mean()), float(far.mean()), share
  )


def coherences(
  dreams: DreamSet, walkable: np.ndarray | None, seed: int
) -> dict[str, Coherence]:
  """Of each kind of path, of shuffled dreams and of the real path."""
  valid = dreams.valid
  found = {k: coherence(v, valid, walkable) for k, v in dreams.decoded.items()}
  rng = np.random.default_rng(seed)
  other, rows = shuffle(dreams.decoded['replay'], valid, rng)
  found['shuffled'] = coherence(other, _exchanged(valid)[rows], walkable)
  found['real'] = coherence(dreams.real, valid, walkable)
  return found


def reach(curves: Curves) -> int:
  """Last step up to which replayed dreams are nearer than chance; 0 if none.

  Nearer is the upper end of the interval over episodes. Steps without an
  interval, which few episodes reach, end it.
  """
  better = (curves.high['replay'] < curves.chance)[1:]
  return int(np.cumprod(better).sum())


def verdict(curves: Curves) -> str:
  """One sentence: do dreams stay coherent?"""
  floor = curves.mean['observed'][curves.count > 0].mean()
  chance = curves.chance[curves.count > 0].mean()
  if not floor < CLEAR * chance:
    return (
      f'The decoder itself is hardly better than chance here ({floor:.1f} and '
      f'{chance:.1f} tiles): dreams cannot be judged.'
    )
  if not np.isfinite(curves.high['replay'][1:]).any():
    return f'Dreams are not compared with chance: {NONE}.'
  steps, horizon = reach(curves), len(curves.count) - 1
  still = _against_still(curves)
  if steps == horizon:
    return f'Replayed dreams beat chance on all {horizon} steps{still}'
  if not steps:
    return f'Replayed dreams do not even beat chance on step 1{still}'
  return f'Replayed dreams beat chance up to step {steps} of {horizon}{still}'


def _against_still(curves: Curves) -> str:
  """The end of the sentence: the guess that is hardest over a few steps."""
  nearer = (curves.high['replay'] < curves.mean['still'])[1:]
  if not nearer.any():
    return ', and a guess that stays at the start on none.'
  return (
    f', and a guess that stays at the start on {nearer.sum()} of '
    f'{len(nearer)}, first on step {nearer.argmax() + 1}.'
  )


def steps_of(horizon: int) -> list[int]:
  """Steps of the printed table."""
  return [*(x for x in STEPS if x < horizon), horizon]


def table(curves: Curves, found: Mapping[str, Coherence]) -> list[str]:
  """The printed table: how each path moves, and how far from the real one."""
  steps = steps_of(len(curves.count) - 1)
  head = f'{"":<20}{"step length":>12}{"jumps":>8}{"walkable":>10}'
  head += ''.join(f'{f"step {x}":>9}' for x in steps)
  lines = [
    head,
    f'{"":<20}{"mean [tiles]":>12}{"":>18}' + f'{"error [tiles]":>{9 * len(steps)}}',
  ]
  for name, label in LABELS.items():
    row = f'{label:<20}'
    if name in found:
      x = found[name]
      row += f'{x.mean:>12.2f}{x.jumps:>8.1%}{x.walkable:>10.1%}'
    else:
      row += f'{"":>30}'
    if name in curves.mean:
      row += ''.join(f'{curves.mean[name][x]:>9.2f}' for x in steps)
    lines.append(row.rstrip())
  lines.append(verdict(curves))
  return lines


LABELS = {
  'replay': 'dream, real actions',
  'policy': 'dream, own actions',
  'observed': 'observed (floor)',
  'real': 'real path',
  'shuffled': 'shuffled dreams',
  'still': 'stays at start',
  'constant': 'best constant',
  'prior': 'occupancy',
  'divergence': 'dream to observed',
}


def rows_of(curves: Curves) -> list[dict[str, Any]]:
  """The curves as rows of a table, one per step."""
  return [
    {
      'step': h,
      'dreams': int(curves.count[h]),
      **{k: float(v[h]) for k, v in curves.mean.items()},
      **{f'{k}_low': float(v[h]) for k, v in curves.low.items()},
      **{f'{k}_high': float(v[h]) for k, v in curves.high.items()},
    }
    for h in range(len(curves.count))
  ]


def arrays(dreams: DreamSet) -> dict[str, Any]:
  """What is saved of the dreams, by key, see docs/data_format.md."""
  policy = dreams.decoded['policy'][:, 1:].astype(np.float64)
  lengths = np.sqrt(np.square(np.diff(policy, axis=1)).sum(-1))
  lengths[~dreams.valid[:, 2:]] = np.nan
  known = lengths[np.isfinite(lengths)]
  return {
    'decoded_pos': policy,
    'start_pos': dreams.real[:, 0],
    'obs_pos': dreams.past,
    'step_dists': lengths,
    'median_step_dist': float(np.median(known)) if len(known) else np.nan,
    'mean_step_dist': float(known.mean()) if len(known) else np.nan,
    'dream_episode': dreams.episode,
    'dream_t': dreams.t,
    'valid': dreams.valid,
    'real_pos': dreams.real,
    'replay_pos': dreams.decoded['replay'],
    'observed_pos': dreams.decoded['observed'],
  }


def _mean(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
  """Mean over dreams at each step; NaN where no episode goes on."""
  count = valid.sum(0)
  total = np.where(valid, values, 0).sum(0)
  return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _exchanged(valid: np.ndarray) -> np.ndarray:
  """Where `shuffle` had another dream to take from."""
  return valid & (valid.sum(0) > 1)


def _band(
  errors: np.ndarray, valid: np.ndarray, episode: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  ends = np.full((2, valid.shape[1]), np.nan)
  for step in np.flatnonzero(valid.any(0)):
    here = valid[:, step]
    found = interval(errors[here, step], episode[here], N_BOOT, seed)
    ends[:, step] = found
  return ends[0], ends[1]
