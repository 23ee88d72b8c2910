"""Could the position be read from what is seen right now? And what is beyond?

  source = sources(data, track, seed=0)['pixels']
  samples = source(train)   # Samples of all rows, learned from training rows

Baselines for `run`: a code counts as memory where it beats them. Three views
of the present: the image itself, the encoder's tokens, and the tiles around the
player as the game holds them.
"""

import functools
from collections.abc import Callable

import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.data import layers
from dreamerv3.data.samples import Samples, Track
from dreamerv3.data.trajectories import Trajectories

PIXELS, TOKENS, VIEW = 'pixels', 'tokens', 'view'
NAMES = (PIXELS, TOKENS, VIEW)
SIDE = 32  # pixels per side that images are averaged down to, at most
COMPONENTS = 128
ROWS = 3000  # training images behind the components
SHOWN = slice(1, 8)  # of 9 rows of tiles, those that the image shows

# Training rows (M,) to samples of all rows, which may depend on no other.
Source = Callable[[np.ndarray], Samples]


def sources(
  data: Trajectories, track: Track, seed: int
) -> tuple[dict[str, Source], list[str]]:
  """{name: source} of what the recording holds, and notes on the rest."""
  makers = {
    PIXELS: functools.partial(_pixels, data, track, seed),
    TOKENS: functools.partial(_tokens, data, track),
    VIEW: functools.partial(_view, data, track),
  }
  found, notes = {}, []
  for name, make in makers.items():
    try:
      found[name] = make()
    except UserError as e:
      notes.append(f'Without the baseline of {name}: {e}')
  return found, notes


def beside(source: Source, data: Trajectories, track: Track, layer: str) -> Source:
  """A source and a layer, side by side."""
  other = data.layer(layer, track).X

  def both(train: np.ndarray) -> Samples:
    samples = source(train)
    X = np.concatenate([samples.X, other], 1)
    return Samples(f'{samples.layer} + {layer}', X, track)

  return both


def _pixels(data: Trajectories, track: Track, seed: int) -> Source:
  """The leading components of images, averaged over squares of pixels."""
  first = int(data.drop_first)
  parts = [_shrink(x.read('image')[first:]) for x in data.episodes]
  if len({x.shape[1] for x in parts}) > 1:
    raise UserError('the images of the episodes differ in size.')
  images = np.concatenate(parts)

  def project(train: np.ndarray) -> Samples:
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
    return Samples(PIXELS, X, track)

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


def _tokens(data: Trajectories, track: Track) -> Source:
  """What the encoder makes of the image."""
  there = list(data.layers())
  convs = [x for x in there if x.startswith('enc/cnn')]
  names = ['enc/tokens'] if 'enc/tokens' in there else layers.order(convs)[-1:]
  if not names:
    raise UserError('the recording has no layer of the encoder.')
  samples = data.layer(names[0], track)
  return lambda _: samples


def _view(data: Trajectories, track: Track) -> Source:
  """One unit per material, or creature, and tile of the view."""
  around = data.surroundings()
  X = _one_hot(around.materials[:, :, SHOWN], len(data.metadata.materials))
  if around.objects is not None:
    objects = around.objects[:, :, SHOWN]
    X = np.concatenate([X, _one_hot(objects, int(objects.max()) + 1)], 1)
  X = X[:, X.any(0)]
  samples = Samples(VIEW, X, track)
  return lambda _: samples


def _one_hot(ids: np.ndarray, count: int) -> np.ndarray:
  """(N, ...) of ids below `count` to float32 (N, units)."""
  flat = ids.reshape(len(ids), -1)
  hot: np.ndarray = flat[:, :, None] == np.arange(count)
  return hot.reshape(len(ids), -1).astype(np.float32)
