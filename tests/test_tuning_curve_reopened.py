"""Tuning results opened again: other thresholds, older files, nothing lost."""

import numpy as np
import pytest

from dreamerv3 import tuning_curve
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError
from tests.test_tuning_curve import FORK_METRICS, run


def test_other_thresholds_need_no_recording(recording, tmp_path):
  run(recording, tmp_path / 'a', '--no_plots')
  path = tmp_path / 'a' / 'tuning_results.pkl'
  tuning_curve.main(
    [
      '--from_pkl',
      str(path),
      '--save',
      str(tmp_path / 'b'),
      '--SI_thresh',
      '0',
      '--layers',
      'dyn/.*',
      '--no_plots',
    ]
  )
  before = Results.open(path)
  after = Results.open(tmp_path / 'b' / 'tuning_results.pkl')
  assert list(after.tables) == ['dyn/stoch', 'dyn/deter']
  assert after.limits.SI_thresh == 0
  assert after.limits.EV_thresh == before.limits.EV_thresh
  untuned = [(x.classes('dyn/stoch')[0] == 0).sum() for x in (before, after)]
  assert untuned[1] < untuned[0]


def test_results_of_older_programs_open(tmp_path):
  d = 3
  layer = {
    'tuning_curves': np.random.default_rng(0).random((d, 6, 5)),
    'metrics': {k: np.ones(d) for k in FORK_METRICS},
    'group_ids': np.zeros(d, int),
    'cell_groups': {},
  }
  metadata = {'area': (6, 5), 'thresholds': {'SI_thresh': 0.4}}
  path = files.save_pickle(
    tmp_path / 'old.pkl', {'metadata': metadata, 'layers': {'deter': layer}}
  )
  results = Results.open(path)
  assert results.limits.SI_thresh == 0.4
  assert results.classes('deter')[1] is None


def test_reopened_results_are_neither_changed_nor_lost(recording, tmp_path):
  run(recording, tmp_path, '--no_plots', '--layers', 'dyn.*')
  path = tmp_path / 'tuning_results.pkl'
  before = path.read_bytes()
  flags = ['--from_pkl', str(path), '--no_plots', '--save']
  with pytest.raises(UserError, match='would drop the other layers'):
    tuning_curve.main([*flags, str(tmp_path), '--layers', 'dyn/stoch'])
  with pytest.raises(UserError, match='leave out --n_shuffles and --control'):
    tuning_curve.main([*flags, str(tmp_path), '--n_shuffles', '3', '--control', 'x'])
  assert path.read_bytes() == before
  tuning_curve.main([*flags, str(tmp_path / 'r'), '--layers', 'dyn/stoch'])
  tuning_curve.main([*flags, str(tmp_path), '--alpha', '0.01'])
  assert set(unpickle.load(path)['layers']) == {'dyn/deter', 'dyn/stoch'}
