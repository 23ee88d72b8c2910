"""plot_training.py as a user runs it."""

import csv
import json
import pathlib
import shutil

import pytest

from dreamerv3 import plot_training
from dreamerv3.analysis.crafter_score import ACHIEVEMENTS
from dreamerv3.base.errors import UserError
from dreamerv3.run_info import read_run_info
from tests import cli
from tests.analysis import planted_runs

ROOT = pathlib.Path(__file__).parents[1]
LOGS = ROOT / 'tests' / 'fixtures' / 'logs'


@pytest.fixture
def logdir(tmp_path):
  return shutil.copytree(LOGS, tmp_path / 'run')


def run(*args):
  plot_training.main([str(x) for x in args])


def read_csv(folder):
  with open(folder / 'training_progress.csv') as file:
    return list(csv.DictReader(file))


def test_as_a_script_from_another_folder(logdir, tmp_path):
  done = cli.script('plot_training', '--logdir', 'run', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert 'no achievements of 22' in done.stderr
  assert 'episodes 231' in done.stdout
  numbers = [x for x in done.stdout.split('\n')[0].split() if x[0].isdigit()]
  assert {len(x.partition('.')[2]) for x in numbers} == {0, 2}  # equal decimals
  (entry,) = read_run_info(logdir / 'plots')
  assert entry.stage == 'plot_training'
  assert entry.args['smooth'] == 50
  names = {pathlib.Path(x).name for x in entry.outputs}
  assert names == {'training_progress.png', 'training_progress.csv'}
  there = {x.name for x in (logdir / 'plots').iterdir() if x.name[0] != '.'}
  assert there == {*names, 'run_info.json'}


def test_flags_do_what_they_say(logdir, tmp_path):
  plots = {}
  for name, flags in {
    'all': (),
    'smooth': ('--smooth', 5),
    'few': ('--no_losses',),
  }.items():
    run('--logdir', logdir, '--save', tmp_path / name, *flags)
    plots[name] = (tmp_path / name / 'training_progress.png').read_bytes()
  assert len(set(plots.values())) == 3


def test_a_mean_never_spans_more_than_a_fifth(logdir, tmp_path, capsys):
  run('--logdir', logdir, '--save', tmp_path / 'a', '--smooth', 500)
  assert 'over 46 episodes, a fifth of all' in capsys.readouterr().err
  run('--logdir', logdir, '--save', tmp_path / 'b', '--smooth', 46)
  assert 'a fifth of all' not in capsys.readouterr().err
  a, b = (read_csv(tmp_path / x) for x in 'ab')
  assert a == b


def test_no_achievements_changes_a_figure_that_has_them(tmp_path):
  record = {'step': 1, 'episode/score': 2.0}
  record |= {f'episode/achievement_{x}': 1.0 for x in ACHIEVEMENTS}
  (tmp_path / 'scores.jsonl').write_text(json.dumps(record) + '\n')
  run('--logdir', tmp_path, '--save', tmp_path / 'a')
  run('--logdir', tmp_path, '--save', tmp_path / 'b', '--no_achievements')
  a, b = (tmp_path / x / 'training_progress.png' for x in 'ab')
  assert a.read_bytes() != b.read_bytes()
  rows = {x['curve']: float(x['value']) for x in read_csv(tmp_path / 'a')}
  assert rows['crafter_score'] == pytest.approx(100)
  assert rows['unlock/wake_up'] == 1


def test_compare_reports_the_mean_of_the_seeds(logdir, tmp_path):
  other = shutil.copytree(logdir, tmp_path / 'seed1')
  lines = (other / 'scores.jsonl').read_text().splitlines()
  shifted = []
  for line in lines:
    record = json.loads(line)
    record['episode/score'] += 2
    shifted.append(json.dumps(record))
  (other / 'scores.jsonl').write_text('\n'.join(shifted))
  run('--logdir', logdir, '--compare', other, '--save', tmp_path / 'out')
  rows = read_csv(tmp_path / 'out')
  score = [x for x in rows if x['curve'] == 'score']
  last = {x['run']: float(x['value']) for x in score}
  assert last['mean of 2'] == pytest.approx(last[str(logdir)] + 1, abs=1e-4)
  (entry,) = read_run_info(tmp_path / 'out')
  assert set(entry.extra) == {str(logdir), str(other)}


def test_conditions_of_some_seeds_each(logdir, tmp_path):
  rise = {'a0': 0, 'a1': 2, 'b0': 10, 'b1': 12, 'b2': 14}
  for name, more in rise.items():
    run_dir = planted_runs.folder(
      tmp_path / name, planted_runs.PlannedRun(score=2.0, seed=0)
    )
    text = (run_dir / 'scores.jsonl').read_text()
    lines = [json.loads(x) for x in text.splitlines()]
    for line in lines:
      line['episode/score'] += more
    (run_dir / 'scores.jsonl').write_text('\n'.join(map(json.dumps, lines)))
  words = [f'{tmp_path / x}:{"wide" if x[0] == "a" else "narrow"}' for x in rise]
  run('--logdir', words[0], '--compare', *words[1:], '--save', tmp_path / 'out')
  rows = [x for x in read_csv(tmp_path / 'out') if x['curve'] == 'score']
  last = {(x['condition'], x['run']): float(x['value']) for x in rows}
  own = last['wide', str(tmp_path / 'a0')]
  assert last['wide', 'mean of 2'] == pytest.approx(own + 1, abs=1e-4)
  assert last['narrow', 'mean of 3'] == pytest.approx(own + 12, abs=1e-4)
  (entry,) = read_run_info(tmp_path / 'out')
  assert {x.kind for x in entry.inputs} == {'run'}
  # Labels are for all runs, or for none.
  with pytest.raises(UserError, match='no RUN:label'):
    run('--logdir', logdir, '--compare', *words)


def test_a_log_that_is_still_written(logdir, tmp_path, capsys):
  with open(logdir / 'scores.jsonl', 'a') as file:
    file.write('{"step": 42000, "episo')
  run('--logdir', logdir, '--save', tmp_path / 'out')
  assert 'still being written' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (('--smooth', 0), 'expected at least 1'),
    (('--smoth', 5), 'did you mean --smooth'),
    (('--compare', 'RUN'), 'names a run twice'),
    (('--compare', 'nowhere'), 'is no folder'),
    (('--show',), 'needs a screen'),
  ],
)
def test_bad_input_writes_nothing(logdir, flags, message):
  flags = [logdir if x == 'RUN' else x for x in flags]
  with pytest.raises(UserError, match=message):
    run('--logdir', logdir, *flags)
  assert not (logdir / 'plots').exists()


def test_nothing_left_to_plot(tmp_path):
  record = {'step': 1, 'train/ret': 2.0}
  (tmp_path / 'metrics.jsonl').write_text(json.dumps(record))
  with pytest.raises(UserError, match='nothing that these flags leave'):
    run('--logdir', tmp_path, '--no_losses')


def test_an_error_is_one_line_and_code_2(tmp_path):
  done = cli.script('plot_training', '--logdir', tmp_path)
  assert done.returncode == 2
  assert done.stderr.count('\n') == 1
