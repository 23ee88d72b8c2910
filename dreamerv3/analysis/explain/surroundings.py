"""The tiles around the player, by compass or turned with its facing.

  around = window(track.pos, world_map)       # (N, 19, 19) material ids
  ahead = rays(turned(around, track.facing), walkable)[:, 0]   # [tiles]

What a network sees follows from these, so they are what a code of place has to
be told from.
"""

import numpy as np

REACH = 9  # tiles on each side of the player
OUTSIDE = 0  # material id beyond the edge of the world


def window(
  pos: np.ndarray, world_map: np.ndarray, seen: np.ndarray | None = None
) -> np.ndarray:
  """Materials around each position, (N, 19, 19), indexed [n, x, y], north up.

  Args:
    pos: (N, 2) [tiles].
    world_map: (W, H) material ids at the start of an episode.
    seen: (N, s, s), s odd, materials as they were at each step, if they were
      recorded; they replace the map's in the middle.
  """
  padded = np.pad(world_map, REACH, constant_values=OUTSIDE)
  step = np.arange(2 * REACH + 1)
  x, y = pos[:, 0, None] + step, pos[:, 1, None] + step
  around: np.ndarray = padded[x[:, :, None], y[:, None, :]]
  if seen is not None:
    half = seen.shape[1] // 2
    middle = slice(REACH - half, REACH + half + 1)
    around = around.astype(np.result_type(around, seen))
    around[:, middle, middle] = seen
  return around


def turned(around: np.ndarray, facing: np.ndarray) -> np.ndarray:
  """Windows turned so that the player faces up: [n, right, down].

  Args:
    around: (N, s, s) as `window` gives them.
    facing: (N, 2) of (dx, dy); windows of unknown facing stay as they are.
  """
  half = around.shape[1] // 2
  right, down = np.meshgrid(
    np.arange(-half, half + 1), np.arange(-half, half + 1), indexing='ij'
  )
  out = around.copy()
  for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
    rows = (facing == (dx, dy)).all(1)
    # Right of the player is clockwise of where it faces.
    x, y = -right * dy - down * dx, right * dx - down * dy
    out[rows] = around[rows][:, half + x, half + y]
  return out


def rays(around: np.ndarray, walkable: np.ndarray) -> np.ndarray:
  """Steps to the next blocked tile up, right, down and left, (N, 4).

  1 beside it; one more than the window reaches where there is none.

  Args:
    around: (N, s, s) of material ids.
    walkable: ids that one can walk on.
  """
  half = around.shape[1] // 2
  blocked = ~np.isin(around, walkable)
  lines = (
    blocked[:, half, half - 1 :: -1],
    blocked[:, half + 1 :, half],
    blocked[:, half, half + 1 :],
    blocked[:, half - 1 :: -1, half],
  )
  steps = [np.where(x.any(1), x.argmax(1), half) + 1 for x in lines]
  return np.stack(steps, 1)
