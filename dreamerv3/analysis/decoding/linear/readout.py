"""From logits of tiles to one tile: the one that is least wrong.

  readout = Readout(sharpness=0.5, visits=visits)
  best = readout.choose(logits, pos)   # (N,) places in `pos`

The error is |dx| + |dy|, so that the tile to name is the one of least expected
|dx| + |dy| under p(tile | x), not the most probable one. How far p may be
trusted is chosen on validation episodes: docs/decoding.md has the rule.

For `decoder`, which applies it, and `fit`, which chooses it.
"""

import dataclasses
import math

import numpy as np

# (sharpness, weight): the softmax itself, more sharply or in part replaced by the
# visits; then beside the visits, for logits that cannot hold them. Of sharpness 0
# is the best constant, of infinity the most probable tile.
TRIED = (
  *((1.0, 0.0), (2.0, 0.0), (4.0, 0.0), (8.0, 0.0), (math.inf, 0.0)),
  *((0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0.125, 0.875), (0.0, 1.0)),
  *((0.25, 1.0), (0.5, 1.0), (1.0, 1.0), (2.0, 1.0)),
)
SILENT = 1e-6  # logits that differ by less hold nothing


@dataclasses.dataclass(frozen=True)
class Readout:
  """p(c) ~ visits(c)^w exp(s z_c), then the tile of least expected distance.

  Attributes:
    sharpness: s; infinity is the most probable tile.
    visits: (C,) training timesteps on each tile.
    weight: w, above 0 where the logits are trusted less, or where a model
      without a bias does not hold how often each tile is visited.
  """

  sharpness: float
  visits: np.ndarray
  weight: float = 0.0

  def __post_init__(self) -> None:
    good = self.sharpness >= 0 and 0 <= self.weight < math.inf
    if not good or self.visits.ndim != 1 or (self.visits < 0).any():
      raise ValueError(f'No readout: {self.sharpness}, {self.weight}, {self.visits}.')

  def choose(self, logits: np.ndarray, pos: np.ndarray) -> np.ndarray:
    """Places (N,) in `pos` (C, 2) of the tiles to name, for logits (N, C).

    A row whose logits are all the same names the best constant.
    """
    if self.sharpness == math.inf:
      most: np.ndarray = logits.argmax(1)
      return most
    spread = logits.max(1) - logits.min(1)
    silent = spread <= SILENT
    z = self.sharpness * (logits - logits.max(1, keepdims=True))
    weight = np.where(silent, 1, self.weight).astype(z.dtype)
    z += weight[:, None] * np.log(np.maximum(self.visits, 0.5)).astype(z.dtype)
    p = np.exp(z - z.max(1, keepdims=True))
    best: np.ndarray = expected_distance(p, pos).argmin(1)
    return best


def expected_distance(p: np.ndarray, pos: np.ndarray) -> np.ndarray:
  """sum_k p_k |pos_k - pos_c|_1 [tiles], (N, C) to (N, C); p need not sum to 1.

  The distance is a sum over axes, so that each takes one product with the
  distances of its own lines.
  """
  total = np.zeros_like(p)
  for axis in (0, 1):
    lines, place = np.unique(pos[:, axis], return_inverse=True)
    far = np.abs(pos[:, axis, None] - lines).astype(p.dtype)  # (C, lines)
    total += (p @ far)[:, place]
  return total


def candidates(visits: np.ndarray) -> list[Readout]:
  """What is tried on validation episodes; of equals, the first is taken."""
  return [Readout(sharpness, visits, weight) for sharpness, weight in TRIED]
