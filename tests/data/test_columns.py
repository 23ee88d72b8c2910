"""Where a value lies in the rows that bring it."""

import numpy as np
import pytest

from dreamerv3.data.columns import Column

WHOLE = np.dtype(np.float32)


@pytest.mark.parametrize('batch', [(), (5,), (2, 3)])
def test_a_column_is_found_in_its_own_shape(batch):
  rows = {'float32': np.arange(np.prod((*batch, 20))).reshape((*batch, 20))}
  stoch = Column('dyn/stoch', 'float32', 4, (2, 3), WHOLE)
  value = Column('val/value', 'float32', 10, (), WHOLE)
  assert stoch.of(rows).shape == (*batch, 2, 3)
  np.testing.assert_array_equal(
    stoch.of(rows).reshape((*batch, 6)), rows['float32'][..., 4:10]
  )
  np.testing.assert_array_equal(value.of(rows), rows['float32'][..., 10])
  assert (stoch.units, stoch.nbytes, stoch.stop) == (6, 24, value.start)
  assert (value.units, value.nbytes) == (1, 4)
