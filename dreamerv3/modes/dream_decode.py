"""Does the agent know where it is in its dreams?

  python dreamerv3/main.py --logdir RUN --script dream_decode \
    --dream_decode.decoder_model RUN/decoder_results/classifier_deter.pkl

Plays fresh episodes, rolls the world model out from states drawn from them,
once along the real actions and once along those of the dreaming policy, and
decodes both with a decoder that was fitted to a recording. For whoever asks
whether imagination is spatially coherent; what is measured and why is in
docs/dreams.md, the files in docs/data_format.md.
"""

import sys

if __name__ == '__main__':  # before what cannot be found from here
  print(
    'This is no command; use python dreamerv3/main.py --logdir RUN '
    '--script dream_decode --dream_decode.decoder_model FILE',
    file=sys.stderr,
  )
  sys.exit(2)

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import elements
import numpy as np

from dreamerv3.analysis.compatible import other_episodes, same_world
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.dreams import decoder as dream_decoder
from dreamerv3.analysis.dreams import judgement
from dreamerv3.analysis.dreams import measures as stats
from dreamerv3.analysis.dreams.measures import DreamSet
from dreamerv3.analysis.dreams.study import DreamStudy
from dreamerv3.base import files
from dreamerv3.base.drawing import FigureFlags
from dreamerv3.base.errors import UserError
from dreamerv3.data.grid import Grid
from dreamerv3.data.metadata import Metadata
from dreamerv3.modes.dream_starts import Start, Starts, Watch
from dreamerv3.modes.imagine import imagine, with_controls
from dreamerv3.probing import describe
from dreamerv3.probing.dreaming import Dreamer
from dreamerv3.probing.probe import WIDTH
from dreamerv3.probing.rollouts import Rollouts
from dreamerv3.probing.trained import Look, Trained
from dreamerv3.recording.bar import EpisodeBar
from dreamerv3.run_info import Note, noting
from dreamerv3.setup import make
from embodied.run.signals import Signals

LATENTS = 'dyn/(deter|stoch)'
# Recordings count their episodes from 1; a dream must not begin in one that
# the decoder was fitted to.
FIRST = 1_000_001
FAMILIAR = 0.8  # of the decoder's time on walkable tiles, in its own world


def run(make_agent: Callable[[], Any], config: elements.Config) -> int:
  """Plays, dreams, decodes, compares; returns the exit code.

  Args:
    make_agent: without arguments, as in dreamerv3.setup.make.
    config: all settings, those of agent and environment as in the run.

  Raises:
    UserError, CheckpointError: settings, checkpoint or decoder do not fit.
  """
  settings = config.dream_decode
  decoder = open_decoder(settings.decoder_model)
  seed = seed_of(decoder, config.seed)

  def accept(guide: Any) -> None:
    grid = Grid(*guide.world_map.shape)
    dream_decoder.check_decoder(decoder, config.agent.dyn.rssm.deter, grid)
    tell_world(decoder, describe.world(guide, config.task, seed, FIRST))

  look = Look(LATENTS, 'float32', seed=seed, drawn=settings.controls)
  trained = Trained.open(config, make_agent, look, accept)
  source = trained.source
  assert source is not None
  weights = describe.digest(trained.params)
  dream_decoder.check_agent(decoder, weights, source, describe.steps_behind(source))
  fresh(decoder, weights, config.seed, settings.num_episodes)
  folder = files.make_folder(
    settings.save_path or pathlib.Path(config.logdir) / 'dream_results'
  )
  with noting(
    folder,
    'dream_decode',
    trained.config.flat,
    {'decoder_model': settings.decoder_model, 'checkpoint': source},
    extra={
      'checkpoint': str(source.absolute()),
      'checkpoint_step': describe.steps_behind(source),
    },
    replaces=lambda _: True,
  ) as note:
    return dream(trained, decoder, seed, folder, note)


def dream(
  trained: Trained, decoder: LinearDecoder, seed: int, folder: pathlib.Path, note: Note
) -> int:
  """The work of a run of which nothing is left to refuse; the exit code."""
  config, settings = trained.config, trained.config.dream_decode
  starts = Starts(
    decoder,
    trained.probe.layers,
    settings.num_batches * WIDTH,
    settings.warmup,
    config.seed,
  )
  code = watch(trained, seed, starts)
  if code:
    note.status = 'stopped'
    print('Stopped before the dreams; nothing is written.')
    return code
  drawn = draw(starts)
  dreamer = Dreamer(trained.agent.model, settings.horizon)
  metadata = describe.world(trained.guide, config.task, seed, FIRST)
  results = DreamResults(folder, config, metadata, decoder, note)
  dreams, kept = imagine(dreamer, trained.params, starts, drawn, settings, config.seed)
  if settings.controls:
    dreams = with_controls(dreamer, trained, starts, drawn, dreams)
  results.finish(dreams, kept)
  return 0


def open_decoder(path: str) -> LinearDecoder:
  """The decoder that the dreams are read with."""
  if not path:
    raise UserError(
      '--dream_decode.decoder_model is empty; expected classifier_deter.pkl '
      'of decode_position.py --save_model.'
    )
  return LinearDecoder.open(pathlib.Path(path).expanduser())


def seed_of(decoder: LinearDecoder, own: int) -> int:
  """Seed of the world that the decoder knows; that of the run if it is silent.

  A recording may have been made with another --seed than the run, and with it
  in another world; a position means something in that one alone.
  """
  world = decoder.world
  if not world.get('fixed_seed', True):
    raise UserError(
      'The decoder was fitted to episodes in many worlds, where a position has '
      'no meaning; expected one fitted to a recording in one world.'
    )
  seed = world.get('seed')
  if seed is None:
    print(
      f'The decoder does not say which world it knows; taking that of the seed {own}.'
    )
    return own
  if seed != own:
    print(f'The decoder knows the world of seed {seed}; dreams begin there.')
  return int(seed)


def tell_world(decoder: LinearDecoder, metadata: Metadata) -> None:
  """Refuses another world than the decoder's, or warns of a likely one."""
  same_world('The decoder', decoder.world, 'this dream', metadata.world)
  walkable = metadata.walkable()
  assert walkable is not None
  share = dream_decoder.familiar(decoder, walkable)
  if share < FAMILIAR:
    print(
      f'Only {share:.0%} of what the decoder was fitted to is walkable here: '
      'it probably belongs to another world, and dreams will look wrong.'
    )


def fresh(decoder: LinearDecoder, weights: str, seed: int, count: int) -> None:
  """UserError if the decoder was fitted to some of the episodes that are dreamed of.

  Args:
    weights: digest of the parameters that act; seed: of their episodes.
    count: of the episodes.
  """
  played = {'weights': weights, 'seed': seed, 'episodes': range(FIRST, FIRST + count)}
  other_episodes('The decoder', decoder.trained_on, 'these dreams', played)


@dataclasses.dataclass
class StartTaker:
  """Hands the steps of an episode to the starts, and counts them."""

  watch: Watch
  bar: EpisodeBar
  score: float = 0.0

  def step(self, obs: Any, act: Any, rows: Mapping[str, np.ndarray]) -> None:
    """A timestep; see dreamerv3.probing.rollouts.Taker."""
    self.watch.step(obs, act, rows)
    self.score += float(obs['reward'])
    self.bar.step()

  def end(self) -> None:
    """The episode is over."""
    self.watch.end()
    self.bar.episode(self.score)


def watch(trained: Trained, seed: int, starts: Starts) -> int:
  """Plays fresh episodes in the world of a seed; the code is a signal's."""
  worlds = trained.config.update(seed=seed)
  episodes = worlds.dream_decode.num_episodes
  count = min(episodes, WIDTH)
  envs = [make.make_env(worlds, 0) for _ in range(count)]
  rollouts = Rollouts(trained.probe, trained.params, envs, starts.seed)
  numbers = range(FIRST, FIRST + episodes)
  with EpisodeBar(episodes) as bar, Signals('stopping') as signals:
    rollouts.play(
      numbers,
      lambda number: StartTaker(starts.begin(number), bar),
      lambda: not signals.code,
    )
    return signals.code


def draw(starts: Starts) -> list[Start]:
  """The starts; says how many there are."""
  drawn = starts.drawn()
  lengths = [len(x) for x in starts.tracks.values()]
  short = '' if len(drawn) == starts.count else ', all that there are'
  print(
    f'{len(drawn)} starts{short}, from {len(lengths)} fresh episodes of '
    f'{min(lengths)} to {max(lengths)} timesteps.'
  )
  return drawn


@dataclasses.dataclass(frozen=True)
class DreamResults:
  """Where the results go, and what they say of themselves."""

  folder: pathlib.Path
  config: elements.Config
  metadata: Metadata
  decoder: LinearDecoder
  note: Note

  def finish(self, dreams: DreamSet, kept: Mapping[str, np.ndarray]) -> None:
    """Statistics, files, figures and the printed table."""
    seed, walkable = self.config.seed, self.metadata.walkable()
    curves = stats.make_curves(dreams, self.decoder.visits, seed)
    found = stats.coherences(dreams, walkable, seed)
    results = self.results(dreams, kept, curves, found)
    self.note.extra |= {
      'dreams': len(dreams),
      'verdict': judgement.verdict(curves.gains),
      'reach': curves.gains['chance'].reach,
      **{k: dataclasses.asdict(v) for k, v in found.items()},
    }
    written = self.note.outputs
    written.append(files.save_pickle(self.folder / 'dream_results.pkl', results))
    rows = stats.rows_of(curves)
    written.append(files.save_csv(self.folder / 'dream_curves.csv', rows))
    proba = {'replay': kept['replay_proba'], 'policy': kept['dream_proba']}
    written += self.draw(DreamStudy(dreams, curves, found, proba, self.metadata))
    print('\n'.join(stats.table(curves, found)))
    print(f'Saved {self.folder}')

  def results(
    self,
    dreams: DreamSet,
    kept: Mapping[str, np.ndarray],
    curves: stats.DreamCurves,
    found: Mapping[str, stats.Coherence],
  ) -> dict[str, Any]:
    """dream_results.pkl, see docs/data_format.md."""
    settings = self.config.dream_decode
    N, H = len(dreams), dreams.horizon
    about = self.metadata.to_dict()
    names = ('env_seed', 'world_seed', 'fixed_seed', 'task', 'area', 'seed')
    return {
      'format': 1,
      'dream_deter_shape': (N, H, self.decoder.units),
      'decoder_path': str(pathlib.Path(settings.decoder_model).absolute()),
      'decoder_metadata': self.decoder.to_dict()['metadata'],
      'metadata': {k: about[k] for k in names},
      'num_batches': settings.num_batches,
      'num_episodes': settings.num_episodes,
      'checkpoint': self.note.extra['checkpoint'],
      'world_map': self.metadata.world_map,
      'materials': list(self.metadata.materials),
      **stats.arrays(dreams),
      'curves': dataclasses.asdict(curves),
      'coherence': {k: dataclasses.asdict(v) for k, v in found.items()},
      'reach': curves.gains['chance'].reach,
      'verdict': judgement.verdict(curves.gains),
      **kept,
    }

  def draw(self, study: DreamStudy) -> list[pathlib.Path]:
    """Writes the figures; returns their paths."""
    from dreamerv3.plots import dreams as plots
    from dreamerv3.plots import style

    look = FigureFlags(format=self.config.dream_decode.format)
    with style.page(self.config.dream_decode.width):
      figures = plots.all_figures(study)
    return [
      path
      for name, figure in figures.items()
      for path in look.save_figure(self.folder, name, figure)
    ]
