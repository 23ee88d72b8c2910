"""A run without an agent, with logs and episodes, and a command that plays nothing."""

import json
import pathlib

import numpy as np

from dreamerv3.base import files, unpickle
from dreamerv3.setup import config as configs
from dreamerv3.setup import rundir
from tests import synthetic

FLAGS = ('--configs', 'crafter_small', 'debug')
INJURIES = ['hunger', 'thirst', 'exhaustion', 'combat', 'lava']

# In the place of main.py: writes the episodes that are asked for, or fails as told.
PROGRAM = """
import pathlib, shutil, sys, time
given = dict(zip(sys.argv[1:], sys.argv[2:]))
here = pathlib.Path(__file__).parent
print('Recording', flush=True)
while (here / 'linger').exists():
  time.sleep(0.02)
if (here / 'fail').exists():
  print('main.py: error: --env.crafter.area is odd; expected even.', file=sys.stderr)
  sys.exit(2)
folder = pathlib.Path(given['--logdir']) / 'trajectories'
folder.mkdir(exist_ok=True)
shutil.copy(here / 'recording' / 'metadata.pkl', folder)
for k in range(int(given['--eval_trajectory.num_episodes'])):
  name = f'episode_{k + 1:03d}.pkl'
  shutil.copy(here / 'recording' / name, folder)
"""


def run(folder: pathlib.Path, *flags: str) -> pathlib.Path:
  """A logdir with settings, logs and the name of a checkpoint."""
  given = configs.parse_flags([*FLAGS, *flags, '--logdir', str(folder)])
  folder.mkdir(parents=True)
  rundir.save(folder / 'config.yaml', configs.stack(configs.read_blocks(), given))
  lines = [{'step': 9 * i, 'episode/score': i % 5} for i in range(1, 40)]
  text = ''.join(json.dumps(x) + '\n' for x in lines)
  (folder / 'scores.jsonl').write_text(text)
  kept = folder / 'ckpt' / 'first'
  kept.mkdir(parents=True)
  (kept / 'done').touch()
  (folder / 'ckpt' / 'latest').write_text('first')
  return folder


def recording(folder: pathlib.Path, episodes: int = 3) -> pathlib.Path:
  """Episodes with vitals; the first dies of hunger and lava, the second lives on."""
  codes = {'val/value': lambda p, f, r: synthetic.noise(p, f, r, 1)}
  synthetic.record(folder, codes, episodes, 30)
  for k, path in enumerate(sorted(folder.glob('episode_*.pkl'))):
    episode = unpickle.load(path)
    count = len(episode['player_pos'])
    health = np.linspace(9, k, count).astype(np.int64)
    vitals = {'vital_health': health, 'vital_food': np.full(count, 5)}
    injury = np.zeros(count, np.uint8)
    injury[-1] = 17
    files.save_pickle(path, {**episode, **vitals, 'injury': injury})
  about = unpickle.load(folder / 'metadata.pkl')
  files.save_pickle(folder / 'metadata.pkl', {**about, 'injuries': INJURIES})
  return folder


def program(folder: pathlib.Path, episodes: int = 3) -> pathlib.Path:
  """A stand-in; to be put in the place of `generation.MAIN`."""
  recording(folder / 'recording', episodes)
  (folder / 'main.py').write_text(PROGRAM)
  return folder / 'main.py'
