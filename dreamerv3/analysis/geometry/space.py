"""Distances between tiles: straight, and along what can be walked.

table = walking(metadata.walkable(), visited)   # (tiles, tiles) [steps]
"""

import numpy as np
import scipy.sparse
from scipy.sparse import csgraph

from dreamerv3.data.grid import Grid


def straight(grid: Grid) -> np.ndarray:
  """Euclidean distance of all pairs of tiles, (W H, W H) float32 [tiles]."""
  pos = grid.to_pos(np.arange(grid.size)).astype(np.float32)
  difference = pos[:, None] - pos[None]
  squares: np.ndarray = np.square(difference).sum(-1)
  return squares**0.5


def walking(walkable: np.ndarray, visited: np.ndarray) -> np.ndarray:
  """Least number of steps between all pairs of tiles, (W H, W H) float32.

  Args:
    walkable: (W, H) bool, of the map.
    visited: (n, 2) tiles where the agent was; they are walkable whatever the map
      says, since tunnels are dug and bridges built.

  Returns:
    Infinity where no way leads.
  """
  free = walkable.copy()
  free[tuple(visited.T)] = True
  width, height = free.shape
  number = np.arange(width * height).reshape(width, height)
  pairs = []
  for first, second in (
    ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
  ):
    both = free[first] & free[second]
    pairs.append(np.stack([number[first][both], number[second][both]]))
  row, column = np.concatenate(pairs, 1)
  size = width * height
  graph = scipy.sparse.csr_array((np.ones(len(row)), (row, column)), (size, size))
  found: np.ndarray = csgraph.shortest_path(graph, directed=False, unweighted=True)
  return found.astype(np.float32)
