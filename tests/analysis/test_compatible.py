"""Recordings that must not be used together are refused where they meet."""

import dataclasses

import pytest

from dreamerv3.analysis.compatible import (
  check_same,
  other_episodes,
  placed,
  same_path,
  same_world,
  untrained,
)
from dreamerv3.analysis.decoding import layers, protocol
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.base.errors import UserError
from dreamerv3.data.episode import StoredArray
from dreamerv3.data.trajectories import Trajectories
from tests import synthetic

PROTOCOL = protocol.Protocol(mode='layers')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  codes = {'dyn/deter': synthetic.one_hot_places}
  return Trajectories.open(
    synthetic.record(tmp_path_factory.mktemp('together'), codes, 4, 30)
  )


def described(data, **changes):
  """The recording as if its metadata said something else."""
  metadata = dataclasses.replace(data.metadata, **changes)
  return dataclasses.replace(data, metadata=metadata)


def fitted(data):
  plan = protocol.make_plan(data, None, PROTOCOL)
  work = layers.decode_layers(plan.data, plan.chosen, plan.folds, FitOptions(n_iters=0))
  ((_, decoder),) = work
  return decoder


def test_worlds_differ_if_both_are_known():
  here = {'world_seed': 7, 'seed': 3}
  for known in ({}, {'world_seed': None}, here, {**here, 'seed': 4}):
    same_world('a', known, 'b', here)
  with pytest.raises(UserError, match=r'a is of world 8 and b of world 7 \(s'):
    same_world('a', {'world_seed': 8}, 'b', here)


def test_recordings_of_two_worlds_meet_nowhere(data):
  other = described(data, world_seed=9, seed=42)
  says = r'of world 2 \(seed 0\) and .* of world 9 \(seed 42\)'
  with pytest.raises(UserError, match=says):
    protocol.make_plan(data, other, PROTOCOL)
  with pytest.raises(UserError, match=says):
    check_same(data, other, ['dyn/deter'])
  with pytest.raises(UserError, match=says):
    layers.evaluate(other, fitted(data), 'dyn/deter')


def test_an_episode_counts_once(data):
  twin = dataclasses.replace(data.episodes[1], number=9)
  with pytest.raises(UserError, match=r'hold the same episode \(9 and 2\).* two'):
    placed(dataclasses.replace(data, episodes=[*data.episodes, twin]), False)
  # The same walk through another network, or with other noise, is no copy.
  layer = data.episodes[1].arrays['act/dyn/deter']
  other = StoredArray(layer.shape, layer.dtype, 1 - data.episodes[1].layer('dyn/deter'))
  again = dataclasses.replace(twin, arrays={**twin.arrays, 'act/dyn/deter': other})
  placed(dataclasses.replace(data, episodes=[*data.episodes, again]), False)


def test_episodes_of_many_worlds_need_positions_relative_to_the_spawn(data):
  many = described(data, fixed_seed=False)
  with pytest.raises(UserError, match='many worlds.* `spawn_relative`'):
    placed(many, False)
  one = dataclasses.replace(many, episodes=many.episodes[:1])
  assert placed(one, False) is one
  assert placed(data, False) is data
  relative = placed(many, True)
  assert {tuple(x.pos[0]) for x in relative.episodes} == {(11, 9)}
  other = placed(described(data, fixed_seed=False, world_seed=9), True)
  worlds = relative.metadata.world, other.metadata.world
  same_world('a', worlds[0], 'b', worlds[1])
  with pytest.raises(UserError, match='^b has positions relative .* a has not'):
    same_world('a', data.metadata.world, 'b', worlds[1])
  with pytest.raises(UserError, match='b is of many worlds'):
    same_world('a', data.metadata.world, 'b', many.metadata.world)


def test_episodes_are_the_same_by_agent_seed_and_number():
  mine = {'weights': 'ab', 'seed': 3, 'episodes': [1, 2, 3, 4, 5, 6, 7]}
  for other in (
    {**mine, 'episodes': [8, 9]},
    {**mine, 'seed': 4},
  ):
    assert other_episodes('a', mine, 'b', other) == []
  (note,) = other_episodes('a', mine, 'b', {**mine, 'weights': 'c'})
  assert 'a and b are of two networks' in note
  with pytest.raises(UserError, match=r'a and b share episodes \(2, 3: '):
    other_episodes('a', mine, 'b', {**mine, 'episodes': [2, 3, 9]})
  with pytest.raises(UserError, match=r'1, 2, 3, 4, 5 and 2 more: .* 1001'):
    other_episodes('a', mine, 'b', mine)
  for unknown in ({}, {**mine, 'weights': None}, {**mine, 'seed': None}):
    (note,) = other_episodes('a', unknown, 'b', mine)
    assert 'not known which agent' in note


def test_a_decoder_carries_the_episodes_it_was_fitted_to(data):
  known = described(data, extra={'fingerprint': {'weights': 'ab'}})
  decoder = fitted(known)
  assert len(decoder.trained_on['episodes']) == 3  # one of four is held out
  again = LinearDecoder.from_dict(decoder.to_dict())
  assert again.trained_on == decoder.trained_on
  with pytest.raises(UserError, match='same agent, same seed'):
    other_episodes('a', again.trained_on, 'b', known.source())
  (rest,) = {0, 1, 2, 3} - {x - 1 for x in decoder.trained_on['episodes']}
  other_episodes('a', again.trained_on, 'b', known.source([rest]))
  with pytest.raises(UserError, match='`data` and `test_data` share episodes'):
    protocol.make_plan(known, known, PROTOCOL)


def test_a_control_is_untrained(data):
  assert untrained(described(data, trained=False)) == []
  (note,) = untrained(data)
  assert 'does not say whether' in note
  with pytest.raises(UserError, match='load_checkpoint` False'):
    untrained(described(data, trained=True))


def test_a_network_is_no_control_of_itself(data):
  one, other = (
    described(data, extra={'fingerprint': {'weights': x}}) for x in ('ab', 'cd')
  )
  with pytest.raises(UserError, match='of one network, the same weights'):
    untrained(one, one)
  untrained(other, one)


def test_a_control_on_paths_of_its_own_is_told(data):
  control = described(data, trained=False)
  assert same_path(data, control)
  assert untrained(control, data) == []
  first, *rest = control.episodes
  moved = dataclasses.replace(first, pos=first.pos[::-1])
  elsewhere = dataclasses.replace(control, episodes=(moved, *rest))
  (note,) = untrained(elsewhere, data)
  assert 'walked paths of its own' in note
  # Episodes of other numbers say nothing of the path.
  renamed = dataclasses.replace(first, number=99)
  assert not same_path(data, dataclasses.replace(control, episodes=(renamed,)))
