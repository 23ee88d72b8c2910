"""Layer names: order along the network, selection, groups."""

import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.data import layers

NAMES = (
  'enc/cnn0',
  'enc/cnn1',
  'enc/mlp0',
  'enc/tokens',
  'dyn/stoch',
  'dyn/deter',
  'dec/space',
  'dec/conv2',
  'dec/conv0',
  'rew/mlp/linear0',
  'rew/pred',
  'pol/mlp/linear2',
  'pol/mlp/linear10',
  'pol/entropy',
  'pol/logits',
  'val/mlp/linear0',
  'val/value',
  'other',
)


def test_order_is_that_of_the_network():
  assert layers.order(reversed(NAMES)) == list(NAMES)


@pytest.mark.parametrize(
  ('pattern', 'found'),
  [
    ('dyn/deter', ['dyn/deter']),
    ('deter', ['dyn/deter']),
    ('linear0', ['rew/mlp/linear0', 'val/mlp/linear0']),
    ('enc', ['enc/cnn0', 'enc/cnn1', 'enc/mlp0', 'enc/tokens']),
    ('pol/mlp/', ['pol/mlp/linear2', 'pol/mlp/linear10']),
    ('dyn/*', ['dyn/stoch', 'dyn/deter']),
    ('*/pred', ['rew/pred']),
    ('pol/*2', ['pol/mlp/linear2']),
    ('pol/mlp/.*', ['pol/mlp/linear2', 'pol/mlp/linear10']),
    (r'enc/cnn\d|oth.*', ['enc/cnn0', 'enc/cnn1', 'other']),
    ('.*', list(NAMES)),
    ('deter, enc/cnn*', ['enc/cnn0', 'enc/cnn1', 'dyn/deter']),
  ],
)
def test_a_pattern_is_a_name_its_end_a_folder_a_glob_or_a_regex(pattern, found):
  assert layers.select([pattern], NAMES) == found


def test_the_first_reading_that_finds_something_counts():
  names = ['dyn/enc', 'enc/cnn0', 'enc']
  assert layers.select(['enc'], names) == ['enc']
  assert layers.select(['enc'], names[:2]) == ['dyn/enc']
  assert layers.select(['enc'], names[1:2]) == ['enc/cnn0']


def test_patterns_add_up_in_network_order():
  assert layers.select(['deter', 'enc/cnn0'], NAMES) == ['enc/cnn0', 'dyn/deter']
  assert layers.select([], NAMES) == list(NAMES)


def test_a_pattern_that_means_nothing_names_the_nearest():
  with pytest.raises(UserError, match="No layer 'detre'; nearest: dyn/deter"):
    layers.select(['enc', 'detre'], NAMES)
  with pytest.raises(UserError, match='nearest: enc/cnn1, enc/cnn0'):
    layers.select(['enc/cnn7'], NAMES)
  with pytest.raises(UserError, match=r"No layer '\('; there are: enc/cnn0, .*other"):
    layers.select(['('], NAMES)


def test_one_layer_is_asked_for_when_several_are_meant():
  assert layers.one('deter', NAMES) == 'dyn/deter'
  with pytest.raises(UserError, match='2 layers .rew/mlp/linear0, val/mlp/linear0.'):
    layers.one('linear0', NAMES)


def test_groups():
  assert layers.group('enc/cnn3') == 'enc/cnn'
  assert layers.group('dyn/deter') == 'dyn/deter'
  assert layers.group('pol/mlp/linear0') == 'pol'


def test_tokens_repeat_the_last_convolution_without_vectors():
  sizes = {'enc/cnn0': 8, 'enc/cnn1': 4, 'enc/tokens': 4}
  assert layers.same_bytes(sizes) == [('enc/tokens', 'enc/cnn1')]
  assert layers.same_bytes({**sizes, 'enc/mlp0': 4}) == []
  assert layers.same_bytes({'dyn/deter': 3}) == []


@pytest.mark.parametrize(
  ('width', 'left_out'),
  [
    (64, []),
    (512, []),
    (768, ['enc/cnn0', 'dec/conv0']),
    (1024, ['enc/cnn0', 'dec/conv0']),
    (1536, ['enc/cnn0', 'enc/cnn1', 'dec/conv1', 'dec/conv0']),
  ],
)
def test_maps_wider_than_those_of_size50m_are_left_out_unless_asked_for(
  width, left_out
):
  maps = {0: 128, 1: 48, 2: 16, 3: 4}
  sizes = {
    f'{x}{i}': v * width for x in ('enc/cnn', 'dec/conv') for i, v in maps.items()
  }
  sizes |= {'dyn/deter': 100_000, 'dyn/stoch': 2048}  # no map, however wide
  pattern, without = layers.settled('auto', sizes)
  assert without == left_out
  assert set(layers.select([pattern], sizes)) == sizes.keys() - set(left_out)
  assert (pattern == '.*') == (not left_out)  # as recordings of before say it
  assert layers.settled('.*', sizes) == ('.*', [])
  assert layers.settled('enc', sizes) == ('enc', [])
