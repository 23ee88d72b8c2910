"""Folders of runs as our commands leave them, with planted numbers in them."""

import dataclasses
import json
import pathlib

import numpy as np

from dreamerv3.analysis.crafter_score import ACHIEVEMENTS
from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.analysis.geometry.dimension import Dimension
from dreamerv3.analysis.geometry.embedding import Embedding
from dreamerv3.analysis.geometry.study import (
  Estimate,
  GeometryComparison,
  LayerGeometry,
  to_dict,
)
from dreamerv3.analysis.tuning.cell_types import Thresholds
from dreamerv3.analysis.tuning.maps.tile_maps import TileMaps
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.analysis.tuning.table import TuningTable
from dreamerv3.base import files
from dreamerv3.data.grid import Grid

LAYERS = ('enc/cnn0', 'dyn/deter')
GRID = Grid(10, 10)
SCORES = ('EVs', 'SI', 'HD_info', 'fieldsize', 'fieldasymmetry', 'border_score')
TESTED = ('pf_peaks', 'R2_place', 'map_reliability', 'wall_r2', 'field_r2')


@dataclasses.dataclass(frozen=True)
class PlannedRun:
  """What is planted: error as a share of chance, tuned units, return of episodes."""

  share: float = 0.5
  tuned: float = 0.5
  score: float = 3.0
  seed: int = 0
  width: int = 64


def folder(path: pathlib.Path, plan: PlannedRun) -> pathlib.Path:
  """A run with logs and results of everything."""
  rng = np.random.default_rng([plan.seed, int(1000 * plan.share)])
  files.make_folder(path)
  (path / 'config.yaml').write_text(
    f'seed: {plan.seed}\nrun: {{train_ratio: {plan.width}, envs: {1 + plan.seed}}}\n'
  )
  _log(path, plan, rng)
  _put(path / 'layer_results/layer_decode_results.pkl', decoding(plan, rng))
  _put(path / 'tuning_results/tuning_results.pkl', tuning(plan))
  _put(path / 'manifold_results/manifold_results.pkl', geometry(plan, rng))
  _put(path / 'dream_results/dream_results.pkl', dreams(rng))
  return path


def _put(path: pathlib.Path, content: object) -> None:
  files.make_folder(path.parent)
  files.save_pickle(path, content)


def _log(path: pathlib.Path, plan: PlannedRun, rng: np.random.Generator) -> None:
  lines = []
  for i in range(60):
    record = {'step': 100 * (i + 1), 'episode/score': plan.score + rng.normal()}
    unlocked = rng.random(len(ACHIEVEMENTS)) < plan.score / 10
    record |= {
      f'episode/achievement_{x}': float(y)
      for x, y in zip(ACHIEVEMENTS, unlocked, strict=True)
    }
    lines.append(json.dumps(record))
  (path / 'scores.jsonl').write_text('\n'.join(lines) + '\n')


def decoding(plan: PlannedRun, rng: np.random.Generator) -> dict:
  episode = np.repeat(np.arange(8), 25)
  n = len(episode)
  constant = rng.gamma(4, 1, n)
  own = plan.share * np.exp(0.2 * rng.normal(size=8))[episode] * constant

  def result(layer: str, errors: np.ndarray) -> dict:
    zero = np.zeros((n, 2), np.int64)
    return DecodeResult(
      layer=layer,
      units=4,
      grid=GRID,
      pos=zero,
      pred=zero,
      errors=errors.astype(np.float32),
      episode=episode,
      t=np.arange(n),
      fold=np.zeros(n, np.int64),
      visited=np.ones(n, bool),
      best_constant=constant,
      prior=constant,
      shuffled=constant,
      timed=constant,
      fold_visits=np.ones((1, 10, 10), np.int64),
      fits=(),
      example_rows=np.zeros(0, np.int64),
      proba=np.zeros((0, 10, 10), np.float32),
      argmax=errors.astype(np.float32),
      estimate=np.full((n, 2), np.nan, np.float32),
    ).to_dict()

  return {
    'results': {
      'enc/cnn0': result('enc/cnn0', 0.9 * constant),
      'dyn/deter': result('dyn/deter', own),
    },
    'control': {'dyn/deter': result('dyn/deter', own + 0.25 * constant)},
    'perception': {
      'view': result('view', own + 1),
      'pixels': result('pixels', own + 2),
    },
    'memory': {'dyn/deter': result('dyn/deter', own + 0.5)},
  }


def tuning(plan: PlannedRun, units: int = 20) -> dict:
  tuned = np.arange(units) < plan.tuned * units
  tables = {}
  for layer in LAYERS:
    metrics = {x: np.where(tuned, 0.9, 0.0) for x in (*SCORES, *TESTED)}
    metrics |= {'pf_peaks': np.ones(units), 'field_second': np.zeros(units)}
    tables[layer] = TuningTable(
      layer=layer,
      units=np.arange(units),
      curves=TileMaps.of(np.zeros((units, 4, 4), np.float32)),
      hd_curves=np.zeros((units, 4)),
      occupancy=np.ones((4, 4)),
      metrics=metrics,
      p={},
      q={'EVs': np.where(tuned, 0.001, 0.9)},
      n_nulls=40,
      walls=(),
    )
  return Results({}, tables, {}, Thresholds()).to_dict()


def geometry(plan: PlannedRun, rng: np.random.Generator) -> dict:
  one = Dimension(5 + rng.normal(), np.nan, np.nan)
  similar = Estimate(1 - plan.share + 0.05 * rng.normal())
  empty = np.zeros(0)
  plane = Embedding('pca', np.zeros((0, 2)), np.zeros((0, 2)), 1.0)
  found = [
    LayerGeometry(
      layer=layer,
      units=4,
      rows=10,
      episodes=5,
      srsa=similar,
      partial=similar,
      walking=similar,
      ratio=one,
      intrinsic=one,
      space=empty,
      code=empty,
      pairs=empty,
      histogram=empty,
      widest=1.0,
      hill=None,
      embedding=plane,
      wake_pos=np.zeros((0, 2)),
    )
    for layer in LAYERS
  ]
  return to_dict([GeometryComparison(x) for x in found])


def dreams(rng: np.random.Generator) -> dict:
  """Real paths go a tile to the east each step; a dream follows with one of error."""
  steps = np.arange(5)
  real = np.zeros((12, 5, 2), np.int64)
  real[..., 0] = steps
  replay = real.copy()
  replay[:, 1:, 1] += 1
  valid = np.ones((12, 5), bool)
  valid[0, 3:] = False
  return {
    'real_pos': real,
    'replay_pos': replay,
    'valid': valid,
    'dream_episode': rng.permutation(np.repeat(np.arange(6), 2)),
  }
