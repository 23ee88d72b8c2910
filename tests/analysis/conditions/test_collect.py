"""What is read of runs, and what of them may be missing."""

import shutil

import numpy as np
import pytest

from dreamerv3.analysis.conditions import runs
from dreamerv3.analysis.conditions.collect import (
  COLUMNS,
  Wanted,
  collect,
  gather,
  reopen,
)
from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from tests.analysis import planted_runs
from tests.analysis.planted_runs import PlannedRun


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  return planted_runs.folder(tmp_path_factory.mktemp('study') / 'a', PlannedRun(seed=4))


def parsed(*paths, label='x'):
  return runs.parse([f'{x}:{label}' for x in paths])


def whole(table, quantity, layer=''):
  rows = table[table['episode'].isna()]
  (value,) = rows[(rows['quantity'] == quantity) & (rows['layer'] == layer)]['value']
  return value


def test_everything_of_a_run(run):
  found = gather(parsed(run))
  table = found.numbers
  assert found.notes == ()
  assert tuple(table.columns) == COLUMNS
  assert set(table['run']) == {str(run)}
  assert set(table['seed']) == {4}
  assert whole(table, 'decode_share', 'enc/cnn0') == pytest.approx(0.9, abs=1e-6)
  assert whole(table, 'decode_gain', 'dyn/deter') == pytest.approx(0.25, abs=1e-6)
  assert whole(table, 'memory', 'dyn/deter') == pytest.approx(0.5, abs=1e-6)
  assert whole(table, 'class/single_field', 'dyn/deter') == 0.5
  assert whole(table, 'SI', 'dyn/deter') == pytest.approx(0.45)
  assert whole(table, 'srsa', 'dyn/deter') == pytest.approx(0.5, abs=0.2)
  # A tile off on every step; standing still is 1 to 4 tiles off, in one dream 1 to 2.
  assert whole(table, 'dream_error') == 1
  assert whole(table, 'dream_memory') == pytest.approx((11 * 10 + 3) / 46 - 1)
  assert whole(table, 'return') == pytest.approx(3, abs=0.5)
  assert 20 < whole(table, 'crafter_score') < 40
  assert {x.parent.name for x in found.inputs} >= {'layer_results', 'dream_results'}


def test_episodes_make_up_the_number_of_their_run(run):
  table = collect(parsed(run))
  for key, rows in table.groupby(['quantity', 'layer']):
    parts = rows[~rows['episode'].isna()]
    if len(parts):
      mean = np.average(parts['value'], weights=parts['weight'])
      assert mean == pytest.approx(whole(table, *key), rel=1e-6)


def test_missing_and_damaged_results_cost_a_line_each(run, tmp_path):
  other = shutil.copytree(run, tmp_path / 'b')
  shutil.rmtree(other / 'tuning_results')
  (other / 'layer_results' / 'layer_decode_results.pkl').write_bytes(b'no pickle')
  files.save_pickle(other / 'dream_results' / 'dream_results.pkl', {'format': 1})
  (other / 'scores.jsonl').unlink()
  (other / 'config.yaml').write_text('seed: [')
  found = gather(parsed(run, other))
  assert len(found.notes) == 5
  assert all('\n' not in x and str(other) in x for x in found.notes)
  left = found.numbers[found.numbers['run'] == str(other)]
  assert set(left['quantity']) == {'srsa', 'srsa_partial', 'dimension', 'dimension_nn'}
  assert left['seed'].isna().all()
  mine = found.numbers[found.numbers['run'] == str(run)]
  assert len(mine) == len(collect(parsed(run)))


def test_a_run_that_finished_no_episode_is_told(run, tmp_path):
  young = shutil.copytree(run, tmp_path / 'young')
  (young / 'scores.jsonl').write_text('{"step": 1, "train/ret": 2.0}\n')
  found = gather(parsed(young))
  assert found.notes == (f'{young} (x) has logs, but no finished episode in them.',)
  assert 'return' not in set(found.numbers['quantity'])


def put_recording(run, weights):
  files.make_folder(run / 'trajectories')
  about = {'fingerprint': {'weights': weights}}
  files.save_pickle(run / 'trajectories' / 'metadata.pkl', about)


@pytest.mark.parametrize('shared', ['everything', 'log', 'weights'])
def test_a_copy_of_an_agent_counts_once(run, tmp_path, shared):
  mine = shutil.copytree(run, tmp_path / 'a')
  if shared == 'weights':  # trained once and recorded twice
    copy = planted_runs.folder(tmp_path / 'copy', PlannedRun(seed=5))
    for x in (mine, copy):
      put_recording(x, 'abc')
  else:
    copy = shutil.copytree(run, tmp_path / 'copy')
  if shared == 'log':  # analysed twice
    shutil.rmtree(copy / 'tuning_results')
  found = gather(parsed(mine, copy))
  assert set(found.numbers['run']) == {str(mine)}
  assert 'a copy of an agent is no second agent: it is left out.' in found.notes[-1]
  # One agent in two conditions is one of each.
  both = gather([*parsed(mine), *parsed(copy, label='y')])
  assert set(both.numbers['run']) == {str(mine), str(copy)}
  assert both.notes[-1].endswith('a copy of an agent is no second agent.')


def test_two_runs_of_one_seed_are_told(run, tmp_path):
  other = planted_runs.folder(tmp_path / 'b', PlannedRun(0.7, seed=4))
  (note,) = gather(parsed(run, other)).notes
  assert 'both of seed 4' in note
  assert gather([*parsed(run), *parsed(other, label='y')]).notes == ()


def test_what_is_not_wanted_is_not_read(run):
  table = collect(parsed(run), Wanted(no_decode=True, layers=('dyn/.*',)))
  assert not {'decode_error', 'decode_gain', 'memory'} & set(table['quantity'])
  assert set(table['layer']) == {'', 'dyn/deter'}
  table = collect(parsed(run), Wanted(no_tuning=True))
  assert not any(x.startswith('class') for x in table['quantity'])
  with pytest.raises(UserError, match='No layer'):
    collect(parsed(run), Wanted(layers=('dyn/detr',)))
  (note,) = gather(parsed(run), Wanted(decode_subdir='elsewhere')).notes
  assert 'no results of decoding' in note


def test_the_table_is_read_again_as_it_was(run, tmp_path):
  table = collect(parsed(run))
  table.to_csv(tmp_path / 'numbers.csv', index=False)
  again = reopen(tmp_path / 'numbers.csv')
  assert (again.isna() == table.isna()).to_numpy().all()
  for name in COLUMNS[:6]:
    assert (again[name].fillna(0) == table[name].fillna(0)).all(), name
  assert np.allclose(again['value'], table['value'], rtol=1e-6)
  (tmp_path / 'other.csv').write_text('a,b\n1,2\n')
  with pytest.raises(UserError, match='compare again'):
    reopen(tmp_path / 'other.csv')


def test_results_of_a_shipped_agent_by_either_folder(run, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  agent, results = tmp_path / 'agents' / 'one', tmp_path / 'logdir' / 'one'
  shutil.copytree(run, results)
  agent.mkdir(parents=True)
  for name in ('config.yaml', 'scores.jsonl'):
    shutil.move(results / name, agent / name)
  (agent / 'MODEL_CARD.md').write_text('one')
  (agent / 'ckpt' / '1').mkdir(parents=True)
  expected = collect(parsed(run)).drop(columns='run')
  assert collect(parsed(agent)).drop(columns='run').equals(expected)
  about = {'checkpoint': str(agent / 'ckpt' / '1')}
  files.make_folder(results / 'trajectories')
  files.save_pickle(results / 'trajectories' / 'metadata.pkl', about)
  assert collect(parsed(results)).drop(columns='run').equals(expected)


def test_runs_and_their_labels(run, tmp_path):
  (one,) = runs.parse([f'{run}:wide net'])
  assert (one.label, one.seed) == ('wide net', 4)
  assert one.setting('run.train_ratio') == 64
  with pytest.raises(UserError, match='no setting run.ratio'):
    one.setting('run.ratio')
  (tmp_path / 'big_seed12').mkdir()
  (named,) = parsed(tmp_path / 'big_seed12')
  assert named.seed == 12
  for text, message in (
    (str(run), 'no RUN:label'),
    (f'{run}:', 'no RUN:label'),
    ('nowhere:x', 'is no folder'),
  ):
    with pytest.raises(UserError, match=message):
      runs.parse([text])
  with pytest.raises(UserError, match='named twice'):
    runs.parse([f'{run}:a', f'{run}/:b'])
