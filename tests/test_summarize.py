"""The summary of a run: numbers from its files, figures from provenance."""

import pytest

from dreamerv3 import summarize
from dreamerv3.base import files
from dreamerv3.base.errors import UserError
from dreamerv3.run_info import log_run_info


@pytest.fixture
def run(tmp_path):
  decoder, tuning = tmp_path / 'decoder_results', tmp_path / 'tuning_results'
  for folder in (decoder, tuning):
    folder.mkdir()
  row = dict(
    layer='deter',
    units=512,
    mean=2.5,
    low=2.0,
    high=3.0,
    best_constant=6.0,
    prior=8.0,
    shuffled=7.0,
    control=float('nan'),
    control_constant=float('nan'),
  )
  files.save_csv(decoder / 'summary.csv', [row])
  kinds = ['single_field'] * 3 + ['untuned']
  units = [{'layer': 'deter', 'cell_type_tested': x} for x in kinds]
  files.save_csv(tuning / 'units.csv', units)
  (decoder / 'kept.png').touch()
  log_run_info(decoder, 'decode', outputs=[decoder / 'kept.png', 'gone.png'])
  return tmp_path


def test_numbers_and_figures(run, capsys):
  summarize.main([str(run), '--files'])
  text = capsys.readouterr().out
  assert '2.00-3.00' in text
  assert 'deter: 42% of the error of the best constant guess' in text
  row = next(x for x in text.splitlines() if x.startswith('single_field'))
  assert row.split() == ['single_field', '75.0%', '-']
  assert '  kept.png' in text
  assert 'gone.png' not in text


def test_amounts_and_missing_intervals_are_stated(run, capsys):
  path = run / 'decoder_results' / 'summary.csv'
  text = path.read_text().splitlines()
  names, values = (x.split(',') for x in text)
  row = {**dict(zip(names, values, strict=True)), 'low': 'nan', 'high': 'nan'}
  row |= {'episodes': 3, 'timesteps': 700, 'train_episodes': 9}
  files.save_csv(path, [{**row, 'train_timesteps': 2100}])
  summarize.main(['--logdir', str(run)])
  lines = capsys.readouterr().out.splitlines()
  said = 'Trained on 9 episodes, 2100 timesteps; tested on 3 episodes, 700'
  assert f'{said} timesteps.' in lines
  assert 'No interval below 5 episodes.' in lines


def test_a_recording_says_how_well_it_covers_its_world(run, capsys):
  found = {'reachable': 400, 'visited': 40, 'share': 0.1, 'evenness': 0.95}
  extra = {'episodes': 3, 'timesteps': 700, 'coverage': {**found, 'divergence': 3.0}}
  folder = files.make_folder(run / 'trajectories')
  log_run_info(folder, 'eval_trajectory', extra=extra)
  summarize.main(['--logdir', str(run)])
  lines = capsys.readouterr().out.splitlines()
  assert '  3 episodes, 700 timesteps' in lines
  assert any('40 of 400 reachable tiles (10%), evenness 0.95' in x for x in lines)
  assert any('Warning: Only 10%' in x for x in lines)


def test_a_run_that_was_moved_still_lists_its_figures(run, tmp_path, capsys):
  moved = tmp_path.with_name('moved')
  run.rename(moved)
  summarize.main(['--logdir', str(moved)])
  assert 'kept.png' not in capsys.readouterr().out
  summarize.main(['--logdir', str(moved), '--files'])
  assert '  kept.png' in capsys.readouterr().out


def test_columns_stay_apart_and_tables_of_other_commands_are_no_damage(run, capsys):
  path = run / 'decoder_results' / 'summary.csv'
  text = path.read_text().replace(',2.5,2,3,', ',14.97,10.7,23.74,')
  path.write_text(text)
  for name, head in (('manifold_summary.csv', 'layer,timesteps'), ('summary.csv', 'x')):
    folder = files.make_folder(run / name.partition('.')[0])
    (folder / name).write_text(f'{head},quantity\n1,2,3\n')
  summarize.main([str(run)])
  out = capsys.readouterr().out
  row = next(x for x in out.splitlines() if x.startswith('deter '))
  assert row.split()[2:4] == ['14.97', '10.70-23.74']
  assert 'Left out' not in out


def test_dreams_are_shown_with_their_verdict(run, capsys):
  folder = run / 'dream_results'
  curves = [
    {'step': h, 'dreams': 9, 'replay': h / 2, 'still': h, 'constant': 6}
    for h in range(8)
  ]
  files.save_csv(files.make_folder(folder) / 'dream_curves.csv', curves)
  log_run_info(folder, 'dream_decode', extra={'verdict': 'They are good.'})
  summarize.main(['--logdir', str(run)])
  lines = capsys.readouterr().out.splitlines()
  row = next(x for x in lines if x.startswith('dream, real actions'))
  assert row.split()[-3:] == ['0.50', '2.50', '3.50']  # steps 1, 5 and 7
  assert lines[-1] == '  They are good.'


@pytest.mark.parametrize(
  ('name', 'text'),
  [
    ('other/summary.csv', 'a,b\n1,2\n'),
    ('other/summary.csv', ''),
    ('other/units.csv', 'a,b\n1,2\n'),
    ('other/dream_curves.csv', 'step,replay\n0\n'),
    ('other/run_info.json', '{"stage"'),
    ('other/run_info.json', '[{"outputs": 3}]'),
    ('other/run_info.json', '[{"stage": "a"}]'),
    ('other/run_info.json', '[1]'),
  ],
)
def test_foreign_files_are_named_and_left_out(run, capsys, name, text):
  files.make_folder(run / 'other')
  (run / name).write_text(text)
  summarize.main(['--logdir', str(run)])
  out = capsys.readouterr().out
  assert f'Left out: {run / name}' in out
  assert 'deter: 42% of' in out


def test_nothing_to_show(tmp_path):
  with pytest.raises(UserError, match='no results yet'):
    summarize.main(['--logdir', str(tmp_path)])
  with pytest.raises(UserError, match='is no folder'):
    summarize.main(['--logdir', str(tmp_path / 'none')])


def words(**changes):
  row = dict(
    layer='dyn/deter',
    low='2.0',
    mean='2.4',
    high='3.0',
    best_constant='1.5',
    prior='2',
    shuffled='1.8',
    control='4',
    control_constant='2.5',
  )
  return summarize.meaning({**row, **changes})


def test_the_error_in_words():
  assert words() == (
    'dyn/deter: 160% of the error of the best constant guess '
    '(95 %: 133% to 200%); hardest chance level: best constant guess 100%, '
    'worse than that; untrained 160%, not told apart from that.'
  )


def test_where_the_table_has_tests_they_decide():
  # The intervals say "worse" and "not told apart".
  text = words(p_vs_chance='0.2', p_vs_control='0.01')
  assert 'best constant guess 100%, not told apart from that' in text
  text = words(control='5', p_vs_chance='0.001', p_vs_control='0.01')
  assert '100%, worse than that; untrained 200%, better than that' in text


def test_what_loses_to_another_episodes_path_does_not_beat_chance():
  text = words(best_constant='10', prior='12', shuffled='2.2')
  assert "hardest chance level: decoder of another episode's path 22%" in text
  assert 'better than that; untrained' not in text
  text = words(best_constant='10', prior='12', shuffled='nan')
  assert 'best constant guess 100%, better than that; untrained' in text


def test_few_episodes_are_not_compared():
  text = words(low='nan', high='nan', control='nan', control_constant='nan')
  assert text == (
    'dyn/deter: 160% of the error of the best constant guess (no interval '
    'below 5 episodes); hardest chance level: best constant guess 100%.'
  )


def test_an_agent_that_never_moves():
  assert 'hardly moved' in words(best_constant='0', mean='0')
