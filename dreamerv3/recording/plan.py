"""What will be recorded, from what, and does it fit on the disk?

Before the first step of a recording:

  plan = RecordingPlan(...)
  print(plan.lines(missing=4)); plan.check(missing=4)
"""

import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence

import numpy as np

from dreamerv3.base.amounts import size
from dreamerv3.base.errors import UserError
from dreamerv3.data.columns import Column
from dreamerv3.data.episode import PREFIX
from dreamerv3.data.metadata import Metadata

# Expected length of an episode if the run has not logged any [steps].
LENGTH = 250

# Bytes of episodes up to which they are also written into one file.
JOINED = 2e9

# The setting `all_episodes`.
JOIN = {'auto': None, 'true': True, 'false': False}

# Fewer episodes that have ended are mostly early deaths.
ENOUGH = 20


@dataclasses.dataclass(frozen=True)
class RecordingPlan:
  """A recording that is about to begin.

  Attributes:
    stage: name of the command, and of its settings.
    folder: where it goes.
    logdir: of the run.
    metadata: of the recording.
    columns: large values of a step.
    numbers: of the episodes that are there in the end.
    envs: episodes in progress at a time.
    joined: whether all episodes are also written into one file; None where they
      take at most `JOINED` bytes.
    summary: file for a summary as text; None for no such file.
    inputs: {role: file or folder} that it is made from; empty ones are none.
    source: what is played again through the agent; empty if it acts itself.
    length: expected length of an episode [steps]; None if the run tells.
    left_out: layers that are too wide to be recorded unless they are asked for.
  """

  stage: str
  folder: pathlib.Path
  logdir: pathlib.Path
  metadata: Metadata
  columns: Sequence[Column]
  numbers: Sequence[int]
  envs: int
  joined: bool | None
  summary: pathlib.Path | None = None
  inputs: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
  source: str = ''
  length: float | None = None
  left_out: Sequence[str] = ()

  @property
  def step_bytes(self) -> int:
    """Bytes of a step on disk."""
    return sum(x.nbytes for x in self.columns)

  def lines(self, missing: int) -> list[str]:
    """What the user should know, as text.

    Args:
      missing: number of episodes still to record.
    """
    x = self.metadata
    source = x.extra['checkpoint'] if x.trained else 'the untrained network'
    world = 'one world' if x.fixed_seed else 'a world per episode'
    env = ', '.join(f'{k} {v}' for k, v in x.settings['env'].items())
    length, why = self.expected()
    numbers = ''
    if self.numbers and self.numbers[0] > 1:
      numbers = f', {self.numbers[0]} to {self.numbers[-1]}'
    layers = sum(x.name.startswith(PREFIX) for x in self.columns)
    replayed = [f'  replay  {self.source}'] if self.source else []
    return [
      f'Recording {missing} of {len(self.numbers)} episodes{numbers}:',
      f'  agent   {source}',
      *replayed,
      f'  folder  {self.folder}',
      f'  world   {x.task} {x.area[0]}x{x.area[1]}, {world}, seed {x.seed} '
      f'(environment {x.env_seed})',
      f'  env     {env}',
      f'  layers  {layers}, {self.step_bytes / 1e3:.1f} kB per step with the image',
      *self._without(),
      f'  disk    about {size(self.need(missing))} of {size(self.free())} free, at '
      f'{length:.0f} steps per episode ({why})',
    ]

  def _without(self) -> list[str]:
    """What is not recorded, and how it would be."""
    if not self.left_out:
      return []
    return [
      f'  without {", ".join(self.left_out)}, wider than the maps of size50m; '
      f"--{self.stage}.layers '.*' records them too"
    ]

  def expected(self) -> tuple[float, str]:
    """Length of an episode [steps], and how it is known."""
    if self.length is not None:
      return self.length, 'as recorded'
    return expected_length(self.logdir)

  def need(self, missing: int) -> float:
    """Bytes that the recording will write, roughly."""
    length, _ = self.expected()
    # Of an episode in progress what has no room in memory lies in a temporary file.
    count = missing + min(self.envs, missing)
    whole = len(self.numbers) * length * self.step_bytes
    return count * length * self.step_bytes + (whole if self.joins(whole) else 0)

  def joins(self, nbytes: float) -> bool:
    """Whether episodes of so many bytes are also written into one file."""
    return nbytes <= JOINED if self.joined is None else self.joined

  def free(self) -> int:
    """Bytes left on the disk of the recording."""
    return shutil.disk_usage(self.folder).free

  def check(self, missing: int) -> None:
    """UserError if the disk has less space than is needed."""
    if missing and self.need(missing) > self.free():
      raise UserError(
        f'The recording takes about {size(self.need(missing))} and {self.folder} '
        f'has {size(self.free())} left; choose fewer --{self.stage}.layers or '
        f'episodes, --{self.stage}.all_episodes False, or another '
        f'--{self.stage}.save_path.'
      )


def expected_length(logdir: str | os.PathLike[str]) -> tuple[float, str]:
  """Mean length of a run's last 100 episodes [steps], and how it is known."""
  found = []
  path = pathlib.Path(logdir) / 'metrics.jsonl'
  if path.is_file():
    for line in path.read_text(errors='replace').splitlines():
      if '"episode/length"' in line:
        try:
          found.append(float(json.loads(line)['episode/length']))
        # A line that is still being written, or no number.
        except (ValueError, KeyError, TypeError, OverflowError):
          continue
  if not found:
    return LENGTH, 'a guess'
  mean = float(np.mean(found[-100:]))
  if len(found) < ENOUGH and mean < LENGTH:
    return LENGTH, f'a guess, as only {len(found)} ended in training'
  return mean, 'as at the end of its training'
