"""An environment without a world: it counts, for tests of everything else.

For tests and for `--configs debug`, with discrete or continuous actions:

  env = Dummy('disc'); obs = env.step({'action': 0, 'reset': True})
"""

from __future__ import annotations

import elements
import numpy as np

from embodied.core import base

CHOICES = 5
DIMS = 6
TASKS = {
  'disc': elements.Space(np.int32, (), 0, CHOICES),
  'cont': elements.Space(np.float32, (DIMS,), -1.0, 1.0),
}


class Dummy(base.Env):
  """Shows the number of the step in each kind of observation.

  The reward is 1 at steps whose action is 0 (or has a positive sum), else 0.

  Args:
    task: 'disc' or 'cont'.
    size: (width, height) of the image [pixels].
    length: [steps] of an episode, without its reset.
  """

  def __init__(
    self,
    task: str = 'disc',
    size: tuple[int, int] = (64, 64),
    length: int = 100,
  ) -> None:
    if task not in TASKS:
      raise ValueError(f'dummy task must be one of {[*TASKS]}, got {task!r}')
    if length < 1:
      raise ValueError(f'length must be at least 1, got {length}')
    self._action = TASKS[task]
    self._shape = (size[1], size[0], 3)
    self._length = length
    self._count = 0
    self._over = True

  @property
  def obs_space(self) -> dict[str, elements.Space]:
    """An observation of each kind: image, vector, token, and a logged count."""
    return {
      'image': elements.Space(np.uint8, self._shape),
      'vector': elements.Space(np.float32, (7,)),
      'token': elements.Space(np.int32, (), 0, 256),
      'reward': elements.Space(np.float32),
      'is_first': elements.Space(bool),
      'is_last': elements.Space(bool),
      'is_terminal': elements.Space(bool),
      'log/count': elements.Space(np.int32),
    }

  @property
  def act_space(self) -> dict[str, elements.Space]:
    """A discrete or a continuous action."""
    return {'action': self._action, 'reset': elements.Space(bool)}

  def step(self, action: base.Step) -> base.Step:
    """Counts; an episode ends after its length."""
    if action['reset'] or self._over:
      self._count, self._over = 0, False
      return self._obs(0.0, is_first=True)
    if self._action.discrete:
      reward = float(action['action'] == 0)
    else:
      reward = float(np.sum(action['action']) > 0)
    self._count += 1
    self._over = self._count >= self._length
    return self._obs(reward, is_last=self._over)

  def _obs(
    self, reward: float, is_first: bool = False, is_last: bool = False
  ) -> base.Step:
    count = self._count
    return {
      'image': np.full(self._shape, count % 256, np.uint8),
      'vector': np.full(7, count, np.float32),
      'token': np.int32(count % 256),
      'reward': np.float32(reward),
      'is_first': np.bool_(is_first),
      'is_last': np.bool_(is_last),
      'is_terminal': np.bool_(is_last),
      'log/count': np.int32(count),
    }
