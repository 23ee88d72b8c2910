"""What all layers of a recording share: its path, its walls, its nulls.

setup = Setup.build(design, find_walls(walkable), n_shuffles=200)
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from dreamerv3.analysis import nulls
from dreamerv3.analysis.explain import covariates
from dreamerv3.analysis.explain.covariates import Steps
from dreamerv3.analysis.explain.models import Models
from dreamerv3.analysis.tuning import significance
from dreamerv3.analysis.tuning.maps import grids
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.border import Contrast, Wall, contrasts
from dreamerv3.analysis.tuning.maps.drift import Drift
from dreamerv3.analysis.tuning.maps.reliability import tile_weight
from dreamerv3.analysis.tuning.maps.vectors import Vectors
from dreamerv3.analysis.tuning.maps.wall_profiles import WallProfiles

MI_NULLS = 10  # pairings that the bias of the mutual information is from


@dataclasses.dataclass(frozen=True)
class Setup:
  """What all layers of a recording share.

  Attributes:
    design: of the analysed samples.
    walls: of the world; empty without a map.
    faced: rows whose facing is known, None if it is for all or for none.
    scorer: tests units, see `significance`.
    pairings: (n, N') null permutations of the tested rows; n = 0 for none.
    mi_pairings: (n', N) of all rows, for the bias of mutual information.
    models: of everything a unit may follow, see `explain.models`.
    drift: halves of the recording, see `drift`.
    contrasts: near and far of the walls of each of `border.SCORES` that there are.
    profiles: activity along the walls of this world.
    vectors: candidates of boundary vectors in this world.
    grids: whether the world is large enough to look for grid cells.
    seed: of everything that is drawn.
    sigma: smoothing of the maps [tiles]; 0 for none.
    hd: whether to analyse head direction.
    device: that tests units, 'cpu' or 'cuda:k'.
  """

  design: Design
  walls: tuple[Wall, ...]
  scorer: significance.Scorer
  faced: np.ndarray | None
  pairings: np.ndarray
  mi_pairings: np.ndarray
  models: Models
  drift: Drift
  contrasts: Mapping[str, Contrast]
  profiles: WallProfiles
  vectors: Vectors
  grids: bool
  seed: int
  sigma: float = 0.0
  hd: bool = True
  device: str = 'cpu'

  @functools.cached_property
  def tests(self) -> significance.Scorer:
    """The scorer on its device; made in the process that tests."""
    return self.scorer.on(self.device)

  @classmethod
  def build(
    cls,
    design: Design,
    walls: Sequence[Wall] = (),
    steps: Steps | None = None,
    *,
    n_shuffles: int = 200,
    null: str = 'session',
    seed: int = 0,
    sigma: float = 0.0,
    hd: bool = True,
    brief: bool = False,
    device: str = 'cpu',
  ) -> 'Setup':
    """Prepares the path of a recording.

    Args:
      design: of the analysed samples.
      walls: of the world.
      steps: what the recording holds of the same samples besides the track.
      n_shuffles, null, seed, sigma, hd: the flags of tuning_curve.py.
      brief: whether classes alone are wanted, without the selected model.
      device: that tests units.
    """
    steps = Steps.of_track(design.track) if steps is None else steps
    known = design.heading >= 0
    hd = hd and bool(known.any())
    faced = known if hd and not known.all() else None
    tested = design
    if not hd:
      blind = np.full_like(design.heading, -1)
      tested = dataclasses.replace(design, heading=blind)
    elif faced is not None:
      tested = Design.build(design.track.rows(faced), design.grid)
    scorer = significance.Scorer.build(
      tested,
      distances(walls, tested),
      covariates.labels(tested.track, steps if faced is None else steps.rows(faced)),
    )
    weight = tile_weight(design)
    distance = distances(walls, design)
    return cls(
      design=design,
      walls=tuple(walls),
      scorer=scorer,
      faced=faced,
      pairings=_draw(tested, null, n_shuffles, seed),
      mi_pairings=_draw(design, null, min(MI_NULLS, n_shuffles), seed),
      models=Models.build(design, steps, hd, brief),
      drift=Drift.build(design, seed),
      contrasts=contrasts(walls, distance),
      profiles=WallProfiles.build(distance, weight),
      vectors=Vectors.build(np.array([x.distance for x in walls]), design, weight),
      grids=grids.large_enough(design.occupancy),
      seed=seed,
      sigma=sigma,
      hd=hd,
      device=device,
    )


def distances(walls: Sequence[Wall], design: Design) -> np.ndarray:
  """Distance of each visited tile from each wall, (G, V)."""
  if not walls:
    return np.zeros((0, design.n_tiles))
  return design.from_map(np.stack([x.distance for x in walls]))


def _draw(design: Design, null: str, count: int, seed: int) -> np.ndarray:
  """Null permutations (n, N) of the rows of a path; n is at most `count`."""
  rng = np.random.default_rng([seed, 20])
  rows = nulls.permutations(design.track.episode, null, count, rng) if count else ()
  return np.array([*rows], np.int32).reshape(-1, len(design))
