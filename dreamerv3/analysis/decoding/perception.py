"""Could the position be read from what is seen right now? And what is beyond?

  source = sources(data, seed=0)['pixels']
  X = source(train)   # (N, D) of all rows, learned from training rows

Baselines for `run`: a code counts as memory where it beats them. Three views
of the present: the image itself, the encoder's tokens, and the tiles around the
player as the game holds them.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.data import layers
from dreamerv3.data.activations import Matrix
from dreamerv3.data.trajectories import Trajectories

PIXELS, TOKENS, VIEW = 'pixels', 'tokens', 'view'
NAMES = (PIXELS, TOKENS, VIEW)
SIDE = 32  # pixels per side that images are averaged down to, at most
COMPONENTS = 128
ROWS = 3000  # training images behind the components
SHOWN = slice(1, 8)  # of 9 rows of tiles, those that the image shows

# Training rows (M,) to activations of all rows, which may depend on no other.
Source = Callable[[np.ndarray], Matrix]


def sources(data: Trajectories, seed: int) -> tuple[dict[str, Source], list[str]]:
  """{name: source} of what the recording holds, and notes on the rest."""
  makers = {
    PIXELS: functools.partial(_pixels, data, seed),
    TOKENS: functools.partial(_tokens, data),
    VIEW: functools.partial(_view, data),
  }
  found, notes = {}, []
  for name, make in makers.items():
    try:
      found[name] = make()
    except UserError as e:
      notes.append(f'Without the baseline of {name}: {e}')
  return found, notes


def beside(source: Source, data: Trajectories, layer: str) -> Source:
  """A source and a layer, side by side."""
  other = data.activations(layer)
  return lambda train: Beside(source(train), other)


@dataclasses.dataclass(frozen=True)
class Beside:
  """Two matrices of the same rows, side by side."""

  left: Matrix
  right: Matrix

  @property
  def shape(self) -> tuple[int, ...]:
    """(N, D) of both together."""
    return self.left.shape[0], self.left.shape[1] + self.right.shape[1]

  def __getitem__(self, rows: Any, /) -> np.ndarray:
    """Some rows (n, D)."""
    return np.concatenate([self.left[rows], self.right[rows]], 1)


def _pixels(data: Trajectories, seed: int) -> Source:
  """The leading components of images, averaged over squares of pixels."""
  first = int(data.drop_first)
  parts = [_shrink(x.read('image')[first:]) for x in data.episodes]
  if len({x.shape[1] for x in parts}) > 1:
    raise UserError('the images of the episodes differ in size.')
  images = np.concatenate(parts)

  def project(train: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(seed)
    some = train
    if len(train) > ROWS:
      some = np.sort(rng.choice(train, ROWS, replace=False))
    shown = images[some].astype(np.float32)
    mean = shown.mean(0)
    basis = _components(shown - mean, rng)
    X = np.empty((len(images), basis.shape[1]), np.float32)
    for i in range(0, len(images), 1024):
      X[i : i + 1024] = (images[i : i + 1024] - mean) @ basis
    return X

  return project


def _shrink(images: np.ndarray) -> np.ndarray:
  """(T, h, w, 3) to (T, P) uint8, the mean of squares of pixels."""
  by = max(1, -(-images.shape[1] // SIDE))
  height, width = (x // by for x in images.shape[1:3])
  cut = images[:, : height * by, : width * by]
  squares = cut.reshape(len(images), height, by, width, by, -1)
  small: np.ndarray = squares.mean((2, 4)).reshape(len(images), -1).astype(np.uint8)
  return small


def _components(X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Orthonormal (P, k): leading principal directions of centred X (M, P).

  A randomised range with two power iterations (Halko, Martinsson & Tropp 2011,
  doi:10.1137/090771806).
  """
  k = min(COMPONENTS, *X.shape)
  basis = rng.normal(size=(X.shape[1], min(k + 16, X.shape[1]))).astype(np.float32)
  for _ in range(3):
    basis = np.linalg.qr(X.T @ (X @ basis))[0]
  _, _, rotation = np.linalg.svd(X @ basis, full_matrices=False)
  leading: np.ndarray = basis @ rotation[:k].T
  return leading


def _tokens(data: Trajectories) -> Source:
  """What the encoder makes of the image."""
  there = list(data.layers())
  convs = [x for x in there if x.startswith('enc/cnn')]
  names = ['enc/tokens'] if 'enc/tokens' in there else layers.order(convs)[-1:]
  if not names:
    raise UserError('the recording has no layer of the encoder.')
  layer = data.activations(names[0])
  return lambda _: layer


def _view(data: Trajectories) -> Source:
  """One unit per material, or creature, and tile of the view."""
  around = data.surroundings()
  flat = [around.materials[:, :, SHOWN].reshape(len(around.materials), -1)]
  counts = [len(data.metadata.materials)]
  if around.objects is not None:
    flat.append(around.objects[:, :, SHOWN].reshape(len(around.objects), -1))
    counts.append(int(flat[1].max()) + 1)
  hot = ViewUnits.of(flat, counts)
  return lambda _: hot


@dataclasses.dataclass(frozen=True)
class ViewUnits:
  """A unit per place and value that it takes: 1 where it has that value.

  Attributes:
    ids: (N, P) values of places.
    place, value: (D,) of each unit.
  """

  ids: np.ndarray
  place: np.ndarray
  value: np.ndarray

  @classmethod
  def of(cls, parts: Sequence[np.ndarray], counts: Sequence[int]) -> 'ViewUnits':
    """Of ids (N, P) of several kinds, each below its count."""
    place, value, begin = [], [], 0
    for ids, count in zip(parts, counts, strict=True):
      there = [np.unique(x) for x in ids.T]
      there = [x[x < count] for x in there]
      place.append(np.repeat(begin + np.arange(len(there)), [len(x) for x in there]))
      value.append(np.concatenate(there))
      begin += ids.shape[1]
    return cls(np.concatenate(parts, 1), np.concatenate(place), np.concatenate(value))

  @property
  def shape(self) -> tuple[int, ...]:
    """(N, D)."""
    return len(self.ids), len(self.place)

  def __getitem__(self, rows: Any, /) -> np.ndarray:
    """Some rows (n, D) float32."""
    hot: np.ndarray = self.ids[rows][:, self.place] == self.value
    return hot.astype(np.float32)
