"""Packed latents: what is lost, what is refused, and the replay around them."""

import threading

import ml_dtypes
import numpy as np
import pytest

from embodied.core.compact import ClassIndex, Rounded, pack_all
from embodied.core.replay import Replay
from embodied.tests.counting import step_of

FORMS = {'stoch': ClassIndex(5), 'latent': Rounded('float16')}


def latents(number):
  classes = (number + np.arange(3)) % 5
  return {
    'stoch': np.eye(5, dtype=np.float32)[classes],
    'latent': np.array([number, -number / 8, 0.5], np.float32),
  }


def filled(steps=60, path=None, forms=None, **kwargs):
  replay = Replay(5, directory=path, chunksize=8, forms=forms, **kwargs)
  for number in range(steps):
    replay.add({**step_of(0, number), **latents(number)})
  return replay


@pytest.mark.parametrize('classes', [4, 256, 300])
def test_one_hot_vectors_come_back_as_they_were(classes):
  index = np.random.default_rng(0).integers(0, classes, (2, 3, 32))
  index[0, 0, :2] = 0, classes - 1
  vectors = np.eye(classes, dtype=np.float32)[index]
  form = ClassIndex(classes)
  for values in (vectors, vectors.astype(ml_dtypes.bfloat16)):
    kept = form.pack(values)
    assert (kept.shape, kept.dtype) == form.row(vectors.shape)
    assert kept.itemsize == (1 if classes <= 256 else 2)
    np.testing.assert_array_equal(form.unpack(kept), vectors)
  assert form.unpack(kept).dtype == np.float32
  assert form.pack(kept) is kept


@pytest.mark.parametrize(
  'wrong',
  [
    np.array([[0.9, 0.1]], np.float32),
    np.array([[1, 1e-7]], np.float32),
    np.array([[0, 0]], np.float32),
    np.array([[1, 1]], np.float32),
    np.array([[1, 0, 0]], np.float32),
    np.array([2], np.uint8),
  ],
)
def test_what_is_not_one_hot_is_refused_by_name(wrong):
  with pytest.raises(ValueError, match=r'keep dyn/stoch as ClassIndex\(classes=2\)'):
    pack_all({'dyn/stoch': wrong}, {'dyn/stoch': ClassIndex(2)})


@pytest.mark.parametrize(
  ('name', 'dtype'),
  [('float32', 'f4'), ('float16', 'f2'), ('bfloat16', ml_dtypes.bfloat16)],
)
def test_floats_are_rounded_to_the_nearest(name, dtype):
  rng = np.random.default_rng(0)
  values = np.tanh(rng.normal(size=(7, 200))).astype(np.float32)
  values[0, :6] = 0, -0.0, 1, -1, 1 + 2**-9, 1 + 3 * 2**-9  # ties, too
  form = Rounded(name)
  kept = form.pack(values)
  assert (kept.shape, kept.dtype) == form.row(values.shape)
  want = values.astype(dtype).astype(np.float32)
  np.testing.assert_array_equal(form.unpack(kept), want)
  # Whatever form a file has, it is read in that of the run.
  for other in ('float32', 'float16', 'bfloat16'):
    again = form.pack(Rounded(other).pack(want))
    assert again.dtype == kept.dtype
    np.testing.assert_allclose(form.unpack(again), want, rtol=2**-8, atol=1e-7)
  given = form.pack(want.astype(ml_dtypes.bfloat16))
  np.testing.assert_array_equal(
    form.unpack(given), Rounded('bfloat16').unpack(Rounded('bfloat16').pack(want))
  )


@pytest.mark.parametrize('context', [0, 2])
def test_batches_are_those_of_a_replay_that_keeps_all(context):
  plain, packed = filled(), filled(forms=FORMS, context=context)
  for _ in range(5):
    want, got = plain.sample(30), packed.sample(30)
    assert want.keys() == got.keys()
    for key in want.keys() - {'stepid'}:
      steps = context if context and key in FORMS else 5
      np.testing.assert_array_equal(got[key], want[key][:, :steps], key)
      assert got[key].dtype == want[key].dtype
    for replay, batch in ((plain, want), (packed, got)):
      new = {
        'stoch': np.roll(want['stoch'], 1, -1),
        'latent': want['latent'] + 8,
      }
      replay.update({'stepid': batch['stepid'], **new})
  # Of float32 5 x 3 and 3 are left a byte and two.
  shrunk = plain.stats()['ram_gb'] - packed.stats()['ram_gb']
  assert round(shrunk * 2**30) == 64 * (15 * 4 - 3 + 3 * 4 - 3 * 2)


def test_updates_of_packed_keys_do_not_wait_for_batches_that_are_chosen():
  replay = filled(forms=FORMS, context=2)
  batch = replay.sample(30)
  new = {'stepid': batch['stepid'], 'latent': np.full((30, 5, 3), 512.0)}
  build = replay.defer(50)
  thread = threading.Thread(target=replay.update, args=[new], daemon=True)
  thread.start()
  thread.join(5)
  assert not thread.is_alive()
  assert (build()['latent'] < 512).all()
  assert (replay.sample(50)['latent'] == 512).any()


def test_folders_of_another_form_are_read(tmp_path):
  plain = filled(path=tmp_path)
  batch = plain.sample(20)
  before = plain.save()()
  plain.update({'stepid': batch['stepid'], 'latent': batch['latent'] + 64})
  state = plain.save()()
  want = plain.sample(50)
  replay = Replay(5, directory=tmp_path, chunksize=8, forms=FORMS)
  replay.load(state)
  got = replay.sample(50)
  for key in want:
    np.testing.assert_array_equal(got[key], want[key], key)
  # What is written from now on is packed, also over files that are not.
  replay.update({'stepid': got['stepid'], 'latent': got['latent'] + 64})
  state = replay.save()()
  want = replay.sample(50)
  again = Replay(5, directory=tmp_path, chunksize=8, forms=FORMS)
  again.load(state)
  got = again.sample(50)
  for key in want:
    np.testing.assert_array_equal(got[key], want[key], key)
  assert before
  assert state
  assert before['chunks'][0]['file'] == state['chunks'][0]['file']


def test_files_that_are_not_one_hot_are_skipped_with_a_notice(tmp_path, capsys):
  replay = Replay(5, directory=tmp_path, chunksize=8)
  for number in range(30):
    replay.add({**step_of(0, number), 'stoch': np.array([0.5, 0.5], np.float32)})
  replay.save()()
  other = Replay(5, directory=tmp_path, forms={'stoch': ClassIndex(2)})
  other.load(None)
  assert 'vectors that are not one-hot' in capsys.readouterr().err
  assert not len(other)
