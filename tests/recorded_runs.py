"""Runs with an untrained agent, and the recording command on them."""

import pathlib
import pickle
import subprocess
import sys

from dreamerv3.setup import config as configs
from dreamerv3.setup import rundir
from embodied.run.checkpoint import Checkpoint

ROOT = pathlib.Path(__file__).resolve().parents[1]
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


def command(logdir, *flags):
  main = str(ROOT / 'dreamerv3' / 'main.py')
  return [
    sys.executable,
    main,
    '--logdir',
    str(logdir),
    '--script',
    'eval_trajectory',
    '--jax.platform',
    'cpu',
    *flags,
  ]


def execute(logdir, *flags):
  return subprocess.run(
    command(logdir, *flags), capture_output=True, text=True, timeout=600
  )


def record(logdir, *flags):
  done = execute(logdir, *flags)
  assert done.returncode == 0, done.stderr
  return done.stdout


def fails(logdir, *flags):
  """Runs a command that must end with one line and exit code 2."""
  done = execute(logdir, *flags)
  lines = [x for x in done.stderr.splitlines() if 'error:' in x]
  assert done.returncode == 2, (done.stdout, done.stderr)
  assert 'Traceback' not in done.stderr
  assert len(lines) == 1, done.stderr
  return lines[0]


def load(path):
  with open(path, 'rb') as file:
    return pickle.load(file)
