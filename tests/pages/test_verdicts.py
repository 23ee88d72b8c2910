"""Sentences on a run: with numbers, intervals and what they are compared with."""

import pathlib
from typing import Any

from dreamerv3.pages.verdicts import Said, decoding, distinct, tuning

NAN = float('nan')


def share(name, value, low=NAN, high=NAN, control=NAN):
  row = {'layer': 'dyn/deter', 'class': name, 'share': value, 'low': low, 'high': high}
  return {**row, 'control_share': control}


def test_the_commonest_classes_have_their_intervals_and_the_controls_share():
  rows = [
    share('weak', 0.5),
    share('speed', 0.1, 0, 0.25, 0.02),
    share('border_cells', 0.3, 0.2, 0.41, 0),
    share('HD_cells', 0.04, control=0),
    share('action', 0.03),
  ]
  assert list(tuning({'class_shares': rows})) == [
    'dyn/deter: border cells 30% [20%, 41%] (control 0%), '
    'speed 10% [0%, 25%] (control 2%), HD cells 4% (control 0%).'
  ]


def test_layers_that_are_worse_than_chance_or_no_better_than_the_time_do_not_count():
  def layer(name, mean, shuffled=6.0, p=0.01):
    row = {'layer': name, 'mean': mean, 'best_constant': 5.0, 'shuffled': shuffled}
    return {**row, 'p_vs_chance_all': 0.01, 'p_vs_shuffled_all': p}

  rows = [
    layer('enc/cnn0', 2.0),
    layer('enc/cnn1', 5.5),
    layer('enc/cnn2', 2.0, 2.1, 0.4),
    layer('enc/cnn3', 2.0, 1.9),
    layer('pol/value', 2.0, p='nan'),
  ]
  (said,) = decoding({'summary': rows})
  assert said.startswith('2 of 5 layers beat the hardest chance level')


def test_results_without_shares_over_episodes_are_told_as_they_are():
  extra = {
    'fractions': {
      'dyn/deter': {'by_test': {'weak': 0.75, 'speed': 0.25}},
      'enc': {'by_test': {'dead': 1.0}},
    },
    'control_fractions': {'dyn/deter': {'by_test': {'speed': 0.5}}},
    'class_shares': [],
  }
  assert list(tuning(extra)) == [
    'dyn/deter: speed 25% (control 50%).',
    'enc: no unit is named.',
  ]


def test_a_sentence_on_the_recurrent_state_is_said_once_whatever_its_name():
  folder = pathlib.Path('a')
  entry: Any = None
  said = [
    Said(folder, entry, ('deter: 2 tiles.',)),
    Said(folder, entry, ('dyn/deter: 2 tiles.', '2 of 4 layers.')),
    Said(folder, entry, ('dyn/deter: 2 tiles.',)),
  ]
  assert [x for _, x in distinct(said)] == [('deter: 2 tiles.',), ('2 of 4 layers.',)]
