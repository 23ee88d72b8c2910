"""Animations, decoded again."""

import weakref

import av
import numpy as np
import pytest
from PIL import Image

from dreamerv3.plots.moving import video

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 200, 10))


def flat(color, shape=(21, 31)):
  return np.full((*shape, 3), color, np.uint8)


def decode(path):
  """Frames (H, W, 3) and their times [s]."""
  with av.open(str(path)) as file:
    return zip(
      *((x.to_ndarray(format='rgb24'), x.time) for x in file.decode(video=0)),
      strict=True,
    )


@pytest.mark.parametrize('form', ['.gif', '.mp4'])
def test_frames_colours_and_times(tmp_path, form):
  frames = [flat(x) for x in COLORS]
  path = tmp_path / f'walk{form}'
  got = video.write(path, iter(frames), 4, 200, np.concatenate(frames))
  assert got == path
  pictures, times = decode(path)
  assert np.allclose(times, [0, 0.2, 0.4, 0.6])
  for picture, color in zip(pictures, COLORS, strict=True):
    wanted = np.array(color)
    assert np.abs(picture[5, 5].astype(int) - wanted).max() <= 8
  even = form == '.mp4'
  assert pictures[0].shape == ((22, 32, 3) if even else (21, 31, 3))
  assert [x.name for x in tmp_path.iterdir()] == [path.name]


def test_a_gif_repeats_and_keeps_what_does_not_change(tmp_path):
  frames = [flat(COLORS[0], (40, 40)) for _ in range(5)]
  for k, frame in enumerate(frames):
    frame[10:14, 4 * k : 4 * k + 4] = COLORS[2]
  path = video.write(tmp_path / 'a.gif', iter(frames), 5, 50, np.concatenate(frames))
  pictures, _ = decode(path)
  for picture, frame in zip(pictures, frames, strict=True):
    assert np.abs(picture.astype(int) - frame).max() <= 8
  with Image.open(path) as image:
    assert image.info['loop'] == 0
    assert image.info['duration'] == 50


def test_frames_are_taken_one_at_a_time(tmp_path):
  """Flat memory: no frame is asked for before the last one is encoded."""
  made: list[weakref.ref] = []

  def frames():
    for _ in range(50):
      frame = flat(COLORS[1])
      made.append(weakref.ref(frame))
      yield frame
      del frame
      assert sum(x() is not None for x in made) <= 2

  video.write(tmp_path / 'a.gif', frames(), 50, 40, flat(COLORS[1]))


def test_palette_and_nearest_colour():
  sample = np.concatenate([flat(x) for x in COLORS])
  colors = video.palette(sample)
  match = video.matcher(colors)
  picture = np.array([[COLORS[0], COLORS[3], (250, 8, 8)]], np.uint8)
  found = colors[match(picture)][0].astype(int)
  wanted = np.array([COLORS[0], COLORS[3], COLORS[0]])
  assert np.abs(found - wanted).max() <= 8


def test_many_colours_leave_one_place_free(rng):
  sample = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
  assert len(video.palette(sample)) <= 255


def test_a_failure_leaves_nothing_behind(tmp_path):
  def frames():
    yield flat(COLORS[0])
    raise RuntimeError('no more')

  with pytest.raises(RuntimeError, match='no more'):
    video.write(tmp_path / 'a.mp4', frames(), 2, 40, flat(COLORS[0]))
  with pytest.raises(ValueError, match='no frames'):
    video.write(tmp_path / 'a.gif', iter(()), 0, 40, flat(COLORS[0]))
  with pytest.raises(ValueError, match=r'suffix \.avi'):
    video.write(tmp_path / 'a.avi', iter(()), 0, 40, flat(COLORS[0]))
  assert not list(tmp_path.iterdir())


def test_a_line_now_and_then_without_a_terminal(monkeypatch, capsys):
  monkeypatch.setattr(video, 'EVERY', 0.0)
  frames = [flat(x) for x in COLORS[:3]]
  assert len(list(video.progress(frames, 3, 'walk.gif'))) == 3
  assert '2/3 frames, walk.gif' in capsys.readouterr().err
