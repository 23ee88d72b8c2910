"""How sure is an sRSA: intervals over episodes, and the null of exchanged paths.

low, high = interval(draws(similarity, given, weight), episodes)
p = exchanged(X, tile, table, track, rows, views=None, count=200, seed=0)
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from dreamerv3.analysis import nulls
from dreamerv3.analysis.bootstrap import ENOUGH, levels
from dreamerv3.analysis.geometry.distances import distances_of, pair_by_pair, ranks_of
from dreamerv3.analysis.geometry.similarity import Similarity
from dreamerv3.data.samples import Track

TESTED = 1500  # rows of the test, at most


def weights(episodes: int, n_boot: int, seed: int) -> np.ndarray:
  """How often each episode is in each bootstrap draw, (n_boot, E)."""
  rng = np.random.default_rng([seed, 33])
  return rng.multinomial(episodes, np.full(episodes, 1 / episodes), n_boot)


def draws(
  similarity: Similarity, given: Sequence[str], weight: np.ndarray
) -> np.ndarray:
  """sRSA, partial if something is given, of each draw of episodes (n_boot,).

  Ranks stay those of all pairs, so that a draw is a weighted sum.
  """
  return np.array([similarity.value(given, w) for w in weight])


def interval(drawn: np.ndarray, episodes: int) -> tuple[float, float]:
  """95 % interval of drawn values; NaN below five episodes."""
  known = drawn[np.isfinite(drawn)]
  if episodes < ENOUGH or not len(known):
    return float('nan'), float('nan')
  low, high = np.percentile(known, levels(episodes))
  return float(low), float(high)


def two_sided(drawn: np.ndarray, episodes: int) -> float:
  """Bootstrap p of a difference from 0, <= 0.05 where `interval` leaves 0 out.

  The smaller share a of draws on a side of 0 is read as that of the expanded interval:
  2 T_(n-1)(sqrt((n-1)/n) Phi^-1(a)). Twice a itself, the plain percentile, passes
  in up to 13 % of differences of nothing with 8 episodes.
  """
  known = drawn[np.isfinite(drawn)]
  if not len(known):
    return float('nan')
  below = (1 + (known <= 0).sum()) / (1 + len(known))
  above = (1 + (known >= 0).sum()) / (1 + len(known))
  least = min(below, above)
  if least >= 0.5:
    return 1.0
  reach = special.ndtri(least) * np.sqrt((episodes - 1) / episodes)
  return float(2 * special.stdtr(episodes - 1, reach))


def exchanged(
  X: np.ndarray,
  tile: np.ndarray,
  table: np.ndarray,
  track: Track,
  rows: np.ndarray,
  views: np.ndarray | None,
  count: int,
  seed: int,
) -> dict[str, float]:
  """p values of sRSA and of the partial sRSA against exchanged paths.

  Each null pairs the activations of whole episodes with the paths of others, at equal
  times (`analysis.nulls`): drift and clusters of the code stay, its relation to
  the place goes.

  Args:
    X: (n, D) activations of `rows`; views: (n, pixels) or None.
    tile: (N,) class of every position of the track.
    table: (tiles, tiles) distances.
    rows: (n,) of the track.
    count: null pairings; 0 for none.

  Returns:
    p, p_partial: one-sided; NaN without nulls, for a constant code or a path that
        stays on one tile.
  """
  none = {'p': float('nan'), 'p_partial': float('nan')}
  pick = np.random.default_rng([seed, 34]).permutation(len(rows))[:TESTED]
  pick.sort()
  here, seen = rows[pick], None if views is None else views[pick]
  episode, t = track.episode[here], track.t[here]
  if not count or len(np.unique(episode)) < 2:
    return none
  distances = distances_of(X[pick], tile[here], table, t, seen)
  ranks = ranks_of(distances, episode, seed)
  i, j = np.nonzero(np.triu(episode[:, None] != episode[None], 1))
  others = {k: x for k, x in distances.items() if k != 'space'}
  fixed = np.stack([ranks[k](pair_by_pair(x, i, j)) for k, x in others.items()])
  values = _values_of(fixed, ranks['space'](table), i, j)
  if values is None:
    return none
  observed = values(tile[here])
  rng = np.random.default_rng([seed, 35])
  null = []
  for paired in nulls.permutations(track.episode, 'session', count, rng):
    label = np.empty_like(tile)
    label[paired] = tile  # the place that each activation meets
    null.append(values(label[here]))
  p = nulls.p_values(observed, np.array(null))
  return {'p': float(p[0]), 'p_partial': float(p[1])}


def _values_of(
  fixed: np.ndarray, rank_table: np.ndarray, i: np.ndarray, j: np.ndarray
) -> Callable[[np.ndarray], np.ndarray] | None:
  """sRSA and its partial form of any labels of the rows; None for a constant code.

  Args:
    fixed: (V - 1, P) ranks of pairs i, j: of the code first, then of what is given.
    rank_table: (tiles, tiles) ranks of the distances in space.
  """
  fixed = fixed - fixed.mean(1, keepdims=True)
  if not fixed[0].any():
    return None
  fixed /= np.maximum(np.linalg.norm(fixed, axis=1, keepdims=True), 1e-12)
  matrix = np.eye(len(fixed) + 1)
  matrix[1:, 1:] = fixed @ fixed.T  # space comes first

  def values(label: np.ndarray) -> np.ndarray:
    space = rank_table[label[i], label[j]]
    space = space - space.mean()
    length = np.linalg.norm(space)
    if not length:  # all pairs are equally far apart
      return np.full(2, np.nan)
    matrix[0, 1:] = matrix[1:, 0] = fixed @ space / length
    inverse = np.linalg.pinv(matrix)
    partial = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    return np.array([matrix[0, 1], partial])

  return values
