"""Leads an agent along the episodes of a recording, and records its layers there.

  python dreamerv3/main.py --logdir RUN --script replay_activations \
    --replay_activations.load_checkpoint False

For comparing like with like: the untrained network, another checkpoint or
another run sees the same images and has done the same actions. What comes out
is a recording, which every analysis reads. Flags are in docs/recording.md.
"""

import sys

if __name__ == '__main__':  # before what cannot be found from here
  print(
    'This is no command; use python dreamerv3/main.py --logdir RUN '
    '--script replay_activations',
    file=sys.stderr,
  )
  sys.exit(2)

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import elements
import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.data.episode import Episode
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.probing import describe
from dreamerv3.probing.probe import WIDTH
from dreamerv3.probing.replays import Replays
from dreamerv3.probing.sight import Sight
from dreamerv3.probing.trained import Look, Trained, kept
from dreamerv3.recording.bar import EpisodeBar
from dreamerv3.recording.plan import JOIN, RecordingPlan
from dreamerv3.recording.recorder import VALUES, Recorder, Writing
from dreamerv3.recording.session import Played, RecordingSession
from embodied.core import base
from embodied.run.signals import Signals

# What an episode's file says of its world, and is as true of a replay.
FACTS = ('seed', 'env_seed', 'world_seed')
KEEPING = 'keeping the episodes that have ended'


def run(make_agent: Callable[[], Any], config: elements.Config) -> int:
  """Replays the episodes that are missing; returns the exit code.

  Args:
    make_agent: without arguments, as in dreamerv3.setup.make.
    config: all settings, those of agent and environment as in the run.

  Raises:
    UserError, CheckpointError: settings, checkpoint, recording or folder do
      not fit.
  """
  settings = config.replay_activations
  if settings.checkpoints and not settings.load_checkpoint:
    raise UserError(
      f'--replay_activations.checkpoints {settings.checkpoints} and load_checkpoint '
      'False exclude each other; drop one.'
    )
  data = open_source(config)
  sight = Sight.of(settings.observe, settings.perturb, data)
  look = Look(
    settings.layers,
    settings.dtype,
    load=settings.load_checkpoint,
    many_worlds=None,
    block='replay_activations',
  )
  trained = Trained.open(
    config, make_agent, look, lambda guide: check_fit(data, guide, config)
  )
  folder = folder_of(config)
  if not settings.checkpoints:
    return replay(trained, data, sight, folder)
  code = 0
  for source in kept(config):
    at = trained.at(source)
    step = describe.steps_behind(source)
    name = source.name if step is None else f'step_{step:09d}'
    code = code or replay(at, data, sight, folder / name)
  return code


def replay(
  trained: Trained, data: Trajectories, sight: Sight, folder: pathlib.Path
) -> int:
  """Leads one agent along the recording; returns the exit code."""
  config, settings = trained.config, trained.config.replay_activations
  limit = settings.max_episodes or len(data)
  data = dataclasses.replace(data, episodes=data.episodes[:limit])
  metadata = describe.describe_replay(trained, data)
  image = data.episodes[0].arrays['image'].shape[1:]
  plan = RecordingPlan(
    stage='replay_activations',
    folder=folder,
    logdir=pathlib.Path(config.logdir),
    metadata=metadata,
    columns=describe.columns_of(trained.probe, image),
    left_out=trained.probe.left_out,
    numbers=[x.number for x in data.episodes],
    envs=WIDTH,
    joined=JOIN[settings.all_episodes.lower()],
    inputs={
      'checkpoint': metadata.extra['checkpoint'],
      'source_data': str(data.path.absolute()),
    },
    source=str(data.path),
    length=float(np.mean([len(x) for x in data.episodes])),
  )
  leading = Leading(trained, data, sight)
  return RecordingSession(plan, config.flat, leading.play).run()


class Leading:
  """The agent is led along episodes, and the recorder takes its layers down.

  Args:
    trained: the agent.
    data: the recording.
    sight: what it gets to see of that.
  """

  def __init__(self, trained: Trained, data: Trajectories, sight: Sight):
    self.trained, self.sight = trained, sight
    self.episodes = {x.number: x for x in data.episodes}
    self.seed = data.metadata.seed
    if self.seed is None:
      self.seed = int(trained.config.seed)
      print(
        f'{data.path} does not say its seed; latents are drawn with {self.seed}, '
        'so they are other draws than when it was recorded.'
      )

  def play(self, recorder: Recorder, numbers: Sequence[int]) -> Played:
    """Replays episodes to their ends, or until a signal comes."""
    trained, blind = self.trained, self.sight.limit is not None
    assert self.seed is not None
    replays = Replays(trained.probe, trained.params, self.seed, blind)
    with EpisodeBar(len(numbers)) as bar, Signals(KEEPING) as signals:
      replays.play(
        numbers,
        lambda k: RecordedWalk(self.episodes[k], self.sight),
        lambda k: ReplayTaker(recorder.begin(k), self.episodes[k], bar),
        lambda: not signals.code,
      )
      return Played(replays.steps, signals.code)


class RecordedWalk:
  """A recorded episode as an agent is led along it."""

  def __init__(self, episode: Episode, sight: Sight):
    self.number, self.sight = episode.number, sight
    self.images, self.actions = episode.view('image'), episode.read('action')

  def __len__(self) -> int:
    return len(self.actions)

  def obs(self, t: int) -> base.Step:
    """The image, as far as it is shown."""
    return {'image': self.sight.image(self.images[t], self.number, t)}

  def act(self, t: int) -> base.Step:
    """The action that was chosen there."""
    return {'action': self.actions[t]}

  def blind(self, t: int) -> bool:
    """Whether the image is withheld."""
    return self.sight.blind(t)


class ReplayTaker:
  """Hands layers to the recorder, and beside them what was recorded before."""

  def __init__(self, writing: Writing, episode: Episode, bar: EpisodeBar):
    self.writing, self.episode, self.bar = writing, episode, bar
    self.arrays = {k: episode.read(k) for k in VALUES if k in episode.arrays}
    self.unlocked = episode.values.get('achievements')
    self.t = 0

  def step(
    self, obs: base.Step, act: base.Step, rows: Mapping[str, np.ndarray]
  ) -> None:
    """A timestep; see dreamerv3.probing.rollouts.Taker."""
    del act
    values: dict[str, Any] = {k: v[self.t] for k, v in self.arrays.items()}
    if self.unlocked is not None:
      values['achievements'] = self.unlocked[self.t]
    self.writing.add({'image': obs['image'], **rows}, values)
    self.t += 1
    self.bar.step()

  def end(self) -> None:
    """The episode is over."""
    facts = {k: v for k, v in self.episode.values.items() if k in FACTS}
    if 'world_map' in self.episode.arrays:
      facts['world_map'] = self.episode.read('world_map')
    self.writing.end(**facts)
    self.bar.episode(float(self.arrays['reward'].sum()))


def open_source(config: elements.Config) -> Trajectories:
  """The recording that is replayed.

  Raises:
    UserError: there is none, or it lacks what an agent needs to be led.
  """
  given = config.replay_activations.source_data
  path = pathlib.Path(given or pathlib.Path(config.logdir) / 'trajectories')
  data = Trajectories.open(path)
  for episode in data.episodes:
    for key in ('image', 'action', 'reward'):
      if key not in episode.arrays:
        raise UserError(
          f'{episode.path} has no {key}, so no agent can be led along it; record again.'
        )
  return data


def check_fit(data: Trajectories, guide: Any, config: elements.Config) -> None:
  """UserError unless the agent sees such images and has these actions."""
  seen = data.episodes[0].arrays['image'].shape[1:]
  needs = tuple(guide.obs_space['image'].shape)
  if seen != needs:
    raise UserError(
      f'{data.path} has images of shape {seen} and the agent sees {needs}; take a '
      'recording of an agent with the same env.*.size.'
    )
  keys = {*guide.act_space} - {'reset'}
  if keys != {'action'}:
    raise UserError(
      f'The agent acts by {", ".join(sorted(keys))} and {data.path} holds action '
      'alone; take an agent of the same task.'
    )
  most = max(int(x.read('action').max()) for x in data.episodes)
  choices = int(guide.act_space['action'].high)
  if most >= choices:
    raise UserError(
      f'{data.path} holds action {most} and the agent has {choices}, from 0 on; '
      'take an agent of the same task.'
    )
  view = data.metadata.settings.get('env', {}).get('egocentric_view')
  own = config.env[config.task.partition('_')[0]].get('egocentric_view')
  if None not in (view, own) and view != own:
    raise UserError(
      f'{data.path} was seen with --env.crafter.egocentric_view {view} and the agent '
      f'sees with {own}; take a recording of the same view.'
    )


def folder_of(config: elements.Config) -> pathlib.Path:
  """Where the replay goes; by default beside the recordings of the run."""
  settings = config.replay_activations
  if settings.save_path:
    return pathlib.Path(settings.save_path).expanduser()
  suffix = 'replayed' if settings.load_checkpoint else 'untrained'
  return pathlib.Path(config.logdir) / f'trajectories_{suffix}'
