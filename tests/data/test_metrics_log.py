"""Logs of finished, running, resumed and damaged runs."""

import json
import pathlib

import numpy as np
import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.data import metrics_log
from dreamerv3.data.metrics_log import Following, MetricsLog, drop_undone

REAL = pathlib.Path(__file__).parents[1] / 'fixtures' / 'logs'


def write(folder, name, records, tail=''):
  text = ''.join(json.dumps(x) + '\n' for x in records)
  (folder / name).write_text(text + tail)


def test_scores_win_over_metrics_and_both_are_read(tmp_path):
  write(tmp_path, 'scores.jsonl', [{'step': 5, 'episode/score': 2.0}])
  records = [
    {'step': 5, 'episode/score': 9.0, 'episode/length': 5.0},
    {'step': 7, 'train/ret': 1.5, 'note': 'text', 'flag': True},
  ]
  write(tmp_path, 'metrics.jsonl', records)
  log = MetricsLog.open(tmp_path)
  assert log.curve('episode/score')[1].tolist() == [2.0]
  assert log.curve('episode/length')[1].tolist() == [5.0]
  assert log.curve('train/ret')[0].tolist() == [7]
  assert set(log.keys) == {'episode/score', 'episode/length', 'train/ret'}
  assert log.last_step == 7
  assert log.notes == ()


def test_an_unfinished_last_line_is_left_for_the_next_time(tmp_path):
  good = [{'step': i, 'episode/score': float(i)} for i in range(3)]
  write(tmp_path, 'scores.jsonl', good, tail='{"step": 3, "episo')
  log = MetricsLog.open(tmp_path)
  assert log.curve('episode/score')[1].tolist() == [0, 1, 2]
  assert log.notes == ('scores.jsonl: the last line is still being written',)


def test_a_last_line_without_newline_counts_when_it_is_whole(tmp_path):
  write(tmp_path, 'scores.jsonl', [], tail='{"step": 3, "episode/score": 1}')
  assert MetricsLog.open(tmp_path).curve('episode/score')[1].tolist() == [1]


def test_damaged_lines_cost_themselves_alone(tmp_path):
  bad = '\n\x00\x00garbage\n[1, 2]\n{"episode/score": 1}\n{"step": NaN}\n'
  (tmp_path / 'scores.jsonl').write_bytes(
    b'{"step": 1, "episode/score": 4}' + bad.encode() + b'\xff\xfe\n'
    b'{"step": 2, "episode/score": NaN}\n'
  )
  log = MetricsLog.open(tmp_path)
  steps, values = log.curve('episode/score')
  assert steps.tolist() == [1, 2]
  assert values[0] == 4
  assert np.isnan(values[1])
  assert log.notes == ('scores.jsonl: 5 of 7 lines are unreadable',)


def test_a_resumed_run_drops_what_was_undone(tmp_path):
  steps = [10, 20, 30, 40, 25, 35, 45]
  records = [{'step': s, 'episode/score': float(i)} for i, s in enumerate(steps)]
  write(tmp_path, 'scores.jsonl', records)
  log = MetricsLog.open(tmp_path)
  kept, values = log.curve('episode/score')
  assert kept.tolist() == [10, 20, 25, 35, 45]
  assert values.tolist() == [0, 1, 4, 5, 6]
  assert '2 records of undone training' in log.notes[0]


@pytest.mark.parametrize(
  ('steps', 'kept'),
  [
    ([], []),
    ([1, 1, 1], [1, 1, 1]),  # several environments end at one step
    ([5, 6, 0, 1], [0, 1]),
    ([5, 6, 6, 6, 7, 8], [5, 6, 6, 6, 7, 8]),
    ([5, 9, 7, 6, 8], [5, 6, 8]),
  ],
)
def test_drop_undone(steps, kept):
  records, dropped = drop_undone([{'step': float(s)} for s in steps])
  assert [x['step'] for x in records] == kept
  assert dropped == len(steps) - len(kept)


def test_select_and_table(tmp_path):
  records = [
    {'step': 1, 'a/x/max': 1.0, 'a/y/max': 2.0, 'a/y/sum': 3.0},
    {'step': 2, 'a/x/max': 1.0},
    {'step': 3, 'a/x/max': 5.0, 'a/y/max': 6.0},
  ]
  write(tmp_path, 'metrics.jsonl', records)
  log = MetricsLog.open(tmp_path)
  assert log.select('a/', '/max') == {'a/x/max': 'x', 'a/y/max': 'y'}
  steps, values = log.table(['a/x/max', 'a/y/max'])
  assert steps.tolist() == [1, 3]
  assert values.tolist() == [[1, 2], [5, 6]]


def test_bad_folders(tmp_path):
  with pytest.raises(UserError, match='is no folder'):
    MetricsLog.open(tmp_path / 'none')
  with pytest.raises(UserError, match=r'neither metrics.jsonl nor scores'):
    MetricsLog.open(tmp_path)
  (tmp_path / 'scores.jsonl').write_text('')
  with pytest.raises(UserError, match='no complete line yet'):
    MetricsLog.open(tmp_path)
  write(tmp_path, 'scores.jsonl', [{'step': 1, 'episode/score': 1.0}])
  with pytest.raises(UserError, match='logs no train/ret'):
    MetricsLog.open(tmp_path).curve('train/ret')


def test_a_real_log():
  log = MetricsLog.open(REAL)
  steps, values = log.table(['episode/score'])
  assert len(steps) == 231
  assert (np.diff(steps) >= 0).all()
  assert values[0, 0] == pytest.approx(1.1)
  assert len(log.curve('train/loss/image')[0]) == 11
  assert log.notes == ()


def test_what_is_followed_is_parsed_once(tmp_path, monkeypatch):
  parsed = []
  parse = metrics_log._parse

  def counted(line):
    parsed.append(line)
    return parse(line)

  monkeypatch.setattr(metrics_log, '_parse', counted)
  write(tmp_path, 'scores.jsonl', [{'step': 1, 'episode/score': 1}], tail='{"step": 2')
  following = Following(tmp_path)
  assert following.read().curve('episode/score')[1].tolist() == [1]
  with (tmp_path / 'scores.jsonl').open('a') as file:
    file.write(', "episode/score": 5}\n')
  assert following.read().curve('episode/score')[1].tolist() == [1, 5]
  assert following.read().notes == ()
  assert len([x for x in parsed if x]) == 3  # the second line twice: half, and whole


def test_a_log_that_began_anew_is_read_anew(tmp_path):
  write(tmp_path, 'scores.jsonl', [{'step': i, 'episode/score': 1} for i in range(9)])
  following = Following(tmp_path)
  assert len(following.read().records['scores.jsonl']) == 9
  write(tmp_path, 'scores.jsonl', [{'step': 4, 'episode/score': 3}])
  assert following.read().curve('episode/score')[1].tolist() == [3]
