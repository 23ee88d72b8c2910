"""Recordings that must not be used together are refused where they meet."""

import dataclasses

import pytest

from dreamerv3.analysis import census, decode, decode_plan
from dreamerv3.analysis.linear_decoder_fit import FitOptions
from dreamerv3.analysis.together import same_world
from dreamerv3.data.errors import UserError
from dreamerv3.data.reader import Trajectories
from tests import synthetic

PROTOCOL = decode_plan.Protocol(mode='layers')


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
  plan = decode_plan.make_plan(data, None, PROTOCOL)
  work = decode.decode_layers(
    plan.data, plan.chosen, plan.folds, FitOptions(n_iters=0)
  )
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
    decode_plan.make_plan(data, other, PROTOCOL)
  with pytest.raises(UserError, match=says):
    census.check_same(data, other, ['dyn/deter'])
  with pytest.raises(UserError, match=says):
    decode.evaluate(other, fitted(data), 'dyn/deter')
