"""What a decoder of either kind says of some rows, in one form.

said = said_by(decoder, X, rows)   # tiles that it names, of a layer X (N, D)
maps = maps_of(decoder, X[rows])   # probabilities, where it has them
"""

from typing import NamedTuple

import numpy as np

from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.decoding.linear.ridge import RidgeDecoder
from dreamerv3.data.activations import Matrix

Decoder = LinearDecoder | RidgeDecoder


class Prediction(NamedTuple):
  """What a decoder says of N rows; NaN where its kind does not say it."""

  pred: np.ndarray  # (N, 2) the tile that is named
  argmax: np.ndarray  # (N, 2) the most probable tile
  estimate: np.ndarray  # (N, 2) real-valued position


def said_by(decoder: Decoder, X: Matrix, rows: np.ndarray) -> Prediction:
  """What a decoder says of some rows of a layer (N, D)."""
  nan = np.full((len(rows), 2), np.nan, np.float32)
  if isinstance(decoder, LinearDecoder):
    return Prediction(*decoder.named(X, rows), nan)
  return Prediction(decoder.predict(X, rows), nan, decoder.estimate(X, rows))


def maps_of(decoder: Decoder, X: np.ndarray) -> np.ndarray:
  """Probabilities (K, W, H); ridge regression has none."""
  if isinstance(decoder, LinearDecoder):
    return decoder.predict_proba(X)
  return np.zeros((0, *decoder.grid.shape), np.float32)
