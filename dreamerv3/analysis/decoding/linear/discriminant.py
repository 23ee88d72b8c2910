"""The regularised linear discriminant, as a linear softmax without a bias.

  features = Features.learn(X, rows, labels, count, seed, device)
  moments = gather(features(X) - shift, labels, index, count, shift)
  solution = solve(moments, penalty=0.1)

For `fit`, which starts its descent here. docs/decoding.md has
the equations.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

SKETCH = 512  # directions kept beside the tile means in wide layers
CHUNK = 256  # rows, of all units of a layer at once


@dataclasses.dataclass(frozen=True)
class Features:
  """x -> (x * scale) Q: units of comparable size, wide layers made narrow.

  Q spans the means of all tiles and the leading directions of the rest; None
  is the identity.
  """

  scale: torch.Tensor  # (D,)
  basis: torch.Tensor | None  # (D, k)

  @classmethod
  def learn(
    cls,
    X: np.ndarray,
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
    scale = torch.from_numpy((1 / np.maximum(rms, floor)).astype(np.float32))
    plain = cls(scale.to(device), None)
    if X.shape[1] <= count + 2 * SKETCH:
      return plain
    return cls(plain.scale, _basis(plain, X, rows, labels, count, seed))

  @property
  def width(self) -> int:
    """Number of features."""
    return len(self.scale) if self.basis is None else self.basis.shape[1]

  def __call__(self, x: np.ndarray) -> torch.Tensor:
    """(N, units) -> (N, width), scaled and rotated."""
    z = torch.from_numpy(x).to(self.scale) * self.scale
    return z if self.basis is None else z @ self.basis

  def to_raw(self, weights: torch.Tensor) -> np.ndarray:
    """Weights (k, C) on features to weights (D, C) on activations."""
    weights = weights.to(self.scale)
    if self.basis is not None:
      weights = self.basis @ weights
    return (weights * self.scale[:, None]).cpu().numpy()


def _basis(
  plain: Features,
  X: np.ndarray,
  rows: np.ndarray,
  labels: np.ndarray,
  count: int,
  seed: int,
) -> torch.Tensor:
  """Orthonormal (D, count + SKETCH): tile means, then a randomised range.

  One power iteration of Halko, Martinsson & Tropp 2011,
  doi:10.1137/090771806.
  """
  rng = generator(seed)
  means = plain.scale.new_zeros(count, X.shape[1])
  range_ = plain.scale.new_zeros(X.shape[1], SKETCH)
  for part, label in zip(chunks(rows), chunks(labels), strict=True):
    z = plain(X[part])
    means.index_add_(0, torch.from_numpy(label).to(z.device), z)
    draw = torch.randn(len(z), SKETCH, generator=rng).to(z.device)
    range_ += z.T @ draw
  lead = torch.linalg.qr(range_)[0]
  range_.zero_()
  for part in chunks(rows):
    z = plain(X[part])
    range_ += z.T @ (z @ lead)
  norm = torch.linalg.vector_norm
  means /= norm(means, dim=1, keepdim=True).clamp(min=1e-12)
  range_ /= norm(range_, dim=0, keepdim=True).clamp(min=1e-12)
  basis: torch.Tensor = torch.linalg.qr(torch.cat([means.T, range_], 1))[0]
  return basis


@dataclasses.dataclass(frozen=True)
class Moments:
  """Sums over some rows of z, the features minus `shift`."""

  count: torch.Tensor  # (C,)
  first: torch.Tensor  # (C, k)
  second: torch.Tensor  # (k, k)
  shift: torch.Tensor  # (k,)

  def mean_square(self) -> torch.Tensor:
    """E x x' (k, k) of the features themselves, shift added back."""
    rows = self.count.sum()
    cross = torch.outer(self.first.sum(0) / rows, self.shift)
    outer = torch.outer(self.shift, self.shift)
    return self.second / rows + cross + cross.T + outer


@dataclasses.dataclass(frozen=True)
class Solution:
  """Weights (k, C) on features; columns outside `present` are never chosen."""

  weights: torch.Tensor
  present: torch.Tensor  # (C,) bool
  whitener: torch.Tensor  # (k, k) Cholesky factor of the noise covariance

  def scaled(self, factor: float) -> 'Solution':
    """The same with all logits times a factor."""
    return dataclasses.replace(self, weights=self.weights * factor)


def gather(
  Z: torch.Tensor,
  labels: torch.Tensor,
  index: np.ndarray,
  count: int,
  shift: torch.Tensor,
) -> Moments:
  """Sums over the rows `index` of Z, which is features minus `shift`."""
  k = Z.shape[1]
  n = shift.new_zeros(count)
  first = shift.new_zeros(count, k)
  second = shift.new_zeros(k, k)
  for part in chunks(index):
    rows = torch.from_numpy(part).to(Z.device)
    z, y = Z[rows].double(), labels[rows]
    n.index_add_(0, y, torch.ones_like(y, dtype=n.dtype))
    first.index_add_(0, y, z)
    second.addmm_(z.T, z)
  return Moments(n, first, second, shift)


def total(parts: Sequence[Moments]) -> Moments:
  """The moments of the rows of all parts together."""
  count, first, second = (x.clone() for x in _sums(parts[0]))
  for part in parts[1:]:
    for whole, more in zip((count, first, second), _sums(part), strict=True):
      whole += more
  return Moments(count, first, second, parts[0].shift)


def _sums(x: Moments) -> tuple[torch.Tensor, ...]:
  return x.count, x.first, x.second


def solve(moments: Moments, penalty: float) -> Solution:
  """The regularised linear discriminant, with its bias folded into weights.

    S  = covariance within tiles + penalty * mean diagonal * I
    a_c = S^-1 (m_c - m),   b_c = log(n_c / n) - (m_c + m)' a_c / 2
    w_c = a_c + u b_c,      u = argmin E (1 - x u)^2 + tiny |u|^2

  m_c is the mean of x on tile c, n_c its number of rows. u reads the constant
  from the activations, which is what a model without a bias has.
  """
  n, rows = moments.count, float(moments.count.sum())
  centre = moments.first.sum(0) / rows
  mean = moments.first / n.clamp(min=1)[:, None]
  within = (moments.second - mean.T @ moments.first) / rows
  k = len(within)
  size = float(within.diagonal().mean().clamp(min=0))
  spread = moments.second.diagonal() / rows - centre**2
  tiny = 1e-6 * float(spread.mean().clamp(min=1e-12))
  # Of units that are constant here the spread is what rounding has left.
  tiny = max(tiny, 1e-12 * float(moments.second.diagonal().max()) / rows)
  within.diagonal().add_(penalty * size + tiny)
  factor = torch.linalg.cholesky(within)
  a = torch.cholesky_solve((mean - centre).T, factor)  # (k, C)
  raw = mean + moments.shift
  middle = (raw + moments.shift + centre) / 2
  b = torch.log(n.clamp(min=0.5) / rows) - (middle * a.T).sum(1)
  cover = moments.second / rows - torch.outer(centre, centre)
  p = centre + moments.shift
  cover.diagonal().add_(1e-4 * float((cover.trace() + p @ p) / k) + tiny)
  v = torch.cholesky_solve(p[:, None], torch.linalg.cholesky(cover))[:, 0]
  u = v / (1 + p @ v)
  return Solution(a + torch.outer(u, b), n > 0, factor)


def generator(seed: int) -> torch.Generator:
  """Draws on the CPU, the same for every device."""
  return torch.Generator().manual_seed(seed)


def chunks(rows: np.ndarray) -> list[np.ndarray]:
  """Rows in pieces of at most CHUNK."""
  return [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]
