"""Parameter names, shapes, initial scales; loading that fits or does not."""

import json
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest

from embodied.jax import init, params
from tests.agent import agents

TABLES = pathlib.Path(__file__).parents[1] / 'fixtures' / 'params_tables.json'
PRESETS = json.loads(TABLES.read_text())


@pytest.mark.parametrize('name', sorted(PRESETS))
def test_table_of_the_published_agent(name):
  crafter, size = name.split('+')
  assert crafter == 'crafter'
  shapes = agents.make_model([size]).shapes()
  have = {k: [list(v.shape), str(v.dtype)] for k, v in shapes.items()}
  assert have == PRESETS[name]


def test_counts_of_trained_parameters():
  counts = {'size1m': 687_875, 'size12m': 10_498_259, 'debug': 11_735}
  for size, want in counts.items():
    recipes = agents.make_model([size]).recipes()
    assert sum(np.prod(s, dtype=int) for _, s in recipes.values()) == want


@pytest.mark.parametrize('wd', [0.0, 0.1])
def test_weight_decay_moves_the_schedule_counter(wd):
  shapes = agents.make_model(['debug'], {'agent.opt.wd': wd}).shapes()
  assert f'opt/state/{4 if wd else 3}/count' in shapes


def test_drawn_scale_and_truncation():
  rng = np.random.default_rng(0)
  array = init.Recipe('trunc_normal_in', 2.0).draw((400, 300), rng)
  assert array.dtype == np.float32
  assert array.std() == pytest.approx(2 / np.sqrt(400), rel=0.01)
  assert np.abs(array).max() <= 2 * 1.1368 * 2 / np.sqrt(400) + 1e-6


@pytest.mark.parametrize(
  ('shape', 'want'),
  [
    ((6, 4), (6, 4)),
    ((5, 5, 3, 8), (75, 200)),
    ((8, 16, 4), (128, 32)),
    ((7,), (1, 7)),
    ((), (1, 1)),
  ],
)
def test_fans_count_leading_axes(shape, want):
  assert init.fans(shape) == want


def test_a_new_layer_changes_no_other_draw():
  one: dict[str, Any] = {'a/kernel': (init.Recipe('normal_in'), (4, 4))}
  two = {**one, 'b/kernel': (init.Recipe('normal_in'), (4, 4))}
  a, b = init.draw(one, 3), init.draw(two, 3)
  np.testing.assert_array_equal(a['a/kernel'], b['a/kernel'])
  assert not np.array_equal(b['a/kernel'], b['b/kernel'])
  assert not np.array_equal(a['a/kernel'], init.draw(one, 4)['a/kernel'])


@pytest.mark.parametrize('name', ['trunc', 'normal_up', 'zero', 'foo_in'])
def test_unknown_initialiser(name):
  with pytest.raises(ValueError, match=name):
    init.Recipe(name)


def test_restore_names_every_difference_and_its_settings():
  shapes = {
    'dyn/dyngru/kernel': np.zeros((8, 2, 6)),
    'enc/a': np.zeros(2),
    'opt/state/1/1/dyn/dyngru/kernel': np.zeros((8, 2, 6)),
  }
  loaded = {'dyn/dyngru/kernel': np.zeros((8, 4, 12)), 'val/b': np.zeros(1)}
  with pytest.raises(params.MismatchError) as caught:
    params.restore(shapes, loaded)
  error = caught.value
  assert error.missing == ['enc/a', 'opt/state/1/1/dyn/dyngru/kernel']
  assert error.extra == ['val/b']
  assert error.shapes == {'dyn/dyngru/kernel': ((8, 4, 12), (8, 2, 6))}
  for part in ('enc/a', 'val/b', '(8, 4, 12)', 'agent.dyn.rssm.deter'):
    assert part in str(error)


def test_a_long_mismatch_is_shortened():
  shapes = {f'enc/cnn{i}/kernel': np.zeros(1) for i in range(100)}
  with pytest.raises(params.MismatchError, match='and 92 more') as caught:
    params.restore(shapes, {})
  assert len(str(caught.value)) < 600
  assert len(caught.value.missing) == 100


def test_restore_by_regex():
  shapes = {'enc/a': np.zeros(2, np.float32), 'dec/a': np.zeros(3)}
  loaded = {'enc/a': np.ones(2), 'dec/b': np.zeros(1)}
  new = params.restore(shapes, loaded, regex='enc/')
  assert list(new) == ['enc/a']
  assert new['enc/a'].dtype == np.float32
  with pytest.raises(ValueError, match='matches no parameter'):
    params.restore(shapes, loaded, regex='nothing')


def test_networks_that_are_not_finite_are_refused():
  shapes = {'enc/a': np.zeros(2, np.float32), 'opt/state/1/1/enc/a': np.zeros(2)}
  loaded = {k: np.array([np.inf, 1]) for k in shapes}
  with pytest.raises(ValueError, match='enc/a is not finite; take another'):
    params.restore(shapes, loaded)
  loaded['enc/a'] = np.full(2, 3e38)
  assert np.isinf(params.restore(shapes, loaded)['opt/state/1/1/enc/a'][0])


@pytest.mark.parametrize(
  ('change', 'cause'),
  [
    ({'agent.dyn.rssm.deter': 16}, 'agent.dyn.rssm.deter'),
    ({'agent.enc.simple.depth': 4}, 'agent.enc.simple.depth'),
    ({'agent.value.units': 12}, 'agent.value.units'),
    ({'agent.dyn.rssm.classes': 6}, 'agent.dyn.rssm.stoch, .classes'),
    ({'agent.retnorm.debias': True}, 'agent.retnorm'),
  ],
)
def test_settings_that_explain_a_mismatch(change, cause):
  mine = agents.make_model(['debug']).shapes()
  other = agents.make_model(['debug'], change).shapes()
  loaded = {k: np.zeros(v.shape, v.dtype) for k, v in other.items()}
  with pytest.raises(params.MismatchError) as caught:
    params.restore(mine, loaded)
  assert any(cause in x for x in caught.value.causes)


def test_saved_form_and_round_trip(tmp_path):
  agent = agents.make_agent(['debug'])
  path = tmp_path / 'agent.pkl'
  path.write_bytes(pickle.dumps(agent.save(), protocol=4))
  data = pickle.loads(path.read_bytes())
  assert set(data) == {'params', 'counters'}
  assert data['counters'] == {'updates': 0, 'batches': 0, 'actions': 0}
  table = PRESETS['crafter+debug']
  assert list(data['params']) == sorted(table)
  for name, value in data['params'].items():
    assert type(value) is np.ndarray
    assert value.flags.writeable
    assert [list(value.shape), str(value.dtype)] == table[name]
  data['params']['opt/step/value'] += 7
  data['params']['enc/cnn0/bias'] += 1
  data['counters'] = {'updates': 7, 'batches': 9, 'actions': 11}
  agent.load(data)
  again = agent.save()
  assert again['counters'] == data['counters']
  for name, value in data['params'].items():
    np.testing.assert_array_equal(again['params'][name], value)
  agent.load({'params': {'enc/cnn0/bias': np.zeros(4)}}, 'enc/cnn0/bias')
  assert not agent.save()['params']['enc/cnn0/bias'].any()
  assert agent.save()['counters'] == data['counters']


def test_a_checkpoint_of_the_networks_alone_begins_to_learn_afresh():
  agent = agents.make_agent(['debug'], {'seed': 1})
  data = agent.save()
  bare = {k: v for k, v in data['params'].items() if not k.startswith(params.LEARNING)}
  other = agents.make_agent(['debug'], {'seed': 2})
  before = other.save()['params']
  other.load({'params': bare, 'counters': data['counters']}, regex='.*')
  after = other.save()['params']
  for name, value in after.items():
    if name.startswith('slowval/'):
      np.testing.assert_array_equal(value, bare[name.removeprefix('slow')])
    elif name in bare:
      np.testing.assert_array_equal(value, bare[name])
    else:
      np.testing.assert_array_equal(value, before[name])
  del bare['pol/mlp/linear0/kernel']
  with pytest.raises(params.MismatchError, match='pol/mlp/linear0/kernel'):
    other.load({'params': bare, 'counters': data['counters']})
