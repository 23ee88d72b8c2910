"""Leads an agent along recorded episodes: it sees and did what was recorded.

  replays = Replays(probe, params, seed=0)
  replays.play([1, 2, 3], walk, begin)  # walk(k) -> Walk, begin(k) -> Taker

Every episode sits in the row, and has the chance, that it had when it was
recorded, so that the same weights compute the same numbers bit for bit. Nothing
waits for an environment: one call is computed while the one before it is read.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from dreamerv3.probing.batch import Row, fill, row_of, seeds_of
from dreamerv3.probing.probe import Probe
from dreamerv3.probing.rollouts import Taker
from embodied.core import base


class Walk(Protocol):
  """What an agent is led along: one episode of T timesteps."""

  def __len__(self) -> int: ...

  def obs(self, t: int) -> base.Step:
    """What it is shown at timestep t, by the keys of its spaces."""

  def act(self, t: int) -> base.Step:
    """What was done at timestep t, by the keys of its actions."""

  def blind(self, t: int) -> bool:
    """Whether what it is shown at timestep t is withheld."""


class Place(NamedTuple):
  """A row of the policy calls, and the episode that is in it."""

  walk: Walk
  taker: Taker
  seeds: np.ndarray
  time: int


class Led(NamedTuple):
  """A policy call whose results are on their way."""

  places: dict[int, Place]
  obs: dict[int, base.Step]
  rows: Mapping[str, jax.Array]


class Replays:
  """Episodes on their way through an agent.

  Args:
    probe: the policy, with its layers laid open.
    params: of its model, on the device that acts.
    seed: of the chance in latents, as in the recording.
    blind: whether walks may withhold what they show; takes another program.

  Attributes:
    steps: timesteps replayed so far.
  """

  def __init__(
    self, probe: Probe, params: Mapping[str, Any], seed: int, blind: bool = False
  ):
    self.probe, self.params, self.seed, self.blind = probe, params, seed, blind
    self.steps = 0

  def play(
    self,
    numbers: Sequence[int],
    walk: Callable[[int], Walk],
    begin: Callable[[int], Taker],
    go_on: Callable[[], bool] = lambda: True,
  ) -> None:
    """Replays episodes to their ends, lowest numbers first.

    Args:
      numbers: of the episodes, from 1.
      walk: opens an episode when it is its turn.
      begin: called when an episode starts; takes its steps, with observation
        and action as recorded.
      go_on: asked at every step; False stops at once, in mid-episode.
    """
    waiting = list(numbers)
    heapq.heapify(waiting)
    places: dict[int, Place] = {}
    carry = self.probe.init()
    sent: Led | None = None
    while go_on():
      self._seat(waiting, places, walk, begin)
      before, sent = sent, None
      if places:
        carry, sent = self._send(carry, places)
      if before is not None:
        self._receive(before)
      if sent is None:
        return
      for row, x in list(places.items()):
        if x.time + 1 < len(x.walk):
          places[row] = x._replace(time=x.time + 1)
        else:
          del places[row]

  def _seat(
    self,
    waiting: list[int],
    places: dict[int, Place],
    walk: Callable[[int], Walk],
    begin: Callable[[int], Taker],
  ) -> None:
    """Gives free rows the lowest numbers that belong there."""
    rest = []
    while waiting and len(places) < self.probe.width:
      number = heapq.heappop(waiting)
      row = row_of(self.probe, number)
      if row in places:
        rest.append(number)
      else:
        seeds = seeds_of(self.seed, number)
        places[row] = Place(walk(number), begin(number), seeds, 0)
    for number in rest:
      heapq.heappush(waiting, number)

  def _send(self, carry: Any, places: Mapping[int, Place]) -> tuple[Any, Led]:
    """Starts the policy call of all rows."""
    obs = {i: x.walk.obs(x.time) for i, x in places.items()}
    rows = {
      i: Row({**obs[i], 'is_first': np.asarray(x.time == 0)}, x.seeds, x.time)
      for i, x in places.items()
    }
    before = {i: x.walk.act(x.time - 1) for i, x in places.items() if x.time}
    carry = self.probe.after(carry, before)
    blind = None
    if self.blind:
      blind = np.zeros(self.probe.width, bool)
      for i, x in places.items():
        blind[i] = x.walk.blind(x.time)
    filled = fill(self.probe, rows)
    carry, _, found = self.probe(self.params, carry, *filled, blind)
    for value in found.values():
      value.copy_to_host_async()
    self.steps += len(places)
    return carry, Led(dict(places), obs, found)

  def _receive(self, sent: Led) -> None:
    rows = {k: np.asarray(v) for k, v in sent.rows.items()}
    for i, x in sent.places.items():
      act = x.walk.act(x.time)
      x.taker.step(sent.obs[i], act, {k: v[i] for k, v in rows.items()})
      if x.time + 1 == len(x.walk):
        x.taker.end()
