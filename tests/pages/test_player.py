"""Episodes and dreams of a page: which are chosen, and what is shown of them."""

import io

import numpy as np
from PIL import Image

from dreamerv3.data.trajectories import Trajectories
from dreamerv3.pages import player as pages
from dreamerv3.pages.dreaming import dreams
from dreamerv3.pages.pictures import frames
from tests.pages import made_run


def test_episodes_that_the_decoder_did_not_see_come_first(tmp_path, monkeypatch):
  data = Trajectories.open(made_run.record(tmp_path))
  monkeypatch.setattr(pages, 'EPISODES', 3)
  chosen = pages.choose(data, made_run.decoder())
  assert [x.episode.number for x in chosen][-2:] == [4, 5]
  assert [x.seen for x in chosen] == [True, False, False]
  assert {x.seen for x in pages.choose(data, None)} == {None}


def test_a_long_episode_is_cut_and_says_so(tmp_path, monkeypatch):
  data = Trajectories.open(made_run.record(tmp_path))
  monkeypatch.setattr(pages, 'STEPS', 100)
  monkeypatch.setattr(pages, '_steps', lambda _: 20)
  (only,) = pages.choose(data, None)
  assert only.length == 20
  shown = pages.player(data, [only], made_run.decoder(), None)['episodes'][0]
  assert (shown['length'], shown['whole']) == (20, len(only.episode))
  assert len(shown['decoded']['named']) == 19


def test_what_is_shown_is_what_was_recorded(tmp_path):
  data = Trajectories.open(made_run.record(tmp_path))
  decoder = made_run.decoder()
  chosen = pages.choose(data, decoder)
  found = pages.player(data, chosen, decoder, made_run.results('dyn/deter'))
  shown, episode = found['episodes'][0], chosen[0].episode
  np.testing.assert_array_equal(shown['pos'], episode.pos)
  X = episode.layer('dyn/deter')[1:].astype(np.float32)
  tiles = decoder.predict_proba(X).reshape(len(X), -1)
  np.testing.assert_array_equal(shown['decoded']['tiles'][:, 0], tiles.argmax(1))
  np.testing.assert_allclose(
    shown['decoded']['p'][:, 0] / 255, tiles.max(1), atol=0.003
  )
  traces = found['traces']
  unit = (
    traces['low'][3] + traces['codes'][3] / 254 * (traces['high'] - traces['low'])[3]
  )
  real = episode.layer('dyn/deter')[:, traces['rows'][3]]
  np.testing.assert_allclose(unit[: len(episode)], real, atol=0.02)


def test_a_recording_without_the_measured_layer_has_no_traces(tmp_path):
  data = Trajectories.open(made_run.record(tmp_path, 'enc/tokens'))
  found = pages.player(
    data, pages.choose(data, None), None, made_run.results('dyn/deter')
  )
  assert found['traces'] is None
  assert found['episodes'][0]['decoded'] is None


def test_each_frame_lies_where_the_page_looks_for_it(rng):
  images = np.zeros((40, 16, 16, 3), np.uint8)
  images += np.arange(40, dtype=np.uint8)[:, None, None, None] * 6
  found = frames(images)
  sheet = np.asarray(Image.open(io.BytesIO(found['file'].tobytes())))
  across, (w, h) = found['across'], found['size']
  for t in (0, 31, 32, 39):
    part = sheet[t // across * h :, t % across * w :][:h, :w]
    assert abs(float(part.mean()) - 6 * t) < 4


def test_dreams_keep_their_paths():
  content = made_run.dreams()
  found = dreams(content, most=4)
  assert found['real'].shape == (4, 6)
  assert found['real'][0, 2] == 2 * 10 + 4
  assert found['paths']['policy'].shape == (4, 6)
  assert found['paths']['policy'][0, 0] == found['paths']['replay'][0, 0]
  best = content['dream_proba'].reshape(6, 5, -1).argmax(-1)[:4]
  np.testing.assert_array_equal(found['tiles'][..., 0], best)
  assert 'first 4 of 6' in found['notes'][0]
