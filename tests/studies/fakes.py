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

# Leaves what the real commands leave; fails or lingers where a file asks for it.
PROGRAM = """
import pathlib, sys, time
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
if script == 'train':
  proof = logdir / 'ckpt' / 'latest'
else:
  proof = pathlib.Path(given[f'--{script}.save_path']) / 'run_info.json'
proof.parent.mkdir(parents=True, exist_ok=True)
proof.write_text('x')
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
