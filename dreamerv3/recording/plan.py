"""What will be recorded, from what, and does it fit on the disk?

For `eval_trajectory`, before the first step:

  for line in plan.lines(): print(line)
  plan.check()
"""

import dataclasses
import json
import os
import pathlib
import shutil

import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.data.metadata import Metadata

# Expected length of an episode if the run has not logged any [steps].
LENGTH = 250

# Fewer episodes that have ended are mostly early deaths.
ENOUGH = 20


@dataclasses.dataclass(frozen=True)
class Plan:
  """A recording that is about to begin.

  Attributes:
    folder: where it goes; exists.
    logdir: of the run.
    metadata: of the recording.
    missing: number of episodes still to record.
    episodes: number of episodes in the end.
    envs: episodes in progress at a time.
    step_bytes: on disk.
    layers: number of layers.
    joined: whether all episodes are also written into one file.
    first: number of the first episode.
  """

  folder: pathlib.Path
  logdir: pathlib.Path
  metadata: Metadata
  missing: int
  episodes: int
  envs: int
  step_bytes: int
  layers: int
  joined: bool
  first: int = 1

  def lines(self) -> list[str]:
    """What the user should know, as text."""
    x = self.metadata
    source = x.extra['checkpoint'] if x.trained else 'the untrained network'
    world = 'one world' if x.fixed_seed else 'a world per episode'
    env = ', '.join(f'{k} {v}' for k, v in x.settings['env'].items())
    length, why = expected_length(self.logdir)
    numbers = ''
    if self.first > 1:
      numbers = f', {self.first} to {self.first + self.episodes - 1}'
    return [
      f'Recording {self.missing} of {self.episodes} episodes{numbers}:',
      f'  agent   {source}',
      f'  folder  {self.folder}',
      f'  world   {x.task} {x.area[0]}x{x.area[1]}, {world}, seed {x.seed} '
      f'(environment {x.env_seed})',
      f'  env     {env}',
      f'  layers  {self.layers}, {self.step_bytes / 1e3:.1f} kB per step with '
      'the image',
      f'  disk    about {size(self.need())} of {size(self.free())} free, at '
      f'{length:.0f} steps per episode ({why})',
    ]

  def need(self) -> float:
    """Bytes that the recording will write, roughly."""
    length, _ = expected_length(self.logdir)
    # An episode in progress lies in a temporary file until it is whole.
    count = self.missing + min(self.envs, self.missing)
    count += self.episodes if self.joined else 0
    return count * length * self.step_bytes

  def free(self) -> int:
    return shutil.disk_usage(self.folder).free

  def check(self) -> None:
    """UserError if the disk has less space than is needed."""
    if self.missing and self.need() > self.free():
      raise UserError(
        f'The recording takes about {size(self.need())} and {self.folder} has '
        f'{size(self.free())} left; choose fewer --eval_trajectory.layers or '
        'episodes, --eval_trajectory.all_episodes False, or another '
        '--eval_trajectory.save_path.'
      )


def expected_length(logdir: str | os.PathLike) -> tuple[float, str]:
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


def size(number: float) -> str:
  """1234567 -> '1.2 MB'."""
  for unit, scale in (('GB', 1e9), ('MB', 1e6)):
    if number >= scale:
      return f'{number / scale:.1f} {unit}'
  return f'{number / 1e3:.1f} kB'
