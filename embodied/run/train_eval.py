"""Trains, and at each report acts in environments of its own.

Logs means over their episodes as `eval/episode/*`, and the report on these as
`eval/*`.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

from embodied.core.driver import Driver

from . import metrics
from .signals import Signals
from .trainer import Trainer


def train_eval(
  make_agent: Callable[[], Any],
  make_replay: Callable[..., Any],
  make_env: Callable[..., Any],
  make_stream: Callable[[Any, str], Any],
  make_logger: Callable[..., Any],
  args: Any,
) -> int:
  """Trains and evaluates; returns the exit code, see `Trainer.run`."""
  logdir = pathlib.Path(args.logdir)
  with Signals(begun=False) as signals:
    replays = {
      'replay_train': make_replay(logdir / 'replay'),
      'replay_eval': make_replay(logdir / 'eval_replay', share=0.1),
    }
    trainer = Trainer(make_agent(), replays, make_env, make_stream, make_logger, args)
    # Indices after those of the training environments: other seeds.
    indices = range(args.envs, args.envs + args.eval_envs)
    makes = [functools.partial(make_env, i) for i in indices]
    with Driver(makes, parallel=not args.debug) as driver:
      return trainer.run(signals, _evaluation(trainer, driver, args))


def _evaluation(trainer: Trainer, driver: Driver, args: Any) -> Any:
  """One evaluation: the first `eval_eps` episodes of each environment.

  Not the first ones of all: those that end early would count most.
  """
  scores, stats = metrics.Mean(), metrics.Mean()
  replay = trainer.replays['replay_eval']
  episodes = metrics.Episodes(scores.add, stats, args.log_keys, prefix='eval/')
  left = [0] * args.eval_envs  # episodes to come by environment

  def observe(step: dict[str, Any], worker: int) -> None:
    kept = {k: v for k, v in step.items() if not k.startswith('log/')}
    replay.add(kept, worker)
    if left[worker]:
      episodes(step, worker)
      left[worker] -= bool(step['is_last'])

  driver.on_step(observe)
  policy = functools.partial(trainer.agent.policy, mode='eval')

  def evaluate() -> None:
    left[:] = [int(args.eval_eps)] * len(left)
    driver.reset(trainer.agent.init_policy)
    while any(left):
      driver(policy, steps=1)
    trainer.logger.add({**scores.result(), **stats.result()})
    if len(replay):
      trainer.report('eval')

  return evaluate
