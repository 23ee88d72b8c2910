"""The command export_nwb.py: what is read back is what was recorded."""

import numpy as np
import pynapple as nap
import pytest
from pynwb import NWBHDF5IO

from dreamerv3 import export_nwb
from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.run_info import read_run_info


@pytest.fixture(scope='module')
def exported(recording, tmp_path_factory):
  path = tmp_path_factory.mktemp('nwb') / 'x.nwb'
  words = ['--data', str(recording), '--save', str(path), '--layers', 'enc', 'deter']
  export_nwb.main([*words, '--step_s', '0.5'])
  return path


def test_pynapple_reads_the_numbers_of_the_recording(exported, recording):
  data = Trajectories.open(recording)
  found = nap.load_file(str(exported))
  trials = found['trials']
  assert len(trials) == len(data)
  for k, episode in enumerate(data.episodes):
    activation = found['dyn_deter'].restrict(trials[k])
    expected = episode.layer('dyn/deter')
    assert (activation.values == expected.astype(np.float32)).all()
    assert (np.diff(activation.t) == 0.5).all()
    assert (found['position'].restrict(trials[k]).values == episode.pos).all()
    assert trials['episode'][k] == episode.number
  assert found['enc_cnn0'].shape[1] == data.units('enc/cnn0')


def test_the_file_says_where_it_comes_from(exported):
  entry = read_run_info(exported.parent)[-1]
  assert entry.outputs == (exported,)
  with NWBHDF5IO(str(exported), 'r') as file:
    content = file.read()
    assert 'export_nwb: dreamerv3-space' in content.notes
    assert 'recording: sha256:' in content.notes
    assert content.identifier == entry.extra['identifier']
    assert '0.5 s' in content.session_description
    assert 'None' not in content.subject.subject_id
    units = content.processing['activations']['dyn_deter_units']
    assert len(units) == content.processing['activations']['dyn_deter'].data.shape[1]


def test_other_episodes_and_the_same_layers_by_another_name_are_told_apart(
  recording, tmp_path
):
  def identifier(*words):
    path = tmp_path / 'x.nwb'
    export_nwb.main(['--data', str(recording), '--save', str(path), *words])
    return read_run_info(tmp_path)[-1].extra['identifier']

  data = Trajectories.open(recording)
  sizes = sorted(np.ptp(x.pos, 0).prod() for x in data.episodes)
  largest = identifier('--min_bbox', str(sizes[-1]))
  assert identifier('--max_episodes', '1') != largest
  assert identifier('--layers', 'deter') == identifier('--layers', 'dyn/deter')


@pytest.mark.parametrize(
  ('words', 'text'),
  [
    (['--save', '{tmp}/x.h5'], 'ends in .nwb'),
    (['--save', '{tmp}/x.nwb', '--layers', 'detr'], 'nearest: dyn/deter'),
    (['--save', '{tmp}/x.nwb', '--step_s', '0'], 'step_s is 0'),
  ],
)
def test_mistakes_are_one_line_and_write_nothing(words, text, recording, tmp_path):
  words = [x.replace('{tmp}', str(tmp_path)) for x in words]
  with pytest.raises(UserError, match=text):
    export_nwb.main(['--data', str(recording), *words])
  assert not list(tmp_path.iterdir())
