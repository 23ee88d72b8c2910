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


def test_select_by_regex():
  assert layers.select(['pol/mlp/.*', 'enc/cnn0'], NAMES) == [
    'enc/cnn0',
    'pol/mlp/linear2',
    'pol/mlp/linear10',
  ]
  assert layers.select([], NAMES) == list(NAMES)
  with pytest.raises(UserError, match="No layer 'deter'; there are: enc/cnn0"):
    layers.select(['deter'], NAMES)
  with pytest.raises(UserError, match='no regex'):
    layers.select(['('], NAMES)


def test_groups():
  assert layers.group('enc/cnn3') == 'enc/cnn'
  assert layers.group('dyn/deter') == 'dyn/deter'
  assert layers.group('pol/mlp/linear0') == 'pol'


def test_tokens_repeat_the_last_convolution_without_vectors():
  sizes = {'enc/cnn0': 8, 'enc/cnn1': 4, 'enc/tokens': 4}
  assert layers.same_bytes(sizes) == [('enc/tokens', 'enc/cnn1')]
  assert layers.same_bytes({**sizes, 'enc/mlp0': 4}) == []
  assert layers.same_bytes({'dyn/deter': 3}) == []
