"""Does a saved decoder fit the agent and the world that it is to be used in?

  check_decoder(decoder, units=512, grid=Grid(64, 64))
  check_agent(decoder, weights, checkpoint, step=1308)
  share = familiar(decoder, walkable)

For scripts that apply a decoder to states that it was not fitted to.
"""

import pathlib

import numpy as np

from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.base.errors import UserError
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


def check_agent(
  decoder: LinearDecoder,
  weights: str,
  checkpoint: pathlib.Path,
  step: int | None,
) -> None:
  """UserError for a decoder of another run; a warning for other weights.

  A checkpoint is of the same run if both lie, or lay, in one folder, which may
  have moved: names of checkpoints are times to the microsecond.

  Args:
    weights: digest of the parameters that dream, checkpoint: their folder.
    step: environment steps behind them, if known.
  """
  known = decoder.trained_on
  if known.get('weights') == weights:
    return
  if not known.get('weights') or 'checkpoint' not in known:
    print(
      'Warning: the decoder does not say which agent it was fitted to; dreams '
      'of another one mean nothing to it.'
    )
    return
  if known['checkpoint'] is None:
    raise UserError(
      'The decoder was fitted to an untrained network; expected one fitted to '
      f'a recording of {checkpoint}.'
    )
  source = pathlib.Path(str(known['checkpoint']))
  folder = checkpoint.absolute().parent
  if source.parent != folder and not (folder / source.name).exists():
    raise UserError(
      f'The decoder was fitted to another agent, {source}; expected one fitted '
      f'to a recording of {checkpoint}.'
    )
  steps = ['unknown' if x is None else x for x in (known.get('step'), step)]
  print(
    f'Warning: decoder from step {steps[0]}, dreams from step {steps[1]} of '
    'the run; the code for space may have changed between them.'
  )


def familiar(decoder: LinearDecoder, walkable: np.ndarray) -> float:
  """Share of the decoder's training time on tiles that are walkable here.

  Far below 1 when it was fitted in another world.
  """
  visits = decoder.visits
  return float(visits[walkable].sum() / visits.sum())


def _size(grid: Grid) -> str:
  return f'{grid.width} x {grid.height}'
