"""Records what a trained agent does and what each of its layers computes.

  python dreamerv3/main.py --logdir RUN --script eval_trajectory

For analyses that have not been thought of yet: positions, images, rewards and
the activations of every layer at every timestep, one file per episode. The
files are described in docs/data_format.md, the flags in docs/recording.md.
"""

import sys

if __name__ == '__main__':  # before what cannot be found from here
  print(
    'This is no command; use python dreamerv3/main.py --logdir RUN '
    '--script eval_trajectory',
    file=sys.stderr,
  )
  sys.exit(2)

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import elements
import numpy as np

from dreamerv3.data.metadata import Metadata
from dreamerv3.probing import describe
from dreamerv3.probing.rollouts import Rollouts
from dreamerv3.probing.trained import Look, Trained
from dreamerv3.recording.bar import EpisodeBar
from dreamerv3.recording.plan import JOIN, RecordingPlan
from dreamerv3.recording.recorder import VALUES, Recorder, Writing
from dreamerv3.recording.session import Played, RecordingSession
from dreamerv3.setup import make
from embodied.core import base
from embodied.envs.crafter_witness import Witness
from embodied.run.signals import Signals

# Where the observation has what a recording keeps besides the layers.
KEYS = {
  'player_pos': 'player_pos',
  'reward': 'reward',
  'daylight': 'log/daylight',
  'sleeping': 'log/sleeping',
  'injury': 'log/injury',
  **{x: f'log/{x}' for x in VALUES if x.startswith(('vital_', 'view_'))},
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
  look = Look(
    settings.layers,
    settings.dtype,
    observed=('image', 'player_pos', 'reward', *FACING),
    load=settings.load_checkpoint,
    many_worlds=not settings.one_world,
    block='eval_trajectory',
  )
  trained = Trained.open(config, make_agent, look)
  plan = plan_of(trained)
  rollouts = Acting(trained, plan.metadata)
  return RecordingSession(plan, trained.config.flat, rollouts.play).run()


def plan_of(trained: Trained) -> RecordingPlan:
  """What is recorded; the untrained control has a folder of its own."""
  config, settings = trained.config, trained.config.eval_trajectory
  metadata = describe.describe(trained)
  logdir = pathlib.Path(config.logdir)
  suffix = '' if settings.load_checkpoint else '_untrained'
  folder = logdir / f'trajectories{suffix}'
  if settings.save_path:
    folder = pathlib.Path(settings.save_path).expanduser()
  first, image = settings.first_episode, trained.guide.obs_space['image'].shape
  return RecordingPlan(
    stage='eval_trajectory',
    folder=folder,
    logdir=logdir,
    metadata=metadata,
    columns=describe.columns_of(trained.probe, image),
    left_out=trained.probe.left_out,
    numbers=range(first, first + settings.num_episodes),
    envs=settings.envs,
    joined=JOIN[settings.all_episodes.lower()],
    summary=logdir / f'eval_achievements{suffix}.out',
    inputs={'checkpoint': metadata.extra['checkpoint']},
  )


class Acting:
  """The agent plays, and the recorder takes it down.

  Args:
    trained: the agent and its world.
    metadata: of the recording.
  """

  def __init__(self, trained: Trained, metadata: Metadata):
    self.trained, self.metadata = trained, metadata

  def play(self, recorder: Recorder, numbers: Sequence[int]) -> Played:
    """Plays episodes to their ends, or until a signal comes."""
    config = self.trained.config
    count = min(config.eval_trajectory.envs, len(numbers))
    envs = [Witness(make.make_env(config, 0)) for _ in range(count)]
    trained = self.trained
    rollouts = Rollouts(trained.probe, trained.params, envs, int(config.seed))
    with EpisodeBar(len(numbers)) as bar, Signals(KEEPING) as signals:
      rollouts.play(
        numbers,
        lambda k: RecordingTaker(recorder.begin(k), self.facts(k), bar),
        lambda: not signals.code,
      )
      return Played(rollouts.steps, signals.code)

  def facts(self, number: int) -> dict[str, Any]:
    """What an episode's file says of its world."""
    guide = self.trained.guide
    guide.set_episode(number)
    facts: dict[str, Any] = {
      'seed': self.metadata.seed,
      'env_seed': self.metadata.env_seed,
      'world_seed': int(guide.world_hash),
    }
    if not self.metadata.fixed_seed:
      facts['world_map'] = np.array(guide.world_map)
    return facts


@dataclasses.dataclass
class RecordingTaker:
  """Hands the steps of one episode to the recorder."""

  writing: Writing
  facts: dict[str, Any]
  bar: EpisodeBar
  score: float = 0.0

  def step(
    self, obs: base.Step, act: base.Step, rows: Mapping[str, np.ndarray]
  ) -> None:
    """A timestep; see dreamerv3.probing.rollouts.Taker."""
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
    """The episode is over."""
    self.writing.end(**self.facts)
    self.bar.episode(self.score)
