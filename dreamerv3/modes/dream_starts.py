"""Where dreams begin: timesteps drawn from fresh episodes as they are played.

  starts = Starts(decoder, layers, count=80, warmup=16, seed=0)
  rollouts.play(numbers, starts.begin)
  drawn = starts.drawn()

Every timestep of every episode has the same chance. Only the latents of those
that are in the draw so far are kept, and the decoded positions of all, so that
memory does not grow with the length of the episodes.
"""

import dataclasses
import heapq
from collections.abc import Mapping, Sequence

import numpy as np

from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.dreams.measures import DreamSet
from dreamerv3.base.errors import UserError
from dreamerv3.data.columns import Column

CHUNK = 256  # observed states that are decoded together


@dataclasses.dataclass
class PlayedEpisode:
  """What is kept of an episode: one row per timestep, the last one included."""

  pos: list[np.ndarray] = dataclasses.field(default_factory=list)
  action: list[dict[str, np.ndarray]] = dataclasses.field(default_factory=list)
  decoded: list[np.ndarray] = dataclasses.field(default_factory=list)

  def __len__(self) -> int:
    return len(self.pos)


@dataclasses.dataclass(frozen=True, order=True)
class Start:
  """A state to dream from; in the order of the draw."""

  chance: int
  episode: int
  t: int
  deter: np.ndarray = dataclasses.field(compare=False)
  stoch: np.ndarray = dataclasses.field(compare=False)


class Starts:
  """Draws starts without replacement from the episodes that it is shown.

  Args:
    decoder: of deter.
    layers: of deter and stoch; a step brings them packed.
    count: starts to draw.
    warmup: observed timesteps up to a start, at least; 1 or more.
    seed: of the draw.

  Attributes:
    tracks: {number: episode}.
  """

  def __init__(
    self,
    decoder: LinearDecoder,
    layers: Sequence[Column],
    count: int,
    warmup: int,
    seed: int,
  ):
    self.decoder = decoder
    self.layers = {x.name: x for x in layers}
    self.count, self.warmup, self.seed = count, warmup, seed
    self.tracks: dict[int, PlayedEpisode] = {}
    self._heap: list[tuple[int, int, int, Start]] = []

  def begin(self, number: int) -> 'Watch':
    """Takes the steps of episode `number`, see dreamerv3.probing.rollouts.Taker."""
    self.tracks[number] = PlayedEpisode()
    return Watch(self, number, self.tracks[number])

  def unpack(self, rows: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A layer of one step, in its own shape."""
    return self.layers[name].of(rows)

  def offer(self, number: int, t: int, rows: Mapping[str, np.ndarray]) -> None:
    """A timestep after which the episode goes on.

    The state of timestep 0 is a constant that holds no position.
    """
    if t < max(self.warmup - 1, 1):
      return
    seeds = np.random.SeedSequence([self.seed, number, t])
    chance = int(seeds.generate_state(1, np.uint64)[0])
    if len(self._heap) == self.count and -self._heap[0][0] <= chance:
      return
    deter, stoch = (self.unpack(rows, x).copy() for x in ('dyn/deter', 'dyn/stoch'))
    item = -chance, number, t, Start(chance, number, t, deter, stoch)
    if len(self._heap) < self.count:
      heapq.heappush(self._heap, item)
    else:
      heapq.heapreplace(self._heap, item)

  def drawn(self) -> list[Start]:
    """The starts, in random order.

    Raises:
      UserError: no episode was long enough.
    """
    if not self._heap:
      longest = max(map(len, self.tracks.values()), default=0)
      raise UserError(
        f'No dream can begin: --dream_decode.warmup is {self.warmup} and the '
        f'longest of {len(self.tracks)} episodes had {longest} timesteps; '
        'expected fewer than that.'
      )
    return sorted(x[-1] for x in self._heap)

  def actions(self, start: Start, horizon: int) -> dict[str, np.ndarray]:
    """Real actions (horizon, ...) from the start on; the last is repeated.

    The action in row t is chosen there and leads to row t + 1.
    """
    track = self.tracks[start.episode]
    last = len(track) - 2  # what is chosen in the last row never happens
    rows = np.minimum(start.t + np.arange(horizon), last)
    return {k: np.stack([track.action[i][k] for i in rows]) for k in track.action[0]}

  def dreams(
    self, drawn: Sequence[Start], decoded: Mapping[str, np.ndarray]
  ) -> DreamSet:
    """Puts decoded dreams (N, H, 2) beside what really followed."""
    horizon = next(iter(decoded.values())).shape[1]
    past, real, observed, valid = [], [], [], []
    for start in drawn:
      track = self.tracks[start.episode]
      steps = start.t + np.arange(horizon + 1)
      rows = np.minimum(steps, len(track) - 1)
      pos = np.stack(track.pos[: rows[-1] + 1]).astype(np.int64)
      before = np.maximum(start.t + 1 - self.warmup + np.arange(self.warmup), 0)
      past.append(pos[before])
      real.append(pos[rows])
      observed.append(np.stack([track.decoded[i] for i in rows]))
      valid.append(steps < len(track))
    seen = np.stack(observed)
    paths = {k: np.concatenate([seen[:, :1], v], 1) for k, v in decoded.items()}
    return DreamSet(
      grid=self.decoder.grid,
      episode=np.array([x.episode for x in drawn]),
      t=np.array([x.t for x in drawn]),
      past=np.stack(past),
      real=np.stack(real),
      valid=np.stack(valid),
      decoded={**paths, 'observed': seen},
    )


class Watch:
  """Takes the steps of one episode."""

  def __init__(self, starts: Starts, number: int, track: PlayedEpisode):
    self.starts, self.number, self.track = starts, number, track
    self.waiting: list[np.ndarray] = []

  def step(
    self,
    obs: Mapping[str, np.ndarray],
    act: Mapping[str, np.ndarray],
    rows: Mapping[str, np.ndarray],
  ) -> None:
    """A timestep; see dreamerv3.probing.rollouts.Taker."""
    t = len(self.track)
    self.track.pos.append(np.array(obs['player_pos']))
    self.track.action.append({k: np.array(v) for k, v in act.items()})
    self.waiting.append(self.starts.unpack(rows, 'dyn/deter').copy())
    if len(self.waiting) == CHUNK:
      self._decode()
    if not obs['is_last']:
      self.starts.offer(self.number, t, rows)

  def end(self) -> None:
    """The episode is over."""
    self._decode()

  def _decode(self) -> None:
    if self.waiting:
      found = self.starts.decoder.predict(np.stack(self.waiting))
      self.track.decoded.extend(found)
      self.waiting = []
