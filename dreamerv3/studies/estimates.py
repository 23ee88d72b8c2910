"""How long, how much memory and disk would each stage of a study take? Roughly.

  costs = estimate(study, settled, standings(study))
  print(costs['usual', 'train'].seconds)

By the laws of docs/performance.md, measured on two CPU cores, until tasks of this
study are done: then by what those took.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import elements
import numpy as np

from dreamerv3.recording.plan import JOIN, JOINED
from dreamerv3.setup import memory
from dreamerv3.studies.kinds import KINDS
from dreamerv3.studies.state import Standing
from dreamerv3.studies.study import Study
from dreamerv3.studies.tasks import full_name, tasks

UNIT = 64  # size unit of size1m, which the measured numbers belong to
START = 15.0  # seconds from start to ready, with nothing compiled before
OPENING = 5.0  # seconds of an analysis before and after its numbers
LENGTH = 250  # steps of an episode; see recording.plan
PARAMETERS = 168  # times the square of the size unit
LAYERS = 840  # times the size unit: bytes of all layers of a step in float16
NAN = math.nan


class Cost(NamedTuple):
  """Of one task; NaN where nothing is known.

  Attributes:
    seconds: by the clock.
    memory, disk: bytes at the peak, and that stay.
    basis: what the time goes by.
  """

  seconds: float = NAN
  memory: float = NAN
  disk: float = NAN
  basis: str = ''


class Size(NamedTuple):
  """What the cost of a condition's tasks grows with.

  Attributes:
    unit: size unit of the networks, 64 for size1m.
    step: bytes of a recorded timestep.
    timesteps: of the recording.
  """

  unit: float
  step: float
  timesteps: float


def estimate(
  study: Study,
  settled: Mapping[str, elements.Config],
  known: Mapping[str, Standing],
) -> dict[tuple[str, str], Cost]:
  """{(condition, stage): cost of each of its tasks}."""
  found = {}
  for condition, config in settled.items():
    size = _size(study, config)
    for stage in study.stages:
      cost = (
        _train(config) if stage.name == 'train' else _later(study, stage.name, size)
      )
      found[condition, stage.name] = cost
  took: dict[tuple[str, str], list[float]] = {}
  for task in tasks(study):
    now = known[task.name]
    if now.word == 'done' and now.record:
      took.setdefault((task.condition, task.stage), []).append(now.record.seconds)
      took.setdefault(('', task.stage), []).append(now.record.seconds)
  for key, cost in found.items():
    seconds = took.get(key) or took.get(('', key[1]))
    if seconds:
      basis = f'{len(seconds)} done here'
      found[key] = cost._replace(seconds=float(np.mean(seconds)), basis=basis)
  return found


def _size(study: Study, config: elements.Config) -> Size:
  unit = config.agent.dyn.rssm.deter / 8
  image = 3 * math.prod(config.env.crafter.size)
  episodes = float(_setting(study, 'record', 'num_episodes', '100'))
  return Size(unit, image + LAYERS * unit, episodes * LENGTH)


def _setting(study: Study, name: str, flag: str, usual: str) -> str:
  stage = study.stage(name)
  flags = (
    {full_name(KINDS[name], k): v for k, v in stage.flags.items()} if stage else {}
  )
  return flags.get(full_name(KINDS[name], flag), (usual,))[0]


def _train(config: elements.Config) -> Cost:
  """Updates and policy calls, one after the other; all that the replay holds."""
  unit = config.agent.dyn.rssm.deter / 8
  batch = config.batch_size * config.batch_length
  updates = config.run.steps * config.run.train_ratio / batch
  # 1.05 s of size1m and 5.9 s of size12m.
  update = 1.05 * batch / 1024 * (unit / UNIT) ** 1.25
  # 3.9 ms for 16 images of size1m, 17 ms of size12m.
  acting = config.run.steps * 3.9e-3 / 16 * (unit / UNIT) ** 1.06
  state = 16 * PARAMETERS * unit**2
  observed, acts = _spaces(config)
  need = memory.estimate(config, observed, acts, state, on_gpu=False)
  disk = need.replay + state
  return Cost(START + updates * update + acting, need.host, disk, 'law')


def _spaces(
  config: elements.Config,
) -> tuple[dict[str, elements.Space], dict[str, elements.Space]]:
  """What Crafter gives and takes, without making a world."""
  flags = {x: elements.Space(bool) for x in ('is_first', 'is_last', 'is_terminal')}
  image = elements.Space(np.uint8, (*config.env.crafter.size, 3))
  observed = {'image': image, 'reward': elements.Space(np.float32), **flags}
  return observed, {'action': elements.Space(np.int32, (), 0, 17)}


def _later(study: Study, stage: str, size: Size) -> Cost:
  wide, steps = size.unit / UNIT, size.timesteps
  kept = steps * size.step
  joined = JOIN.get(_setting(study, 'record', 'all_episodes', 'auto').lower())
  kept *= 2 if joined or (joined is None and kept <= JOINED) else 1
  recording = START + steps / 1740 * wide
  per = steps / 20000
  law = {
    'record': Cost(recording, 0.5e9 * max(1, wide), kept, 'law'),
    'control': Cost(recording, 0.5e9 * max(1, wide), kept, 'law'),
    # 18 s for 90 episodes and 512 units; a decoder per representation.
    'decode': Cost(OPENING + 18 * wide * per, 1e9 * max(1, wide), 1e7, 'law'),
    'layers': Cost(OPENING + 56 * wide, 964 * 2**20 * max(1, wide), 5e7, 'law'),
    'tune': Cost(OPENING + 71 * wide * per, 1295 * 2**20 * max(1, wide), 5e7, 'law'),
    'dreams': Cost(START + 3 * wide, 1e9 * max(1, wide), 1e7, 'law'),
  }
  return law.get(stage, Cost(basis='not known'))
