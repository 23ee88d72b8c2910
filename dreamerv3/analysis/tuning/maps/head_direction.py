"""Tuning to the four directions that a player of the game can face.

curves = sums_by_heading / visits           # (4, D)
length, preferred = vector(curves)
"""

import numpy as np

NAMES = ('right', 'left', 'up', 'down')
# As in the game: x runs right, y down.
STEPS = np.array([(1, 0), (-1, 0), (0, -1), (0, 1)])
BINS = len(STEPS)
# Compass angles: 0 is right (east), pi / 2 is up (north).
ANGLES = np.array([0, np.pi, np.pi / 2, -np.pi / 2])

_BIN_OF = np.full((3, 3), -1, np.int8)
_BIN_OF[STEPS[:, 0], STEPS[:, 1]] = np.arange(BINS)  # index -1 is the last


def to_bin(facing: np.ndarray) -> np.ndarray:
  """Facings (N, 2) of (dx, dy) to 0..3; -1 for anything else, (N,) int8."""
  if np.abs(facing).max(initial=0) > 1:
    raise ValueError(f'facing reaches {np.abs(facing).max()}; expected -1..1.')
  bins: np.ndarray = _BIN_OF[facing[:, 0], facing[:, 1]]
  return bins


def vector(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Mean vector length and preferred direction of curves.

    v = sum_h r(h) exp(i angle(h)) / sum_h r(h)

  Args:
    curves: (4, D) occupancy-normalised rates >= 0; rows as `NAMES`.

  Returns:
    |v| in 0..1 (1: active in one direction alone), and arg v [rad], 0 right,
    pi / 2 up; both (D,), 0 for a silent unit, NaN for a curve that is not known in
    all directions.
  """
  total = curves.sum(0)
  v = np.exp(1j * ANGLES) @ curves / np.where(total > 0, total, 1)
  return np.abs(v), np.angle(v)


def standardise(
  means: np.ndarray, visits: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Curves of place and of facing, each freed from the other.

  Where one walks and where one looks depend on each other: next to a wall one
  faces it. Direct standardisation compares like with like. On the tiles that
  were seen in all four facings,

    r(h | place) = sum_x p(x) r(x, h),  p(x) ~ visits of the tile
    r(x | HD) = 1/4 sum_h r(x, h)

  which is the curve that even sampling would have shown, whatever r(x, h).

  Args:
    means: (V, 4, D) mean activation per tile and facing.
    visits: (V, 4) samples.

  Returns:
    r(h | place) (4, D), r(x | HD) (V', D), and the V' tiles as a mask (V,);
    NaN curves if no tile was seen in all facings.
  """
  full: np.ndarray = np.all(visits > 0, axis=1)
  if not full.any():
    nothing = np.full((BINS, means.shape[2]), np.nan)
    return nothing, nothing[:0], full
  weight = visits[full].sum(1) / visits[full].sum()
  given_place = np.einsum('v,vhd->hd', weight, means[full])
  return given_place, means[full].mean(1), full
