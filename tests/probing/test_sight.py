"""What is shown of a recording, and what is changed in it."""

import numpy as np
import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.probing.sight import Sight
from tests import synthetic

CUT = 49  # of 64 rows: 7 tiles of 7 pixels


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  place = tmp_path_factory.mktemp('sight')
  codes = {'dyn/deter': synthetic.one_hot_places}
  plain = synthetic.record(place / 'plain', codes, episodes=2, image=64)
  known = {'env': {'egocentric_view': 0}}
  return Trajectories.open(synthetic.copy(plain, place / 'x', settings=known))


@pytest.fixture(scope='module')
def images(data):
  return np.concatenate([x.read('image') for x in data.episodes])


@pytest.mark.parametrize(
  ('observe', 'blind'), [('all', []), ('none', [0, 1, 2, 3]), ('2', [2, 3])]
)
def test_images_are_withheld_from_a_step_on(data, images, observe, blind):
  sight = Sight.of(observe, 'none', data)
  assert [t for t in range(4) if sight.blind(t)] == blind
  for t in range(4):
    shown = sight.image(images[t], 1, t)
    np.testing.assert_array_equal(shown, 0 if t in blind else images[t])


def test_pixels_are_put_into_one_other_order(data, images):
  sight = Sight.of('all', 'pixels', data)
  one, two = (sight.image(images[t], 1, t) for t in (0, 1))
  assert (one != images[0]).any()
  marks = np.arange(64 * 64 * 3).reshape(64, 64, 3)
  order = sight.image(marks, 1, 0)
  assert {*order.ravel()} == {*marks.ravel()}
  for shown, image in ((one, images[0]), (two, images[1])):
    np.testing.assert_array_equal(shown, image.reshape(-1)[order])


@pytest.mark.parametrize(('perturb', 'top'), [('vitals', True), ('view', False)])
def test_one_part_comes_from_another_timestep(data, images, perturb, top):
  sight = Sight.of('all', perturb, data)
  rows = slice(CUT, None) if top else slice(0, CUT)
  rest = slice(0, CUT) if top else slice(CUT, None)
  drawn = set()
  for t in range(20):
    shown = sight.image(images[t], 1, t)
    np.testing.assert_array_equal(shown, sight.image(images[t], 1, t))
    np.testing.assert_array_equal(shown[rest], images[t][rest])
    same = (images[:, rows] == shown[rows]).all((1, 2, 3))
    drawn.add(int(np.flatnonzero(same)[0]))
  assert len(drawn) > 10


def test_the_bar_of_an_egocentric_view_is_at_the_bottom(data, tmp_path, images):
  known = {'env': {'egocentric_view': 7}}
  place = synthetic.copy(data.path, tmp_path / 'x', settings=known)
  sight = Sight.of('all', 'vitals', Trajectories.open(place))
  shown = sight.image(images[3], 1, 3)
  np.testing.assert_array_equal(shown[:50], images[3][:50])
  assert (shown[50:] != images[3][50:]).any()


def test_a_recording_that_does_not_tell_its_view_is_refused(data, tmp_path):
  place = synthetic.copy(data.path, tmp_path / 'x', settings={})
  with pytest.raises(UserError, match='where the status bar is'):
    Sight.of('all', 'vitals', Trajectories.open(place))
