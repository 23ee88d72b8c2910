"""Null sessions: what would a unit score if it ignored the path?

Activations are slow and so are paths, so that even noise looks tuned when both
are compared as they are. The pseudo-session null pairs the activations of one
episode with the path of another, at equal times: it keeps everything but the
relation of the two. (Harris 2020, doi:10.1101/2020.11.29.402719.)

  for rows in permutations(track.episode, 'session', 200, rng):
    scores(X[rows])                           # the path stays
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

KINDS = ('session', 'shift')
GROUP = 15  # episodes of similar length that are paired with each other
TAIL = 20  # nulls that a unit's mean and standard deviation need


def permutations(
  episode: np.ndarray, kind: str, count: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
  """Yields permutations (N,) of the samples' rows that break tuning alone.

  'session': each path meets the activations of a random episode, at equal
  times. Episodes differ in length, but at each time as many paths as
  activations are left, so that they can always be paired: when an episode
  ends, the path it leaves without activations takes over the activations it
  leaves without a path. Thus every sample is used once, occupancy and the
  number of samples are exactly those of the data and no score changes its
  bias. Each such end breaks a run of slow activations, which makes nulls a
  little too tame; so episodes of similar length are paired, which end almost
  together and leave short rests. The longest one's rest, alone, is rotated.

  Pairings are drawn evenly, so an episode may meet itself now and then. Left
  out, nulls would be more like each other than like the data, and noise would
  pass too often: p is exact because the true pairing is one of the pairings.

  'shift': each episode's activations are rotated in time, by at least an
  eighth of it. Needs no second episode, but finds too much in signals that
  drift. (Opexebo and pynapple offer it, so it is kept for comparison.)

  Few episodes allow few pairings. Each is used once, and fewer than `count`
  are yielded: p = 1 / E! is as small as E of them can show.

  Args:
    episode: (N,) in one block per episode, in order of time.
  """
  starts = np.flatnonzero(np.diff(episode, prepend=episode[0] - 1))
  lengths = np.diff(np.append(starts, len(episode)))
  if kind == 'session':
    yield from _sessions(starts, lengths, count, rng)
  elif kind == 'shift':
    for _ in range(count):
      yield _shift(starts, lengths, rng)
  else:
    raise ValueError(f'Null {kind!r}; expected one of {KINDS}.')


def p_values(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
  """One-sided p = (1 + #{null >= observed}) / (1 + n), (D,), (n, D) -> (D,).

  NaN where the observed score is NaN. Exact for any exchangeable null; never
  0. (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585.)
  """
  # Sums of float32 in another order may differ in the last digits.
  slack = 1e-6 * np.abs(observed)
  p = (1 + (null >= observed - slack).sum(0)) / (1 + len(null))
  return np.where(np.isnan(observed), np.nan, p)


class Tail(NamedTuple):
  """What of the nulls of D units their p values, and those of others, need.

  Attributes:
    p: (D,) `p_values`.
    z: (D,) standardised score of the units that beat all their nulls; NaN of others.
    high: (k,) standardised nulls of all units that are not small.
    total: number of all standardised nulls.
  """

  p: np.ndarray
  z: np.ndarray
  high: np.ndarray
  total: int


# Standardised nulls below are counted, not kept: a sixth of a normal lies above.
HIGH = 1.0


def tail(observed: np.ndarray, null: np.ndarray) -> Tail:
  """The tail of some units (D,) with nulls (n, D), for `tail_p_values`."""
  p, n = p_values(observed, null), len(null)
  z = np.full(len(p), np.nan)
  if n < TAIL:
    return Tail(p, z, np.zeros(0), 0)
  total, squares = null.sum(0), (null**2).sum(0)
  own = _z(observed, total, squares, n)
  best = (p <= 1 / (1 + n) + 1e-12) & np.isfinite(own)
  z[best] = own[best]
  others = _z(null, total - null, squares - null**2, n - 1)
  pool = others[np.isfinite(others)]
  least = min(HIGH, float(z[best].min())) if best.any() else HIGH
  return Tail(p, z, pool[pool >= least], len(pool))


def tail_p_values(tails: Sequence[Tail]) -> np.ndarray:
  """p values that go on below 1 / (1 + n), for corrections over many units.

  A unit that beats all its nulls is ranked among the standardised nulls of
  all units of the layer: z = (score - mean) / sd, each null's own value left
  out of its mean and sd. The result is at least 1 / (1 + n D) and never above
  the unit's own p. Other units keep `p_values`.

  Args:
    tails: of all units of a layer, in parts.
  """
  p = np.concatenate([x.p for x in tails])
  z = np.concatenate([x.z for x in tails])
  best = np.isfinite(z)
  if not best.any():
    return p
  pool = np.sort(np.concatenate([x.high for x in tails]))
  above = len(pool) - np.searchsorted(pool, z[best], 'left')
  ranked = (1 + above) / (1 + sum(x.total for x in tails))
  # Of a z below HIGH not all that lie above were kept by other parts. More than
  # a share of 1 / (1 + n) does, so that the unit's own p counts.
  p[best] = np.where(z[best] < HIGH, p[best], np.minimum(p[best], ranked))
  return p


def strongest(observed: np.ndarray, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """One score from several of the same question: the most unusual of them.

  Each score is standardised over its nulls and the observation, which are
  treated alike, and the largest counts: one test, however many scores.

  Args:
    observed: (K, D) and null: (K, n, D).

  Returns:
    (D,) and (n, D).
  """
  every = np.concatenate([observed[:, None], null], 1)
  spread = every.std(1, keepdims=True)
  z = (every - every.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1)
  top = z.max(0)
  return top[0], top[1:]


def q_values(p: np.ndarray) -> np.ndarray:
  """Benjamini & Hochberg's adjusted p values; NaN stays NaN and counts not.

  q_(i) = min_{j >= i} m p_(j) / j: calling all units with q <= a tuned keeps
  the expected share of false ones among them at a.
  """
  q = np.full(p.shape, np.nan)
  known = np.flatnonzero(np.isfinite(p))
  order = known[np.argsort(p[known], kind='stable')]
  scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
  q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
  return q


def _z(value: np.ndarray, total: np.ndarray, squares: np.ndarray, n: int) -> np.ndarray:
  """Standardised by the sums of n nulls and of their squares."""
  mean = total / n
  var = np.maximum(squares / n - mean**2, 0) * n / max(n - 1, 1)
  with np.errstate(invalid='ignore', divide='ignore'):
    z: np.ndarray = (value - mean) / np.sqrt(var)
  return z


def _sessions(
  starts: np.ndarray, lengths: np.ndarray, count: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
  """Up to `count` different pairings, none of them the data's own."""
  itself = np.arange(len(lengths))
  seen = {itself.tobytes()}  # the data
  for _ in range(20 * count):
    if len(seen) > count or len(lengths) < 2:
      return
    partner = _partners(lengths, rng)
    if partner.tobytes() not in seen:
      seen.add(partner.tobytes())
      yield _session(starts, lengths, partner.copy(), rng)


def _partners(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Whose activations each path meets: evenly among similar lengths."""
  n = len(lengths)
  order = np.lexsort((rng.random(n), lengths))
  partner = np.empty(n, np.int64)
  for group in np.split(order, np.arange(GROUP, n - GROUP + 1, GROUP)):
    partner[group] = rng.permutation(group)
  return partner


def _session(
  starts: np.ndarray,
  lengths: np.ndarray,
  partner: np.ndarray,
  rng: np.random.Generator,
) -> np.ndarray:
  """Rows of activations for each row of the path; see `permutations`."""
  order = np.argsort(lengths, kind='stable')
  # pairing[k, e]: whose activations path e meets once k episodes have ended.
  pairing = np.empty((len(order), len(order)), np.int64)
  for k, ended in enumerate(order):
    pairing[k] = partner
    (orphan,) = np.flatnonzero(partner == ended)
    partner[orphan] = partner[ended]
    partner[ended] = ended
  path = np.repeat(np.arange(len(starts)), lengths)
  t = np.arange(lengths.sum()) - starts[path]
  ended = np.searchsorted(lengths[order], t, 'right')
  rows: np.ndarray = starts[pairing[ended, path]] + t
  (alone,) = np.nonzero(ended == len(order) - 1)
  if len(alone) > 1:
    rows[alone] = np.roll(alone, rng.integers(1, len(alone)))
  return rows


def _shift(
  starts: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """Each episode's rows, rotated in time."""
  rows = np.empty(lengths.sum(), np.int64)
  for start, length in zip(starts, lengths, strict=True):
    low = max(length // 8, 1)
    shift = rng.integers(low, max(length - low, low) + 1)
    rows[start : start + length] = start + np.roll(np.arange(length), shift)
  return rows
