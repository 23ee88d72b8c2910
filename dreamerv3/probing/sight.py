"""What an agent that is led along a recording gets to see of it.

  sight = Sight.of('20', 'vitals', data)   # blind from timestep 20 on
  sight.image(image, number, t); sight.blind(t)

Interventions on the input, whose effect on a code is then decoded: is what it
holds of the place seen, or remembered?
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories

POOL = 1024  # timesteps of the recording that another half of an image is from
ROWS = 9  # [tiles] of Crafter's image, the lowest two of them the status bar
BAR = 2

# (image, number of the episode, timestep) -> image
Change = Callable[[np.ndarray, int, int], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Sight:
  """Which images are shown, and how they are changed.

  Attributes:
    limit: images are withheld from this timestep on; None shows all.
    change: what is done to an image that is shown; None for nothing.
  """

  limit: int | None = None
  change: Change | None = None

  @classmethod
  def of(cls, observe: str, perturb: str, data: Trajectories) -> 'Sight':
    """As the flags say.

    Args:
      observe: 'all', 'none', or the number of timesteps that are seen.
      perturb: 'none'; 'pixels' puts the pixels of all images into one other
        order; 'vitals' draws the status bar, 'view' what is above it, from
        another timestep of the recording, anew at each.
      data: the recording; all its episodes are drawn from.

    Raises:
      UserError: the recording does not tell where its status bar is.
    """
    words = {'all': None, 'none': 0}
    limit = words[observe] if observe in words else int(observe)
    seed = data.metadata.seed or 0
    if perturb == 'none':
      return cls(limit)
    if perturb == 'pixels':
      return cls(limit, _Scrambled(seed))
    return cls(limit, _Swapped(perturb, seed, _bar(perturb, data), _pool(data, seed)))

  def blind(self, t: int) -> bool:
    """Whether the image of timestep t is withheld."""
    return self.limit is not None and t >= self.limit

  def image(self, image: np.ndarray, number: int, t: int) -> np.ndarray:
    """What is shown at timestep t of an episode: black where it is withheld."""
    if self.blind(t):
      return np.zeros_like(image)
    return image if self.change is None else self.change(image, number, t)


class _Scrambled:
  """The pixels of every image in one other order."""

  def __init__(self, seed: int):
    self.seed = seed
    self.order: np.ndarray | None = None

  def __call__(self, image: np.ndarray, number: int, t: int) -> np.ndarray:
    del number, t
    flat = image.reshape(-1, image.shape[-1])
    if self.order is None:
      self.order = np.random.default_rng(self.seed).permutation(len(flat))
    return flat[self.order].reshape(image.shape)


class _Swapped:
  """One part of each image from another timestep.

  Args:
    part: 'vitals' or 'view'.
    seed: with episode and timestep decides from which.
    cut: first row of the status bar.
    pool: images (N, h, w, 3).
  """

  def __init__(self, part: str, seed: int, cut: int, pool: np.ndarray):
    self.rows = slice(cut, None) if part == 'vitals' else slice(0, cut)
    self.seed, self.pool = seed, pool

  def __call__(self, image: np.ndarray, number: int, t: int) -> np.ndarray:
    rng = np.random.default_rng([self.seed, number, t])
    other = self.pool[rng.integers(len(self.pool))]
    image = image.copy()
    image[self.rows] = other[self.rows]
    return image


def _bar(perturb: str, data: Trajectories) -> int:
  """First row of pixels of the status bar."""
  env: Mapping[str, Any] = data.metadata.settings.get('env', {})
  if data.metadata.task != 'crafter' or 'egocentric_view' not in env:
    raise UserError(
      f'--replay_activations.perturb {perturb} needs to know where the status bar '
      f'is, which {data.path} does not tell; take pixels, or a recording of ours.'
    )
  height = data.episodes[0].arrays['image'].shape[1]
  if env['egocentric_view']:
    return height - BAR * height // ROWS
  unit = height // ROWS
  return (height - ROWS * unit) // 2 + (ROWS - BAR) * unit


def _pool(data: Trajectories, seed: int) -> np.ndarray:
  """Images of timesteps drawn from all of the recording."""
  lengths = np.array([len(x) for x in data.episodes])
  rng = np.random.default_rng(seed)
  rows = np.sort(rng.choice(lengths.sum(), min(POOL, lengths.sum()), replace=False))
  ends = lengths.cumsum()
  place = np.searchsorted(ends, rows, 'right')
  parts = [
    data.episodes[i].view('image')[rows[place == i] - (ends - lengths)[i]]
    for i in np.unique(place)
  ]
  return np.concatenate(parts)
