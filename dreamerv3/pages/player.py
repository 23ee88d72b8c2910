"""A few recorded episodes as a page plays them: frames, path, decoded place, traces.

  shown = choose(recording, decoder)
  player(recording, shown, decoder, results, sampled)     # for packing.pack

The rule of the choice is in `RULE`, which the page prints.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.tuning.results import Results
from dreamerv3.data.episode import Episode
from dreamerv3.data.metadata import Metadata
from dreamerv3.data.trajectories import Trajectories
from dreamerv3.pages.explorer import Sampled, sample
from dreamerv3.pages.packing import quantised, rounded
from dreamerv3.pages.pictures import frames, webp
from dreamerv3.plots.moving.animate import actions_of
from dreamerv3.plots.view import recorded
from dreamerv3.plots.world import world_image

EPISODES = 4
STEPS = 1200  # timesteps of all episodes together
TRACE_BYTES = 1_500_000
TOP = 32  # tiles of each step whose probability is kept
RULE = (
  f'The longest episodes that the decoder was not fitted to, at most {EPISODES} and '
  f'{STEPS:,} timesteps in all; where it is unknown, the longest.'
)
VITALS = ('health', 'food', 'drink', 'energy')


@dataclasses.dataclass(frozen=True)
class Excerpt:
  """The beginning of an episode.

  Attributes:
    episode: it is taken from.
    length: timesteps that are shown.
    seen: whether the decoder was fitted to it; None without a decoder.
  """

  episode: Episode
  length: int
  seen: bool | None


def choose(data: Trajectories, decoder: LinearDecoder | None) -> list[Excerpt]:
  """The episodes of a page, by `RULE`, in the order of their numbers."""
  fitted = set(decoder.trained_on.get('episodes', [])) if decoder else set()
  order = sorted(data.episodes, key=lambda x: (x.number in fitted, -len(x), x.number))
  found: list[Excerpt] = []
  left = _steps(data.episodes)
  for episode in order:
    if len(found) == EPISODES:
      break
    length = min(len(episode), left)
    if found and length < len(episode):
      continue
    known = episode.number in fitted if fitted else None
    found.append(Excerpt(episode, length, known))
    left -= length
  return sorted(found, key=lambda x: x.episode.number)


def _steps(episodes: Sequence[Episode]) -> int:
  """Timesteps for which there is room: fewer of large images."""
  shapes = [x.arrays['image'].shape[1:3] for x in episodes if 'image' in x.arrays]
  pixels = max((int(np.prod(x)) for x in shapes), default=0)
  return max(STEPS * 64 * 64 // max(pixels, 64 * 64), 100)


def player(
  data: Trajectories,
  shown: Sequence[Excerpt],
  decoder: LinearDecoder | None,
  results: Results | None,
) -> dict[str, Any]:
  """Everything that is played, for `packing.pack`."""
  count = sum(x.length for x in shown)
  known = data.layers()
  traced = None
  if results is not None and set(results.tables) <= set(known):
    traced = sample(results.tables, TRACE_BYTES // max(count, 1), 'Traces')
  return {
    'area': list(data.metadata.area),
    'world': world(data.metadata),
    'episodes': [_episode(x, data.metadata, decoder) for x in shown],
    'traces': None if traced is None else _traces(shown, traced),
    'notes': [RULE, *([traced.note] if traced and traced.note else [])],
  }


def world(metadata: Metadata) -> np.ndarray | None:
  """The terrain as a WebP file, uint8 (K,); None without a map."""
  if metadata.world_map is None:
    return None
  pixels = max(min(16, 1024 // max(metadata.area)), 2)
  picture = world_image(metadata.world_map, metadata.materials, pixels)
  return np.frombuffer(webp(picture), np.uint8)


def _episode(
  shown: Excerpt, metadata: Metadata, decoder: LinearDecoder | None
) -> dict[str, Any]:
  episode, n = shown.episode, shown.length
  layers = episode.layers()
  lines = {
    'reward': _line(episode, 'reward', n),
    'daylight': _line(episode, 'daylight', n),
    **{x: _line(episode, f'vital_{x}', n) for x in VITALS},
    'value': _layer(episode, layers, 'val/value', n),
    'entropy': _layer(episode, layers, 'pol/entropy', n),
  }
  images = episode.view('image')[:n] if 'image' in episode.arrays else None
  egocentric = bool(recorded(metadata.settings))
  return {
    'number': episode.number,
    'length': n,
    'whole': len(episode),
    'seen': shown.seen,
    'pos': episode.pos[:n].astype(np.int32),
    'facing': (episode.facing[:n] + 1).astype(np.uint8),
    'actions': actions_of(episode, egocentric)[:n],
    'lines': {k: v for k, v in lines.items() if v is not None},
    'unlocked': [[t, x.replace('_', ' ')] for x, t in unlocked(episode, n).items()],
    'frames': None if images is None else frames(images),
    'decoded': None if decoder is None else _decoded(episode, n, decoder),
  }


def _line(episode: Episode, key: str, n: int) -> np.ndarray | None:
  if key not in episode.arrays:
    return None
  return rounded(episode.read(key)[:n].astype(np.float32))


def _layer(episode: Episode, layers: Any, name: str, n: int) -> np.ndarray | None:
  if layers.get(name) != 1:
    return None
  return rounded(episode.layer(name)[:n, 0].astype(np.float32))


def unlocked(episode: Episode, n: int | None = None) -> dict[str, int]:
  """{achievement: timestep of the first time} within the first n, or in all."""
  found: dict[str, int] = {}
  for t, counts in enumerate(episode.values.get('achievements', [])[:n]):
    for name, count in counts.items():
      if count:
        found.setdefault(str(name), t)
  return found


def _decoded(episode: Episode, n: int, decoder: LinearDecoder) -> dict[str, Any] | None:
  """The named tile and the most probable ones with their probability, row by row.

  Row 0 of the recurrent state is a constant, and is not decoded.
  """
  layer = {'deter': 'dyn/deter', 'stoch': 'dyn/stoch'}.get(decoder.layer, decoder.layer)
  if episode.layers().get(layer) != decoder.units:
    return None
  X = episode.layer(layer)[1:n].astype(np.float32)
  logits = decoder.logits(X)
  p = np.exp(logits - logits.max(1, keepdims=True))
  p /= p.sum(1, keepdims=True)
  top = np.argsort(-p, 1, kind='stable')[:, :TOP]
  return {
    'layer': decoder.layer,
    'tiles': decoder.classes[top].astype(np.int32),
    'p': np.rint(np.take_along_axis(p, top, 1) * 255).astype(np.uint8),
    'named': decoder.grid.to_class(decoder.predict(X)).astype(np.int32),
  }


def _traces(shown: Sequence[Excerpt], traced: Sampled) -> dict[str, Any]:
  """Activations (M, T) of the traced units, one episode after another."""
  rows = []
  for episode, n in ((x.episode, x.length) for x in shown):
    rows.append(
      np.concatenate(
        [
          episode.layer(name)[:n, units].astype(np.float32).T
          for name, units in traced.units.items()
        ]
      )
    )
  codes, low, high = quantised(np.concatenate(rows, 1))
  return {'rows': traced.rows, 'codes': codes, 'low': low, 'high': high}
