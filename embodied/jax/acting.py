"""Which parameters act? Those of one update before, until the next policy call.

For the agent: the next call need not wait for an update that is under way, and of
several updates between two calls only the last is copied.

  acting = ActingCopy(copy)  # copy() -> parameters as they are trained now
  acting.begin_update()  # acting.now are those before it, until acting.take_newest()
"""

from collections.abc import Callable, Mapping

import jax

Parameters = Mapping[str, jax.Array]


class ActingCopy:
  """Copies of what is trained, since training overwrites it in place.

  Args:
    copy: gives the parameters as they are now.

  Attributes:
    now: parameters of the next call in training.
    behind: whether these are not the newest.
  """

  def __init__(self, copy: Callable[[], Parameters]):
    self._copy = copy
    self.restart()

  def restart(self) -> None:
    """Act with what there is now."""
    self.now, self.behind = self._copy(), False
    self._newest: Parameters | None = None

  def begin_update(self) -> None:
    """What is trained changes."""
    self.behind, self._newest = True, None

  def newest(self) -> Parameters:
    """Parameters after all updates that have begun, copied at the first call."""
    if not self.behind:
      return self.now
    if self._newest is None:
      self._newest = self._copy()
    return self._newest

  def take_newest(self) -> None:
    """The next call acts with the newest parameters."""
    self.now, self.behind, self._newest = self.newest(), False, None

  def act_once_with(self, before: Parameters) -> None:
    """The next call acts with these, the one after it with the newest."""
    self.now, self.behind, self._newest = before, True, None
