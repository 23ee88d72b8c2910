"""A run as one page: what is known, its units, episodes and dreams, its figures.

report = Report(Sources.find(logdir))
text, notes = report.text(), report.notes
"""

import pathlib
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, TypeVar

from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError, reading
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.pages.dreaming import dreams
from dreamerv3.pages.explorer import explorer
from dreamerv3.pages.gallery import MOST_BYTES as FIGURES
from dreamerv3.pages.gallery import gallery
from dreamerv3.pages.packing import pack
from dreamerv3.pages.page import page
from dreamerv3.pages.player import choose, player
from dreamerv3.pages.sources import Sources
from dreamerv3.pages.verdict import verdict
from dreamerv3.run_info.chain import Step, trace

T = TypeVar('T')

MOST_BYTES = 15_000_000  # of a page
REST = 500_000  # of it for markup, styles and scripts


class Report:
  """A run, read for its page. What cannot be read is left out, and said.

  Attributes:
    notes: a line for each thing that was left out.
  """

  def __init__(self, sources: Sources):
    self.sources = sources
    self.notes: list[str] = []
    self.results = self._try(Results.open, sources.tuning)
    self.decoder = self._try(LinearDecoder.open, sources.decoder)
    self.data = self._try(Trajectories.open, sources.recording)

  def _try(
    self, read: Callable[[Any], T], value: Any, path: pathlib.Path | None = None
  ) -> T | None:
    """What `read` makes of a value; None without one, or if it cannot.

    Args:
      path: of the file that the value is from, where it is not the value.
    """
    if value is None:
      return None
    try:
      with reading(path or value, 'result of this project; make it again'):
        return read(value)
    except UserError as e:
      self.notes.append(f'Left out: {e}')
      return None

  def text(self) -> str:
    """The page."""
    sources = self.sources
    data = {
      'units': self._try(explorer, self.results, sources.tuning),
      'player': self._try(self._player, self.data, sources.recording),
      'dreams': self._try(lambda x: dreams(unpickle.load(x)), sources.dreams),
    }
    packed = {k: pack(v) for k, v in data.items() if v is not None}
    left = MOST_BYTES - REST - sum(map(len, packed.values()))
    room = max(min(left, FIGURES), 0)
    said = self._try(verdict, sources.results) or ''
    shown = self._try(lambda x: gallery(x, room), sources.results) or ''
    origin = self._provenance()
    return page(
      f'{sources.logdir.resolve().name}: what it knows about space',
      facts(self.data),
      said or '<p class="warning">No analysis has come to a sentence yet.</p>',
      packed,
      shown + self._missing() + origin,
    )

  def _player(self, data: Trajectories) -> dict[str, Any]:
    decoder = self.decoder
    if decoder is not None and decoder.grid != data.grid:
      self.notes.append('Left out: the decoder is of a world of another size.')
      decoder = None
    return player(data, choose(data, decoder), decoder, self.results)

  def _missing(self) -> str:
    """What is not there and the commands that make it, and what was left out."""
    lines = ''.join(
      f'<li>{escape(x.what)}:<br><code>{escape(x.command)}</code></li>'
      for x in self.sources.missing()
    )
    lines += ''.join(f'<li>{escape(x)}</li>' for x in self.notes)
    if not lines:
      return ''
    return f'<section id="missing"><h2>Not here yet</h2><ul>{lines}</ul></section>'

  def _provenance(self) -> str:
    """The chain of commands behind each kind of result."""
    s = self.sources
    files = (s.recording, s.decoding or s.decoder, s.tuning, s.geometry, s.dreams)
    chains = ''.join(_chain(x, self._try(trace, x) or []) for x in files if x)
    if not chains:
      return ''
    return (
      '<section id="provenance"><h2>Provenance</h2><p>Which command, on which code, '
      'made what is shown, of what; from run_info.json, as <code>origin.py</code> '
      f'prints it.</p>{chains}</section>'
    )


def _chain(path: pathlib.Path, steps: Sequence[Step]) -> str:
  text = '\n'.join(line for step in steps for line in step.lines())
  if not text:
    return ''
  name = '/'.join(path.parts[-2:])
  return (
    f'<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>'
  )


def facts(data: Trajectories | None) -> str:
  """A recording in a line."""
  if data is None:
    return 'Nothing was recorded.'
  about = data.metadata
  w, h = about.area
  steps = sum(len(x) for x in data.episodes)
  trained = about.extra.get('checkpoint_step')
  after = f' after {trained:,} steps of training' if isinstance(trained, int) else ''
  return (
    f'{len(data):,} episodes of {steps:,} timesteps{after}, in a world of '
    f'{w} x {h} tiles.'
  )
