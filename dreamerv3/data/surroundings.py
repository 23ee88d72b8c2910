"""What is around the player at every analysed timestep.

  found = data.surroundings()           # in step with data.track()
  found.materials[:, 5, 4]              # (N,) of the tile east of the player

For analyses that ask whether a code follows the place, or what is seen there.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.data.episode import Episode
from dreamerv3.data.metadata import Metadata

SIZE = 9  # [tiles] side of the square


@dataclasses.dataclass(frozen=True)
class Surroundings:
  """The square of tiles around the player, north up and unturned.

  Both arrays are indexed [row, x, y] as every map: [n, 4, 4] is the player's
  own tile, [n, 5, 4] the one east of it, [n, 4, 3] the one north of it.

  Attributes:
    materials: uint8 (N, 9, 9), index into `Metadata.materials`; 0 lies beyond
      the edge of the world.
    objects: uint8 (N, 9, 9), index into `Metadata.objects`, 0 is nothing; None
      unless every episode holds it.
    recorded: bool (N,), False where the materials are those of the map as the
      episode began, without what was built or mined since.
  """

  materials: np.ndarray
  objects: np.ndarray | None
  recorded: np.ndarray

  def __post_init__(self) -> None:
    shape = (len(self.recorded), SIZE, SIZE)
    for name in ('materials', 'objects'):
      value = getattr(self, name)
      if value is not None and (value.shape != shape or value.dtype != np.uint8):
        raise UserError(
          f'{name} around the player are {value.dtype} {value.shape}; expected '
          f'uint8 {shape}: record again.'
        )

  def __len__(self) -> int:
    return len(self.recorded)


def around(
  metadata: Metadata,
  episodes: Sequence[Episode],
  first: int,
  path: pathlib.Path,
) -> Surroundings:
  """Of some episodes, each from timestep `first` on.

  Args:
    metadata: of their recording.
    episodes: at least one.
    first: 1 leaves out timestep 0.
    path: of the recording, for messages.

  Raises:
    UserError: an episode lacks it, and there is no map to take it from.
  """
  materials, recorded = [], []
  for x in episodes:
    there = 'view_materials' in x.arrays
    whole = x.read('view_materials') if there else _of_map(metadata, x, path)
    materials.append(whole[first:])
    recorded.append(np.full(len(x) - first, there))
  objects = None
  if all('view_objects' in x.arrays for x in episodes):
    objects = np.concatenate([x.read('view_objects')[first:] for x in episodes])
  return Surroundings(np.concatenate(materials), objects, np.concatenate(recorded))


def crop(world_map: np.ndarray, pos: np.ndarray) -> np.ndarray:
  """The squares around some positions of a map, 0 beyond its edge.

  Args:
    world_map: (W, H), indexed [x, y].
    pos: (N, 2) [tiles].

  Returns:
    (N, 9, 9), of the map's dtype.
  """
  padded = np.pad(world_map, SIZE // 2)
  x, y = (pos[:, i, None] + np.arange(SIZE) for i in (0, 1))
  return padded[x[:, :, None], y[:, None, :]]


def _of_map(metadata: Metadata, episode: Episode, path: pathlib.Path) -> np.ndarray:
  world_map = metadata.world_map
  own = 'world_map' in episode.arrays and not metadata.extra.get('spawn_relative')
  if world_map is None and own:
    world_map = episode.read('world_map')
  if world_map is None:
    raise UserError(
      f'{path} holds neither what was around the player nor a map to take it '
      'from; record it again.'
    )
  return crop(world_map, episode.pos)
