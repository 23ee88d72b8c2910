"""Small tuning results for the tests of figures."""

import numpy as np

from dreamerv3.analysis.tuning import table
from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.maps.binned_path import Design
from dreamerv3.analysis.tuning.maps.border import find_walls
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.analysis.tuning.setup import Setup
from dreamerv3.data.grid import Grid
from dreamerv3.data.samples import Samples
from tests.analysis import planted


def results(n_shuffles=40, control=False) -> Results:
  tiles = planted.world((24, 24))
  rng = np.random.default_rng(0)
  track = planted.track(tiles, rng, 12, 200)
  design = Design.build(track, Grid(24, 24))
  walls = find_walls(planted.free(tiles))
  setup = Setup.build(design, walls, n_shuffles=n_shuffles)
  tables = {}
  for name in ('enc/cnn0', 'dyn/deter'):
    X = planted.population(tiles, track, rng, each=3)[0].X
    tables[name] = table.measure(Samples(name, X, track), setup)
  metadata = {'walkable': planted.free(tiles)}
  other = tables if control else {}
  return Results(metadata, tables, other, Thresholds())
