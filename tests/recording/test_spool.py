"""Where large values wait for the end of their episode."""

from dreamerv3.data.columns import Column
from dreamerv3.recording.spool import Spool
from tests.recording.recordings import HALF


def test_a_spool_keeps_order_over_blocks(tmp_path, rng):
  values = rng.normal(size=(23, 44)).astype(HALF)
  columns = [
    Column('a', 'float16', 0, (30,), HALF),
    Column('b', 'float16', 30, (14,), HALF),
  ]
  spool = Spool(tmp_path, columns, block_bytes=5 * 88)
  for row in values:
    block = spool.add({'float16': row})
    if block is not None:
      spool.write(block)
  block = spool.take()
  assert block is not None
  spool.write(block)
  for key, part in (('b', values[:, 30:]), ('a', values[:, :30])):
    assert b''.join(spool.pieces(key)) == part.tobytes()
  spool.close()
  assert not list(tmp_path.iterdir())
