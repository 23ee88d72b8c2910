"""The command compare_conditions.py, as users start it."""

import csv
import shutil

import numpy as np
import pytest

from dreamerv3 import compare_conditions
from dreamerv3.base.errors import UserError
from dreamerv3.run_info import log_run_info, read_run_info
from tests import cli
from tests.analysis import planted_runs
from tests.analysis.planted_runs import PlannedRun

FIGURES = {
  *('decode_heatmap', 'decode_lineplot', 'tuning_si_heatmap', 'tuning_ev_heatmap'),
  *('tuning_celltypes', 'runs', 'effects'),
}
BRIEF = ('--n_boot', '200')


@pytest.fixture(scope='module')
def study(tmp_path_factory):
  """Five seeds each of agents that know their place well, and badly."""
  root = tmp_path_factory.mktemp('study')
  for seed in range(5):
    near = PlannedRun(0.4 + 0.01 * seed, 0.6, 4.0, seed)
    far = PlannedRun(0.8 + 0.01 * seed, 0.3, 2.0, seed, width=32)
    planted_runs.folder(root / f'near{seed}', near)
    planted_runs.folder(root / f'far{seed}', far)
  return root


def named(study, seeds=range(5)):
  return [f'{study / x}{s}:{x}' for x in ('near', 'far') for s in seeds]


def run(*words):
  compare_conditions.main([*(str(x) for x in words), *BRIEF])


def rows_of(save, name='summary.csv'):
  with open(save / name, newline='') as file:
    return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def compared(study, tmp_path_factory):
  save = tmp_path_factory.mktemp('out')
  run('--conditions', *named(study), '--save', save)
  return save


def test_the_forks_files_are_there_and_noted(compared, study):
  names = {f'{x}.png' for x in FIGURES} | {'summary.csv', 'numbers.csv'}
  assert {x.name for x in compared.iterdir() if x.name[0] != '.'} == {
    *names,
    'run_info.json',
  }
  (entry,) = read_run_info(compared)
  assert {str(x).rpartition('/')[2] for x in entry.outputs} == names
  read = {str(x.path) for x in entry.inputs}
  assert any(x.endswith('near3/layer_results/layer_decode_results.pkl') for x in read)


def test_planted_differences_are_found(compared):
  rows = {(x['quantity'], x['layer'], x['condition']): x for x in rows_of(compared)}
  worse = rows['decode_share', 'dyn/deter', 'far']
  assert worse['runs'] == '5'
  assert float(worse['p_all']) == pytest.approx(2 / 252, abs=1e-5)
  assert float(worse['diff']) == pytest.approx(0.4, abs=0.15)
  assert float(worse['diff_low']) > 0
  score = rows['crafter_score', '', 'far']
  assert float(score['better']) == 0
  assert float(rows['class/single_field', 'dyn/deter', 'far']['diff']) < 0
  same = rows['dream_error', '', 'far']
  assert float(same['p_all']) == 1
  (verdict, *_) = read_run_info(compared)[-1].extra['verdicts']
  assert verdict.startswith('far v near: ')


def test_numbers_are_long_and_tidy(compared, study):
  rows = rows_of(compared, 'numbers.csv')
  runs = {x['run']: x['condition'] for x in rows}
  assert list(runs.values()) == ['near'] * 5 + ['far'] * 5
  whole = [x for x in rows if not x['episode']]
  assert len({(x['run'], x['quantity'], x['layer']) for x in whole}) == len(whole)


def test_drawn_again_from_the_numbers(compared):
  before = {x.name: x.read_bytes() for x in compared.glob('*.[pc][ns][gv]')}
  (compared / 'effects.png').unlink()
  run('--from_csv', compared / 'numbers.csv')
  assert {x.name: x.read_bytes() for x in compared.glob('*.[pc][ns][gv]')} == before


def test_one_failed_run_leaves_the_others(study, tmp_path, capsys):
  broken = shutil.copytree(study / 'far4', tmp_path / 'far4')
  (broken / 'layer_results' / 'layer_decode_results.pkl').write_bytes(b'?')
  (broken / 'scores.jsonl').unlink()
  words = [*named(study)[:-1], f'{broken}:far']
  more = ('--no_tuning', '--layers', 'dyn/deter', '--save', tmp_path / 'out')
  run('--conditions', *words, *more)
  told = capsys.readouterr().err.splitlines()
  assert len(told) == 2
  assert all(str(broken) in x for x in told)
  rows = {(x['quantity'], x['condition']): x for x in rows_of(tmp_path / 'out')}
  assert rows['decode_share', 'far']['runs'] == '4'
  assert rows['srsa', 'far']['runs'] == '5'
  assert float(rows['decode_share', 'far']['p_all']) <= 0.05


def test_runs_that_were_measured_otherwise_are_told(study, tmp_path, capsys):
  words = []
  for name, cv, count in (('near0', 'episodes', 900), ('far1', 'timesteps', 5000)):
    run_of = shutil.copytree(study / name, tmp_path / name)
    results = run_of / 'layer_results'
    log_run_info(
      results,
      'decode_position',
      {'cv': cv, 'holdout_frac': 0.2, 'n_jobs': count},
      outputs=[results / 'layer_decode_results.pkl'],
      extra={'n_samples': count, 'grid': (10, 10)},
    )
    words.append(f'{run_of}:{name}')
  run('--conditions', *words, '--no_tuning', '--save', tmp_path / 'out')
  told = capsys.readouterr().err.splitlines()
  settings, amount = told
  assert 'in --cv of decode_position: episodes in 1, timesteps in 1;' in settings
  assert '900 to 5,000 recorded timesteps' in amount


def test_a_failed_condition_leaves_the_others(study, tmp_path, capsys):
  (tmp_path / 'empty').mkdir()
  words = [f'{tmp_path / "empty"}:lost', *named(study), '--no_tuning', '--no_decode']
  run('--conditions', *words, '--save', tmp_path / 'out')
  told = capsys.readouterr()
  assert 'No run of lost has anything to compare' in told.err
  assert 'far v near: Crafter score' in told.out


def test_two_runs_are_points(study, tmp_path, capsys):
  words = [*named(study, (0, 1)), '--no_tuning', '--no_decode']
  run('--conditions', *words, '--save', tmp_path)
  out = capsys.readouterr().out
  assert 'Not tested against near: far.' in out
  assert 'no interval over runs and no p' in out
  assert {x.stem for x in tmp_path.glob('*.png')} == {'runs'}
  assert all(np.isnan(float(x['low'])) for x in rows_of(tmp_path))


def test_a_single_condition_is_described(study, tmp_path, capsys):
  words = ('--no_decode', '--no_tuning', '--save', tmp_path)
  run('--conditions', *named(study)[:5], *words)
  assert 'v near' not in capsys.readouterr().out
  assert not (tmp_path / 'effects.png').exists()


def test_a_sweep_needs_no_labels(study, tmp_path):
  words = [study / x for x in ('near0', 'near1', 'far0')]
  keys = ('run.train_ratio', 'run.envs')
  brief = ('--no_tuning', '--no_decode', '--save', tmp_path / 'out')
  run('--conditions', *words, '--sweep', *keys, *brief)
  numbers = rows_of(tmp_path / 'out', 'numbers.csv')
  assert {x['condition'] for x in numbers} == {'64, 1', '64, 2', '32, 1'}
  assert {x['run.envs'] for x in numbers if x['condition'] == '64, 2'} == {'2.0'}
  drawn = (tmp_path / 'out' / 'sweep.png').read_bytes()
  again = ('--from_csv', tmp_path / 'out' / 'numbers.csv', '--sweep', *keys)
  run(*again, '--sweep_of', 'return')
  assert (tmp_path / 'out' / 'sweep.png').read_bytes() != drawn
  with pytest.raises(UserError, match='No run has the quantity retrn'):
    run(*again, '--sweep_of', 'retrn')


@pytest.mark.parametrize(
  ('words', 'message'),
  [
    ((), 'Give --conditions'),
    (('--conditions', 'RUN:a', '--from_csv', 'x.csv'), 'Give --conditions'),
    (('--conditions', 'RUN:a'), '--save is missing'),
    (('--conditions', 'RUN', '--save', 'OUT'), 'no RUN:label'),
    (('--conditions', 'RUN:a', 'RUN:b', '--save', 'OUT'), 'named twice'),
    (('--conditions', 'OUT:a', '--save', 'OUT'), 'is no folder'),
    (('--from_csv', 'x.csv', '--no_decode'), 'leave out --no_decode'),
    (('--from_csv', 'x.csv'), 'is no file'),
    (('--from_csv', 'x.csv', '--sweep_of', 'return'), 'without --sweep'),
    (('--conditions', 'RUN', '--save', 'OUT', '--sweep', 'a'), 'no setting a'),
    (
      ('--conditions', 'RUN:a', '--save', 'OUT', '--no_decode', '--decode_subdir', 'x'),
      'would do nothing',
    ),
    (('--conditions', 'RUN:a', '--save', 'OUT', '--layers', 'x'), "No layer 'x'"),
  ],
)
def test_mistakes_write_nothing(study, tmp_path, words, message):
  places = {'RUN': study / 'near0', 'OUT': tmp_path / 'out'}
  for name, path in places.items():
    words = [x.replace(name, str(path)) for x in words]
  with pytest.raises(UserError, match=message):
    run(*words)
  assert not list(tmp_path.iterdir())


def test_a_run_without_anything_and_a_summary_of_others(study, tmp_path):
  (tmp_path / 'empty').mkdir()
  done = cli.script(
    'compare_conditions',
    *('--conditions', f'{tmp_path / "empty"}:a', '--save', tmp_path / 'out'),
  )
  assert done.returncode == 2
  assert 'None of the runs has anything' in done.stderr.splitlines()[-1]
  (tmp_path / 'summary.csv').write_text('mine')
  with pytest.raises(UserError, match='of another program'):
    run('--conditions', f'{study / "near0"}:a', '--save', tmp_path)
  assert (tmp_path / 'summary.csv').read_text() == 'mine'
