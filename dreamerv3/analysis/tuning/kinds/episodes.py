"""Maps of a recording whose episodes are drawn anew, for the stability of groups.

redraw = EpisodeDraws(data, times=20, seed=0)
for maps in redraw(table, rows): ...   # (D, W, H)
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import scipy.sparse

from dreamerv3.analysis.tuning.maps import binned_path, fields
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.base.errors import UserError
from dreamerv3.data.samples import Track
from dreamerv3.data.trajectories import Trajectories


@dataclasses.dataclass(frozen=True)
class EpisodeDraws:
  """Bootstrap draws of episodes, whole and with replacement.

  Attributes:
    data: the recording that the maps are of.
    times: draws; seed: of them.
    min_visits, sigma: as the maps were measured, see tuning_curve.py.
  """

  data: Trajectories
  times: int
  seed: int = 0
  min_visits: int = 1
  sigma: float = 0.0

  def check(self, table: TuningTable) -> None:
    """UserError unless the maps are of this recording."""
    track, keep = self._kept()
    found = self.data.grid.count(track.rows(keep).pos)
    sizes = self.data.layers()
    if table.layer not in sizes:
      raise UserError(f'{self.data.path} has no layer {table.layer}.')
    if found.shape != table.occupancy.shape or (found != table.occupancy).any():
      raise UserError(
        f'{self.data.path} is not the recording of these maps: {found.sum()} samples '
        f'on a grid of {found.shape}, the maps have {int(table.occupancy.sum())} on '
        f'{table.occupancy.shape}, or other tiles; give that of --data of '
        'tuning_curve.py, with the same flags.'
      )

  def __call__(self, table: TuningTable, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Maps (D, W, H) of some units of each draw, NaN where it did not come."""
    track, keep = self._kept()
    track = track.rows(keep)
    design = Design.build(track, self.data.grid)
    samples = self.data.layer(table.layer).rows(keep)
    X = samples.X[:, table.units[rows]].astype(np.float64)
    _, episode = np.unique(track.episode, return_inverse=True)
    rng = np.random.default_rng([self.seed, 54])
    count = int(episode.max()) + 1
    for _ in range(self.times):
      drawn = np.bincount(rng.integers(count, size=count), minlength=count)
      weight = drawn[episode].astype(np.float64)
      visits = design.by_tile @ weight
      sums = (design.by_tile @ scipy.sparse.diags_array(weight)) @ X
      seen = visits > 0
      means = np.where(seen[:, None], sums / np.where(seen, visits, 1)[:, None], np.nan)
      maps = design.to_map(means.astype(np.float32))
      if self.sigma:
        there = np.nan_to_num(design.to_map(visits[:, None])[0])
        maps = fields.smooth(maps, there, self.sigma).astype(np.float32)
      yield maps

  def _kept(self) -> tuple[Track, np.ndarray]:
    track = self.data.track()
    return track, binned_path.often_visited(track, self.data.grid, self.min_visits)
