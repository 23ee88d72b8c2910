"""What each unit of a layer is tuned to: maps, metrics and their chance.

  design = Design.build(samples.track, grid)
  setup = Setup.build(design, find_walls(walkable))
  table = measure(samples, setup)
  table.metrics['SI']                         # (D,) [bits]

All units are computed at once, in blocks: the only loops are over blocks and
nulls. `reference` computes the curves and information with pynapple, which
tests and the benchmark compare with.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from dreamerv3.analysis.parallel import Workers
from dreamerv3.analysis.tuning import block
from dreamerv3.analysis.tuning.block import Block
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.stored import StoredMaps
from dreamerv3.analysis.tuning.maps.tile_maps import TileMaps
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.data.activations import Units

BLOCK_BYTES = 48e6  # of one float64 working array; a few exist at a time
# Sparse products cost several times as much per unit for blocks of few units.
BLOCK_UNITS = (128, 512)


@dataclasses.dataclass(frozen=True)
class TuningTable:
  """Everything measured of one layer's D units.

  Attributes:
    layer: name.
    units: (D,) index of each unit in the layer.
    curves: (D, W, H) float32 mean activation per tile, NaN where unvisited; an array
      once it is indexed by units or given to numpy.
    hd_curves: (D, 4) mean activation per facing, see `head_direction.NAMES`.
    occupancy: (W, H) samples per tile.
    metrics: {name: (D,)}; docs/science.md defines each.
    p: {score: (D,)} against the nulls; empty without nulls.
    q: {score: (D,)} the same, corrected over the layer's units.
    n_nulls: number of pairings behind p.
    walls: names of the walls that border_wall counts.
  """

  layer: str
  units: np.ndarray
  curves: TileMaps
  hd_curves: np.ndarray
  occupancy: np.ndarray
  metrics: Mapping[str, np.ndarray]
  p: Mapping[str, np.ndarray]
  q: Mapping[str, np.ndarray]
  n_nulls: int
  walls: tuple[str, ...]

  def __post_init__(self) -> None:
    d = len(self.units)
    for name, value in {**self.metrics, **self.p, **self.q}.items():
      if value.shape != (d,):
        raise ValueError(f'{name} has shape {value.shape}; expected ({d},).')
    shape = (d, *self.occupancy.shape)
    if self.curves.shape != shape or self.hd_curves.shape != (d, 4):
      raise ValueError(
        f'curves {self.curves.shape}, hd_curves {self.hd_curves.shape}; '
        f'expected {shape} and ({d}, 4).'
      )

  def __len__(self) -> int:
    return len(self.units)

  def __repr__(self) -> str:
    return (
      f'TuningTable({self.layer}: {len(self)} units, {len(self.metrics)} measures, '
      f'{self.n_nulls} nulls)'
    )


def measure(
  samples: Units,
  setup: Setup,
  test: tuple[Units, Design] | None = None,
  units: np.ndarray | None = None,
  workers: Workers[Setup, Block] | None = None,
  step: Callable[[int], Any] = lambda _: None,
  most: float = np.inf,
  folder: pathlib.Path | None = None,
) -> TuningTable:
  """Measures all units of a layer, a block at a time.

  Args:
    samples: of the rows that `setup` was built from.
    test: another recording that the held-out variance is computed on;
      without it, whole episodes are held out in turn.
    units: columns of the samples to measure; all by default.
    workers: `block.workers(setup, n)` to share between layers; this process else.
    step: called with the number of units after each block.
    most: bytes of activations that are read ahead; a block at least.
    folder: where the curves wait on disk, see `StoredMaps`; in memory without.
  """
  design = setup.design
  if len(samples) != len(design):
    raise ValueError(f'{len(samples)} samples; the design has {len(design)}.')
  units = np.arange(samples.units) if units is None else units
  rows = max(len(design), design.n_tiles * (int(design.part.max()) + 1))
  size = block_units(rows)
  blocks = []
  run = workers or block.workers(setup)
  with StoredMaps(folder) as maps:
    for done in run.map(_cut(samples, test, units, size, most)):
      blocks.append(dataclasses.replace(done, curves=maps.put(done.curves)))
      step(len(done))
    joined = Block.join(blocks, maps.whole())
  evidence = joined.evidence
  return TuningTable(
    layer=samples.layer,
    units=units,
    curves=TileMaps(joined.curves, design.occupancy > 0),
    hd_curves=joined.hd_curves,
    occupancy=design.occupancy,
    metrics={**joined.metrics, **evidence.shares},
    p=evidence.p(),
    q=evidence.q(),
    n_nulls=len(setup.pairings),
    walls=tuple(x.name for x in setup.walls),
  )


def block_units(rows: int) -> int:
  """Units of a block, by the rows of its largest array."""
  return int(np.clip(BLOCK_BYTES / 8 / rows, *BLOCK_UNITS))


def reference(
  X: np.ndarray, design: Design
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Curves (D, W, H), HD curves (D, 4) and SI (D,) as pynapple computes them.

  Not used by the analysis, which is as exact and far faster. Samples become a
  time series at 1 Hz; bins are tiles and facings.
  """
  import pynapple as nap  # Slow to import, and for the comparison alone.

  time = np.arange(len(X), dtype=np.float64)
  w, h = design.grid.shape
  data = nap.TsdFrame(t=time, d=np.asarray(X, np.float64))
  pos = nap.TsdFrame(t=time, d=design.track.pos.astype(np.float64))
  maps = nap.compute_tuning_curves(
    data,
    pos,
    bins=[w, h],
    range=[(-0.5, w - 0.5), (-0.5, h - 0.5)],
    feature_names=['x', 'y'],
  )
  facing = nap.Tsd(t=time, d=design.heading.astype(np.float64))
  turned = nap.compute_tuning_curves(
    data, facing, bins=4, range=[(-0.5, 3.5)], feature_names=['heading']
  )
  mean = np.asarray(X, np.float64).mean(0)
  bits = nap.compute_mutual_information(maps, rates=mean)
  bits = bits['bits/spike'].to_numpy()
  return maps.to_numpy(), turned.to_numpy(), bits


def _cut(
  samples: Units,
  test: tuple[Units, Design] | None,
  units: np.ndarray,
  size: int,
  most: float,
) -> Iterator[block.Work]:
  """Blocks of `size` units, from as many as `most` bytes hold at a time."""
  rows = len(samples) + (0 if test is None else len(test[0]))
  ahead = int(min(len(units), most // (4 * rows))) // size * size or size
  for i in range(0, len(units), ahead):
    some = units[i : i + ahead]
    X = samples.columns(some)
    other = None if test is None else test[0].columns(some)
    for k in range(0, len(some), size):
      columns = slice(k, k + size)
      cut = np.ascontiguousarray(X[:, columns])
      if test is None or other is None:
        yield cut, None
      else:
        yield cut, (other[:, columns], test[1])
    del X, other, cut  # before the next ones are read
