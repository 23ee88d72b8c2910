"""Studies whose commands are a quick stand-in, so that a test takes no agent."""

import pathlib
import sys

from dreamerv3.studies import study, tasks
from tests import cli

STUDY = """
folder: {folder}
seeds: [0, 1]
conditions:
  usual: {{}}
  other: {{env.crafter.egocentric_view: 7}}
stages:
  train: {{configs: [crafter_small, debug], run.steps: {steps}}}
  record: {{num_episodes: 2}}
  control: {{}}
slurm:
  all: [--mem=6G]
  train: --time=1:00:00
"""

# Two agents of seconds, without stand-ins.
TINY = """
folder: logdir/study_example
seeds: [0]
conditions:
  usual: {}
  egocentric: {env.crafter.egocentric_view: 7}
stages:
  train:
    configs: [crafter_small, debug]
    run.steps: 200
    run.train_ratio: 4
  record: {num_episodes: 4, envs: 4, all_episodes: false}
  decode: {repr: deter, n_boot: 20, n_iters: 20, perception: false}
"""

# Leaves what the real commands leave; fails or lingers where a file asks for it.
PROGRAM = """
import datetime, json, os, pathlib, sys, time
words = sys.argv[1:]
given = dict(zip(words, words[1:]))
logdir, script = pathlib.Path(given['--logdir']), given['--script']
here = pathlib.Path(__file__).parent
name = f'{logdir.name}.{script}'
with (here / 'calls').open('a') as file:
  file.write(name + chr(10))
print('working on', name, flush=True)
while (here / f'{name}.linger').exists():
  time.sleep(0.05)
if (here / f'{name}.fail').exists():
  print('the disk is full')
  sys.exit(1)
folder = logdir
if script == 'train':
  (logdir / 'ckpt').mkdir(parents=True, exist_ok=True)
  (logdir / 'ckpt' / 'latest').write_text('x')
else:
  folder = pathlib.Path(given[f'--{script}.save_path'])
  folder.mkdir(parents=True, exist_ok=True)
now = datetime.datetime.now().astimezone().isoformat('T', 'seconds')
entry = {'stage': script, 'status': 'done', 'pid': os.getpid(), 'timestamp': now}
(folder / 'run_info.json').write_text(json.dumps([entry]))
"""

STARTED = """
import pathlib, sys
from dreamerv3.base import flags
from dreamerv3.studies import tasks
import dreamerv3.study
tasks.PROGRAMS = pathlib.Path(sys.argv.pop(1))
flags.run(dreamerv3.study.main)
"""


def programs(folder: pathlib.Path) -> pathlib.Path:
  """A folder of stand-ins; to be put in the place of `tasks.PROGRAMS`."""
  folder.mkdir()
  (folder / 'main.py').write_text(PROGRAM)
  return folder


def write(tmp_path, steps=100, text=STUDY):
  path = tmp_path / 'study.yaml'
  path.write_text(text.format(folder=tmp_path / 'out', steps=steps))
  return path


def make(tmp_path, steps=100):
  return study.load(write(tmp_path, steps))


def calls(programs: pathlib.Path) -> list[str]:
  """<run>.<script> of each command that began, sorted."""
  return sorted((programs / 'calls').read_text().split())


def start(programs, *words, **how):
  """study.py as a process, with the stand-ins."""
  return cli.start(sys.executable, '-c', STARTED, programs, *words, cwd=cli.ROOT, **how)


def by_name(found):
  return {x.name: x for x in tasks.tasks(found)}
