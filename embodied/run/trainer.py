"""The loop that train and train_eval share: act, learn, report, log, save.

trainer = Trainer(agent, replay, make_env, make_stream, make_logger, args)
code = trainer.run(signals)  # 0, or 75 when a signal asked for a requeue
"""

import functools
import pathlib
import time
from collections.abc import Callable
from typing import Any

import elements

from embodied.core import clock
from embodied.core.driver import Driver

from . import checkpoint, metrics, resume
from .parts import Owed, Parts
from .progress import RunProgress
from .signals import Signals
from .usage import Usage


class Trainer:
  """Everything of a training run that outlives a step.

  Args:
    agent: See `embodied.core.base.BaseAgent`.
    replays: Where steps go and batches come from, by the name of its file in
      the checkpoint. The first one is trained on; an optional second one
      holds evaluation episodes.
    make_env: Called with the index of an environment and, in a resumed run,
      with the number of its next episode.
    make_stream: Called with (replay, 'train' | 'report').
    make_logger: Called with (step counter, step of the resumed checkpoint or
      None) once that is known.
    args: Flat settings: the `run` block with logdir, batch_size, batch_length,
      consec_train, consec_report and log_keys.
  """

  def __init__(
    self,
    agent: Any,
    replays: dict[str, Any],
    make_env: Callable[[int], Any],
    make_stream: Callable[[Any, str], Any],
    make_logger: Callable[..., Any],
    args: Any,
  ):
    self.args = args
    self.agent = agent
    self.replays = replays
    self.replay, *others = replays.values()
    self.folder = pathlib.Path(args.logdir) / 'ckpt'
    self.step = elements.Counter()
    self.batch_steps = args.batch_size * args.batch_length
    self.ratio = clock.Ratio(args.train_ratio / self.batch_steps)
    self.due = {
      'log': clock.Clock(args.log_every),
      'report': clock.Clock(args.report_every),
      'save': clock.Clock(args.save_every),
    }
    self.means = {'train': metrics.Mean(), 'episodes': metrics.Mean()}
    self.rates = {'policy': metrics.Rate(), 'train': metrics.Rate()}
    self.ended: list[dict[str, Any]] = []  # episodes on their way to the log
    self.episodes = metrics.Episodes(
      self.ended.append, self.means['episodes'], args.log_keys
    )
    self.owed = Owed()
    self.logged = self.saved = -1  # steps of the last ones
    self.compiled = False
    self.early = False  # whether an update has begun that `_learn` is to finish
    self.usage = Usage(**args.usage)
    self.streams = {
      x: agent.stream(make_stream(self.replay, x)) for x in ('train', 'report')
    }
    self.carries = {
      'train': agent.init_train(args.batch_size),
      'report': agent.init_report(args.batch_size),
    }
    for other in others:
      self.streams['eval'] = agent.stream(make_stream(other, 'report'))
      self.carries['eval'] = agent.init_report(args.batch_size)
    self.checkpoint = checkpoint.Checkpoint(
      self.folder,
      self._parts(),
      args.ckpt_keep,
      before_done=self._flush,
      spare=args.replicas > 1,
    )
    self.resumed = self._resume()
    self.logger = make_logger(self.step, int(self.step) if self.resumed else None)
    self.driver = self._make_driver(make_env)
    self.progress = RunProgress(args.steps, int(self.step))

  def _parts(self) -> dict[str, Any]:
    state: dict[str, Any] = {f'due_{k}': v for k, v in self.due.items()}
    state |= {f'mean_{k}': v for k, v in self.means.items()}
    state |= {f'rate_{k}': v for k, v in self.rates.items()}
    state |= {f'stream_{k}': v for k, v in self.streams.items()}
    state |= {'ratio': self.ratio, 'episodes': self.episodes}
    state['late'] = self.owed  # the name in files
    if hasattr(self.agent, 'save_acting'):
      state['acting'] = elements.Saveable(
        save=self.agent.save_acting, load=self.agent.load_acting
      )
    # Of one batch per sequence the replay holds where it starts.
    if self.args.consec_train > 1 and hasattr(self.agent, 'save_carry'):
      state['carry'] = elements.Saveable(save=self._save_carry, load=self._load_carry)
    return {
      'step': self.step,
      'agent': self.agent,
      **self.replays,
      'run': Parts(state, self.step),
    }

  def _save_carry(self) -> Any:
    return self.agent.save_carry(self.carries['train'])

  def _load_carry(self, saved: Any) -> None:
    self.carries['train'] = self.agent.load_carry(saved, self.args.batch_size)

  def _resume(self) -> bool:
    if self.args.replicas > 1:
      found = resume.common(self.folder, self.agent.agree)
    else:
      found = checkpoint.latest(self.folder)
    if found:
      self.checkpoint.load(found)
      print(f'Continuing at step {int(self.step)} from {found}')
    elif self.args.from_checkpoint:
      checkpoint.load_agent(
        self.agent, self.args.from_checkpoint, self.args.from_checkpoint_regex
      )
    return bool(found)

  def _make_driver(self, make_env: Callable[..., Any]) -> Driver:
    # The episode that was under way is lost; a resumed run plays the next.
    played = self.episodes.numbers
    indices = range(self.args.envs)
    first = [played.get(i, 0) + 1 if self.resumed else 0 for i in indices]
    makes = [functools.partial(make_env, i, first[i]) for i in indices]
    driver = Driver(makes, parallel=not self.args.debug)
    driver.on_step(self._count)
    driver.on_step(self._store)
    driver.on_step(self.episodes)
    driver.on_step(self._log_episodes)
    driver.on_step(self._learn)
    driver.reset(self.agent.init_policy)
    return driver

  # -------------------------------------------------------------------------
  # Observers of each step
  # -------------------------------------------------------------------------

  def _count(self, *_: object) -> None:
    self.step.increment()
    self.rates['policy'].step()

  def _store(self, step: dict[str, Any], worker: int) -> None:
    self.replay.add(step, worker)

  def _log_episodes(self, *_: object) -> None:
    while self.ended:
      self.logger.add(self.ended.pop(0))

  def _learn(self, *_step: object) -> None:
    if len(self.replay) < self.batch_steps:
      return
    for _ in range(self.ratio(int(self.step))):
      if self.early:
        self.early = False
        self.streams['train'].fill()
        outs, mets = self.agent.results()
      else:
        batch = self._next_batch(self.streams['train'].__next__)
        self.carries['train'], outs, mets = self.agent.train(
          self.carries['train'], batch
        )
      if not outs and not mets:
        outs, mets = self.owed.take()
      self.progress.learn()
      self.rates['train'].step(self.batch_steps)
      if 'replay' in outs:
        self.replay.update(outs['replay'])
      self.means['train'].add(mets)

  def _next_batch(self, take: Callable[[], Any]) -> Any:
    if not self.compiled:
      self.progress.print('Compiling the train step at the first update ...')
      self.compiled = True
    with elements.timer.section('stream_next'):
      return take()

  def _learn_early(self) -> None:
    """Begins the first update that this step makes due, while its actions come.

    The device goes on with it at once, while steps are stored and batches chosen. That
    changes no number: its batch was chosen at the update before, and all that the
    replay sees of this one follows in `_learn`.
    """
    stream = self.streams['train']
    due = self.ratio.due(int(self.step) + len(self.driver))
    if due and len(stream) and len(self.replay) >= self.batch_steps:
      batch = self._next_batch(stream.take)
      self.carries['train'] = self.agent.begin(self.carries['train'], batch)
      self.early = True

  # -------------------------------------------------------------------------
  # The loop
  # -------------------------------------------------------------------------

  def run(self, signals: Signals, evaluate: Callable[[], None] = lambda: None) -> int:
    """Trains until the steps are done, the time is up or a signal comes.

    Args:
      signals: In force already; from here on they wait for a checkpoint.
      evaluate: Called at report time, before the report.

    Returns:
      Exit code: 0, or that of the signal.
    """
    early = {'meanwhile': self._learn_early} if hasattr(self.agent, 'begin') else {}
    policy = functools.partial(self.agent.policy, mode='train', **early)
    began = time.monotonic()
    signals.begun = True
    try:
      if not self.resumed:
        self.save()
      if not self._unfinished():
        print(f'Nothing to do: {int(self.step)} steps are done.')
        return 0
      code = 0
      while self._unfinished() and not code:
        with elements.timer.section('driver'):
          self.driver(policy, steps=10)
        self._tell_progress()
        time_is_up = 0 < self.args.duration < time.monotonic() - began
        report, save, stop, code = self._agree(
          self.due['report'](), self._save_due(), time_is_up, signals.code
        )
        if report and len(self.replay):
          evaluate()
          self.report()
        if self.due['log']():
          self.log()
        if save:
          self.save()
        if stop:
          break
      self._finish(code)
      return code
    except FloatingPointError as e:
      raise FloatingPointError(f'{e}, step {int(self.step)}') from e
    finally:
      self.progress.close()
      self.close()

  def _unfinished(self) -> bool:
    return self.step < self.args.steps

  def _agree(self, *wishes: int) -> list[int]:
    """What any process of this run wants, all of them do.

    Clocks and signals differ between processes, but updates, reports and
    checkpoints have to happen at the same step in all.
    """
    if self.args.replicas == 1:
      return list(wishes)
    return self.agent.agree(list(wishes))

  def _save_due(self) -> bool:
    # A busy checkpoint postpones the next one: a clock that was asked and said
    # yes would forget it.
    if self.checkpoint.busy():
      return False
    return self.checkpoint.keep.due(int(self.step)) or self.due['save']()

  def _finish(self, code: int) -> None:
    """Nothing of the run is lost at its end, whatever the clocks say.

    Upon a signal, a save that is under way is enough: a second one might not
    be done when the cluster loses its patience, and then both were in vain.
    """
    if code and any(self._agree(self.checkpoint.busy())):
      self.checkpoint.wait()
      return
    if self.logged != int(self.step):
      self.log()
    if self.saved != int(self.step):
      self.save()
    self.checkpoint.wait()

  def _tell_progress(self) -> None:
    for score in self.episodes.scores:
      self.progress.episode(score)
    self.episodes.scores.clear()
    self.progress.reach(int(self.step))

  def report(self, name: str = 'report') -> None:
    """Metrics and videos on replayed batches, without learning.

    Args:
      name: Of the stream, and prefix of what is logged.
    """
    mean = metrics.Mean()
    for _ in range(self.args.consec_report * self.args.report_batches):
      batch = next(self.streams[name])
      self.carries[name], mets = self.agent.report(self.carries[name], batch)
      mean.add(mets)
    self.logger.add(mean.result(), prefix=name)

  def log(self) -> None:
    """Writes means, rates and usage since the last time."""
    add = self.logger.add
    add(self.means['train'].result(), prefix='train')
    add(self.means['episodes'].result())
    add(self.replay.stats(), prefix='replay')
    add(self.usage.stats(), prefix='usage')
    add({f'fps/{k}': v.result() for k, v in self.rates.items()})
    timers = elements.timer.stats()
    if 'summary' in timers:
      add({'timer': timers['summary']})
    self.logged = int(self.step)
    self.logger.write()

  def save(self) -> None:
    """Snapshot now, disk later; logs of earlier steps are written first."""
    self.logger.write()
    self.owed.put(self.agent)
    self.saved = int(self.step)
    self.checkpoint.save(self.saved)

  def _flush(self) -> None:
    self.logger.flush()

  def close(self) -> None:
    """Frees environments and threads; raises what a last write ran into."""
    try:
      self.checkpoint.close()
    finally:
      try:
        self.logger.close()
      finally:
        self.driver.close()
