"""What ends up in the logs of a run, and what a resumed run does to them."""

import io
import json
import struct
import sys
import threading
import types
from typing import Any

import elements
import numpy as np
import PIL.Image
import pytest
from tensorboardX.proto import event_pb2

from embodied.core import logging
from embodied.core.wandb_log import WandB


def lines(path):
  return [json.loads(x) for x in path.read_text().splitlines()]


def test_json_lines_hold_scalars_by_step(tmp_path):
  step = elements.Counter()
  metrics = logging.JsonLines(tmp_path / 'metrics.jsonl')
  scores = logging.JsonLines(
    tmp_path / 'scores.jsonl', r'^episode/(score|achievement_)'
  )
  logger = logging.Logger(step, [metrics, scores])
  logger.add({'score': 1.5, 'length': 3, 'achievement_eat': 2}, 'episode')
  logger.add({'text': 'no', 'image': np.zeros((2, 2, 3)), 'f': np.float32(2)})
  step.increment(10)
  logger.add({'loss': np.float64(0.25)}, prefix='train')
  logger.close()
  assert lines(tmp_path / 'metrics.jsonl') == [
    {
      'step': 0,
      'episode/score': 1.5,
      'episode/length': 3.0,
      'episode/achievement_eat': 2.0,
      'f': 2.0,
    },
    {'step': 10, 'train/loss': 0.25},
  ]
  assert lines(tmp_path / 'scores.jsonl') == [
    {'step': 0, 'episode/score': 1.5, 'episode/achievement_eat': 2.0}
  ]


def test_truncation_drops_later_and_half_lines(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  assert logging.truncate_jsonl(path, 5) == 0
  path.write_text('{"step": 1}\n{"step": 5}\n{"step": 6}\n{"step": 7, "a')
  assert logging.truncate_jsonl(path, 5) == 2
  assert path.read_text() == '{"step": 1}\n{"step": 5}\n'
  assert logging.truncate_jsonl(path, 5) == 0


def test_the_loop_does_not_wait_and_sees_errors_later():
  gate = threading.Event()
  seen = []

  def slow(records):
    gate.wait(30)
    seen.append(records)

  def full(records):
    raise OSError(28, 'No space left on device')

  logger = logging.Logger(1, [slow, full])
  logger.add({'a': 1})
  logger.write()  # returns although `slow` waits
  assert seen == []
  gate.set()
  with pytest.raises(OSError, match='No space'):
    logger.flush()
  logger.jobs.clear()
  logger.close()


def test_too_many_axes():
  logger = logging.Logger(0, [])
  with pytest.raises(ValueError, match=r'x/y has shape \(1, 1, 1, 1, 1\)'):
    logger.add({'y': np.zeros((1, 1, 1, 1, 1))}, prefix='x')
  logger.close()


def test_terminal_filters(capsys):
  output = logging.Terminal('score')
  output([(5, 'episode/score', np.asarray(1.25)), (5, 'b', np.asarray(1))])
  output([(6, 'b', np.asarray(1))])
  assert capsys.readouterr().out == '[step 5] episode/score 1.25\n'


def test_gif_frames_are_the_video():
  video = np.zeros((3, 8, 10, 3), np.float32)
  video[1, :, :, 0] = 1.0
  data = logging.encode_gif(video, fps=10)
  image: Any = PIL.Image.open(io.BytesIO(data))
  assert image.n_frames == 3
  assert image.info['duration'] == 100
  image.seek(1)
  assert image.convert('RGB').getpixel((4, 4)) == (255, 0, 0)
  assert image.size == (10, 8)
  assert logging.encode_gif(np.zeros((1, 4, 4, 1), np.uint8), 15)[:3] == b'GIF'


def test_videos_thin_out_their_history(tmp_path):
  output = logging.Videos(tmp_path / 'report', '^report/', most=4)
  video = np.zeros((1, 4, 4, 3), np.uint8)
  for step in range(9):
    output([(step, 'report/openloop', video), (step, 'other', video)])
  found = sorted(x.name for x in (tmp_path / 'report').iterdir())
  assert len(found) <= 4
  assert found[0] == 'report_openloop-000000000.gif'
  assert found[-1] == 'report_openloop-000000008.gif'


def test_tensorboard_takes_every_kind(tmp_path):
  output = logging.TensorBoard(tmp_path, purge_step=3)
  values = [
    'text',
    1.0,
    np.array([1, 2, np.nan]),
    np.zeros((4, 4)),
    np.zeros((4, 4, 3)),
    np.zeros((2, 4, 4, 3), np.uint8),
  ]
  output(
    [
      (3, f'a/{i}', x if isinstance(x, str) else np.asarray(x))
      for i, x in enumerate(values)
    ]
  )
  output.close()
  (file,) = tmp_path.iterdir()
  events = read_events(file.read_bytes())
  assert events[1].session_log.status == events[1].session_log.START
  assert events[1].step == 3
  found = [x.summary.value[0] for x in events[2:]]
  names = [x.tag.removesuffix('/text_summary') for x in found]
  assert names == [f'a/{i}' for i in range(len(values))]
  assert found[1].simple_value == 1.0
  assert found[2].histo.num == 2
  assert found[-1].image.encoded_image_string[:3] == b'GIF'


def test_tensorboard_takes_videos_at_a_growing_distance(tmp_path):
  output = logging.TensorBoard(tmp_path)
  video = np.zeros((1, 4, 4, 3), np.uint8)
  for step in range(0, 2000, 10):
    output([(step, x, video) for x in 'ab'] + [(step, 'n', np.asarray(1.0))])
  output.close()
  (file,) = tmp_path.iterdir()
  events = [x for x in read_events(file.read_bytes()) if x.summary.value]
  steps: dict = {'a': [], 'b': [], 'n': []}
  for event in events:
    steps[event.summary.value[0].tag].append(event.step)
  assert len(steps['n']) == 200
  assert steps['a'] == steps['b']
  assert steps['a'][:3] == [0, 10, 20]
  assert 50 < len(steps['a']) < 70


def read_events(data):
  events = []
  while data:
    (size,) = struct.unpack('Q', data[:8])
    events.append(event_pb2.Event.FromString(data[12 : 12 + size]))
    data = data[16 + size :]
  return events


class FakeWandB(types.ModuleType):
  def __init__(self, fails):
    super().__init__('wandb')
    self.fails, self.logged = fails, []

  def _try(self, what):
    if self.fails == what:
      raise AssertionError(f'{what} is gone')

  def init(self, **kwargs):
    self._try('init')

  def log(self, values, step):
    self._try('log')
    self.logged.append((step, values))

  def Video(self, frames, format):
    self._try('convert')
    return frames.shape

  def finish(self):
    self._try('finish')


@pytest.mark.parametrize('fails', ['init', 'log', 'import', 'convert', 'finish', ''])
def test_wandb_is_never_fatal(fails, monkeypatch, capsys):
  fake = FakeWandB(fails)
  monkeypatch.setitem(sys.modules, 'wandb', None if fails == 'import' else fake)
  output = WandB(project='p')
  video = np.zeros((2, 4, 5, 3), np.uint8)
  for step in (1, 2):
    output([(step, 'a', np.asarray(1.0)), (step, 'v', video)])
  output.close()
  err = capsys.readouterr().err
  assert err.count('going on without it') == bool(fails)
  values = {'a': 1.0, 'v': (2, 3, 4, 5)}
  if fails in ('', 'finish'):
    assert fake.logged == [(1, values), (2, values)]
  else:
    assert not fake.logged
