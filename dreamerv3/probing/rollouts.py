"""Plays numbered episodes in several environments, one policy call for all.

For recordings. Episode k is a function of (seed, k) alone: its world and spawn
come from `env.set_episode(k)`, its chance from a seed of its own and the time,
and it always sits in the same row of a policy call of fixed width. How many
environments there are changes the speed and nothing else.

  rollouts = Rollouts(probe, params, envs, seed=0)
  rollouts.play([1, 2, 3], begin)   # begin(k) -> where its steps go
"""

import contextlib
import dataclasses
import heapq
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import jax
import numpy as np

from dreamerv3.agent.latents import Arrays, Carry
from dreamerv3.probing.batch import Row, fill, row_of, seeds_of
from dreamerv3.probing.probe import Probe
from embodied.core import base


class Taker(Protocol):
  """Takes the steps of one episode, in order."""

  def step(
    self, obs: base.Step, act: base.Step, rows: Mapping[str, np.ndarray]
  ) -> None:
    """One timestep: observation, action chosen there, layers {dtype: (n,)}."""

  def end(self) -> None:
    """The step before was the last."""


@dataclasses.dataclass
class Seat:
  """An environment and the episode that it plays."""

  env: base.Env
  number: int
  taker: Taker
  seeds: np.ndarray
  time: int = 0
  obs: base.Step = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Sent:
  """A policy call whose results are on their way."""

  obs: list[tuple[int, Seat, base.Step]]
  act: Arrays
  rows: dict[str, jax.Array]


@dataclasses.dataclass
class Lane:
  """The rows of one policy call."""

  carry: Carry
  players: list[Seat | None]
  sent: Sent | None = None

  @property
  def idle(self) -> bool:
    """Whether it plays nothing and waits for nothing."""
    return self.sent is None and not any(self.players)


class Rollouts:
  """Environments in flight.

  Args:
    probe: the policy, with its layers laid open.
    params: of its model, on the device that acts.
    envs: each must have `set_episode`.
    seed: of the chance in latents and actions.

  Attributes:
    steps: timesteps played so far.
    times: seconds spent on env, policy (waiting for it), transfer of the
      layers and take (handing them over).
  """

  def __init__(
    self,
    probe: Probe,
    params: Mapping[str, jax.Array],
    envs: Sequence[base.Env],
    seed: int,
  ):
    self.probe, self.params, self.seed = probe, params, seed
    self.free = list(envs)
    count = -(-len(envs) // probe.width)
    empty: list[Seat | None] = [None] * probe.width
    self.lanes = [Lane(probe.init(), empty.copy()) for _ in range(count)]
    self.steps = 0
    self.times = dict.fromkeys(('env', 'policy', 'transfer', 'take'), 0.0)

  def play(
    self,
    numbers: Sequence[int],
    begin: Callable[[int], Taker],
    go_on: Callable[[], bool] = lambda: True,
  ) -> None:
    """Plays episodes to their ends, lowest numbers first.

    Args:
      numbers: of the episodes, from 1.
      begin: called when an episode starts.
      go_on: asked at every step; False stops at once, in mid-episode.
    """
    waiting = list(numbers)
    heapq.heapify(waiting)
    while go_on():
      self._seat(waiting, begin)
      if all(lane.idle for lane in self.lanes):
        return
      for lane in self.lanes:
        self._advance(lane)

  def _seat(self, waiting: list[int], begin: Callable[[int], Taker]) -> None:
    """Gives free environments the lowest numbers whose row is free."""
    rest = []
    while waiting and self.free:
      number = heapq.heappop(waiting)
      row = row_of(self.probe, number)
      lane = next((x for x in self.lanes if x.players[row] is None), None)
      if lane is None:
        rest.append(number)
        continue
      env = self.free.pop()
      env.set_episode(number)  # type: ignore[attr-defined]
      seeds = seeds_of(self.seed, number)
      lane.players[row] = Seat(env, number, begin(number), seeds)
    for number in rest:
      heapq.heappush(waiting, number)

  def _advance(self, lane: Lane) -> None:
    """One step of a lane: environments, next policy call, last results."""
    sent, lane.sent = lane.sent, None
    act: base.Step = {}
    if sent is not None:
      with self._timed('policy'):
        act = {k: np.asarray(v) for k, v in sent.act.items()}
    with self._timed('env'):
      for row, player in enumerate(lane.players):
        if player is not None:
          self._play(player, {k: v[row] for k, v in act.items()})
    if any(lane.players):
      lane.sent = self._send(lane)
    if sent is not None:
      self._receive(sent, act)

  def _play(self, player: Seat, act: base.Step) -> None:
    if not player.obs:
      space = player.env.act_space
      act = {k: np.zeros(v.shape, v.dtype) for k, v in space.items()}
    act = {**act, 'reset': np.bool_(not player.obs)}
    player.time += not act['reset']
    player.obs = player.env.step(act)
    self.steps += 1

  def _send(self, lane: Lane) -> Sent:
    """Starts the policy call; rows of ended episodes become free."""
    seen = [(i, x, x.obs) for i, x in enumerate(lane.players) if x is not None]
    filled = fill(self.probe, {i: Row(x.obs, x.seeds, x.time) for i, x, _ in seen})
    for row, player, obs in seen:
      if obs['is_last']:
        lane.players[row] = None
        self.free.append(player.env)
    lane.carry, act, rows = self.probe(self.params, lane.carry, *filled)
    for value in (*act.values(), *rows.values()):
      value.copy_to_host_async()
    return Sent(seen, act, rows)

  def _receive(self, sent: Sent, act: base.Step) -> None:
    with self._timed('transfer'):
      rows = {k: np.asarray(v) for k, v in sent.rows.items()}
    with self._timed('take'):
      for row, player, obs in sent.obs:
        chosen = {k: v[row] for k, v in act.items()}
        player.taker.step(obs, chosen, {k: v[row] for k, v in rows.items()})
        if obs['is_last']:
          player.taker.end()

  @contextlib.contextmanager
  def _timed(self, name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    self.times[name] += time.perf_counter() - began
