"""Dreams beside what really followed, as a page plays them.

  dreams(unpickle.load(path / 'dream_results.pkl'))     # for packing.pack

The first dreams of the file are a fair sample, since their order is random.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dreamerv3.analysis.dreams.measures import LABELS
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid
from dreamerv3.data.metadata import Metadata
from dreamerv3.pages.player import world

MOST = 40
TOP = 24  # tiles of each step whose probability is kept
CONTROLS = ('replay', 'observed', 'permuted', 'untrained')


def dreams(content: Mapping[str, Any], most: int = MOST) -> dict[str, Any]:
  """The first dreams of a file of results, for `packing.pack`."""
  about = content['metadata']
  w, h = (int(x) for x in about['area'])
  grid = Grid(w, h)
  real = np.asarray(content['real_pos'])[:most]
  total = len(content['real_pos'])
  if not total:
    raise UserError('it holds no dreams.')
  replay = np.asarray(content['replay_pos'])[:most]
  own = np.asarray(content['decoded_pos'])[:most].astype(np.int64)
  # Where the decoder sees the start is the same for every dream of it.
  paths = {'policy': np.concatenate([replay[:, :1], own], 1)}
  for name in CONTROLS:
    if f'{name}_pos' in content:
      paths[name] = np.asarray(content[f'{name}_pos'])[:most]
  proba = np.asarray(content['dream_proba'])[:most]
  flat = proba.reshape(*proba.shape[:2], -1)
  top = np.argsort(-flat, -1, kind='stable')[..., :TOP]
  note = f'The first {len(real)} of {total} dreams; their order is random.'
  terrain = Metadata(
    area=(w, h),
    world_map=content.get('world_map'),
    materials=tuple(content.get('materials', ())),
  )
  return {
    'area': [w, h],
    'world': world(terrain),
    'episode': np.asarray(content['dream_episode'])[:most].astype(np.int32),
    't': np.asarray(content['dream_t'])[:most].astype(np.int32),
    'valid': np.asarray(content['valid'])[:most].astype(np.uint8),
    'past': _tiles(grid, np.asarray(content['obs_pos'])[:most]),
    'real': _tiles(grid, real),
    'paths': {k: _tiles(grid, v) for k, v in paths.items()},
    'labels': {k: LABELS[k] for k in paths},
    'tiles': top.astype(np.int32),
    'p': np.rint(np.take_along_axis(flat, top, -1) * 255).astype(np.uint8),
    'notes': [note] if len(real) < total else [],
  }


def _tiles(grid: Grid, pos: np.ndarray) -> np.ndarray:
  """Positions (..., 2) as classes of tiles (...)."""
  inside = np.clip(np.asarray(pos).astype(np.int64), 0, np.array(grid.shape) - 1)
  return grid.to_class(inside).astype(np.int32)
