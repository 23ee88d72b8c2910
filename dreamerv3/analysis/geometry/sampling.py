"""The rows of a recording whose distances are compared, in whole episodes' shares.

chosen = choose(data.track(), most=4000, seed=0)
images = views(data, track, rows)
"""

import numpy as np

from dreamerv3.data.samples import Track
from dreamerv3.data.trajectories import Trajectories

SIDE = 16  # pixels a side that are left of an image


def choose(track: Track, most: int, seed: int) -> np.ndarray:
  """Rows (n,), n <= most, drawn without replacement, in their order.

  Every timestep has the same chance, so that an episode is in the sample by its
  length.
  """
  if len(track) <= most:
    return np.arange(len(track))
  rng = np.random.default_rng([seed, 31])
  return np.sort(rng.choice(len(track), most, replace=False))


def views(data: Trajectories, track: Track, rows: np.ndarray) -> np.ndarray | None:
  """What was seen in some rows: (n, pixels) float32 in 0..1, None without images.

  Images are averaged to SIDE x SIDE pixels: what is compared is the scene, not
  single pixels.
  """
  if not all('image' in x.arrays for x in data.episodes):
    return None
  found = np.zeros((len(rows), SIDE * SIDE * 3), np.float32)
  for place, episode in enumerate(data.episodes):
    here = track.episode[rows] == place
    if here.any():
      images = episode.read('image')[track.t[rows[here]]]
      found[here] = _small(images)
  return found


def _small(images: np.ndarray) -> np.ndarray:
  """(n, H, W, 3) uint8 -> (n, SIDE * SIDE * 3) means of blocks."""
  _, height, width, _ = images.shape
  down, across = _blocks(height), _blocks(width)
  small: np.ndarray = np.einsum(
    'yh,nhwc,xw->nyxc', down, images / 255, across, optimize=True
  )
  return small.reshape(len(images), -1).astype(np.float32)


def _blocks(pixels: int) -> np.ndarray:
  """(SIDE, pixels) weights that average blocks of about equal size."""
  weight = np.zeros((SIDE, pixels))
  weight[(np.arange(pixels) * SIDE) // pixels, np.arange(pixels)] = 1
  weight /= np.maximum(weight.sum(1, keepdims=True), 1)
  return weight
