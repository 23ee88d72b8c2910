"""A linear softmax from activations to tiles, applied with numpy alone.

  decoder = LinearDecoder.open(path / 'classifier_deter.pkl')
  proba = decoder.predict_proba(deter)   # (N, W, H)

For scripts that apply a fitted decoder, also in a process that runs JAX.
"""

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from dreamerv3.analysis.decoding.linear.readout import Readout
from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError, reading
from dreamerv3.data.activations import Matrix
from dreamerv3.data.grid import Grid

FORMAT = 1
TYPE = 'classifier'
CHUNK = 1024  # rows whose logits are in memory at a time


class Search(NamedTuple):
  """How the weights of a decoder were found.

  Attributes:
    penalty: chosen ridge; temperature: chosen scale of the logits.
    iterations: of the descent that were kept; 0 is the closed form.
    curve: (K, 4) of the trial on held-out episodes: iteration, training
      cross-entropy [nats], validation cross-entropy [nats], validation error
      [tiles].
    sharpness, weight: of the chosen `Readout`.
  """

  penalty: float
  temperature: float
  iterations: int
  curve: np.ndarray
  sharpness: float = math.inf
  weight: float = 0.0


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
    readout: how a tile is named; None for the most probable one, as decoders
      of before do.
    search: how it was found; None of a saved one.
  """

  weights: np.ndarray
  classes: np.ndarray
  grid: Grid
  layer: str
  held_out: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  world: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  trained_on: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  readout: Readout | None = None
  search: Search | None = None

  def __post_init__(self) -> None:
    if self.weights.ndim != 2 or self.classes.shape != self.weights.shape[1:]:
      raise ValueError(
        f'weights {self.weights.shape} and classes {self.classes.shape}; '
        'expected (D, C) and (C,).'
      )
    ends = self.weights.min(initial=0), self.weights.max(initial=0)
    if not np.isfinite(ends).all():  # NaN is both; no mask as large as they are
      raise ValueError(f'{self.layer}: the weights are not finite.')
    if self.readout is not None and self.readout.visits.shape != self.classes.shape:
      raise ValueError(f'{self.layer}: visits are not of the classes.')
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

  def predict(self, X: Matrix, rows: np.ndarray | None = None) -> np.ndarray:
    """The tile that is named, (N, D) to (N, 2); of some rows, or of all."""
    return self.named(X, rows)[0]

  def named(
    self, X: Matrix, rows: np.ndarray | None = None
  ) -> tuple[np.ndarray, np.ndarray]:
    """The tile that `readout` names and the most probable one, (N, 2) each."""
    rows = np.arange(X.shape[0]) if rows is None else rows
    pos = self.grid.to_pos(self.classes)
    best = np.zeros((2, len(rows)), np.int64)
    for i in range(0, len(rows), CHUNK):
      logits = self.logits(X[rows[i : i + CHUNK]])
      part = best[:, i : i + CHUNK]
      part[:] = logits.argmax(1)
      if self.readout is not None:
        part[0] = self.readout.choose(logits, pos)
    return pos[best[0]], pos[best[1]]

  def predict_proba(self, X: np.ndarray) -> np.ndarray:
    """Probability of each tile, (N, D) to (N, W, H); 0 where never trained."""
    logits = self.logits(X)
    p = np.exp(logits - logits.max(1, keepdims=True))
    proba = np.zeros((len(X), self.grid.size), np.float32)
    proba[:, self.classes] = p / p.sum(1, keepdims=True)
    return proba.reshape(len(X), *self.grid.shape)

  @property
  def visits(self) -> np.ndarray:
    """Timesteps (W, H) on each tile that it was fitted to, for chance levels.

    Older decoders do not say how often; then each of their tiles counts once.
    """
    known = self.held_out.get('visits')
    if known is None:
      return self.grid.count(self.grid.to_pos(self.classes))
    return visits_of(self.grid, known)

  def to_dict(self) -> dict[str, Any]:
    """Plain arrays and containers; keys of older files where they have one."""
    return {
      'format': FORMAT,
      'state_dict': {'0.weight': np.ascontiguousarray(self.weights.T)},
      'classes': self.classes,
      'readout': None if self.readout is None else vars(self.readout),
      'metadata': {'type': TYPE, **about(self)},
    }

  @classmethod
  def open(cls, path: pathlib.Path) -> Self:
    """Reads a saved decoder; UserError for any other file."""
    values = unpickle.load(path)
    what = 'saved decoder; make one with decode_position.py `save_model`'
    with reading(path, what):
      decoder = cls.from_dict(values)
      _ = decoder.visits  # they have the form of the grid
    return decoder

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> Self:
    """Reads `to_dict`; in older files every tile of the grid is a class."""
    kind = values['metadata'].get('type', TYPE)
    if kind != TYPE:
      raise UserError(
        f'it is a {kind} decoder, which gives no probabilities; fit one with '
        f'`method` classification.'
      )
    weight = np.asarray(values['state_dict']['0.weight'], np.float32)
    known = read_about(values['metadata'])
    classes = values.get('classes')
    if classes is None:
      classes = np.arange(known['grid'].size)
    classes = np.asarray(classes, np.int64)
    how, readout = values.get('readout'), None
    if how is not None:
      visits = np.asarray(how['visits'], np.int64)
      readout = Readout(float(how['sharpness']), visits, float(how['weight']))
    return cls(weight.T, classes, readout=readout, **known)


def visits_of(grid: Grid, saved: Any) -> np.ndarray:
  """Timesteps (W, H) on each tile as a file has them; ValueError for what is none."""
  visits = np.asarray(saved).reshape(grid.shape).astype(np.int64)
  if (visits < 0).any() or not visits.any():
    raise ValueError(f'visits are {visits.min()} to {visits.max()}; expected some.')
  return visits


class _Described(Protocol):
  """What the files of all kinds of decoders say of themselves."""

  @property
  def layer(self) -> str: ...
  @property
  def grid(self) -> Grid: ...
  @property
  def units(self) -> int: ...
  @property
  def classes(self) -> np.ndarray: ...
  @property
  def held_out(self) -> Mapping[str, Any]: ...
  @property
  def world(self) -> Mapping[str, Any]: ...
  @property
  def trained_on(self) -> Mapping[str, Any]: ...


def about(decoder: _Described) -> dict[str, Any]:
  """The `metadata` of a saved decoder, without its type."""
  grid = decoder.grid
  return {
    'layer_name': decoder.layer,
    'repr_name': decoder.layer,
    'grid': grid.shape,
    'width': grid.width,
    'height': grid.height,
    'n_units': decoder.units,
    'n_classes': len(decoder.classes),
    'held_out': dict(decoder.held_out),
    'world': dict(decoder.world),
    'trained_on': dict(decoder.trained_on),
  }


def read_about(values: Mapping[str, Any]) -> dict[str, Any]:
  """Fields of a decoder from its `metadata`; older files have fewer."""
  fitted = dict(values.get('trained_on', {}))
  if fitted:
    fitted['episodes'] = [int(x) for x in fitted['episodes']]
  return {
    'grid': Grid(values['width'], values['height']),
    'layer': str(values.get('layer_name', values.get('repr_name', 'unknown'))),
    'held_out': dict(values.get('held_out', {})),
    'world': dict(values.get('world', {})),
    'trained_on': fitted,
  }
