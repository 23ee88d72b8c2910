import dataclasses

import numpy as np

from dreamerv3.analysis.tuning import overview
from tests.plots.tuning_results import results


def test_the_table_shows_the_classes_that_occur_and_notes_warn():
  found = results()
  text = overview.shares_table(found)
  assert 'single_field' in text
  assert 'action' not in text
  assert not overview.notes(found)
  table = found.tables['dyn/deter']
  wild = np.zeros(len(table))
  wild[3] = 1
  table = dataclasses.replace(table, metrics={**table.metrics, 'outliers': wild})
  shifted = dataclasses.replace(
    found, metadata={'null': 'shift'}, tables={'dyn/deter': table}
  )
  shift, outliers = overview.notes(shifted)
  assert 'Harris 2020' in shift
  assert 'dyn/deter: samples far outside the range of units 3 ' in outliers
