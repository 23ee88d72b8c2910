"""The regularised linear discriminant, as a linear softmax without a bias.

  features = Features.learn(X, rows, labels, count, seed, device)
  moments = gather(arrays, features(X) - shift, labels, index, count, shift)
  solution = Discriminant.of(arrays, moments).solve(penalty=0.1)

For `fit`, which starts its descent here. docs/decoding.md has
the equations.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dreamerv3.analysis.arrays import Array, Arrays, Draws
from dreamerv3.analysis.devices import on
from dreamerv3.data.activations import Matrix

SKETCH = 512  # directions kept beside the tile means in wide layers
CHUNK = 256  # rows, of all units of a layer at once
UNITS = 4096  # whose weights are found at a time
COLUMNS = 64  # whose lengths are found at a time, a divisor of SKETCH


@dataclasses.dataclass(frozen=True)
class Features:
  """x -> (x * scale) Q: units of comparable size, wide layers made narrow.

  Q spans the means of all tiles and the leading directions of the rest; None
  is the identity.
  """

  arrays: Arrays
  scale: Array  # (D,)
  basis: Array | None  # (D, k)

  @classmethod
  def learn(
    cls,
    X: Matrix,
    rows: np.ndarray,
    labels: np.ndarray,
    count: int,
    seed: int,
    device: str,
  ) -> 'Features':
    """From the training rows `rows` of X, with their class of `count`."""
    square = np.zeros(X.shape[1])
    for part in chunks(rows):
      square += np.square(X[part]).sum(0, dtype=np.float64)
    rms = np.sqrt(square / len(rows))
    # Units that are all but silent are not blown up to the size of others. A
    # silent layer, such as the value head of an untrained network, is decoded
    # too: its weights become 0 and every tile is as likely.
    floor = 0.1 * np.median(rms[rms > 0]) if (rms > 0).any() else 1.0
    arrays = on(device)
    scale = arrays.put((1 / np.maximum(rms, floor)).astype(np.float32))
    plain = cls(arrays, scale, None)
    if X.shape[1] <= count + 2 * SKETCH:
      return plain
    basis = _basis(plain, X, rows, labels, count, seed)
    return dataclasses.replace(plain, basis=basis)

  @property
  def width(self) -> int:
    """Number of features."""
    return len(self.scale) if self.basis is None else self.basis.shape[1]

  def __call__(self, x: np.ndarray) -> Array:
    """(N, units) -> (N, width), scaled and rotated."""
    z: Array = self.arrays.single(self.arrays.put(x)) * self.scale
    return z if self.basis is None else z @ self.basis

  def to_raw(self, weights: Array, order: np.ndarray | None = None) -> np.ndarray:
    """Weights (k, C) on features to weights (D, C) on activations.

    Args:
      order: (C,) of the columns; as they are without.
    """
    weights = self.arrays.single(weights)
    units, count = len(self.scale), weights.shape[1]
    order = np.arange(count) if order is None else order
    raw = np.empty((count, units), np.float32)  # as it is saved
    for i in range(0, units, UNITS):
      part = slice(i, i + UNITS)
      block = weights[part] if self.basis is None else self.basis[part] @ weights
      block = self.arrays.host(block * self.scale[part, None])
      raw[:, part] = block[:, order].T
    return raw.T


def _basis(
  plain: Features,
  X: Matrix,
  rows: np.ndarray,
  labels: np.ndarray,
  count: int,
  seed: int,
) -> Array:
  """Orthonormal (D, count + SKETCH): tile means, then a randomised range.

  One power iteration of Halko, Martinsson & Tropp 2011,
  doi:10.1137/090771806. Columns of the result are rows until the end.
  """
  arrays, draws = plain.arrays, Draws(seed)
  span = arrays.empty(count + SKETCH, X.shape[1])
  lead = arrays.empty(SKETCH, X.shape[1])
  span[:], lead[:] = 0, 0
  for part, label in zip(chunks(rows), chunks(labels), strict=True):
    z = plain(X[part])
    arrays.rows_added(span[:count], arrays.put(label), z)
    lead += arrays.put(draws.normal(len(z), SKETCH)).T @ z
  lead = arrays.orthonormal(lead)
  for part in chunks(rows):
    z = plain(X[part])
    span[count:] += (z @ lead).T @ z
  for i in range(0, count, COLUMNS):
    some = slice(i, min(i + COLUMNS, count))
    span[some] /= arrays.lengths(span[some], 1).clip(min=1e-12)
  for i in range(count, count + SKETCH, COLUMNS):
    some = slice(i, i + COLUMNS)
    # Summed unit after unit, as in earlier versions, whose numbers these are.
    lengths = arrays.lengths(arrays.copy(span[some].T), 0)
    span[some] /= lengths.clip(min=1e-12).T
  return arrays.orthonormal(span)


@dataclasses.dataclass(frozen=True)
class Moments:
  """Sums over some rows of z, the features minus `shift`."""

  count: Array  # (C,)
  first: Array  # (C, k)
  second: Array  # (k, k)
  shift: Array  # (k,)

  @property
  def centre(self) -> Array:
    """Mean of z (k,) over all rows."""
    centre: Array = self.first.sum(0) / float(self.count.sum())
    return centre

  @property
  def means(self) -> Array:
    """Means of z (C, k) on each tile; 0 where there is no row."""
    means: Array = self.first / self.count.clip(min=1)[:, None]
    return means

  def mean_square(self) -> Array:
    """E x x' (k, k) of the features themselves, shift added back."""
    cross = self.centre[:, None] * self.shift
    outer = self.shift[:, None] * self.shift
    square: Array = self.second / self.count.sum() + cross + cross.T + outer
    return square


@dataclasses.dataclass(frozen=True)
class Solution:
  """Weights (k, C) on features; columns outside `present` are never chosen."""

  weights: Array
  present: Array  # (C,) bool
  whitener: Array  # (k, k) Cholesky factor of the noise covariance

  def scaled(self, factor: float) -> 'Solution':
    """The same with all logits times a factor."""
    return dataclasses.replace(self, weights=self.weights * factor)


def gather(
  arrays: Arrays,
  Z: Array,
  labels: np.ndarray,
  index: np.ndarray,
  count: int,
  shift: Array,
) -> Moments:
  """Sums over the rows `index` of Z, which is features minus `shift`."""
  k = Z.shape[1]
  n = np.bincount(labels[index], minlength=count).astype(np.float64)
  first, second = arrays.zeros(count, k), arrays.zeros(k, k)
  for part in chunks(index):
    z = arrays.double(Z[arrays.put(part)])
    arrays.rows_added(first, arrays.put(labels[part]), z)
    arrays.squares_added(second, z)
  return Moments(arrays.put(n), first, second, shift)


def total(arrays: Arrays, parts: Sequence[Moments]) -> Moments:
  """The moments of the rows of all parts together."""
  count, first, second = (arrays.copy(x) for x in _sums(parts[0]))
  for part in parts[1:]:
    for whole, more in zip((count, first, second), _sums(part), strict=True):
      whole += more
  return Moments(count, first, second, parts[0].shift)


def _sums(x: Moments) -> tuple[Array, ...]:
  return x.count, x.first, x.second


@dataclasses.dataclass(frozen=True)
class Discriminant:
  """The regularised linear discriminant, with its bias folded into weights.

    S  = covariance within tiles + penalty * mean diagonal * I
    a_c = S^-1 (m_c - m),   b_c = log(n_c / n) - (m_c + m)' a_c / 2
    w_c = a_c + u b_c,      u = argmin E (1 - x u)^2 + tiny |u|^2

  m_c is the mean of x on tile c, n_c its number of rows. u reads the constant
  from the activations, which is what a model without a bias has. Only what
  depends on the penalty is left to `solve`.
  """

  arrays: Arrays
  moments: Moments
  within: Array  # (k, k) covariance within tiles
  constant: Array  # (k,) u
  tiny: float

  @classmethod
  def of(cls, arrays: Arrays, moments: Moments) -> 'Discriminant':
    """Of the rows behind some moments."""
    rows, centre = float(moments.count.sum()), moments.centre
    within = (moments.second - moments.means.T @ moments.first) / rows
    spread = moments.second.diagonal() / rows - centre**2
    tiny = 1e-6 * max(float(spread.mean()), 1e-12)
    # Of units that are constant here the spread is what rounding has left.
    tiny = max(tiny, 1e-12 * float(moments.second.diagonal().max()) / rows)
    cover = moments.second / rows - centre[:, None] * centre
    p = centre + moments.shift
    _add_to_diagonal(cover, 1e-4 * float((cover.trace() + p @ p) / len(p)) + tiny)
    v = arrays.cho_solve(arrays.cholesky(cover), p[:, None])[:, 0]
    return cls(arrays, moments, within, v / (1 + p @ v), tiny)

  def solve(self, penalty: float) -> Solution:
    """The weights under a ridge."""
    arrays, moments = self.arrays, self.moments
    n, centre, mean = moments.count, moments.centre, moments.means
    noise = arrays.copy(self.within)
    size = max(float(noise.diagonal().mean()), 0.0)
    _add_to_diagonal(noise, penalty * size + self.tiny)
    factor = arrays.cholesky(noise)
    a = arrays.cho_solve(factor, (mean - centre).T)  # (k, C)
    middle = (mean + moments.shift + moments.shift + centre) / 2
    b = arrays.log(n.clip(min=0.5) / float(n.sum())) - (middle * a.T).sum(1)
    return Solution(a + self.constant[:, None] * b, n > 0, factor)


def _add_to_diagonal(matrix: Array, value: float) -> None:
  """Adds in place."""
  i = np.arange(len(matrix))
  matrix[i, i] += value


def fit_bytes(rows: int, units: int, tiles: int) -> float:
  """Bytes that a fit holds at most, besides its activations. Measured: docs/scale.md.

  Args:
    rows: to train on; units: of the layer; tiles: that are visited.
  """
  wide = units > tiles + 2 * SKETCH
  k = tiles + SKETCH if wide else units
  features = 4.0 * rows * k
  moments = 8.0 * k * (12 * k + 10 * tiles)
  basis = 4.0 * units * k if wide else 0.0  # twice while it is made orthonormal
  weights = 4.0 * units * tiles  # once more for a decoder that is kept
  most = max(basis, features + moments, features + weights)
  return basis + most + weights + 20.0 * CHUNK * units


def chunks(rows: np.ndarray) -> list[np.ndarray]:
  """Rows in pieces of at most CHUNK."""
  return [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
