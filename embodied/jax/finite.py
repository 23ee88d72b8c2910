"""Are all floats of a batch finite? Tells where and when they are not.

check(batch, 'replay', 12)  # FloatingPointError: image from the replay is not ...
"""

from collections.abc import Iterable, Mapping
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


def check_update(mets: Mapping[str, Any]) -> None:
  """FloatingPointError if loss or gradient of an update are not finite.

  Args:
    mets: numbers by name, among them `opt/loss`, `opt/grad_norm` and `opt/updates`,
      the number of the update: the agent may have begun the next one already.
  """

  def wrong(keys: Iterable[str]) -> list[str]:
    return [x for x in keys if not np.isfinite(mets[x]).all()]

  found = wrong(('opt/loss', 'opt/grad_norm'))
  if found:
    # By name the losses that it came from, where it was not the gradient.
    found = wrong(x for x in mets if x.startswith('loss/')) or found
    number = int(mets['opt/updates'])
    raise FloatingPointError(f'{", ".join(found)} not finite at update {number}')
