"""The arrays of a fit on a GPU, through torch: see `arrays` for the contract.

  arrays = TorchArrays('cuda:0')
  factor = arrays.cholesky(arrays.put(covariance))

For `devices.on`, which imports it when a GPU was asked for; torch is not needed
otherwise.
"""

# ruff: noqa: D102 - each method is described in `Arrays`

from typing import Any

import numpy as np
import torch

from dreamerv3.analysis.decoding.linear.arrays import Array, Arrays


class TorchArrays(Arrays):
  """The methods of `Arrays` for torch tensors on one device."""

  def __init__(self, device: str):
    self._device = device

  def put(self, x: np.ndarray) -> Any:
    return torch.from_numpy(x).to(self._device)

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
