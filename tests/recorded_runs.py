"""Runs with an untrained agent, and the recording command on them.

In this process, which has loaded jax and compiled the agent already; `execute` is
the command as users start it.
"""

import pickle
import sys

from dreamerv3 import main
from dreamerv3.setup import config as configs
from dreamerv3.setup import rundir
from embodied.run.checkpoint import Checkpoint
from tests import cli

FLAGS = ['--configs', 'crafter_small', 'debug', '--seed', '3']


class Fixed:
  def __init__(self, value):
    self.value = value

  def save(self):
    return self.value

  def load(self, data):
    raise NotImplementedError


def make_run(logdir, *flags):
  """A logdir with config.yaml and a checkpoint of an untrained agent."""
  from dreamerv3.setup import make

  given = [*FLAGS, '--logdir', str(logdir), '--jax.platform', 'cpu', *flags]
  config = configs.stack(configs.read_blocks(), configs.parse_flags(given))
  logdir.mkdir(parents=True)
  rundir.save(logdir / 'config.yaml', config)
  agent = make.make_agent(config.update(script='eval_trajectory'))
  saved = Checkpoint(logdir / 'ckpt', {'agent': agent, 'step': Fixed(1000)})
  saved.save(1000)
  saved.close()
  return logdir


def words(logdir, *flags):
  script = ('--script', 'eval_trajectory', '--jax.platform', 'cpu')
  return ['--logdir', str(logdir), *script, *flags]


def command(logdir, *flags):
  return [sys.executable, str(cli.ROOT / 'dreamerv3/main.py'), *words(logdir, *flags)]


def execute(logdir, *flags):
  done = cli.start(*command(logdir, *flags))
  assert done.returncode == 0, done.stderr
  return done.stdout


def record(logdir, *flags):
  done = cli.inside(main.main, *words(logdir, *flags))
  assert done.returncode == 0, done.stderr
  return done.stdout


def fails(logdir, *flags):
  """The one line of a command that must end with exit code 2."""
  done = cli.inside(main.main, *words(logdir, *flags))
  assert done.returncode == 2, done
  (line,) = (x for x in done.stderr.splitlines() if 'error:' in x)
  return line


def load(path):
  with open(path, 'rb') as file:
    return pickle.load(file)
