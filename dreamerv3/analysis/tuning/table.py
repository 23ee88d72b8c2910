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
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dreamerv3.analysis import nulls
from dreamerv3.analysis.parallel import Workers
from dreamerv3.analysis.tuning import block, significance
from dreamerv3.analysis.tuning.block import Block
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.data.samples import Samples

# Two labels of one question, of which the more unusual counts.
VIEW = ('front', 'near')
BLOCK_BYTES = 48e6  # of one float64 working array; a few exist at a time


@dataclasses.dataclass(frozen=True)
class TuningTable:
  """Everything measured of one layer's D units.

  Attributes:
    layer: name.
    units: (D,) index of each unit in the layer.
    curves: (D, W, H) float32 mean activation per tile, NaN where unvisited.
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
  curves: np.ndarray
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


def measure(
  samples: Samples,
  setup: Setup,
  test: tuple[Samples, Design] | None = None,
  units: np.ndarray | None = None,
  workers: Workers[Setup, Block] | None = None,
  step: Callable[[int], Any] = lambda _: None,
) -> TuningTable:
  """Measures all units of a layer, a block at a time.

  Args:
    samples: of the rows that `setup` was built from.
    test: another recording that the held-out variance is computed on;
      without it, whole episodes are held out in turn.
    units: columns of the samples to measure; all by default.
    workers: `block.workers(setup, n)` to share between layers; this process else.
    step: called with the number of units after each block.
  """
  design = setup.design
  if len(samples) != len(design):
    raise ValueError(f'{len(samples)} samples; the design has {len(design)}.')
  units = np.arange(samples.X.shape[1]) if units is None else units
  rows = max(len(design), design.n_tiles * (design.part.max() + 1))
  size = int(np.clip(BLOCK_BYTES / 8 / rows, 8, 512))
  cut = [units[i : i + size] for i in range(0, len(units), size)]
  blocks = []
  run = workers or block.workers(setup)
  for done in run.map(_cut(samples, test, x) for x in cut):
    blocks.append(done)
    step(len(done))
  joined = Block.join(blocks)
  p, q, shares = _significance(setup, joined)
  return TuningTable(
    layer=samples.layer,
    units=units,
    curves=joined.curves,
    hd_curves=joined.hd_curves,
    occupancy=design.occupancy,
    metrics={**joined.metrics, **shares},
    p=p,
    q=q,
    n_nulls=len(setup.pairings),
    walls=tuple(x.name for x in setup.walls),
  )


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
  samples: Samples, test: tuple[Samples, Design] | None, units: np.ndarray
) -> block.Work:
  """The columns of a block; neighbours are cut out, which is faster."""
  first, last = int(units[0]), int(units[-1])
  neighbours = last - first == len(units) - 1
  columns = slice(first, last + 1) if neighbours else units
  X = np.ascontiguousarray(samples.X[:, columns])
  return X, None if test is None else (test[0].X[:, columns], test[1])


def _significance(
  setup: Setup, measured: Block
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
  """p and q of every tested score, and R2 freed from the bias of finite data.

  R2' = (R2 - mean null R2) / (1 - mean null R2)
  """
  p: dict[str, np.ndarray] = {}
  q: dict[str, np.ndarray] = {}
  shares: dict[str, np.ndarray] = {}
  if not len(setup.pairings):
    return p, q, shares
  observed, null = measured.observed, measured.null
  names = setup.scorer.names
  if setup.drift:
    scores, row = measured.drift[0], measured.drift[1:]
    p['map_drift'] = nulls.p_values(scores, row)
    q['map_drift'] = nulls.q_values(nulls.tail_p_values(scores, row))
  for i, name in enumerate(names):
    scores, row = observed[:, i], null[:, i].T.astype(np.float64)
    if name in significance.WIDE:
      continue
    if name in significance.R2:
      bias = row.mean(0)
      with np.errstate(invalid='ignore', divide='ignore'):
        shares[name] = (scores - bias) / (1 - bias)
      continue
    if name == VIEW[1]:
      continue
    other = VIEW[1] if name == VIEW[0] else f'{name}_wide'
    if other in names:
      wide = names.index(other)
      scores, row = nulls.strongest(
        observed[:, [i, wide]].T.astype(np.float64),
        null[:, [i, wide]].transpose(1, 2, 0).astype(np.float64),
      )
    name = 'view' if name == VIEW[0] else name
    p[name] = nulls.p_values(scores, row)
    q[name] = nulls.q_values(nulls.tail_p_values(scores, row))
  return p, q, shares
