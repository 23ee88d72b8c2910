"""What the nulls of blocks of units say of the whole layer."""

import numpy as np

from dreamerv3.analysis import nulls
from dreamerv3.analysis.tuning.evidence import Evidence

NAMES = ('EVs', 'place_given_HD', 'place_given_HD_wide', 'front', 'near', 'R2_place')


def test_parts_of_a_layer_say_what_all_of_it_does(rng):
  observed, null = rng.random((40, 6)), rng.random((40, 6, 30))
  observed[:4] += 2
  drift = rng.normal(size=(31, 40))
  drift[0, 0] = 9
  cuts = np.split(np.arange(40), (3, 25))
  parts = [Evidence.of(NAMES, observed[x], null[x], drift[:, x]) for x in cuts]
  found = Evidence.join(parts)

  def tail(i):
    return nulls.tail(observed[:, i], null[:, i].T)

  def strongest(i):
    both = null[:, i : i + 2].transpose(1, 2, 0)
    return nulls.tail(*nulls.strongest(observed[:, i : i + 2].T, both))

  want = {
    'EVs': tail(0),
    'place_given_HD': strongest(1),
    'view': strongest(3),
    'map_drift': nulls.tail(drift[0], drift[1:]),
  }
  assert set(found.p()) == set(found.q()) == set(want)
  for name, one in want.items():
    np.testing.assert_allclose(found.p()[name], one.p, err_msg=name)
    q = nulls.q_values(nulls.tail_p_values([one]))
    np.testing.assert_allclose(found.q()[name], q, err_msg=name)
  assert found.p()['map_drift'][0] == 1 / 31
  bias = null[:, 5].mean(1)
  free = (observed[:, 5] - bias) / (1 - bias)
  np.testing.assert_allclose(found.shares['R2_place'], free)
