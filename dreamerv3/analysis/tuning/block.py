"""Everything that is measured of a block of units, in one pass.

  setup = Setup.build(design, walls)          # once for all layers
  block = measure_block(setup, (X, None))     # a Block of D units

`table.measure` cuts a layer into blocks and puts the results together.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from dreamerv3.analysis.parallel import Workers
from dreamerv3.analysis.tuning import measures, robust
from dreamerv3.analysis.tuning.evidence import Evidence
from dreamerv3.analysis.tuning.maps import fields, information
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.reliability import (
  PartSums,
  transfer,
  weighted_squares,
)
from dreamerv3.analysis.tuning.setup import Setup

# Activations (N, D); another recording's (N', D) with its path, or None.
Work = tuple[np.ndarray, tuple[np.ndarray, Design] | None]


@dataclasses.dataclass(frozen=True)
class Block:
  """What was measured of D units.

  Attributes:
    curves: (D, V) float32 mean activation per visited tile.
    hd_curves: (D, 4) mean activation per facing.
    metrics: {name: (D,)}; docs/science.md defines each.
    evidence: what the null pairings say of the tested scores.
  """

  curves: np.ndarray
  hd_curves: np.ndarray
  metrics: Mapping[str, np.ndarray]
  evidence: Evidence

  def __post_init__(self) -> None:
    d = len(self.curves)
    if self.hd_curves.shape != (d, 4):
      raise ValueError(f'hd_curves has shape {self.hd_curves.shape}; not ({d}, 4).')
    for name, value in {**self.metrics, **self.evidence.p()}.items():
      if value.shape != (d,):
        raise ValueError(f'{name} has shape {value.shape}; expected ({d},).')

  def __len__(self) -> int:
    return len(self.curves)

  @classmethod
  def join(cls, blocks: Sequence['Block'], curves: np.ndarray) -> 'Block':
    """The units of all blocks in one, in their order, with the curves of all."""
    return cls(
      curves=curves,
      hd_curves=np.concatenate([x.hd_curves for x in blocks]),
      metrics={
        k: np.concatenate([x.metrics[k] for x in blocks]) for k in blocks[0].metrics
      },
      evidence=Evidence.join([x.evidence for x in blocks]),
    )


def workers(setup: Setup, n_jobs: int = 1) -> Workers[Setup, Block]:
  """Processes that measure blocks of units; for `table.measure`."""
  return Workers(measure_block, setup, n_jobs, ('pairings', 'mi_pairings'))


def measure_block(setup: Setup, work: Work) -> Block:
  """Curves, metrics and tested scores of some units."""
  wild, test = work
  design = setup.design
  raw, outliers = robust.winsorise(wild)
  mean = raw.mean(0, dtype=np.float64)
  X = raw - mean.astype(np.float32)
  squares = weighted_squares(np.ones(len(X)), X)
  spread = np.sqrt(squares / len(X))
  alive = spread > 1e-6 * (1e-3 + np.abs(mean))
  floor = information.floor_of(raw)
  parts = PartSums.build(design, X)
  total = parts.total().astype(np.float64)
  place = total / design.visits[:, None]
  rates = np.maximum(place + mean - floor, 0)
  out = {
    'mean': mean,
    'SI': information.spatial(rates, design.visits),
    'EVs': _held_out(parts, total, X, squares, test, mean),
    'MI': measures.mutual(raw, setup),
  }
  out['stability'], out['map_reliability'] = parts.stability()
  hd_curves, heading = measures.heading(X, mean, floor, setup)
  out |= heading
  maps = design.to_map(place + mean)
  if setup.sigma:
    maps = fields.smooth(maps, design.occupancy, setup.sigma)
    smoothed = design.from_map(maps).T - floor
    out['SI_smoothed'] = information.spatial(smoothed, design.visits)
  out |= measures.shape(maps, floor)
  out |= measures.walls(rates, setup)
  out |= measures.fits(place, setup, floor < 0, out['map_reliability'])
  out |= measures.explained(X, parts, setup)
  if setup.grids:
    out |= measures.lattices(maps, out, setup)
  drift = setup.drift.scores(X)
  if setup.drift:
    out['map_drift'] = measures.drifted(drift[0], parts)
  out = {k: np.where(alive, v, np.nan) for k, v in out.items()}
  return Block(
    curves=design.from_map(maps).astype(np.float32),
    hd_curves=hd_curves,
    metrics={**out, 'mean': wild.mean(0, dtype=np.float64), 'outliers': outliers},
    evidence=_tested(raw, drift, setup),
  )


def _tested(raw: np.ndarray, drift: np.ndarray, setup: Setup) -> Evidence:
  """What the pairings say; nothing without them."""
  if not len(setup.pairings):
    return Evidence({}, {})
  tested = raw if setup.faced is None else raw[setup.faced]
  observed, null = setup.tests.test(tested, setup.pairings)
  # In one piece per unit and score, as sums over the nulls are fastest.
  null = np.ascontiguousarray(null.transpose(2, 0, 1))
  return Evidence.of(setup.scorer.names, observed.T, null, drift)


def _held_out(
  parts: PartSums,
  total: np.ndarray,
  X: np.ndarray,
  squares: np.ndarray,
  test: tuple[np.ndarray, Design] | None,
  mean: np.ndarray,
) -> np.ndarray:
  """Variance that the map explains on other episodes, or on a recording, (D,)."""
  if test is None:
    return parts.held_out(X, squares)
  values, design = test
  return transfer(parts.design, total, design, values - mean)
