"""Trains, and at each report acts in environments of its own.

Logs `eval/episode/*`, and the report on evaluation episodes as `eval/*`.
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
    trainer = Trainer(
      make_agent(), replays, make_env, make_stream, make_logger, args
    )
    # Indices after those of the training environments: other seeds.
    indices = range(args.envs, args.envs + args.eval_envs)
    makes = [functools.partial(make_env, i) for i in indices]
    with Driver(makes, parallel=not args.debug) as driver:
      return trainer.run(signals, _evaluation(trainer, driver, args))


def _evaluation(trainer: Trainer, driver: Driver, args: Any) -> Any:
  stats = metrics.Mean()
  replay = trainer.replays['replay_eval']

  def store(step: dict[str, Any], worker: int) -> None:
    kept = {k: v for k, v in step.items() if not k.startswith('log/')}
    replay.add(kept, worker)

  driver.on_step(store)
  driver.on_step(
    metrics.Episodes(trainer.logger.add, stats, args.log_keys, prefix='eval/')
  )
  policy = functools.partial(trainer.agent.policy, mode='eval')

  def evaluate() -> None:
    driver.reset(trainer.agent.init_policy)
    driver(policy, episodes=args.eval_eps)
    trainer.logger.add(stats.result())
    if len(replay):
      trainer.report('eval')

  return evaluate
