"""Maps that wait on disk: the same numbers and files, the memory of one layer."""

import pickle
import tracemalloc

import numpy as np
import pytest

from dreamerv3.analysis.tuning.maps.stored import StoredMaps
from dreamerv3.base import files

SHAPE = (200, 2048)
LAYER = 4 * 200 * 2048


def stored(folder, maps):
  with StoredMaps(folder) as kept:
    for i in range(0, len(maps), 60):
      np.testing.assert_array_equal(kept.put(maps[i : i + 60]), maps[i : i + 60])
    return kept.whole()


@pytest.mark.parametrize('disk', [True, False])
def test_they_come_back_in_their_order(tmp_path, rng, disk):
  maps = rng.normal(size=SHAPE).astype(np.float32)
  maps[:, 0] = np.nan
  found = stored(tmp_path if disk else None, maps)
  np.testing.assert_array_equal(found, maps)
  assert not list(tmp_path.iterdir())  # nothing that a kill could leave


def test_layers_are_written_one_by_one_as_if_they_were_in_memory(tmp_path, rng):
  maps = rng.normal(size=(4, *SHAPE)).astype(np.float32)
  plain = pickle.dumps({'maps': list(maps), 'n': 1}, protocol=files.PROTOCOL)
  tracemalloc.start()
  layers = [stored(tmp_path, x) for x in maps]
  path = files.save_pickle(tmp_path / 'x.pkl', {'maps': layers, 'n': 1})
  _, peak = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  assert path.read_bytes() == plain
  assert peak < LAYER
  np.testing.assert_array_equal(layers[3], maps[3])  # after they were let go


def test_a_full_disk_is_told_with_its_folder(tmp_path, monkeypatch):
  with open('/dev/full', 'wb') as full, StoredMaps(tmp_path) as kept:
    monkeypatch.setattr(kept, '_file', full)
    with pytest.raises(OSError, match='No space left') as caught:
      kept.put(np.zeros(SHAPE, np.float32))
    monkeypatch.undo()
    assert caught.value.filename == str(tmp_path)
