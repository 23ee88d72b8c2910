"""Dreams with all that is said of them: what the figures show, read from a file.

study = DreamStudy.open('dream_results/dream_results.pkl')
print('\\n'.join(table(study.curves, study.found)))
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from dreamerv3.analysis.dreams.judgement import Gain
from dreamerv3.analysis.dreams.measures import (
  CONTROLS,
  Coherence,
  DreamCurves,
  DreamSet,
)
from dreamerv3.base import unpickle
from dreamerv3.base.errors import reading
from dreamerv3.data.grid import Grid
from dreamerv3.data.metadata import Metadata


@dataclasses.dataclass(frozen=True)
class DreamStudy:
  """Dreams, their statistics, and the world they are drawn over.

  Attributes:
    found: how each kind of path moves.
    proba: {'replay', 'policy'}: (n, H, W, Hg) probability of each tile at the steps
      from 1 on, of all dreams or of the first ones.
    metadata: of their world.
  """

  dreams: DreamSet
  curves: DreamCurves
  found: Mapping[str, Coherence]
  proba: Mapping[str, np.ndarray]
  metadata: Metadata

  @classmethod
  def open(cls, path: str | pathlib.Path) -> Self:
    """Reads dream_results.pkl.

    Raises:
      UserError: it is missing, another file, or lacks what is drawn.
    """
    path = pathlib.Path(path).expanduser()
    values = unpickle.load(path)
    with reading(path, 'dream_results.pkl of this program; dream again'):
      return cls.from_dict(values)

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> Self:
    """Reads a results file of docs/data_format.md."""
    curves = dict(values['curves'])
    gains = {k: Gain(**v) for k, v in curves.pop('gains').items()}
    metadata = Metadata(
      values['metadata']['area'],
      world_map=values['world_map'],
      materials=values['materials'],
    )
    return cls(
      dreams=_dreams(values, metadata.grid),
      curves=DreamCurves(**curves, gains=gains),
      found={k: Coherence(**v) for k, v in values['coherence'].items()},
      proba={'replay': values['replay_proba'], 'policy': values['dream_proba']},
      metadata=metadata,
    )


def _dreams(values: Mapping[str, Any], grid: Grid) -> DreamSet:
  decoded = {k: values[f'{k}_pos'] for k in ('replay', 'observed')}
  # The start is decoded from the state that all dreams of it begin in.
  own = np.asarray(values['decoded_pos']).astype(np.int64)
  decoded['policy'] = np.concatenate([decoded['observed'][:, :1], own], 1)
  decoded |= {k: values[f'{k}_pos'] for k in CONTROLS if f'{k}_pos' in values}
  return DreamSet(
    grid=grid,
    episode=values['dream_episode'],
    t=values['dream_t'],
    past=values['obs_pos'],
    real=values['real_pos'],
    valid=values['valid'],
    decoded=decoded,
  )
