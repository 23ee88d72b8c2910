"""The units of a page: all of them, and which of many keep their maps."""

import numpy as np

from dreamerv3.analysis.tuning import cell_types
from dreamerv3.pages import scores
from dreamerv3.pages.explorer import explorer
from tests.pages import made_run


def test_all_units_are_there_with_their_scores():
  results = made_run.results('enc/tokens', 'dyn/deter')
  found = explorer(results)
  table = results.tables['dyn/deter']
  own = found['layer'] == found['layers'].index('dyn/deter')
  np.testing.assert_array_equal(found['unit'][own], table.units)
  score = next(x for x in found['scores'] if x['name'] == 'EVs')
  np.testing.assert_allclose(score['values'][own], table.metrics['EVs'], rtol=1e-3)
  other = results.control['dyn/deter'].metrics['EVs']
  np.testing.assert_allclose(score['control'][own], other, rtol=1e-3)
  ids = results.classes('dyn/deter')[1]
  np.testing.assert_array_equal(found['class'][own], ids)
  assert len(found['classes']) == len(cell_types.NAMES)
  assert found['model']['names'][found['model']['index'][0]] == 'place'
  assert found['notes'] == []


def test_maps_have_the_visited_tiles_alone():
  results = made_run.results('dyn/deter')
  found = explorer(results)
  table = results.tables['dyn/deter']
  maps = found['maps']
  visited = table.occupancy.reshape(-1) > 0
  np.testing.assert_array_equal(found['tiles'], np.flatnonzero(visited))
  values = maps['low'] + maps['codes'][:, 0] / 254 * (maps['high'] - maps['low'])
  first = table.curves[:].reshape(len(table), -1)[:, found['tiles'][0]]
  np.testing.assert_allclose(values, first, atol=0.02)


def test_of_many_units_the_best_of_each_layer_keep_their_maps():
  results = made_run.results('enc/tokens', 'dyn/deter')
  tiles = int((results.tables['dyn/deter'].occupancy > 0).sum())
  found = explorer(results, map_bytes=2 * tiles * 10)
  assert len(found['rows']) == 10
  for layer, name in enumerate(results.tables):
    kept = (
      found['rows'][found['layer'][found['rows']] == layer] - layer * made_run.UNITS
    )
    best = np.argsort(-results.tables[name].metrics['EVs'])[:5]
    assert set(kept) == set(best)
  assert '10 of the 60 units' in found['notes'][0]
  assert len(found['unit']) == 60


def test_a_control_of_other_units_is_not_compared():
  results = made_run.results('dyn/deter')
  other = made_run.results('dyn/deter', units=7).control
  mixed = type(results)(results.metadata, results.tables, other, results.limits)
  found = explorer(mixed)
  assert 'control' not in found['scores'][0]
  assert found['maps_control'] is None


def test_scores_are_named_for_people():
  assert scores.about('EVs').tested == 'EVs'
  assert scores.about('EV_ego_boundary').label == 'held-out variance by ego boundary'
  assert scores.about('something_new').label == 'something new'
  names = scores.ordered(['zz', 'p_EVs', 'EV_view', 'EVs', 'SI', 'best_model'])
  assert names == ['SI', 'EVs', 'EV_view', 'p_EVs', 'zz']
