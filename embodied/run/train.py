"""Trains an agent from its own experience, until `run.steps`."""

import pathlib
from collections.abc import Callable
from typing import Any

from .signals import Signals
from .trainer import Trainer


def train(
  make_agent: Callable[[], Any],
  make_replay: Callable[..., Any],
  make_env: Callable[..., Any],
  make_stream: Callable[[Any, str], Any],
  make_logger: Callable[..., Any],
  args: Any,
) -> int:
  """Trains; returns the exit code of the process, see `Trainer.run`."""
  with Signals(begun=False) as signals:
    replay = make_replay(pathlib.Path(args.logdir) / 'replay')
    trainer = Trainer(
      make_agent(), {'replay': replay}, make_env, make_stream, make_logger, args
    )
    return trainer.run(signals)
