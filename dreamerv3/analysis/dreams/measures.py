"""Do imagined trajectories stay where the world is? Statistics of dreams.

For whoever asks how long a world model keeps track of its place without
seeing. Each dream begins in a state of a real episode. `replay` is dreamed
along the actions that were really taken, so that it should follow the real
path; `policy` along actions of its own, so that it should merely be possible.

  curves = make_curves(dreams, decoder.visits, seed=0)
  print('\n'.join(table(curves, coherences(dreams, walkable, seed=0))))

Equations and reasons are in docs/dreams.md.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from dreamerv3.analysis.bootstrap import interval
from dreamerv3.analysis.decoding import chance as baselines
from dreamerv3.analysis.dreams import judgement
from dreamerv3.analysis.dreams.judgement import Gain
from dreamerv3.data.grid import Grid, manhattan

KINDS = ('replay', 'policy', 'observed')
CONTROLS = ('permuted', 'untrained')

SHUFFLED = 8000  # shuffled dreams, about; all chance in them averages out
N_BOOT = 1000
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
      `observed`, the states of the agent that went on seeing; and of controls,
      where they were dreamed: `permuted`, along the actions of a dream of another
      episode, and `untrained`, along the real actions by a world model that
      learned nothing.
  """

  grid: Grid
  episode: np.ndarray
  t: np.ndarray
  past: np.ndarray
  real: np.ndarray
  valid: np.ndarray
  decoded: Mapping[str, np.ndarray]

  def __post_init__(self) -> None:
    n, steps = self.valid.shape
    shapes = {'real': self.real, **self.decoded}
    wrong = {k: v.shape for k, v in shapes.items() if v.shape != (n, steps, 2)}
    given = set(self.decoded)
    if wrong or not set(KINDS) <= given <= {*KINDS, *CONTROLS}:
      raise ValueError(
        f'paths of {sorted(given)}, {wrong}; expected {sorted(KINDS)} '
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
    """Steps that are dreamt."""
    steps: int = self.valid.shape[1] - 1
    return steps


@dataclasses.dataclass(frozen=True)
class DreamCurves:
  """Mean distance from the real position at each step, 0 to H [tiles].

  Attributes:
    count: (H + 1,) dreams that are compared at each step.
    mean: {name: (H + 1,)}: each kind of path; `still` (stays at the real start)
      and `frozen` (at the decoded one); `constant` and `prior` (chance of the
      decoder's training occupancy); `shuffled` (replayed dreams of other
      episodes); `divergence` of replayed dreams from the observed states, both
      decoded.
    low, high: {kind: (H + 1,)} bootstrap over episodes, 95 %; NaN for few.
    gains: what the sentence goes by, see `judgement`.
  """

  count: np.ndarray
  mean: Mapping[str, np.ndarray]
  low: Mapping[str, np.ndarray]
  high: Mapping[str, np.ndarray]
  gains: Mapping[str, Gain]

  @property
  def chance(self) -> np.ndarray:
    """The better of the two guesses from occupancy."""
    best: np.ndarray = np.minimum(self.mean['constant'], self.mean['prior'])
    return best


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


def make_curves(dreams: DreamSet, visits: np.ndarray, seed: int) -> DreamCurves:
  """All errors against the horizon.

  Args:
    visits: (W, H) training timesteps of the decoder on each tile.
    seed: of the shuffle and the bootstrap.
  """
  real, valid = dreams.real, dreams.valid
  paths = dict(dreams.decoded)
  paths['still'] = np.broadcast_to(real[:, :1], real.shape)
  paths['constant'] = np.broadcast_to(baselines.best_constant(visits), real.shape)
  paths['frozen'] = np.broadcast_to(paths['replay'][:, :1], real.shape)
  errors = {k: manhattan(v, real).astype(float) for k, v in paths.items()}
  prior = baselines.prior_error(visits, real.reshape(-1, 2))
  errors['prior'] = prior.reshape(valid.shape)
  replay, observed = dreams.decoded['replay'], dreams.decoded['observed']
  errors['divergence'] = manhattan(replay, observed).astype(float)
  mean = {k: _mean(v, valid) for k, v in errors.items()}
  rng = np.random.default_rng(seed)
  other, done, rows = shuffle(replay, valid, dreams.episode, rng)
  mean['shuffled'] = _mean(manhattan(other, real[rows]), done)
  bands = {k: _band(errors[k], valid, dreams.episode, seed) for k in dreams.decoded}
  return DreamCurves(
    valid.sum(0),
    mean,
    {k: v[0] for k, v in bands.items()},
    {k: v[1] for k, v in bands.items()},
    judgement.gains(errors, valid, dreams.episode, seed),
  )


def shuffle(
  path: np.ndarray, valid: np.ndarray, episode: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """At every step, each dream gets the latent of a dream of another episode.

  What is left is where dreams tend to be; what is gone is whose dream it is
  and how it moves. Dreams of one episode lie near each other, so they never
  exchange. Only latents before the end of an episode take part.

  Args:
    path: (N, H + 1, 2) decoded positions.
    valid: (N, H + 1) before the end of the episode.
    episode: (N,) of each dream.

  Returns:
    (M, H + 1, 2), many shuffles one after another; whether another episode was
    there to take from (M, H + 1); and the dream (M,) that each row was.
  """
  repeats = max(1, SHUFFLED // len(path))
  found = np.tile(path, (repeats, 1, 1))
  done = np.zeros(found.shape[:2], bool)
  for start in range(0, len(found), len(path)):
    for step in range(path.shape[1]):
      to, source = _strangers(np.flatnonzero(valid[:, step]), episode, rng)
      found[start + to, step] = path[source, step]
      done[start + to, step] = True
  return found, done, np.tile(np.arange(len(path)), repeats)


def _strangers(
  rows: np.ndarray, episode: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """Pairs of rows of two episodes, each row at most once on either side."""
  _, group, size = np.unique(episode[rows], return_inverse=True, return_counts=True)
  if len(size) < 2:
    return rows[:0], rows[:0]
  rank = rng.permutation(len(size))[group]
  order = rows[np.lexsort((rng.random(len(rows)), rank))]
  # Turned by at least the longest episode, no row meets its own.
  most = min(int(size.max()), len(rows) // 2)
  source = np.roll(order, rng.integers(most, len(rows) - most + 1))
  apart = episode[order] != episode[source]
  return order[apart], source[apart]


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
  other, done, _ = shuffle(dreams.decoded['replay'], valid, dreams.episode, rng)
  found['shuffled'] = coherence(other, done, walkable)
  found['real'] = coherence(dreams.real, valid, walkable)
  return found


def steps_of(horizon: int) -> list[int]:
  """Steps of the printed table."""
  return [*(x for x in STEPS if x < horizon), horizon]


def table(curves: DreamCurves, found: Mapping[str, Coherence]) -> list[str]:
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
    if name not in curves.mean and name not in found:
      continue
    if name in found:
      x = found[name]
      row += f'{x.mean:>12.2f}{x.jumps:>8.1%}{x.walkable:>10.1%}'
    else:
      row += f'{"":>30}'
    if name in curves.mean:
      row += ''.join(f'{curves.mean[name][x]:>9.2f}' for x in steps)
    lines.append(row.rstrip())
  lines.append(judgement.verdict(curves.gains))
  return lines


LABELS = {
  'replay': 'dream, real actions',
  'policy': 'dream, own actions',
  'observed': 'observed (floor)',
  'real': 'real path',
  'shuffled': 'shuffled dreams',
  'permuted': 'permuted actions',
  'untrained': 'untrained model',
  'frozen': 'frozen dream',
  'still': 'stays at start',
  'constant': 'best constant',
  'prior': 'occupancy',
  'divergence': 'dream to observed',
}


def rows_of(curves: DreamCurves) -> list[dict[str, Any]]:
  """The curves as rows of a table, one per step."""
  return [
    {
      'step': h,
      'dreams': int(curves.count[h]),
      **{k: float(v[h]) for k, v in curves.mean.items()},
      **{f'{k}_low': float(v[h]) for k, v in curves.low.items()},
      **{f'{k}_high': float(v[h]) for k, v in curves.high.items()},
      **{f'gain_{k}': float(v.mean[h]) for k, v in curves.gains.items()},
      **{f'gain_{k}_low': float(v.low[h]) for k, v in curves.gains.items()},
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
    **{f'{k}_pos': v for k, v in dreams.decoded.items() if k != 'policy'},
  }


def _mean(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
  """Mean over dreams at each step; NaN where no episode goes on."""
  count = valid.sum(0)
  total = np.where(valid, values, 0).sum(0)
  return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _band(
  errors: np.ndarray, valid: np.ndarray, episode: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  ends = np.full((2, valid.shape[1]), np.nan)
  for step in np.flatnonzero(valid.any(0)):
    here = valid[:, step]
    found = interval(errors[here, step], episode[here], N_BOOT, seed)
    ends[:, step] = found
  return ends[0], ends[1]
