"""docs/python.md is true: its blocks run from top to bottom, as they stand."""

import pathlib
import re

import numpy as np
import pytest

from dreamerv3 import decode_position, tuning_curve
from tests.recorded_runs import make_run, record

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXT = (ROOT / 'docs' / 'python.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', TEXT, re.DOTALL)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A run with a recording, decoders and tuning curves."""
  folder = tmp_path_factory.mktemp('python')
  run = make_run(folder / 'logdir' / 'my_run')
  layers = 'enc/cnn0|dyn/(deter|stoch)'
  record(run, '--eval_trajectory.num_episodes', '3', '--eval_trajectory.layers', layers)
  data = ['--data', str(run / 'trajectories'), '--save']
  decode_position.main(
    [
      *data,
      str(run / 'decoder_results'),
      '--save_model',
      '--n_boot',
      '20',
      '--repr',
      'deter',
      '--n_iters',
      '50',
    ]
  )
  tuning_curve.main(
    [
      *data,
      str(run / 'tuning_results'),
      '--layers',
      'dyn/deter',
      '--no_plots',
      '--n_shuffles',
      '0',
    ]
  )
  return folder


@pytest.mark.slow
def test_all_blocks_run(folder, monkeypatch):
  monkeypatch.chdir(folder)
  names: dict = {}
  for block in BLOCKS:
    exec(compile(block, 'docs/python.md', 'exec'), names)
  assert names['maps'].shape == (len(names['samples'].X[0]), 32, 32)
  np.testing.assert_array_equal(
    np.isnan(names['maps'][5]), names['design'].occupancy == 0
  )
  recorded = names['episode']['player_pos']
  assert len(names['plain']) > 20
  np.testing.assert_array_equal(names['plain'], recorded[: len(names['plain'])])
  assert names['dream'].policy.deter.shape == (1, 15, 8)
