"""Files of position decoding: saved decoders, unfinished work.

  store = FitCheckpoint.resume('layer_decode_checkpoint.pkl', fingerprint)
  store.results[result.layer] = result; store.save(path)

For decode_position.py, and for readers of what it wrote: plain dicts of
arrays, docs/data_format.md.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from dreamerv3.analysis.decoding.folds import Fold
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.decoding.linear.ridge import TYPE, RidgeDecoder
from dreamerv3.analysis.decoding.result import DecodeResult
from dreamerv3.analysis.decoding.said import Decoder
from dreamerv3.base import files, unpickle
from dreamerv3.base.errors import UserError, reading
from dreamerv3.data.trajectories import Trajectories

FORMAT = 2
CHECKPOINT = 'layer_decode_checkpoint.pkl'
MANIFEST = 'manifest.pkl'


def fingerprint(
  data: Trajectories,
  chosen: Sequence[str],
  folds: Sequence[Fold],
  settings: Mapping[str, Any],
) -> dict[str, Any]:
  """What a checkpoint must agree on: data, split and settings."""
  sizes = data.layers()
  track = data.track()
  sample = data.episodes[0].layer(min(sizes, key=lambda x: (sizes[x], x)))
  return {
    'layers': list(chosen),
    'units': {x: sizes[x] for x in chosen if x in sizes},
    'area': list(data.metadata.area),
    'episodes': [x.number for x in data.episodes],
    'timesteps': len(track),
    'positions': _digest(track.pos, track.episode),
    'activations': _digest(sample),
    'split': _digest(*(x for f in folds for x in (f.split.train, f.split.test))),
    **settings,
  }


@dataclasses.dataclass
class FitCheckpoint:
  """The layers that are done, for a run that was stopped."""

  fingerprint: dict[str, Any]
  results: dict[str, DecodeResult] = dataclasses.field(default_factory=dict)

  @classmethod
  def resume(cls, path: str | pathlib.Path, expected: dict[str, Any]) -> Self:
    """Reads a checkpoint made from the same data, split and settings.

    Raises:
      UserError: it is missing, or made from others; the message says which.
    """
    path = pathlib.Path(path).expanduser()
    path = path / CHECKPOINT if path.is_dir() else path
    values = unpickle.load(path)
    what = 'checkpoint of this program; start without `resume`'
    with reading(path, what):
      found, results = dict(values['fingerprint']), dict(values['results'])
    keys = sorted(found.keys() | expected.keys())
    differ = [x for x in keys if found.get(x) != expected.get(x)]
    if differ:
      lines = (
        f'{x} is {_short(expected.get(x))} and was {_short(found.get(x))}'
        for x in differ
      )
      raise UserError(
        f'{path} was made from other data, flags or split: '
        f'{"; ".join(lines)}. Use the same ones, or start without `resume`.'
      )
    with reading(path, what):
      done = {k: DecodeResult.from_dict(v) for k, v in results.items()}
    return cls(expected, done)

  def save(self, path: pathlib.Path) -> pathlib.Path:
    """Writes what is done so far."""
    results = {k: v.to_dict() for k, v in self.results.items()}
    values = {'format': FORMAT, 'fingerprint': self.fingerprint, 'results': results}
    return files.save_pickle(path, values)


class Shelf:
  """The folder of a run: finished layers and decoders are put there at once.

  Attributes:
    folder: where everything goes.
    mode: 'standard' or 'layers', which name their files apart.
    outputs: files that were finished.
  """

  def __init__(self, folder: pathlib.Path, mode: str, save: bool, done: FitCheckpoint):
    """`save` decoders too; `done` holds what an earlier run has left."""
    self.folder = folder
    self.outputs: list[pathlib.Path] = []
    self.mode = mode
    self._save = save
    self._done = done
    self.models = folder
    if save and mode == 'layers':
      self.models = files.make_folder(folder / 'layer_decoders')

  def todo(self, chosen: Sequence[str]) -> list[str]:
    """The layers whose result, or whose decoder, is not there yet."""

    def there(layer: str) -> bool:
      path = decoder_path(self.models, layer, self.mode)
      return layer in self._done.results and (not self._save or path.exists())

    return [x for x in chosen if not there(x)]

  def keep(self, result: DecodeResult, decoder: Decoder) -> None:
    """Puts a layer that is done on disk."""
    if self._save:
      save_decoder(self.models, decoder, self.mode)
    self._done.results[result.layer] = result
    self._list(self._checkpoint())

  def finish(
    self, names: Sequence[str], copies: Mapping[str, str], data: Trajectories
  ) -> list[DecodeResult]:
    """The results of all names, those of copies included; lists the files."""
    results = self._done.results
    for copy, original in copies.items():
      results[copy] = dataclasses.replace(results[original], layer=copy)
    self._list(self._checkpoint())
    if self._save:
      self._list(finish_decoders(self.models, names, copies, data, self.mode))
    return [results[x] for x in names]

  def _list(self, paths: Sequence[pathlib.Path]) -> None:
    self.outputs += [x for x in paths if x not in self.outputs]

  def _checkpoint(self) -> list[pathlib.Path]:
    if self.mode != 'layers':
      return []
    return [self._done.save(self.folder / CHECKPOINT)]


def decoder_path(
  folder: pathlib.Path, layer: str, mode: str = 'layers'
) -> pathlib.Path:
  """File of a saved decoder; `mode` as in decode_position.py."""
  name = layer.replace('/', '_')
  return folder / (f'{name}.pkl' if mode == 'layers' else f'classifier_{name}.pkl')


def save_decoder(folder: pathlib.Path, decoder: Decoder, mode: str) -> pathlib.Path:
  """Writes a decoder under the name of its layer."""
  path = decoder_path(folder, decoder.layer, mode)
  return files.save_pickle(path, decoder.to_dict())


def finish_decoders(
  folder: pathlib.Path,
  names: Sequence[str],
  copies: Mapping[str, str],
  data: Trajectories,
  mode: str,
) -> list[pathlib.Path]:
  """Adds decoders of layers that are copies; returns the files of all.

  Args:
    names: all layers; copies: {layer: the one that was fitted}.
    data: the recording, for the manifest of layers mode.
  """
  paths = [decoder_path(folder, x, mode) for x in names]
  if mode != 'layers':
    return paths
  for copy, original in copies.items():
    there = load_decoders(decoder_path(folder, original, mode))
    same = dataclasses.replace(there[original], layer=copy)
    save_decoder(folder, same, mode)
  sizes = data.layers()
  manifest = {
    'format': FORMAT,
    'ordered': list(names),
    'layer_files': {x: decoder_path(folder, x).name for x in names},
    'layer_sizes': {x: sizes[x] for x in names},
    'grid': data.grid.shape,
    'metric': 'manhattan',
    'decoder_type': 'classifier',
  }
  return [*paths, files.save_pickle(folder / MANIFEST, manifest)]


def open_decoder(path: pathlib.Path) -> Decoder:
  """A saved decoder of either kind; UserError for any other file."""
  values = unpickle.load(path)
  about = values.get('metadata') if isinstance(values, dict) else None
  kind = about.get('type') if isinstance(about, dict) else None
  return RidgeDecoder.open(path) if kind == TYPE else LinearDecoder.open(path)


def load_decoders(path: str | pathlib.Path) -> dict[str, Decoder]:
  """Saved decoders by layer: a folder with a manifest, or one file."""
  path = pathlib.Path(path).expanduser()
  if path.is_dir() and (path / 'layer_decoders' / MANIFEST).exists():
    path = path / 'layer_decoders'
  if not path.is_dir():
    decoder = open_decoder(path)
    return {decoder.layer: decoder}
  if (path / MANIFEST).exists():
    manifest = unpickle.load(path / MANIFEST)
    with reading(path / MANIFEST, 'list of decoders; save them again'):
      named = [_beside(x) for x in manifest['layer_files'].values()]
  else:
    named = sorted(x.name for x in path.glob('classifier_*.pkl'))
  if not named:
    raise UserError(
      f'{path} has no {MANIFEST} and no classifier_*.pkl; save decoders with '
      '`save_model` first.'
    )
  loaded = [open_decoder(path / x) for x in named]
  return {x.layer: x for x in loaded}


def _beside(name: Any) -> str:
  """The name of a file in the same folder; a manifest cannot lead out of it."""
  if (
    isinstance(name, str)
    and name not in ('', '.', '..')
    and (not {'/', '\\', '\0'} & set(name))
  ):
    return name
  raise ValueError(f'layer_files has {name!r}, expected the name of a file beside it')


def _digest(*arrays: np.ndarray) -> str:
  value = hashlib.sha256()
  for x in arrays:
    value.update(np.ascontiguousarray(x).tobytes())
  return value.hexdigest()[:12]


def _short(value: Any) -> str:
  text = str(value)
  return text if len(text) <= 60 else text[:57] + '...'
