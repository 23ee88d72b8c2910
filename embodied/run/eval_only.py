"""Acts with a trained agent and logs its episodes, without learning."""

import functools
import time
from collections.abc import Callable
from typing import Any

import elements

from embodied.core import clock
from embodied.core.driver import Driver

from . import checkpoint, metrics
from .progress import RunProgress
from .signals import Signals
from .usage import Usage


def eval_only(
  make_agent: Callable[[], Any],
  make_env: Callable[..., Any],
  make_logger: Callable[..., Any],
  args: Any,
) -> int:
  """Runs `run.steps` steps; returns the exit code.

  The agent comes from `run.from_checkpoint`, else from the logdir itself;
  `run.from_checkpoint_regex` says which of its parameters, the rest is
  untrained. With `run.greedy` it takes the most likely actions.
  """
  source = args.from_checkpoint or args.logdir
  checkpoint.find(source)  # before the slow part
  agent = make_agent()
  checkpoint.load_agent(agent, source, args.from_checkpoint_regex)
  step = elements.Counter()
  logger = make_logger(step)
  mean, rate = metrics.Mean(), metrics.Rate()
  usage = Usage(**args.usage)
  episodes = metrics.Episodes(logger.add, mean, args.log_keys)
  progress = RunProgress(args.steps)
  due = clock.Clock(args.log_every)

  def count(*_: object) -> None:
    step.increment()
    rate.step()

  def log() -> None:
    logger.add(mean.result())
    logger.add(usage.stats(), prefix='usage')
    logger.add({'fps/policy': rate.result()})
    logger.write()

  makes = [functools.partial(make_env, i) for i in range(args.envs)]
  policy = functools.partial(agent.policy, mode='greedy' if args.greedy else 'eval')
  began = time.monotonic()
  try:
    with (
      Driver(makes, parallel=not args.debug) as driver,
      Signals('stopping') as signals,
    ):
      driver.on_step(count)
      driver.on_step(episodes)
      driver.reset(agent.init_policy)
      while step < args.steps and not signals.code:
        if 0 < args.duration < time.monotonic() - began:
          break
        driver(policy, steps=10)
        for score in episodes.scores:
          progress.episode(score)
        episodes.scores.clear()
        progress.reach(int(step))
        if due():
          log()
      log()
      return signals.code
  finally:
    progress.close()
    logger.close()
