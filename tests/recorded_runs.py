"""Runs with an untrained agent, and the recording command on them.

In this process, which has loaded jax and compiled the agent already; `execute` is
the command as users start it.
"""

import contextlib
import io
import pathlib
import pickle
import subprocess
import sys

from dreamerv3 import main
from dreamerv3.base import flags as settings
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


def words(logdir, *flags):
  script = ('--script', 'eval_trajectory', '--jax.platform', 'cpu')
  return ['--logdir', str(logdir), *script, *flags]


def command(logdir, *flags):
  return [sys.executable, str(ROOT / 'dreamerv3/main.py'), *words(logdir, *flags)]


def execute(logdir, *flags):
  done = subprocess.run(
    command(logdir, *flags), capture_output=True, text=True, timeout=600
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


def record(logdir, *flags):
  """What the command says, run as its last line runs it."""
  code, out, err = _run(logdir, *flags)
  assert code == 0, err
  return out


def fails(logdir, *flags):
  """The one line of a command that must end with exit code 2."""
  code, out, err = _run(logdir, *flags)
  assert code == 2, (out, err)
  lines = [x for x in err.splitlines() if 'error:' in x]
  assert len(lines) == 1, err
  return lines[0]


def _run(logdir, *flags):
  out, err = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    try:
      settings.run(lambda _: main.main(words(logdir, *flags)))
    except SystemExit as e:
      return e.code, out.getvalue(), err.getvalue()


def load(path):
  with open(path, 'rb') as file:
    return pickle.load(file)
