"""Where do the numbers of a run go? JSON lines, TensorBoard, GIFs, terminal.

For the run loops. Values are collected by `add` and handed to a thread by
`write`, so that the loop never waits for a disk or a network.

  logger = Logger(step, [JsonLines(logdir / 'metrics.jsonl')])
  logger.add({'score': 1.0}, prefix='episode')
  logger.write()
"""

import collections
import concurrent.futures
import io
import json
import logging
import os
import pathlib
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from dreamerv3.base import files

Record = tuple[int, str, Any]  # step, name, str or array
Output = Callable[[list[Record]], None]


class Logger:
  """Collects values under the current step and writes them to all outputs.

  Args:
    step: Anything with an integer value: the environment steps so far.
    outputs: Called with lists of (step, name, value) in a thread of ours.

  Arrays are told by their rank: () number, (N,) histogram, (H, W[, C]) image,
  (T, H, W, C) video; uint8 or floats in [0, 1]. Text is a str.
  """

  def __init__(self, step: Any, outputs: Iterable[Output]):
    self.step = step
    self.outputs = list(outputs)
    self.pending: list[Record] = []
    self.worker = concurrent.futures.ThreadPoolExecutor(1, 'logger')
    self.jobs: collections.deque = collections.deque()

  def add(self, values: Mapping[str, Any], prefix: str = '') -> None:
    """Keeps values for the next `write`, at the step of now."""
    step = int(self.step)
    for name, value in values.items():
      name = f'{prefix}/{name}' if prefix else name
      if not isinstance(value, str):
        value = np.asarray(value)
        if value.ndim > 4:
          raise ValueError(f'{name} has shape {value.shape}; at most 4 axes.')
      self.pending.append((step, name, value))

  def write(self) -> None:
    """Hands over what was added; raises what an earlier write ran into."""
    while self.jobs and self.jobs[0].done():
      self.jobs.popleft().result()
    if self.pending:
      self.jobs.append(self.worker.submit(self._write, self.pending))
      self.pending = []

  def flush(self) -> None:
    """Waits until all that was handed over is written."""
    for job in list(self.jobs):
      job.result()

  def close(self) -> None:
    """Writes what is left and closes all outputs."""
    try:
      self.write()
      self.flush()
    finally:
      self.worker.shutdown()
      for output in self.outputs:
        getattr(output, 'close', lambda: None)()

  def _write(self, records: list[Record]) -> None:
    for output in self.outputs:
      output(records)


class JsonLines:
  """One object per step with its scalars: {"step": 10, "name": 1.0}.

  Args:
    path: File to append to.
    pattern: Of the names to keep.
  """

  def __init__(self, path: pathlib.Path, pattern: str = ''):
    self.path = pathlib.Path(path)
    self.pattern = re.compile(pattern)

  def __call__(self, records: list[Record]) -> None:
    """Appends a line per step with its scalars."""
    steps: dict[int, dict[str, float]] = {}
    for step, name, value in records:
      if is_scalar(value) and self.pattern.search(name):
        steps.setdefault(step, {})[name] = float(value)
    lines = [json.dumps({'step': k, **v}) + '\n' for k, v in steps.items()]
    if lines:
      # One write call of whole lines: readers never see half of the batch.
      with self.path.open('a') as file:
        file.write(''.join(lines))


def truncate_jsonl(path: pathlib.Path, step: int, key: str = 'step') -> int:
  """Drops lines after `step`, and a last line that a kill cut in half.

  What a resumed run repeats is thus counted once. Returns the lines dropped.

  Args:
    key: Where a line says its step, or what else counts up.
  """
  path = pathlib.Path(path)
  if not path.exists():
    return 0
  lines = path.read_text().splitlines(keepends=True)
  kept = [x for x in lines if x.endswith('\n') and _number_of(x, key) <= step]
  if len(kept) < len(lines):
    with files.atomic(path, 'w') as file:
      file.write(''.join(kept))
  return len(lines) - len(kept)


def _number_of(line: str, key: str) -> float:
  try:
    return json.loads(line)[key]
  except (ValueError, KeyError, TypeError):
    return -1  # not ours to judge


class TensorBoard:
  """Event files for `tensorboard --logdir LOGDIR`.

  Written in the thread of the logger: the writer of tensorboardX has a thread
  of its own that loses errors, a full disk for one. Event files cannot be
  thinned out later, so videos of a name come at a growing distance: the next
  one when the steps have grown by 5 %.

  Args:
    folder: Of the event files.
    fps: Of videos.
    purge_step: Hide earlier events from this step on; for a resumed run.
  """

  def __init__(
    self, folder: pathlib.Path, fps: int = 15, purge_step: int | None = None
  ):
    # Not needed by runs that log elsewhere.
    from tensorboardX import summary
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto import event_pb2, summary_pb2

    # It says on stderr that a number is not finite; the trainer looks at losses.
    logging.getLogger('tensorboardX.x2num').setLevel(logging.ERROR)
    self.fps = fps
    self.filmed: dict[str, int] = {}  # step of the last video by name
    self.summary, self.protos, self.events = summary, summary_pb2, event_pb2
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    name = f'.{os.getpid()}.{purge_step or 0}'
    self.writer = EventsWriter(str(pathlib.Path(folder) / 'events'), name)
    if purge_step is not None:
      start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
      self._write(purge_step, session_log=start)

  def __call__(self, records: list[Record]) -> None:
    """Writes scalars, text, images and, at times, videos."""
    for step, name, value in records:
      if not isinstance(value, str) and value.ndim == 4:
        if step < 1.05 * self.filmed.get(name, -1):
          continue
        self.filmed[name] = step
      found = self._summary(name, value)
      if found is not None:
        self._write(step, summary=found)
    self.writer.flush()

  def _write(self, step: int, **content: Any) -> None:
    event = self.events.Event(step=step, wall_time=time.time(), **content)
    self.writer.write_event(event)

  def _summary(self, name: str, value: Any) -> Any:
    if isinstance(value, str):
      return self.summary.text(name, value)
    if value.ndim == 0:
      return self.summary.scalar(name, float(value))
    if value.ndim == 1:
      value = value[np.isfinite(value)]
      return self.summary.histogram(name, value, 30) if value.size else None
    if value.ndim < 4:
      form = 'HW' if value.ndim == 2 else 'HWC'
      return self.summary.image(name, to_uint8(value), dataformats=form)
    image = self.protos.Summary.Image(
      height=value.shape[1],
      width=value.shape[2],
      colorspace=value.shape[3],
      encoded_image_string=encode_gif(value, self.fps),
    )
    entry = self.protos.Summary.Value(tag=name, image=image)
    return self.protos.Summary(value=[entry])

  def close(self) -> None:
    """Closes the file."""
    self.writer.close()


class Videos:
  """Videos as GIF files that any viewer opens: report_openloop_image-N.gif.

  Beyond `most` files per name every second one goes, so that a long run
  keeps its history at a growing distance.
  """

  def __init__(self, folder: pathlib.Path, pattern: str, fps: int = 15, most: int = 40):
    self.folder = pathlib.Path(folder)
    self.pattern = re.compile(pattern)
    self.fps = fps
    self.most = most
    files.clear_unfinished(self.folder)

  def __call__(self, records: list[Record]) -> None:
    """Writes each video to a file of its own."""
    for step, name, value in records:
      if isinstance(value, str) or value.ndim != 4:
        continue
      if self.pattern.search(name):
        self._save(name.replace('/', '_'), step, value)

  def _save(self, name: str, step: int, value: np.ndarray) -> None:
    self.folder.mkdir(parents=True, exist_ok=True)
    path = self.folder / f'{name}-{step:09d}.gif'
    with files.atomic(path) as file:
      file.write(encode_gif(value, self.fps))
    earlier = sorted(self.folder.glob(f'{name}-*.gif'))
    if len(earlier) > self.most:
      for old in earlier[1:-1:2]:
        old.unlink()


class Terminal:
  """One line per log: the step and the numbers that match the pattern."""

  def __init__(
    self,
    pattern: str,
    print_fn: Callable[[str], Any] = lambda x: print(x, flush=True),
  ):
    self.pattern = re.compile(pattern)
    self.print = print_fn

  def __call__(self, records: list[Record]) -> None:
    """Prints the newest scalars on one line."""
    shown = {
      name: float(value)
      for _, name, value in records
      if is_scalar(value) and self.pattern.search(name)
    }
    if shown:
      step = max(step for step, _, _ in records)
      text = '  '.join(f'{k} {v:.4g}' for k, v in shown.items())
      self.print(f'[step {step}] {text}')


def is_scalar(value: Any) -> bool:
  """Whether a logged value is one number."""
  return not isinstance(value, str) and value.ndim == 0


def to_uint8(value: np.ndarray) -> np.ndarray:
  """Pixels 0 to 255 of floats 0 to 1."""
  if value.dtype == np.uint8:
    return value
  return (255 * np.clip(np.asarray(value, np.float32), 0, 1)).astype(np.uint8)


def encode_gif(video: np.ndarray, fps: int) -> bytes:
  """GIF of a video (T, H, W, C) with C = 1 or 3."""
  import PIL.Image

  frames = to_uint8(video)
  frames = frames[..., 0] if frames.shape[-1] == 1 else frames
  images = [PIL.Image.fromarray(x) for x in frames]
  buffer = io.BytesIO()
  images[0].save(
    buffer,
    'gif',
    save_all=True,
    append_images=images[1:],
    duration=round(1000 / fps),
    loop=0,
  )
  return buffer.getvalue()
