"""Walk to the green cell: a task that an agent can learn in minutes on a CPU.

For tests and bench/learn.py: it is solved only by an agent whose world model
sees where it is and where the goal is, and plans a few steps.

  env = GridWorld('goal', cells=4, seed=0); obs = env.step(
    {'action': 0, 'reset': True})
"""

from __future__ import annotations

import elements
import numpy as np

from embodied.core import base

MOVES = (
  (0, 0),
  (-1, 0),
  (1, 0),
  (0, -1),
  (0, 1),
)  # stay, left, right, up, down
FLOOR, PLAYER, GOAL = (20, 20, 20), (250, 40, 40), (40, 250, 40)


class GridWorld(base.Env):
  """A square room; reaching the goal gives 1 and moves the goal elsewhere.

  Args:
    task: 'goal'.
    size: (width, height) of the image [pixels].
    cells: Cells across.
    length: [steps] of an episode, without its reset.
    seed: Of starts and goals; None draws one from the operating system.
  """

  def __init__(
    self,
    task: str = 'goal',
    size: tuple[int, int] = (64, 64),
    cells: int = 4,
    length: int = 50,
    seed: int | None = None,
  ) -> None:
    if task != 'goal':
      raise ValueError(f"grid task must be 'goal', got {task!r}")
    if cells < 2 or min(size) < cells or length < 1:
      raise ValueError(
        f'cells {cells}, size {size}, length {length}: expected at least 2 '
        'cells, a pixel for each, and 1 step'
      )
    self._shape = (size[1], size[0], 3)
    self._cells = cells
    self._length = length
    self._rng = np.random.default_rng(seed)
    self._pos = self._goal = (0, 0)
    self._count = 0
    self._over = True

  @property
  def obs_space(self) -> dict[str, elements.Space]:
    """The image, reward and ends of an episode."""
    return {
      'image': elements.Space(np.uint8, self._shape),
      'reward': elements.Space(np.float32),
      'is_first': elements.Space(bool),
      'is_last': elements.Space(bool),
      'is_terminal': elements.Space(bool),
    }

  @property
  def act_space(self) -> dict[str, elements.Space]:
    """One of the moves."""
    return {
      'action': elements.Space(np.int32, (), 0, len(MOVES)),
      'reset': elements.Space(bool),
    }

  def step(self, action: base.Step) -> base.Step:
    """Moves, or starts anew on a drawn tile."""
    if action['reset'] or self._over:
      self._count, self._over = 0, False
      self._pos = self._draw_cell()
      self._goal = self._draw_cell(but=self._pos)
      return self._obs(0.0, is_first=True)
    self._count += 1
    move = MOVES[int(action['action'])]
    last = self._cells - 1
    x, y = (min(max(a + b, 0), last) for a, b in zip(self._pos, move, strict=True))
    self._pos = (x, y)
    reward = float(self._pos == self._goal)
    if reward:
      self._goal = self._draw_cell(but=self._pos)
    self._over = self._count >= self._length
    return self._obs(reward, is_last=self._over)

  def _draw_cell(self, but: tuple[int, int] | None = None) -> tuple[int, int]:
    while True:
      x, y = self._rng.integers(0, self._cells, 2).tolist()
      if (x, y) != but:
        return x, y

  def _obs(
    self, reward: float, is_first: bool = False, is_last: bool = False
  ) -> base.Step:
    cells = np.full((self._cells, self._cells, 3), FLOOR, np.uint8)
    cells[self._goal[1], self._goal[0]] = GOAL
    cells[self._pos[1], self._pos[0]] = PLAYER
    rows = np.arange(self._shape[0]) * self._cells // self._shape[0]
    columns = np.arange(self._shape[1]) * self._cells // self._shape[1]
    return {
      'image': cells[rows[:, None], columns[None]],
      'reward': np.float32(reward),
      'is_first': np.bool_(is_first),
      'is_last': np.bool_(is_last),
      'is_terminal': np.bool_(False),
    }
