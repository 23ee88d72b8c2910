"""A small run with every kind of result, for the tests of pages."""

import pathlib

import numpy as np

from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.maps.tile_maps import TileMaps
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.base import files
from dreamerv3.data.grid import Grid
from dreamerv3.plots import style
from dreamerv3.run_info import log_run_info
from tests import synthetic

AREA = (12, 10)
TILES = synthetic.world(AREA, walls=((3, 3), (3, 4), (3, 5)))
HOSTILE = '</script><img src=x onerror=console.error(1)><b>bold'
UNITS = 30


def table(name: str, units: int = UNITS, seed: int = 0) -> TuningTable:
  """Units with scores and maps drawn at random, each class's metrics there."""
  rng = np.random.default_rng(seed)
  occupancy = np.where(TILES[0, 0] == TILES, 7, 0)
  curves = rng.normal(size=(units, *AREA)).astype(np.float32)
  curves[:, occupancy == 0] = np.nan
  names = (
    *('SI', 'EVs', 'HD_info', 'fieldsize', 'fieldasymmetry', 'pf_peaks'),
    *('border_score', 'R2_place', 'map_reliability', 'field_r2', 'wall_r2'),
    *('field_second', 'EV_place', 'EV_view', 'gain_view', 'EV_best'),
  )
  metrics = {x: rng.uniform(0, 1, units) for x in names}
  metrics['best_model'] = np.full(units, 1.0)
  metrics['border_wall'] = np.zeros(units)
  p = {x: rng.uniform(0.005, 1, units) for x in ('EVs', 'SI')}
  return TuningTable(
    layer=name,
    units=np.arange(units),
    curves=TileMaps.of(curves),
    hd_curves=rng.uniform(0, 1, (units, 4)),
    occupancy=occupancy,
    metrics=metrics,
    p=p,
    q=p,
    n_nulls=200,
    walls=('rim',),
  )


def results(*layers: str, units: int = UNITS, control: bool = True) -> Results:
  """Tuning of some layers, with an untrained control."""
  tables = {x: table(x, units, i) for i, x in enumerate(layers)}
  other = {x: table(x, units, 90 + i) for i, x in enumerate(layers)} if control else {}
  walkable = synthetic.world(AREA) == TILES
  return Results({'walkable': walkable}, tables, other, Thresholds())


def record(folder: pathlib.Path, layer: str = 'dyn/deter') -> pathlib.Path:
  """Episodes whose layer has as many units as `table`."""
  return synthetic.record(
    folder,
    {
      layer: lambda p, f, r: synthetic.noise(p, f, r, UNITS, 0.9),
      'val/value': lambda p, f, r: synthetic.noise(p, f, r, 1, 0.9),
    },
    tiles=TILES,
    episodes=5,
  )


def decoder() -> LinearDecoder:
  """Fitted to the first three episodes, as it says."""
  weights = np.random.default_rng(0).normal(size=(UNITS, 20)).astype(np.float32)
  fitted = {'episodes': [1, 2, 3]}
  return LinearDecoder(weights, np.arange(20), Grid(*AREA), 'deter', trained_on=fitted)


def dreams(count: int = 6, horizon: int = 5) -> dict:
  """What dream_decode saves, as far as a page reads it."""
  rng = np.random.default_rng(0)
  steps = range(horizon + 1)
  real = np.stack([[(2, 2 + h) for h in steps]] * count)
  policy = rng.integers(0, AREA, (count, horizon, 2))
  valid = np.ones((count, horizon + 1), bool)
  valid[0, 4:] = False
  proba = rng.dirichlet(np.ones(np.prod(AREA)), (count, horizon)).astype(np.float32)
  return {
    'metadata': {'area': AREA},
    'world_map': TILES,
    'materials': list(synthetic.MATERIALS),
    'dream_episode': np.arange(count) + 1_000_001,
    'dream_t': np.full(count, 3),
    'valid': valid,
    'obs_pos': real[:, :2],
    'real_pos': real,
    'replay_pos': real,
    'observed_pos': real,
    'decoded_pos': policy.astype(np.float64),
    'dream_proba': proba.reshape(count, horizon, *AREA),
  }


def make(run: pathlib.Path, layer: str = 'dyn/deter') -> pathlib.Path:
  """A run with a recording, tuning, a decoder, dreams, a figure and sentences."""
  record(run / 'trajectories', layer)
  folders = {
    x: files.make_folder(run / f'{x}_results') for x in ('tuning', 'decoder', 'dream')
  }
  measured = results(layer).to_dict()
  tuning = files.save_pickle(folders['tuning'] / 'tuning_results.pkl', measured)
  shares = {layer: {'by_test': {'complex_cells': 0.5}}}
  inputs = {'data': str(run / 'trajectories')}
  log_run_info(
    folders['tuning'], 'tuning_curve', inputs, [tuning], {'fractions': shares}
  )
  saved = decoder().to_dict()
  fitted = files.save_pickle(folders['decoder'] / 'classifier_deter.pkl', saved)
  figure, axes = style.new_figure()
  axes[0, 0].plot([1, 2, 3])
  picture = files.save_figure(folders['decoder'] / 'layer_comparison.png', figure)
  log_run_info(folders['decoder'], 'decode_position', inputs, [fitted, picture])
  dreamt = files.save_pickle(folders['dream'] / 'dream_results.pkl', dreams())
  said = {'verdict': 'Replayed dreams beat chance on 3 of 5 steps.'}
  log_run_info(folders['dream'], 'dream_decode', {}, [dreamt], said)
  return run
