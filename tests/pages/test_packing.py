"""Packed data: what comes out again, and how exact it is."""

import base64
import gzip
import json

import numpy as np
import pytest

from dreamerv3.pages.packing import pack, quantised, rounded


def unpack(text):
  """As assets/data.js does."""
  raw = gzip.decompress(base64.b64decode(text))
  size = int.from_bytes(raw[:4], 'little')

  def revive(value):
    if isinstance(value, dict) and set(value) == {'at', 'kind', 'shape'}:
      count = int(np.prod(value['shape']))
      part = np.frombuffer(raw, value['kind'], count, 4 + size + value['at'])
      return part.reshape(value['shape'])
    if isinstance(value, dict):
      return {k: revive(v) for k, v in value.items()}
    return [revive(x) for x in value] if isinstance(value, list) else value

  return revive(json.loads(raw[4 : 4 + size]))


def test_arrays_and_texts_come_out_as_they_went_in():
  value = {
    'name': '</script> "ü"',
    'parts': [np.arange(5, dtype=np.uint8), np.float32(1.5), float('nan'), None],
    'map': np.arange(6, dtype=np.float32).reshape(2, 3),
    'none': np.zeros((0, 3), np.int32),
  }
  found = unpack(pack(value))
  assert found['name'] == value['name']
  np.testing.assert_array_equal(found['parts'][0], np.arange(5))
  assert found['parts'][1:] == [1.5, None, None]
  np.testing.assert_array_equal(found['map'], value['map'])
  assert found['none'].shape == (0, 3)
  assert pack(value) == pack(value)


def test_kinds_that_a_browser_lacks_are_refused():
  with pytest.raises(TypeError, match='float64'):
    pack({'x': np.zeros(3)})


def test_quantised_rows_are_off_by_half_a_step_at_most(rng):
  rows = (
    rng.normal(size=(20, 50)).astype(np.float32) * 10.0 ** np.arange(-10, 10)[:, None]
  )
  rows[0] = 3
  rows[1, 4] = np.nan
  rows[2] = np.nan
  codes, low, high = quantised(rows)
  found = low[:, None] + codes / 254 * (high - low)[:, None]
  known = np.isfinite(rows)
  assert ((codes == 255) == ~known).all()
  off = np.abs(found - rows)[known] / np.broadcast_to(
    (high - low)[:, None], rows.shape
  )[known].clip(1e-12)
  assert np.nanmax(off) <= 0.5 / 254 + 1e-4
  assert np.isnan(low[2])


def test_rounded_scores_keep_three_digits(rng):
  values = rng.normal(size=1000) * 10.0 ** rng.integers(-20, 20, 1000)
  values[:4] = np.nan, np.inf, 0, -1
  found = rounded(values)
  np.testing.assert_allclose(found, values, rtol=2**-12)
  assert len(np.unique(found.view(np.uint32) & 0xFFF)) == 1
