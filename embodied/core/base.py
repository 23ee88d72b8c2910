"""The three contracts everything else meets through: Env, BaseAgent, Stream.

For whoever adds an environment or an agent. An environment is checked with

  class TestMine(EnvContract): make = staticmethod(MyEnv)  # embodied/tests
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import elements
import numpy as np

Array = np.ndarray
Step = dict[str, Any]  # one time step of one environment
Batch = dict[str, Any]  # the same keys with leading (B,) or (B, T)
Carry = Any  # state that the caller keeps between two calls of an agent
Spaces = Mapping[str, elements.Space]


class Env(abc.ABC):
  """One environment, stepped with a dict and answering with a dict.

  There is no separate reset: `action['reset']` true starts an episode, and the
  other actions are then ignored. The first call ever must reset.

  Every observation holds `reward` (float32), `is_first`, `is_last`,
  `is_terminal` (bool). `is_first` marks the answer to a reset, `is_last` the
  end of an episode for any reason, `is_terminal` an end after which there is
  no reward to come (a death, not a time limit). Keys that start with `log/`
  are for the logs: the agent and the replay never see them.
  """

  @property
  @abc.abstractmethod
  def obs_space(self) -> Spaces:
    """Space of each observation key, `log/*` included."""

  @property
  @abc.abstractmethod
  def act_space(self) -> Spaces:
    """Space of each action key, `reset` (bool) included."""

  @abc.abstractmethod
  def step(self, action: Step) -> Step:
    """Act once and return the next observation, equal keys to obs_space."""

  def close(self) -> None:  # noqa: B027
    """Free what the environment holds; may be called twice."""


class BaseAgent(abc.ABC):
  """Acts on batches of observations and learns from batches of sequences.

  The state between calls is explicit: each method takes a carry and returns
  the next one. Observations come without `log/*`, with leading (B,); data
  comes with leading (B, T).
  """

  @abc.abstractmethod
  def init_policy(self, batch_size: int) -> Carry:
    """Carry of `policy` for batch_size environments."""

  @abc.abstractmethod
  def init_train(self, batch_size: int) -> Carry:
    """Carry of `train` for batch_size parallel sequences."""

  def init_report(self, batch_size: int) -> Carry:
    """Carry of `report` for batch_size parallel sequences."""
    return self.init_train(batch_size)

  @abc.abstractmethod
  def policy(
    self, carry: Carry, obs: Batch, mode: str = 'train'
  ) -> tuple[Carry, Batch, Batch]:
    """Choose actions.

    Returns:
      carry.
      act: action keys without `reset`, each (B, ...).
      out: further entries to store in the replay, each (B, ...); keys that
        start with `log/` go to the logs only.
    """

  @abc.abstractmethod
  def train(self, carry: Carry, data: Batch) -> tuple[Carry, Batch, Batch]:
    """Learn from one batch.

    Returns:
      carry.
      outs: may hold `replay`, a batch for Replay.update.
      mets: metrics, each a scalar or an array.
    """

  @abc.abstractmethod
  def report(self, carry: Carry, data: Batch) -> tuple[Carry, Batch]:
    """Metrics and videos on one batch, without learning."""

  @abc.abstractmethod
  def stream(self, source: Stream) -> Stream:
    """Batches as `train` and `report` take them, e.g. on the device."""

  @abc.abstractmethod
  def save(self) -> dict[str, Any]:
    """Everything needed to continue, as plain containers and arrays."""

  @abc.abstractmethod
  def load(self, data: dict[str, Any], regex: str | None = None) -> None:
    """Continue from `save`; with a regex, only the parameters it matches."""


class Stream(abc.ABC):
  """An endless iterator of batches whose position can be saved.

  After `b.load(a.save())` the two yield the same batches.
  """

  def __iter__(self) -> Iterator[Batch]:
    return self

  @abc.abstractmethod
  def __next__(self) -> Batch:
    """The next batch."""

  def defer(self) -> Callable[[], Batch]:
    """Split `next` in two: decide now, build when the result is called.

    A prefetching thread calls the result. Streams for which *when* a batch is
    chosen matters (a replay that grows meanwhile) choose it here, in the
    caller's thread, so that threads cannot change which data is seen.
    Deferred results are called once each, in order.
    """
    return self.__next__

  def form(self) -> tuple[int, int] | None:
    """Rows and steps of the batches to come, if that is known."""
    return None

  def save(self) -> Any:
    """The position, as plain containers and arrays."""
    return None

  def load(self, data: Any) -> None:  # noqa: B027
    """Continue from a saved position."""
