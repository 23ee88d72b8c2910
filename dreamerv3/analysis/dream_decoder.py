"""Does a saved decoder fit the agent and the world that it is to be used in?

  check_decoder(decoder, units=512, grid=Grid(64, 64))
  past = training_path(decoder)   # for chance levels

For scripts that apply a decoder to states that it was not fitted to.
"""

import numpy as np

from dreamerv3.analysis.linear_decoder import LinearDecoder
from dreamerv3.data.errors import UserError
from dreamerv3.data.grid import Grid

LAYER = 'dyn/deter'
NAMES = (LAYER, 'deter')


def check_decoder(decoder: LinearDecoder, units: int, grid: Grid) -> None:
  """UserError unless the decoder reads the recurrent state of this agent."""
  if decoder.layer not in NAMES:
    raise UserError(
      f'The decoder reads {decoder.layer}; expected one of {LAYER}, the '
      'recurrent state that is dreamed: decode_position.py --repr deter '
      '--save_model.'
    )
  if decoder.units != units:
    raise UserError(
      f'The decoder reads {decoder.units} units of {decoder.layer}; expected '
      f'{units}, as this agent has: fit it to a recording of this agent.'
    )
  if decoder.grid != grid:
    raise UserError(
      f'The decoder is for a world of {_size(decoder.grid)} tiles; expected '
      f'{_size(grid)}: fit it to a recording in this world.'
    )


def training_path(decoder: LinearDecoder) -> np.ndarray:
  """Positions (M, 2) that the decoder was fitted to, for chance levels.

  Older decoders do not say how often; then each of their tiles counts once.
  """
  visits = decoder.held_out.get('visits')
  if visits is None:
    return decoder.grid.to_pos(decoder.classes)
  times = np.asarray(visits).reshape(-1).astype(np.int64)
  return decoder.grid.to_pos(np.repeat(np.arange(decoder.grid.size), times))


def familiar(decoder: LinearDecoder, walkable: np.ndarray) -> float:
  """Share of the decoder's training time on tiles that are walkable here.

  Far below 1 when it was fitted in another world.
  """
  return float(walkable[tuple(training_path(decoder).T)].mean())


def _size(grid: Grid) -> str:
  return f'{grid.width} x {grid.height}'
