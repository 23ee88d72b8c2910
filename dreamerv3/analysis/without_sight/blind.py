"""Decoded positions of a network that loses its sight, and of one that keeps it.

  curves = gather(sighted, blind, decoders, 'dyn/deter', horizon=50)
  print(curves.blind.mean(0), curves.sighted.mean(0))

The recordings are replays of one path (`--script replay_activations`) whose images are
withheld from some timestep on, while the real actions go on.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dreamerv3.analysis.compatible import check_same, same_path
from dreamerv3.analysis.decoding import run
from dreamerv3.analysis.decoding.protocol import REPRS
from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.analysis.decoding.said import Decoder
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import manhattan
from dreamerv3.data.trajectories import Trajectories


@dataclasses.dataclass(frozen=True)
class BlindCurves:
  """Errors [tiles] of S starts over K steps without sight, the first at index 0.

  Attributes:
    layer: that is decoded.
    number: (S,) episode; limit: (S,) timesteps that were seen before the dark.
    blind: (S, K) decoded without sight; sighted: at the same timesteps with it.
    constant: of the best constant guess; frozen: of the place decoded when sight
      ended, kept.
    short: starts that were left out, as the episode ended before step K.
  """

  layer: str
  number: np.ndarray
  limit: np.ndarray
  blind: np.ndarray
  sighted: np.ndarray
  constant: np.ndarray
  frozen: np.ndarray
  short: int

  @property
  def steps(self) -> int:
    """Number of steps K."""
    return int(self.blind.shape[1])


def gather(
  sighted: Trajectories,
  blind: Sequence[Trajectories],
  decoders: Mapping[str, Decoder],
  layer: str,
  horizon: int,
) -> BlindCurves:
  """Decodes replays of one path, with sight and without.

  Args:
    sighted: the path as the network saw it.
    blind: the same, each without images from another timestep on.
    decoders: by layer, fitted to other episodes of the same network.
    horizon: steps K without sight.

  Raises:
    UserError: a recording is of another path or network, or is not blind; no episode
      is long enough; the decoder was fitted to these episodes.
  """
  check_sighted(sighted)
  full = _decoded(sighted, decoders, layer)
  parts, short = [], 0
  for data in blind:
    limit = limit_of(data)
    _check_alike(sighted, data, layer)
    dark = _decoded(data, decoders, layer)
    for number in [x.number for x in data.episodes]:
      steps = range(limit - 1, limit + horizon)
      mine, theirs = (
        _rows(full, sighted, number, steps),
        _rows(dark, data, number, steps),
      )
      if len(mine) <= horizon:
        short += 1
        continue
      kept, here, there = full.pred[mine[0]], mine[1:], theirs[1:]
      parts.append(
        (
          number,
          limit,
          dark.errors[there],
          full.errors[here],
          full.best_constant[here],
          manhattan(kept, full.pos[here]),
        )
      )
  if not parts:
    raise UserError(
      f'No episode of {sighted.path} goes on for {horizon} steps after its images are '
      'withheld; choose a smaller --horizon, or replay with a smaller '
      '--replay_activations.observe.'
    )
  names = ('number', 'limit', 'blind', 'sighted', 'constant', 'frozen')
  columns = zip(names, zip(*parts, strict=True), strict=True)
  return BlindCurves(layer=layer, short=short, **{k: np.array(v) for k, v in columns})


def check_sighted(data: Trajectories) -> None:
  """UserError if images were withheld or changed in what is to be the floor."""
  known = _replay(data)
  if known.get('observe', 'all') != 'all' or known.get('perturb', 'none') != 'none':
    raise UserError(
      f'{data.path} is a replay with observe {known.get("observe")} and perturb '
      f'{known.get("perturb")}; give the recording, or a replay of all images, as '
      '--data and --control.'
    )


def limit_of(data: Trajectories) -> int:
  """Timesteps that were seen before the dark, of which the last one is decoded."""
  known, least = _replay(data), 1 + data.drop_first
  observe = str(known.get('observe', 'all'))
  if not observe.isdigit() or int(observe) < least or known.get('perturb') != 'none':
    raise UserError(
      f'{data.path} is no replay that loses its sight: observe is {observe}, perturb '
      f'{known.get("perturb", "none")}; expected --script replay_activations with '
      f'--replay_activations.observe N, N at least {least}.'
    )
  return int(observe)


def _replay(data: Trajectories) -> Mapping[str, Any]:
  found: Mapping[str, Any] = data.metadata.settings.get('replay_activations', {})
  return found


def _check_alike(sighted: Trajectories, data: Trajectories, layer: str) -> None:
  weights = [x.metadata.source.get('weights') for x in (sighted, data)]
  if weights[0] != weights[1]:
    raise UserError(
      f'{data.path} and {sighted.path} are of other weights; compare sight and dark '
      'of one network.'
    )
  check_same(sighted, data, [REPRS.get(layer, layer)])
  numbers = {x.number for x in sighted.episodes}
  apart = [x.number for x in data.episodes if x.number not in numbers]
  if apart or not same_path(sighted, data):
    raise UserError(
      f'{data.path} is no replay of {sighted.path}: its path is another one; replay it '
      'with --replay_activations.source_data.'
    )


def _decoded(
  data: Trajectories, decoders: Mapping[str, Decoder], layer: str
) -> DecodeResult:
  (result,), _ = run.evaluate(data, decoders, (f'^{layer}$',))
  return result


def _rows(
  result: DecodeResult, data: Trajectories, number: int, steps: range
) -> np.ndarray:
  """Rows of some timesteps of an episode, as many as it has."""
  place = next(i for i, x in enumerate(data.episodes) if x.number == number)
  within = (result.t >= steps.start) & (result.t < steps.stop)
  return np.flatnonzero((result.episode == place) & within)
