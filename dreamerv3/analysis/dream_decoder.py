"""Does a saved decoder fit the agent and the world that it is to be used in?

  check_decoder(decoder, units=512, grid=Grid(64, 64))
  share = familiar(decoder, walkable)

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


def familiar(decoder: LinearDecoder, walkable: np.ndarray) -> float:
  """Share of the decoder's training time on tiles that are walkable here.

  Far below 1 when it was fitted in another world.
  """
  return float(walkable[tuple(decoder.training_path().T)].mean())


def _size(grid: Grid) -> str:
  return f'{grid.width} x {grid.height}'
