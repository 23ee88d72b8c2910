"""What an analysis will read, hold and take: told in one line before it begins.

  plan = Forecast('tuning', 49_900, 107_029, read=11e9, memory=3e9, seconds=5400)
  print(plan.line()); plan.check('choose fewer `layers`')

Memory is that of the job (`base.host.job`), of which a share is planned with: numbers
do not depend on it, only how much is read at a time.
"""

import dataclasses

from dreamerv3.base.amounts import duration, size
from dreamerv3.base.errors import UserError
from dreamerv3.base.host import job

SHARE = 0.75  # of the free memory that is planned with
PROGRAM = 150e6  # bytes of Python and its libraries
AHEAD = 4e9  # bytes of activations that are read ahead at most


def budget() -> float:
  """Bytes that an analysis may have in flight now."""
  return SHARE * job.memory().free


@dataclasses.dataclass(frozen=True)
class Forecast:
  """What a stage will need, roughly.

  Attributes:
    stage: what it is, such as 'tuning'.
    rows: timesteps that are read; units: of all layers together.
    read: bytes from disk.
    memory: bytes that are held at the most demanding time.
    seconds: of one CPU.
    least: bytes without which it cannot be done; None for `memory`.
    gpu: bytes of a GPU; 0 without one. gpu_free: those that are free.
  """

  stage: str
  rows: int
  units: int
  read: float
  memory: float
  seconds: float
  least: float | None = None
  gpu: float = 0
  gpu_free: float = 0

  def line(self) -> str:
    """The plan, for the terminal."""
    free = job.memory()
    gpu = f' and {size(self.gpu)} of {size(self.gpu_free)} (GPU)' if self.gpu else ''
    return (
      f'Plan: {self.stage} of {self.units} units at {self.rows} timesteps; reads '
      f'{size(self.read)}, holds about {size(self.memory)} of {size(free.free)} '
      f'({free.source}){gpu}, about {duration(self.seconds)} of one CPU'
    )

  def check(self, advice: str) -> None:
    """UserError if the memory of the job is less than what is needed."""
    found = job.memory()
    least = self.memory if self.least is None else self.least
    if self.gpu > self.gpu_free:
      raise UserError(
        f'{self.stage} needs about {size(self.gpu)} of the GPU, and '
        f'{size(self.gpu_free)} are free; {advice}, or use `device` cpu.'
      )
    if least > found.free:
      raise UserError(
        f'{self.stage} needs about {size(least)} of memory, and '
        f'{size(found.free)} are free ({found.source}); {advice}, or ask for more.'
      )
