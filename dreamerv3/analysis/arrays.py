"""The arrays of fits and tests, and what numpy and torch do under different names.

  arrays = Arrays()
  factor = arrays.cholesky(arrays.put(covariance))

For `decoding.linear` and `tuning.significance`, which are written once: plain
arithmetic, `@`, slices and sums read the same in both libraries, and the rest is a
method here. The CPU
needs numpy and scipy alone; `torch_arrays` does the same on a GPU, and its numbers
agree to rounding, since all random draws are made on the host.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.linalg import lapack

Array = np.ndarray  # on a GPU a torch.Tensor, which is used in the same way
BLOCKED = 64  # columns whose reflections LAPACK may apply together


class Arrays:
  """numpy and scipy on the CPU; the contract of `torch_arrays.TorchArrays`.

  Attributes:
    columns: of a working array that are computed together: as few as keep it near
      the processor, or as many as keep a GPU at work.
  """

  columns = 64

  def put(self, x: np.ndarray) -> Array:
    """The same numbers where the fit computes; not a copy if they are there."""
    return x

  def sparse(self, x: scipy.sparse.sparray) -> Any:
    """The same numbers where `@` takes arrays of these; each sum in a fixed order."""
    return x

  def host(self, x: Array) -> np.ndarray:
    """The same numbers as a numpy array; not a copy if they are one."""
    return x

  def empty(self, rows: int, columns: int) -> Array:
    """(rows, columns) float32, to be written."""
    return np.empty((rows, columns), np.float32)

  def zeros(self, *shape: int) -> Array:
    """Zeros of float64."""
    return np.zeros(shape)

  def single(self, x: Array) -> Array:
    """The same as float32."""
    return x.astype(np.float32, copy=False)

  def double(self, x: Array) -> Array:
    """The same as float64."""
    return x.astype(np.float64, copy=False)

  def copy(self, x: Array) -> Array:
    """The same numbers in memory of their own."""
    return x.copy()

  def mean(self, x: Array) -> Array:
    """Means of float32 columns, summed and returned in float64."""
    means: Array = x.mean(0, dtype=np.float64)
    return means

  def log(self, x: Array) -> Array:
    """Natural logarithm of each number."""
    logs: Array = np.log(x)
    return logs

  def log2(self, x: Array) -> Array:
    """Binary logarithm of each number."""
    logs: Array = np.log2(x)
    return logs

  def where(self, which: Array, x: Array, other: float) -> Array:
    """x where it is so, and the other number elsewhere."""
    chosen: Array = np.where(which, x, other)
    return chosen

  def at_least(self, x: Array, low: float) -> Array:
    """x, of which what is less than `low` was replaced by it in place."""
    np.maximum(x, low, out=x)
    return x

  def highest(self, x: Array) -> Array:
    """The largest number of each column."""
    largest: Array = x.max(0)
    return largest

  def stack(self, rows: Sequence[Array]) -> Array:
    """Rows (D,) as (S, D) float32."""
    return np.stack(rows).astype(np.float32)

  def lengths(self, x: Array, axis: int) -> Array:
    """Euclidean lengths along an axis, which stays."""
    lengths: Array = np.linalg.norm(x, axis=axis, keepdims=True)
    return lengths

  def rows_added(self, target: Array, labels: Array, x: Array) -> None:
    """target[labels[i]] += x[i] in place, for (C, k), (N,) and (N, k)."""
    there, place = np.unique(labels, return_inverse=True)
    which = (np.ones(len(x), x.dtype), (place, np.arange(len(x))))
    target[there] += scipy.sparse.csr_array(which, shape=(len(there), len(x))) @ x

  def squares_added(self, target: Array, x: Array) -> None:
    """target += x' x in place, for float64 (k, k) and (N, k)."""
    target += x.T @ x  # one triangle is computed and mirrored

  def orthonormal(self, rows: Array) -> Array:
    """Orthonormal columns (D, k) that span the rows of (k, D) float32, k <= D.

    By Householder's reflections in float64. The rows must own their memory and are
    used up: it grows to hold float64 and shrinks to the result, so that there are
    8 k D bytes at most.
    """
    k, width = rows.shape
    rows.resize(2 * k * width, refcheck=False)  # flat from here on
    wide = rows.view(np.float64).reshape(k, width)
    narrow = rows[: k * width].reshape(k, width)  # the first half of the same bytes
    for i in reversed(range(k)):
      wide[i] = narrow[i].copy()  # they overlap
    work = BLOCKED * k
    _, scales, _, _ = lapack.dgeqrf(wide.T, lwork=work, overwrite_a=True)
    lapack.dorgqr(wide.T, scales, lwork=work, overwrite_a=True)
    for i in range(k):
      narrow[i] = wide[i].copy()
    del wide, narrow  # nothing else may look at what is given back
    rows.resize((k, width), refcheck=False)
    return rows.T

  def eigh(self, x: Array) -> tuple[Array, Array]:
    """Eigenvalues, rising, and eigenvectors of a symmetric matrix."""
    values, vectors = np.linalg.eigh(x)
    return values, vectors

  def cholesky(self, x: Array) -> Array:
    """L with x = L L'."""
    return np.linalg.cholesky(x)

  def cho_solve(self, factor: Array, b: Array) -> Array:
    """(L L')^-1 b for b (k, C)."""
    solved: Array = scipy.linalg.cho_solve((factor, True), b, check_finite=False)
    return solved

  def softmax(self, logits: Array) -> Array:
    """Probabilities (N, C) of each row's logits; at least one is finite."""
    p: Array = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p

  def cross_entropy(self, logits: Array, labels: Array) -> float:
    """Mean of -log softmax [nats] at the labels, over rows."""
    top = logits.max(1)
    total = np.log(np.exp(logits - top[:, None]).sum(1))
    return float((total + top - logits[np.arange(len(labels)), labels]).mean())


class Draws:
  """Random numbers made on the host, the same for every device.

  They are those of torch's CPU generator with the same seed (MT19937; normals by
  Box and Muller in blocks of 16), so that decoders of earlier versions, which drew
  from it, come out again.
  """

  def __init__(self, seed: int):
    self._bits = np.random.MT19937()
    self._bits._legacy_seeding(seed)  # the seeding that torch uses

  def integers(self, below: int, count: int) -> np.ndarray:
    """(count,) uniform in 0 .. below - 1."""
    return (self._bits.random_raw(count) % np.uint64(below)).astype(np.int64)

  def normal(self, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) float32 of the standard normal; columns divisible by 16."""
    raw = self._bits.random_raw(rows * columns) & np.uint64(2**24 - 1)
    u = (raw.astype(np.float32) * np.float32(2**-24)).reshape(-1, 2, 8)
    radius = np.sqrt(-2 * np.log1p(-u[:, 0]))
    angle = np.float32(2 * np.pi) * u[:, 1]
    both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return both.reshape(rows, columns)
