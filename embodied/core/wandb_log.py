"""The log in Weights & Biases, which must never end a run.

output = WandB(project='dreamerv3')  # one more output of a Logger
"""

import sys
from typing import Any

import numpy as np

from .logging import Record, to_uint8


class WandB:
  """Weights & Biases; whatever goes wrong there ends its log, not the run.

  Hence every exception is caught: it is another program, with a network
  behind it, and what it raises is not for us to know.
  """

  def __init__(self, **kwargs: Any):
    self.wandb: Any = None
    try:
      import wandb

      wandb.init(**kwargs)
    except ImportError:
      _warn('wandb is not installed (pip install wandb)')
    except Exception as e:
      _warn(f'wandb did not start: {e}')
    else:
      self.wandb = wandb

  def __call__(self, records: list[Record]) -> None:
    """Sends records; a failure is one warning, then silence."""
    if self.wandb is None:
      return
    try:
      steps: dict[int, dict[str, Any]] = {}
      for step, name, value in records:
        steps.setdefault(step, {})[name] = self._convert(value)
      for step, values in steps.items():
        self.wandb.log(values, step=step)
    except Exception as e:
      self.wandb = None
      _warn(f'wandb failed: {e}')

  def _convert(self, value: Any) -> Any:
    if isinstance(value, str):
      return value
    if value.ndim == 0:
      return float(value)
    if value.ndim == 1:
      return self.wandb.Histogram(value)
    if value.ndim < 4:
      return self.wandb.Image(to_uint8(value))
    frames = np.transpose(to_uint8(value), (0, 3, 1, 2))
    return self.wandb.Video(frames, format='gif')

  def close(self) -> None:
    """Finishes the run of Weights & Biases."""
    if self.wandb is not None:
      try:
        self.wandb.finish()
      except Exception as e:
        _warn(f'wandb did not finish: {e}')


def _warn(text: str) -> None:
  print(f'{text}; going on without it.', file=sys.stderr, flush=True)
