"""What happened since the last log? Averages, rates and finished episodes.

For the run loops. All of it can be saved, so that a resumed run logs the
averages it would have logged.

  episodes = Episodes(logger.add, mean)
  driver.on_step(episodes)
"""

import re
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

ACHIEVEMENT = 'log/achievement_'


class Mean:
  """Means of numbers by name, without the NaN ones; other values: the last."""

  def __init__(self) -> None:
    self.sums: dict[str, float] = {}
    self.counts: dict[str, int] = {}
    self.last: dict[str, Any] = {}

  def add(self, values: Mapping[str, Any], prefix: str = '') -> None:
    """Adds scalars to their means."""
    for name, value in values.items():
      name = f'{prefix}/{name}' if prefix else name
      if isinstance(value, str) or np.ndim(value):
        self.last[name] = value
        continue
      number = float(value)
      known = not np.isnan(number)
      self.sums[name] = self.sums.get(name, 0.0) + (number if known else 0.0)
      self.counts[name] = self.counts.get(name, 0) + known

  def result(self) -> dict[str, Any]:
    """The means, and an empty start for the next ones."""
    means = {
      k: v / self.counts[k] if self.counts[k] else float('nan')
      for k, v in self.sums.items()
    }
    result = {**means, **self.last}
    self.sums, self.counts, self.last = {}, {}, {}
    return result

  def save(self) -> dict[str, Any]:
    """Sums and counts so far."""
    # Videos come again; numbers do not.
    return {'sums': dict(self.sums), 'counts': dict(self.counts)}

  def load(self, data: Mapping[str, Any]) -> None:
    """Continues saved sums."""
    self.sums, self.counts = dict(data['sums']), dict(data['counts'])


class Rate:
  """Events per second since the last result."""

  def __init__(self, now: Callable[[], float] = time.monotonic):
    self.now = now
    self.began = now()
    self.count = 0

  def step(self, amount: int = 1) -> None:
    """Counts."""
    self.count += amount

  def result(self) -> float:
    """Counts per second since the last result."""
    now = self.now()
    rate = self.count / max(1e-9, now - self.began)
    self.began, self.count = now, 0
    return rate

  def save(self) -> dict[str, Any]:
    """The count, and the time it took [s]."""
    return {'elapsed': self.now() - self.began, 'count': self.count}

  def load(self, data: Mapping[str, Any]) -> None:
    """Continues a saved count."""
    self.began, self.count = self.now() - data['elapsed'], data['count']


class Episodes:
  """Observer of a driver: score, length, achievements of each episode.

  Args:
    log: Called with `episode/*` when an episode ends: score [sum of rewards],
      length [steps, the reset one included] and, per `log/achievement_<name>`,
      how often it was reached (`episode/achievement_<name>`).
    stats: Gets `epstats/*`: average, maximum and sum per episode of the
      `log/*` keys that match `keys`, `reward_rate` (share of steps at which
      the reward changes) and a video of worker 0.
    keys: Regular expression of `log/*` keys for `stats`.
    frames: Most frames of the video.
    prefix: Before all names.
  """

  def __init__(
    self,
    log: Callable[[dict[str, Any]], Any],
    stats: Mean,
    keys: str = '',
    frames: int = 500,
    prefix: str = '',
  ):
    self.log = log
    self.stats = stats
    self.keys = re.compile(keys)
    self.frames = frames
    self.prefix = prefix
    self.running: dict[int, _Episode] = {}
    self.numbers: dict[int, int] = {}  # episode that a worker plays
    self.scores: list[float] = []

  def __call__(self, step: Mapping[str, Any], worker: int) -> None:
    """Follows a step of one environment; logs an episode at its end."""
    if step['is_first'] or worker not in self.running:
      self.running[worker] = _Episode(self.keys)
    if 'log/episode' in step:
      self.numbers[worker] = int(step['log/episode'])
    episode = self.running[worker]
    episode.add(step, video=worker == 0, frames=self.frames)
    if step['is_last']:
      self._end(self.running.pop(worker))

  def save(self) -> dict[int, int]:
    """The number of each environment's episode."""
    # Running episodes end with the process: a resumed run resets.
    return dict(self.numbers)

  def load(self, data: Mapping[int, int]) -> None:
    """Continues saved numbers."""
    self.numbers = dict(data)

  def _end(self, episode: '_Episode') -> None:
    score = float(sum(episode.rewards))
    result = {'score': score, 'length': len(episode.rewards)}
    logs = episode.logs()
    for key, values in logs.items():
      if key.startswith(ACHIEVEMENT):
        result[key.removeprefix('log/')] = float(values.max())
    self.log({f'{self.prefix}episode/{k}': v for k, v in result.items()})
    self.scores.append(score)
    self.stats.add(episode.stats(logs), prefix=f'{self.prefix}epstats')


class _Episode:
  """One under way: rewards and logged numbers as float64, a row per step.

  Bytes, since a list would keep a numpy scalar alive for each number of each step.
  Sums and means are those of arrays at the end (a fixed order of summation).
  """

  def __init__(self, keys: re.Pattern) -> None:
    self.keys = keys
    self.rewards: list[float] = []
    self.names: list[str] = []
    self.rows = bytearray()
    self.video: dict[str, list[np.ndarray]] = {}

  def add(self, step: Mapping[str, Any], video: bool, frames: int) -> None:
    if not self.rewards:
      self.names = [k for k, v in step.items() if self._counts(k, v)]
      self.pack = struct.Struct(f'{len(self.names)}d').pack
    self.rewards.append(float(step['reward']))
    self.rows += self.pack(*[step[k] for k in self.names])
    if video and len(self.rewards) <= frames:
      for key, value in step.items():
        if key[:4] != 'log/' and np.ndim(value) == 3:
          # Our own copy: the step's arrays belong to the driver.
          self.video.setdefault(f'policy_{key}', []).append(np.array(value))

  def _counts(self, key: str, value: Any) -> bool:
    if key[:4] != 'log/' or np.ndim(value):
      return False
    return key.startswith(ACHIEVEMENT) or bool(self.keys.search(key))

  def logs(self) -> dict[str, np.ndarray]:
    """Values (T,) of each number that the environment logs and someone reads."""
    rows = np.frombuffer(self.rows, np.float64)
    columns = rows.reshape(len(self.rewards), len(self.names)).T.copy()
    return dict(zip(self.names, columns, strict=True))

  def stats(self, logs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    result: dict[str, Any] = {k: np.stack(v) for k, v in self.video.items()}
    for key, values in logs.items():
      if self.keys.search(key):
        result[f'{key}/avg'] = float(np.mean(values))
        result[f'{key}/max'] = float(values.max())
        result[f'{key}/sum'] = float(np.sum(values))
    if len(self.rewards) > 1:
      changed = np.abs(np.diff(self.rewards)) >= 0.01
      result['reward_rate'] = float(changed.mean())
    return result
