"""Runs that ship with the program: read by every command, written by none.

  results_of(pathlib.Path('agents/crafter_small_size1m'))  # logdir/crafter_small_size1m

A run with a MODEL_CARD.md is finished. What is found out about it goes elsewhere.
"""

import pathlib

CARD = 'MODEL_CARD.md'


def is_shipped(run: pathlib.Path) -> bool:
  """Whether a folder is a finished run that nothing is written into."""
  return (run / CARD).is_file()


def results_of(run: pathlib.Path) -> pathlib.Path:
  """The folder for recordings and results about a run.

  The run's own; of a shipped one `logdir/<name>` in the folder where the command is
  called.
  """
  run = pathlib.Path(run).expanduser()
  return pathlib.Path('logdir', run.resolve().name) if is_shipped(run) else run
