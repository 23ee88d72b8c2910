"""Are all floats of a batch finite? Tells where and when they are not.

check(batch, 'replay', 12)  # FloatingPointError: image from the replay is not ...
"""

from collections.abc import Mapping
from typing import Any

import numpy as np


def check(batch: Mapping[str, Any], source: str, number: int) -> None:
  """FloatingPointError if a float array holds a NaN or an infinity.

  Args:
    batch: arrays by key.
    source: where they come from, number: by which call.
  """
  for key, value in batch.items():
    if not np.issubdtype(value.dtype, np.floating):
      continue
    # The sum is not finite if an element is not; it is one fast pass.
    if not np.isfinite(np.sum(value)) and not np.isfinite(value).all():
      raise FloatingPointError(
        f'{key} from the {source} is not finite at call {number}'
      )
