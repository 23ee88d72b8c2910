"""Where large values wait for the end of their episode."""

import pytest

from dreamerv3.data.columns import Column
from dreamerv3.recording.spool import Room, Spool
from tests.recording.recordings import HALF


# Bytes of blocks in memory: none, two of five, all.
@pytest.mark.parametrize('most', [0, 2 * 5 * 88, 1e6])
def test_a_spool_keeps_order_over_blocks(tmp_path, rng, most):
  values = rng.normal(size=(23, 44)).astype(HALF)
  columns = [
    Column('a', 'float16', 0, (30,), HALF),
    Column('b', 'float16', 30, (14,), HALF),
  ]
  room = Room(most)
  spool = Spool(tmp_path, columns, room, block_bytes=5 * 88)
  for row in values:
    block = spool.add({'float16': row})
    if block is not None:
      spool.write(block)
  block = spool.take()
  assert block is not None
  spool.write(block)
  for key, part in (('b', values[:, 30:]), ('a', values[:, :30])):
    assert b''.join(spool.pieces(key)) == part.tobytes()
  assert room.left == max(0, most - 5 * 5 * 88)
  assert (spool._file is None) == (most == 1e6), 'with room, the disk sees nothing'
  spool.close()
  assert room.left == most
  assert not list(tmp_path.iterdir())
