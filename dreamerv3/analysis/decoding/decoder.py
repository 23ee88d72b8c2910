"""A linear softmax from activations to tiles, applied with numpy alone.

  decoder = LinearDecoder.open(path / 'classifier_deter.pkl')
  proba = decoder.predict_proba(deter)   # (N, W, H)

For scripts that apply a fitted decoder, also in a process that runs JAX.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError, reading
from dreamerv3.data.grid import Grid

FORMAT = 1
MOST_VISITS = 1 << 28  # timesteps that a decoder was fitted to
CHUNK = 1024  # rows whose logits are in memory at a time


class Search(NamedTuple):
  """How the weights of a decoder were found.

  Attributes:
    penalty: chosen ridge; temperature: chosen scale of the logits.
    iterations: of the descent that were kept; 0 is the closed form.
    curve: (K, 4) of the trial on held-out episodes: iteration, training
      cross-entropy [nats], validation cross-entropy [nats], validation error
      [tiles].
  """

  penalty: float
  temperature: float
  iterations: int
  curve: np.ndarray


@dataclasses.dataclass(frozen=True)
class LinearDecoder:
  """p(tile | x) = softmax(x W), over the tiles visited in training.

  Attributes:
    weights: (D, C) float32; they apply to activations as they are recorded.
    classes: (C,) int64, class of the tile of each column (see Grid); the first
      is predicted where all logits are equal.
    grid: the world.
    layer: name of the layer or representation it reads.
    held_out: held-out error and chance levels that were measured for it.
    world: seeds of the world in which its tiles mean something, see
      `Metadata.world`; empty where unknown.
    trained_on: episodes it was fitted to, see `Trajectories.source`; empty
      where unknown.
    search: how it was found; None of a saved one.
  """

  weights: np.ndarray
  classes: np.ndarray
  grid: Grid
  layer: str
  held_out: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  world: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  trained_on: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  search: Search | None = None

  def __post_init__(self) -> None:
    if self.weights.ndim != 2 or self.classes.shape != self.weights.shape[1:]:
      raise ValueError(
        f'weights {self.weights.shape} and classes {self.classes.shape}; '
        'expected (D, C) and (C,).'
      )
    if not np.isfinite(self.weights).all():
      raise ValueError(f'{self.layer}: the weights are not finite.')
    self.grid.to_pos(self.classes)

  @property
  def units(self) -> int:
    """Width of the layer that it reads."""
    return int(self.weights.shape[0])

  def logits(self, X: np.ndarray) -> np.ndarray:
    """(N, D) to (N, C)."""
    if X.ndim != 2 or X.shape[1] != self.units:
      raise UserError(
        f'The decoder of {self.layer} reads {self.units} units; got '
        f'activations of shape {X.shape}. Is it of another network or layer?'
      )
    logits: np.ndarray = X @ self.weights
    return logits

  def predict(self, X: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Most probable tile, (N, D) to (N, 2); of some rows, or of all."""
    rows = np.arange(len(X)) if rows is None else rows
    parts = [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
    best = [self.logits(X[x]).argmax(1) for x in parts]
    place = np.concatenate(best) if best else np.zeros(0, np.int64)
    return self.grid.to_pos(self.classes)[place]

  def predict_proba(self, X: np.ndarray) -> np.ndarray:
    """Probability of each tile, (N, D) to (N, W, H); 0 where never trained."""
    logits = self.logits(X)
    p = np.exp(logits - logits.max(1, keepdims=True))
    proba = np.zeros((len(X), self.grid.size), np.float32)
    proba[:, self.classes] = p / p.sum(1, keepdims=True)
    return proba.reshape(len(X), *self.grid.shape)

  def training_path(self) -> np.ndarray:
    """Positions (M, 2) that it was fitted to, for chance levels.

    Older decoders do not say how often; then each of their tiles counts once.
    """
    visits = self.held_out.get('visits')
    if visits is None:
      return self.grid.to_pos(self.classes)
    times = np.asarray(visits).reshape(-1).astype(np.int64)
    if times.sum() > MOST_VISITS:
      raise UserError(f'{self.layer}: {times.sum()} visits; at most {MOST_VISITS}.')
    return self.grid.to_pos(np.repeat(np.arange(self.grid.size), times))

  def to_dict(self) -> dict[str, Any]:
    """Plain arrays and containers; keys of older files where they have one."""
    return {
      'format': FORMAT,
      'state_dict': {'0.weight': np.ascontiguousarray(self.weights.T)},
      'classes': self.classes,
      'metadata': {
        'type': 'classifier',
        'layer_name': self.layer,
        'repr_name': self.layer,
        'grid': self.grid.shape,
        'width': self.grid.width,
        'height': self.grid.height,
        'n_units': self.units,
        'n_classes': len(self.classes),
        'held_out': dict(self.held_out),
        'world': dict(self.world),
        'trained_on': dict(self.trained_on),
      },
    }

  @classmethod
  def open(cls, path: pathlib.Path) -> Self:
    """Reads a saved decoder; UserError for any other file."""
    values = unpickle.load(path)
    what = 'saved decoder; make one with decode_position.py `save_model`'
    with reading(path, what):
      decoder = cls.from_dict(values)
      decoder.training_path()  # what it holds has the form of the grid
    return decoder

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> Self:
    """Reads `to_dict`; in older files every tile of the grid is a class."""
    weight = np.asarray(values['state_dict']['0.weight'], np.float32)
    about = values['metadata']
    grid = Grid(about['width'], about['height'])
    name = about.get('layer_name', about.get('repr_name', 'unknown'))
    classes = values.get('classes')
    classes = np.arange(grid.size) if classes is None else np.asarray(classes, np.int64)
    fitted = dict(about.get('trained_on', {}))
    if fitted:
      fitted['episodes'] = [int(x) for x in fitted['episodes']]
    held_out, world = dict(about.get('held_out', {})), about.get('world', {})
    return cls(weight.T, classes, grid, str(name), held_out, dict(world), fitted)
