"""Which checkpoint do the processes of one run continue from? The same step.

For the trainer, where several processes train one agent. A kill can come when
one of them has written its checkpoint and another has not yet.

  path = common(folder, agent.agree)
"""

import pathlib
from collections.abc import Callable

from .checkpoint import CheckpointError, complete, step_of

Agree = Callable[[list[int]], list[int]]


def common(folder: pathlib.Path, agree: Agree) -> pathlib.Path | None:
  """The newest checkpoint of a step that every process has, None in a new run.

  Args:
    folder: Of the checkpoints of this process. Its two newest count; the
      replay of older ones is gone.
    agree: Gives the largest wish of all processes, for each entry; all call
      this function together.

  Raises:
    CheckpointError: in every process, if there is none in common.
  """
  paths = {step_of(x): x for x in complete(folder)[-2:]}
  newest = max(paths, default=-1)
  step = newest
  while True:
    most, least = agree([step, -step])
    least = -least
    if most == least:
      return paths.get(step)
    if least < 0 and most > 0:
      raise CheckpointError(
        'The processes of this run have no checkpoint in common (the newest '
        f'in {folder} is of step {newest}; -1: none). Put back what is '
        'missing, or begin in another --logdir with --run.from_checkpoint.'
      )
    step = max((x for x in paths if x <= least), default=-1)
