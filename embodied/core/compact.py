"""Latents in fewer bytes: the class of a one-hot vector, floats of half the width.

For the replay, which packs what it is given and unpacks what it hands out, so that
neither the agent nor an environment sees the difference.

  forms = {'dyn/stoch': ClassIndex(4), 'dyn/deter': Rounded('bfloat16')}
  packed = pack_all({'dyn/stoch': np.eye(4, dtype='f4')[[2, 0]]}, forms)  # [2, 0]
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


class Form(abc.ABC):
  """How the values of a key are kept."""

  @abc.abstractmethod
  def row(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype in which one step of this shape is kept."""

  @abc.abstractmethod
  def pack(self, values: Any) -> np.ndarray:
    """What is kept of values (..., *shape).

    Values that are packed already, in any form of this class, are taken too: they
    are told by their dtype.

    Raises:
      ValueError: values that this form does not hold.
    """

  @abc.abstractmethod
  def unpack(self, kept: np.ndarray) -> np.ndarray:
    """The values again, float32."""


Forms = Mapping[str, Form]


@dataclasses.dataclass(frozen=True)
class ClassIndex(Form):
  """The class of a one-hot vector (..., classes): nothing is lost.

  Attributes:
    classes: length of a vector.
  """

  classes: int

  @property
  def _dtype(self) -> np.dtype:
    return np.dtype(np.uint8 if self.classes <= 256 else np.uint16)

  def row(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], np.dtype]:
    """The shape without its last axis."""
    return shape[:-1], self._dtype

  def pack(self, values: Any) -> np.ndarray:
    """Classes (...) of vectors (..., classes), which have to be exactly one-hot."""
    values = np.asarray(values)
    if values.dtype.kind == 'u':
      if values.size and values.max() >= self.classes:
        raise ValueError(f'class {values.max()} of {self.classes}')
      return values.astype(self._dtype, copy=False)
    if values.shape[-1:] != (self.classes,):
      raise ValueError(f'vectors of shape {values.shape}, expected {self.classes}')
    index = values.argmax(-1)
    ones = np.take_along_axis(values, index[..., None], -1)
    if not (ones == 1).all() or np.count_nonzero(values) != index.size:
      raise ValueError('vectors that are not one-hot')
    return index.astype(self._dtype)

  def unpack(self, kept: np.ndarray) -> np.ndarray:
    """One-hot vectors (..., classes)."""
    return np.eye(self.classes, dtype=np.float32)[kept]


@dataclasses.dataclass(frozen=True)
class Rounded(Form):
  """Floats in another width, rounded to the nearest.

  Attributes:
    dtype: float32 (nothing is lost), float16 (relative error 2^-11 from 6e-5 to
      65504), or bfloat16 (2^-8, nothing is lost of values computed in it). numpy has
      no bfloat16; its bits are kept as uint16.
  """

  dtype: str

  def row(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], np.dtype]:
    """The same shape."""
    return shape, np.dtype(np.uint16 if self.dtype == 'bfloat16' else self.dtype)

  def pack(self, values: Any) -> np.ndarray:
    """Values of any float dtype, bits of bfloat16 among them, rounded."""
    values = np.asarray(values)
    if values.dtype.name == 'bfloat16':
      values = values.view(np.uint16)
    if self.dtype == 'bfloat16':
      return values if values.dtype == np.uint16 else _bits(values)
    floats = _floats(values) if values.dtype == np.uint16 else values
    return floats.astype(self.dtype, copy=False)

  def unpack(self, kept: np.ndarray) -> np.ndarray:
    """The same values as float32."""
    floats = _floats(kept) if self.dtype == 'bfloat16' else kept
    return floats.astype(np.float32, copy=False)


def _bits(values: np.ndarray) -> np.ndarray:
  """Upper halves of float32 as uint16, rounded to the nearest, ties to even."""
  wide = np.ascontiguousarray(values, np.float32).view(np.uint32)
  # Infinity stays; a NaN, which no agent hands out, could become one.
  return ((wide + (0x7FFF + ((wide >> 16) & 1))) >> 16).astype(np.uint16)


def _floats(bits: np.ndarray) -> np.ndarray:
  return (bits.astype(np.uint32) << 16).view(np.float32)


def pack_all(values: Mapping[str, Any], forms: Forms) -> dict[str, Any]:
  """Values by key, those with a form packed.

  Raises:
    ValueError: with the key, values that its form does not hold.
  """
  packed = dict(values)
  for key, form in forms.items():
    if key in packed:
      try:
        packed[key] = form.pack(packed[key])
      except ValueError as e:
        raise ValueError(f'The replay cannot keep {key} as {form}: {e}.') from e
  return packed
