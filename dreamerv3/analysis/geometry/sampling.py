"""The rows of a recording whose distances are compared, in whole episodes' shares.

chosen = choose(data.track(), most=4000, seed=0)
images = views(data, chosen)
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
  n, height, width, channels = images.shape
  y = (np.arange(height) * SIDE) // height
  x = (np.arange(width) * SIDE) // width
  sums = np.zeros((n, min(SIDE, height), width, channels), np.float32)
  np.add.at(sums, (slice(None), y), images.astype(np.float32))
  both = np.zeros((n, sums.shape[1], min(SIDE, width), channels), np.float32)
  np.add.at(both, (slice(None), slice(None), x), sums)
  count = np.bincount(y)[:, None] * np.bincount(x)[None]
  flat = (both / (255 * count[None, :, :, None])).reshape(n, -1)
  full = np.zeros((n, SIDE * SIDE * 3), np.float32)
  full[:, : flat.shape[1]] = flat
  return full
