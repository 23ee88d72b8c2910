"""The arrays of fits and tests on a GPU, through torch: see `arrays` for the contract.

  arrays = TorchArrays('cuda:0')
  factor = arrays.cholesky(arrays.put(covariance))

For `devices.on`, which imports it when a GPU was asked for; torch is not needed
otherwise.
"""

# ruff: noqa: D102 - each method is described in `Arrays`

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
import torch

from dreamerv3.analysis.arrays import Array, Arrays


class TorchArrays(Arrays):
  """The methods of `Arrays` for torch tensors on one device."""

  columns = 4096

  def __init__(self, device: str):
    self._device = device

  def put(self, x: np.ndarray) -> Any:
    return torch.from_numpy(x).to(self._device)

  def sparse(self, x: scipy.sparse.sparray) -> '_Sums':
    rows = x.tocsr()
    parts = rows.data, rows.indices.astype(np.int64), rows.indptr.astype(np.int64)
    return _Sums(*(self.put(a) for a in parts))

  def host(self, x: Any) -> np.ndarray:
    found: np.ndarray = x.cpu().numpy()
    return found

  def empty(self, rows: int, columns: int) -> Any:
    return torch.empty(rows, columns, device=self._device)

  def zeros(self, *shape: int) -> Any:
    return torch.zeros(shape, dtype=torch.float64, device=self._device)

  def single(self, x: Any) -> Any:
    return x.float()

  def double(self, x: Any) -> Any:
    return x.double()

  def copy(self, x: Any) -> Any:
    return x.clone()

  def mean(self, x: Any) -> Any:
    return x.mean(0, dtype=torch.float64)

  def log(self, x: Any) -> Any:
    return torch.log(x)

  def log2(self, x: Any) -> Any:
    return torch.log2(x)

  def where(self, which: Any, x: Any, other: float) -> Any:
    return torch.where(which, x, other)

  def at_least(self, x: Any, low: float) -> Any:
    return x.clamp_(min=low)

  def highest(self, x: Any) -> Any:
    return x.amax(0)

  def stack(self, rows: Sequence[Any]) -> Any:
    return torch.stack([x.float() for x in rows])

  def lengths(self, x: Any, axis: int) -> Any:
    return torch.linalg.vector_norm(x, dim=axis, keepdim=True)

  def rows_added(self, target: Any, labels: Any, x: Any) -> None:
    target.index_add_(0, labels, x)

  def squares_added(self, target: Any, x: Any) -> None:
    target.addmm_(x.T, x)

  def orthonormal(self, rows: Any) -> Any:
    return torch.linalg.qr(rows.T)[0]

  def eigh(self, x: Any) -> tuple[Array, Array]:
    return tuple(torch.linalg.eigh(x))

  def cholesky(self, x: Any) -> Any:
    return torch.linalg.cholesky(x)

  def cho_solve(self, factor: Any, b: Any) -> Any:
    return torch.cholesky_solve(b, factor)

  def softmax(self, logits: Any) -> Any:
    return torch.softmax(logits, 1)

  def cross_entropy(self, logits: Any, labels: Any) -> float:
    return float(torch.nn.functional.cross_entropy(logits, labels))


class _Sums:
  """A sparse matrix by rows, whose product adds up each row in order.

  Every sum of `segment_reduce` is made by one thread, so that numbers are the same in
  each run; those of `index_add_` and of cuSPARSE may depend on what ends first.
  """

  def __init__(self, values: Any, columns: Any, starts: Any):
    self._values, self._columns, self._starts = values, columns, starts

  def __matmul__(self, x: Any) -> Any:
    """(R, D) for x (C, D)."""
    terms = x[self._columns]
    terms *= self._values[:, None]
    return torch.segment_reduce(terms, 'sum', offsets=self._starts, axis=0, unsafe=True)
