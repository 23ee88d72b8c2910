"""What a run of decode_position.py found: written, and read to be drawn again.

  found = Findings.open('decoder_results/decode_results.pkl')
  print(table(found.rows), found.results[0].errors.mean())

A plain dict of arrays, docs/data_format.md.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from dreamerv3.analysis.decoding.result import DecodeResult, table
from dreamerv3.analysis.decoding.store import FORMAT
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import reading
from dreamerv3.data.metadata import Metadata

ByName = Mapping[str, DecodeResult]


@dataclasses.dataclass(frozen=True)
class Findings:
  """Held-out results of all layers, with what figures and tables say of them.

  Attributes:
    mode: 'standard' or 'layers'.
    results: one per layer, rows: their summaries.
    pairs: a row per pair of layers.
    control: {layer: result} of the untrained network.
    perception: {name: result} of what is seen now; memory: {layer: result} of the
      best of these beside the recurrent state.
    protocol: settings that say how it was measured.
    timesteps: read.
    metadata: of the recording.
    numbers: the episodes' own numbers, by their place in the recording; empty
      where a file of before does not say.
  """

  mode: str
  results: Sequence[DecodeResult]
  rows: Sequence[Mapping[str, Any]]
  pairs: Sequence[Mapping[str, Any]]
  control: ByName
  perception: ByName
  memory: ByName
  protocol: Mapping[str, Any]
  timesteps: int
  metadata: Metadata
  numbers: Sequence[int]

  @property
  def leaks(self) -> bool:
    """Whether neighbours of tested timesteps were trained on."""
    return bool(self.protocol.get('cv') == 'timesteps')

  def save(self, folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Writes one file after another; both modes may share a folder."""
    prefix = 'layer_' if self.mode == 'layers' else ''
    yield files.save_pickle(folder / f'{prefix}decode_results.pkl', self.to_dict())
    yield files.save_csv(folder / f'{prefix}summary.csv', self.rows)
    if self.pairs:
      yield files.save_csv(folder / f'{prefix}pairs.csv', self.pairs)

  def to_dict(self) -> dict[str, Any]:
    """The results file; older readers find their keys in it."""
    names = [x.layer for x in self.results]
    return {
      'format': FORMAT,
      'representations': names,
      'ordered': names,
      'layer_fold_values': {x.layer: x.errors for x in self.results},
      'grid': self.metadata.grid.shape,
      'n_samples': self.timesteps,
      'n_episodes': len(self.numbers),
      'metric': 'manhattan',
      'summary': [dict(x) for x in self.rows],
      'pairs': [dict(x) for x in self.pairs],
      'results': {x.layer: x.to_dict() for x in self.results},
      'protocol': dict(self.protocol),
      'control': {k: v.to_dict() for k, v in self.control.items()},
      'perception': {k: v.to_dict() for k, v in self.perception.items()},
      'memory': {k: v.to_dict() for k, v in self.memory.items()},
      'mode': self.mode,
      'episodes': list(self.numbers),
      'world_map': self.metadata.world_map,
      'materials': list(self.metadata.materials),
    }

  @classmethod
  def open(cls, path: str | pathlib.Path) -> Self:
    """Reads a results file of either mode, of earlier versions too.

    Raises:
      UserError: it is missing, or another file.
    """
    path = pathlib.Path(path).expanduser()
    values = unpickle.load(path)
    with reading(path, 'decode_results.pkl of this program; decode again'):
      usual = 'layers' if path.name.startswith('layer_') else 'standard'
      found = cls.from_dict({'mode': usual, **values})
      table(found.rows)  # that it can be said
    return found

  @classmethod
  def from_dict(cls, values: Mapping[str, Any]) -> Self:
    """Reads `to_dict`, with its `mode` where a file of before has none."""

    def named(key: str) -> dict[str, DecodeResult]:
      found = values.get(key, {})
      return {k: DecodeResult.from_dict(v) for k, v in found.items()}

    results = named('results')
    metadata = Metadata(
      values['grid'],
      world_map=values.get('world_map'),
      materials=values.get('materials', ()),
    )
    return cls(
      mode=values['mode'],
      results=[results[x] for x in values['ordered']],
      rows=[dict(x) for x in values['summary']],
      pairs=values.get('pairs', []),
      control=named('control'),
      perception=named('perception'),
      memory=named('memory'),
      protocol=values.get('protocol', {}),
      timesteps=values['n_samples'],
      metadata=metadata,
      numbers=values.get('episodes', ()),
    )
