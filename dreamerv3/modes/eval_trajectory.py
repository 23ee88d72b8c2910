"""Records what a trained agent does and what each of its layers computes.

  python dreamerv3/main.py --logdir RUN --script eval_trajectory

For analyses that have not been thought of yet: positions, images, rewards and
the activations of every layer at every timestep, one file per episode. The
files are described in docs/data_format.md, the flags in docs/recording.md.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import elements
import jax
import numpy as np

from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.data.metadata import Metadata
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.probing import describe
from dreamerv3.probing import probe as taps
from dreamerv3.probing.rollouts import Rollouts
from dreamerv3.probing.trained import (
  check_agent,
  check_env,
  find_source,
  load,
  one_world,
  parameters,
)
from dreamerv3.recording.bar import EpisodeBar
from dreamerv3.recording.plan import Plan
from dreamerv3.recording.recorder import VALUES, Recorder, Writing
from dreamerv3.recording.summary import Summary
from dreamerv3.run_info import log_run_info
from dreamerv3.setup import make
from embodied.core import base
from embodied.run.signals import Signals

# Where the observation has what a recording keeps besides the layers.
KEYS = {
  'player_pos': 'player_pos',
  'reward': 'reward',
  'daylight': 'log/daylight',
  'sleeping': 'log/sleeping',
  **{x: f'log/{x}' for x in VALUES if x.startswith('vital_')},
}
FACING = ('log/player_facing_x', 'log/player_facing_y')
ACHIEVEMENT = 'log/achievement_'
KEEPING = 'keeping the episodes that have ended'


def run(make_agent: Callable[[], Any], config: elements.Config) -> int:
  """Records the episodes that are missing; returns the exit code.

  Args:
    make_agent: without arguments, as in dreamerv3.setup.make.
    config: all settings, those of agent and environment as in the run.

  Raises:
    UserError, CheckpointError: settings, checkpoint or folder do not fit.
  """
  settings = config.eval_trajectory
  source = find_source(config) if settings.load_checkpoint else None
  advice = ' (--eval_trajectory.one_world False records many)'
  config = one_world(config, not settings.one_world, advice)
  guide = make.make_env(config, 0)
  check_env(config.task, guide, ('image', *KEYS.values(), *FACING))
  agent = make_agent()
  check_agent(agent)
  if source is not None:
    load(agent, source, config.run.from_checkpoint_regex)
  probe = make_probe(agent, config.eval_trajectory)
  params = parameters(agent)
  metadata = describe.describe(config, guide, agent, probe, params, source)
  session = Session(config, guide, probe, params, metadata)
  return session.record()


def make_probe(agent: Any, settings: elements.Config) -> taps.Probe:
  try:
    return taps.Probe(agent.model, settings.layers, settings.dtype)
  except ValueError as e:
    raise UserError(f'--eval_trajectory.{e}.') from e


class Session:
  """One call of the script, from the first line printed to the last.

  Args:
    config: all settings.
    guide: an environment that plays nothing and knows the worlds.
    probe, params: the agent.
    metadata: of the recording.
  """

  def __init__(
    self,
    config: elements.Config,
    guide: Any,
    probe: taps.Probe,
    params: Mapping[str, jax.Array],
    metadata: Metadata,
  ):
    self.config, self.settings = config, config.eval_trajectory
    self.guide, self.probe, self.params = guide, probe, params
    self.metadata = metadata
    self.folder = folder_of(config)
    self.columns = describe.columns_of(probe, guide.obs_space['image'].shape)

  def record(self) -> int:
    """Records what is missing; returns the exit code."""
    with Recorder(self.folder, self.metadata, self.columns) as recorder:
      missing = self.missing(recorder)
      plan = self.plan(missing)
      print('\n'.join(plan.lines()))
      plan.check()
      began = time.perf_counter()
      rollouts, code = self.play(recorder, missing)
      recorder.flush()
      duration = time.perf_counter() - began
      outputs = [*recorder.episodes(), self.folder / 'metadata.pkl']
      if code:
        self.note(outputs, rollouts, duration, {'interrupted': True})
        done = plan.episodes - len(self.missing(recorder))
        print(
          f'Stopped with {done} of {plan.episodes} episodes in {self.folder}; '
          'run the same command again to go on.'
        )
        return code
      if self.settings.all_episodes:
        outputs.append(recorder.join())
    if missing:
      rate = rollouts.steps / duration
      print(f'{rollouts.steps} steps in {duration:.1f} s, {rate:.0f} steps/s')
    self.conclude(outputs, rollouts, duration)
    return 0

  def missing(self, recorder: Recorder) -> list[int]:
    settings = self.settings
    return recorder.missing(settings.num_episodes, settings.first_episode)

  def plan(self, missing: list[int]) -> Plan:
    return Plan(
      folder=self.folder,
      logdir=pathlib.Path(self.config.logdir),
      metadata=self.metadata,
      missing=len(missing),
      episodes=self.settings.num_episodes,
      envs=self.settings.envs,
      step_bytes=sum(x.nbytes for x in self.columns.values()),
      layers=len(self.probe.layers),
      joined=self.settings.all_episodes,
      first=self.settings.first_episode,
    )

  def play(self, recorder: Recorder, missing: list[int]) -> tuple[Rollouts, int]:
    """Plays the missing episodes; the code is what a signal asks for."""
    count = min(self.settings.envs, len(missing))
    envs = [make.make_env(self.config, 0) for _ in range(count)]
    seed = int(self.config.seed)
    rollouts = Rollouts(self.probe, self.params, envs, seed)
    with EpisodeBar(len(missing)) as bar, Signals(KEEPING) as signals:
      rollouts.play(
        missing,
        lambda number: Take(recorder.begin(number), self.facts(number), bar),
        lambda: not signals.code,
      )
      return rollouts, signals.code

  def facts(self, number: int) -> dict[str, Any]:
    """What an episode's file says of its world."""
    self.guide.set_episode(number)
    facts: dict[str, Any] = {
      'seed': self.metadata.seed,
      'env_seed': self.metadata.env_seed,
      'world_seed': int(self.guide.world_hash),
    }
    if not self.metadata.fixed_seed:
      facts['world_map'] = np.array(self.guide.world_map)
    return facts

  def conclude(
    self, outputs: list[pathlib.Path], rollouts: Rollouts, duration: float
  ) -> None:
    """Summary on the terminal and in the logdir, and the run's record."""
    summary = Summary.of(Trajectories.open(self.folder))
    print('\n'.join(summary.lines()))
    suffix = '' if self.metadata.trained else '_untrained'
    text = pathlib.Path(self.config.logdir) / f'eval_achievements{suffix}.out'
    with files.atomic(text, 'w') as file:
      file.write(summary.report())
    self.note([*outputs, text], rollouts, duration, summary.to_dict())
    print(f'Recorded {self.folder}')

  def note(
    self,
    outputs: list[pathlib.Path],
    rollouts: Rollouts,
    duration: float,
    more: Mapping[str, Any],
  ) -> None:
    """The entry of this command in the folder's run_info.json."""
    extra = {
      'checkpoint': self.metadata.extra['checkpoint'],
      'checkpoint_step': self.metadata.extra['checkpoint_step'],
      'inputs': [x for x in (self.metadata.extra['checkpoint'],) if x],
      'logdir': str(pathlib.Path(self.config.logdir).absolute()),
      'new_steps': rollouts.steps,
      'seconds': round(duration, 1),
      **more,
    }
    args, stage = self.config.flat, 'eval_trajectory'
    log_run_info(self.folder, stage, args, outputs, extra)


@dataclasses.dataclass
class Take:
  """Hands the steps of one episode to the recorder."""

  writing: Writing
  facts: dict[str, Any]
  bar: EpisodeBar
  score: float = 0.0

  def step(
    self, obs: base.Step, act: base.Step, rows: Mapping[str, np.ndarray]
  ) -> None:
    values = {k: obs[v] for k, v in KEYS.items()}
    values['player_facing'] = tuple(obs[x] for x in FACING)
    values['action'] = act['action']
    values['achievements'] = {
      k.removeprefix(ACHIEVEMENT): int(v)
      for k, v in obs.items()
      if k.startswith(ACHIEVEMENT)
    }
    self.writing.add({'image': obs['image'], **rows}, values)
    self.score += float(obs['reward'])
    self.bar.step()

  def end(self) -> None:
    self.writing.end(**self.facts)
    self.bar.episode(self.score)


def folder_of(config: elements.Config) -> pathlib.Path:
  """Where a recording goes; the untrained control has a folder of its own."""
  settings = config.eval_trajectory
  if settings.save_path:
    return pathlib.Path(settings.save_path).expanduser()
  suffix = '' if settings.load_checkpoint else '_untrained'
  return pathlib.Path(config.logdir) / f'trajectories{suffix}'
