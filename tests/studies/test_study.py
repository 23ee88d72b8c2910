"""What a study file says, which tasks come of it, and what is refused."""

import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.studies import checking, study, tasks
from dreamerv3.studies.kinds import KINDS
from tests.studies import fakes


def test_each_run_goes_through_all_stages(tmp_path):
  found = fakes.make(tmp_path)
  made = tasks.tasks(found)
  assert [x.name for x in made[:4]] == [
    'usual_seed0/train',
    'usual_seed0/record',
    'usual_seed0/control',
    'usual_seed1/train',
  ]
  assert len(made) == 12
  known = fakes.by_name(found)
  control = known['other_seed1/control']
  assert control.needs == ('other_seed1/record',)
  assert control.index == 3
  words = tasks.words(known['other_seed1/train'])
  assert words[words.index('--env.crafter.egocentric_view') + 1] == '7'
  assert words[words.index('--seed') + 1] == '1'
  assert words[words.index('--logdir') + 1] == str(tmp_path / 'out' / 'other_seed1')


def test_analyses_take_what_the_study_has(tmp_path):
  more = fakes.STUDY.replace(
    '  control', '  manifold: {{}}\n  decode: {{perception: false}}\n  control'
  )
  found = study.load(fakes.write(tmp_path, text=more))
  known = fakes.by_name(found)
  assert known['usual_seed0/decode'].needs == (
    'usual_seed0/record',
    'usual_seed0/control',
  )
  words = tasks.words(known['usual_seed0/decode'])
  assert {'--control', '--save_model', '--no-perception'} < {*words}
  assert '--dream_data' not in tasks.words(known['usual_seed0/manifold'])


def test_what_changes_no_number_makes_nothing_stale(tmp_path):
  def digests(text):
    found = study.load(fakes.write(tmp_path, text=text))
    return [x.digest for x in tasks.tasks(found)]

  first = digests(fakes.STUDY)
  assert digests(fakes.STUDY.replace('[0, 1]', '[0, 1, 2]'))[:6] == first[:6]
  assert digests(fakes.STUDY.replace('_episodes: 2', '_episodes: 2, envs: 4')) == first
  other = digests(fakes.STUDY.replace('_view: 7', '_view: 9'))
  assert other[:6] == first[:6]
  assert not {*other[6:]} & {*first[6:]}


@pytest.mark.parametrize(
  ('old', 'new', 'said'),
  [
    ('seeds:', 'seedz:', 'seedz is unknown; did you mean seeds?'),
    ('folder: {folder}', '', 'folder missing'),
    ('folder: {folder}', 'folder: {{a: 1}}', 'expected a path'),
    ('[0, 1]', '[0, 0]', 'expected different whole numbers'),
    ('[0, 1]', '[-1]', 'expected different whole numbers'),
    ('  control', '  contrl', 'stage contrl is unknown; did you mean control?'),
    ('  record: {{num_episodes: 2}}', '', 'stage control needs stage record'),
    ('usual:', 'a b:', "condition 'a b': letters"),
    ('usual:', 'Other:', 'two differ in case alone'),
    ('_episodes: 2', '_episodes: 2, save_path: x', 'save_path is set by the study'),
    ('usual: {{}}', 'usual: 3', 'usual: got 3, expected names'),
    ('slurm:\n  all', 'slurm:\n  al', 'slurm: al is unknown; did you mean all?'),
    ('seeds: [0, 1]', 'seeds: [', 'Cannot read'),
  ],
)
def test_a_wrong_file_is_one_line(tmp_path, old, new, said):
  assert old in fakes.STUDY
  path = fakes.write(tmp_path, text=fakes.STUDY.replace(old, new))
  with pytest.raises(UserError, match='study.yaml') as caught:
    study.load(path)
  assert said in str(caught.value)


@pytest.mark.parametrize(
  ('old', 'new', 'said'),
  [
    ('_view: 7', '_vieww: 7', 'condition other: Unknown flag --env.crafter.egocent'),
    ('_view: 7', '_view: 7, batch_size: 0', 'condition other: --batch_size is 0'),
    ('usual: {{}}', 'usual: {{seed: 3}}', 'seed is set by the study'),
    ('num_episodes', 'num_episode', 'did you mean num_episodes?'),
    ('_episodes: 2', '_episodes: 0', 'stage record: --eval_trajectory.num_episodes'),
    ('control', 'checkpoints', 'set run.ckpt_keep'),
    (
      '  control: {{}}',
      '  manifold: {{n_shufles: 3}}',
      'stage manifold: unknown argument --n_shufles; did you mean --n_shuffles?',
    ),
    (
      '  control: {{}}',
      '  layers: {{repr: deter}}',
      'stage layers: --repr would do nothing without --mode standard',
    ),
    (
      '  control: {{}}',
      '  tune: {{device: cuda, n_shuffles: 0}}',
      'stage tune: With --n_shuffles 0 no unit is tested; leave out --device',
    ),
    (
      '  control: {{}}',
      '  plots: {{plot: heatmap, mp4: true}}',
      'stage plots: --mp4 would do nothing with --plot heatmap',
    ),
    (
      '  control: {{}}',
      '  decode: {{repr: stoch}}\n  dreams: {{}}',
      'set repr: deter',
    ),
  ],
)
def test_flags_are_those_of_the_commands(tmp_path, old, new, said):
  assert old in fakes.STUDY
  found = study.load(fakes.write(tmp_path, text=fakes.STUDY.replace(old, new)))
  with pytest.raises(UserError) as caught:
    checking.check(found)
  assert said in str(caught.value)


def test_every_stage_takes_what_the_study_sets(tmp_path):
  more = ''.join(f'  {x}: {{{{}}}}\n' for x in KINDS if x not in ('train', 'record'))
  text = fakes.STUDY.replace('  control: {{}}\n', more)
  text = text.replace('run.steps', 'run.ckpt_keep: 50, run.steps')
  found = study.load(fakes.write(tmp_path, text=text))
  assert [x.name for x in found.stages] == [*KINDS]
  assert {*checking.check(found)} == {'usual', 'other'}


def test_the_example_is_a_study():
  found = study.load(fakes.cli.ROOT / 'docs' / 'study_example.yaml')
  assert {*checking.check(found)} == {'usual', 'egocentric'}
