"""Reads the results of one run into numbers: of the whole run and of its episodes.

  numbers = decoding(path)     # of layer_decode_results.pkl
  numbers = training(MetricsLog.open('logdir/run'))

A number of a run is the mean of those of its episodes with their weights, where it
has such; these are what a bootstrap over episodes draws. The result is a list of
`Number`.
"""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from dreamerv3.analysis import learning
from dreamerv3.analysis.conditions.quantities import CLASS, CLASS_SIMPLE
from dreamerv3.analysis.crafter_score import BUDGET
from dreamerv3.analysis.decoding.comparisons import hardest, same_path
from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.analysis.geometry import study
from dreamerv3.analysis.tuning import cell_types
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import unpickle
from dreamerv3.base.errors import reading
from dreamerv3.data import layers
from dreamerv3.data.grid import manhattan
from dreamerv3.data.metrics_log import MetricsLog

WHOLE = -1  # in place of an episode: the whole run
RECENT = 50  # episodes behind the recent return; a fifth of all at most


class Number(NamedTuple):
  """One value of one run.

  Attributes:
    quantity: see `quantities`.
    layer: '' for the whole agent.
    episode: of the recording or the log; WHOLE for the run.
    value: in the quantity's unit.
    weight: with which an episode counts in the value of its run.
  """

  quantity: str
  layer: str
  episode: int
  value: float
  weight: float = 1.0


def decoding(path: pathlib.Path) -> list[Number]:
  """Errors, their share of the best constant's, gain and memory, by episodes."""
  content = unpickle.load(path)
  with reading(path, 'decoding results; decode again'):
    found = _results(content['results'])
    numbers = [y for x in found.values() for y in _errors(x)]
    control = _results(content.get('control') or {})
    for layer, x in found.items():
      other = control.get(layer)
      if other is not None and same_path(x, other):
        name, gain = layers.LEGACY.get(layer, layer), other.errors - x.errors
        numbers += _means('decode_gain', name, gain, x.best_constant, x.episode)
    seen = _results(content.get('perception') or {})
    both = _results(content.get('memory') or {})
    if seen:
      alone = seen[hardest(seen)]
      for layer, x in both.items():
        gain = alone.errors - x.errors
        name = layers.LEGACY.get(layer, layer)
        numbers += _means('memory', name, gain, np.ones(len(gain)), x.episode)
  return numbers


def _results(content: Mapping[str, Any]) -> dict[str, DecodeResult]:
  return {k: DecodeResult.from_dict(v) for k, v in content.items()}


def _errors(x: DecodeResult) -> Iterator[Number]:
  layer = layers.LEGACY.get(x.layer, x.layer)
  one, errors = np.ones(len(x.errors)), x.errors.astype(np.float64)
  yield from _means('decode_error', layer, errors, one, x.episode)
  yield from _means('decode_share', layer, errors, x.best_constant, x.episode)


def _means(
  quantity: str,
  layer: str,
  above: np.ndarray,
  below: np.ndarray,
  episode: np.ndarray,
) -> Iterator[Number]:
  """sum above / sum below (N,), of the run and of each episode."""
  names, place = np.unique(episode, return_inverse=True)
  sums = np.bincount(place, weights=above)
  weights = np.bincount(place, weights=below)
  if not weights.sum() > 0:
    return
  yield Number(quantity, layer, WHOLE, float(sums.sum() / weights.sum()))
  for name, total, weight in zip(names, sums, weights, strict=True):
    if weight > 0:
      value = float(total / weight)
      yield Number(quantity, layer, int(name), value, float(weight))


def tuning(path: pathlib.Path) -> list[Number]:
  """Shares of classes, and the median information and held-out variance."""
  results = Results.open(path)
  numbers = []
  with reading(path, 'tuning results; run tuning_curve.py again'):
    for layer, table in results.tables.items():
      for name, key in (('SI', 'SI'), ('EV', 'EVs')):
        values = table.metrics[key][np.isfinite(table.metrics[key])]
        if len(values):
          numbers.append(Number(name, layer, WHOLE, float(np.median(values))))
      simple, tested = results.classes(layer)
      prefix, ids = (CLASS_SIMPLE, simple) if tested is None else (CLASS, tested)
      shares = cell_types.fractions(ids)
      numbers += [
        Number(prefix + label, layer, WHOLE, float(share))
        for label, share in zip(cell_types.NAMES, shares, strict=True)
      ]
  return numbers


def geometry(path: pathlib.Path) -> list[Number]:
  """Similarity of space and code, and dimension."""
  with reading(path, 'results of manifold_analysis.py; measure again'):
    found = [x.geometry for x in study.from_dict(unpickle.load(path))]
    return [
      Number(name, x.layer, WHOLE, float(value))
      for x in found
      for name, value in (
        ('srsa', x.srsa.value),
        ('srsa_partial', x.partial.value),
        ('dimension', x.ratio.value),
        ('dimension_nn', x.intrinsic.value),
      )
      if np.isfinite(value)
    ]


def dreams(path: pathlib.Path) -> list[Number]:
  """Error of replayed dreams over all steps from 1 on, and what moving gains.

  Memory is the error of the decoded start, kept for all steps, minus that of the
  dream: above 0 where the dream follows the agent.
  """
  values = unpickle.load(path)
  with reading(path, 'dream_results.pkl of dream_decode; dream again'):
    real, replay = (np.asarray(values[x]) for x in ('real_pos', 'replay_pos'))
    later = np.asarray(values['valid'])[:, 1:]
    episode = np.repeat(np.asarray(values['dream_episode']), later.sum(1))
    error = manhattan(replay, real)[:, 1:][later].astype(np.float64)
    frozen = np.broadcast_to(replay[:, :1], real.shape)
    still = manhattan(frozen, real)[:, 1:][later].astype(np.float64)
    one = np.ones(len(error))
    return [
      *_means('dream_error', '', error, one, episode),
      *_means('dream_memory', '', still - error, one, episode),
    ]


def training(log: MetricsLog) -> list[Number]:
  """Crafter score and return of the benchmark's budget, and the recent return."""
  numbers: list[Number] = []
  window = min(RECENT, learning.widest(log))
  curves = learning.curves(log, window)
  if curves.score is not None and curves.score.raw is not None:
    returns, within = curves.score.raw, curves.score.step <= BUDGET
    numbers += _returns('return', returns, within)
    recent = np.arange(len(returns)) >= len(returns) - window
    numbers += _returns('return_recent', returns, recent)
  for key in ('crafter_score_1e6', 'crafter_score'):
    if key in curves.summary:
      score = float(curves.summary[key])
      numbers.append(Number('crafter_score', '', WHOLE, score))
      break
  return numbers


def _returns(name: str, returns: np.ndarray, keep: np.ndarray) -> Iterator[Number]:
  episode = np.flatnonzero(keep & np.isfinite(returns))
  one = np.ones(len(episode))
  yield from _means(name, '', returns[episode], one, episode)
