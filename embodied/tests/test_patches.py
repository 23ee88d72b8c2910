"""Rows that changed since the last save: what is written of them, and read again."""

import numpy as np

from embodied.tests.test_replay import fill, written
from embodied.tests.test_replay_save import assert_equal, make, restart


def test_a_save_writes_the_rows_that_changed_since_the_last_one(tmp_path):
  replay = make(tmp_path)
  fill(replay, 24)
  replay.save()()
  rng = np.random.default_rng(0)
  sizes = []
  for value in range(100, 140):
    batch = replay.sample(1)
    latent = np.full((1, 5, 3), value, np.float32)
    replay.update({'stepid': batch['stepid'], 'latent': latent})
    before = set(tmp_path.glob('updates/*'))
    state = replay.save()()
    written = set(tmp_path.glob('updates/*')) - before
    sizes.append(sum(len(np.load(x)['latent']) for x in written))
    # Patches hold at most twice what differs from the files.
    assert sum(len(np.load(tmp_path / x)['latent']) for x in patches(state)) <= 48
    if rng.random() < 0.3:
      assert_equal([restart(replay, state).sample(9)], [replay.sample(9)])
      replay = restart(replay, state)
  assert sizes[0] == 5
  assert np.median(sizes) == 5
  assert max(sizes) > 5  # where several patches became one
  alone = make(tmp_path)  # files without a state
  alone.load(None)
  everything = [x.data['latent'] for x in alone._index.chunks.values()]
  want = [x.data['latent'][: x.length] for x in replay._index.chunks.values()]
  np.testing.assert_array_equal(np.concatenate(everything), np.concatenate(want))


def patches(state):
  return [name for x in state['chunks'] for name in x['patches']]


def test_states_that_name_one_patch_of_all_rows_are_read(tmp_path):
  replay = make(tmp_path)
  fill(replay, 24)
  replay.save()()
  written(replay, replay.sample(300), 1000)
  state = replay.save()()
  old = [{**x, 'patch': x.pop('patches')[0]} for x in map(dict, state['chunks'])]
  assert_equal(
    [restart(replay, {**state, 'chunks': old}).sample(9)], [replay.sample(9)]
  )
