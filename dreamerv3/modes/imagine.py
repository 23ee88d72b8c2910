"""Dreams from real states, and controls that know nothing of moving, all decoded.

dreams, kept = imagine(dreamer, params, starts, drawn, settings, seed=0)
dreams = with_controls(dreamer, trained, starts, drawn, dreams)
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from dreamerv3.agent.latents import Latent
from dreamerv3.analysis.decoding.linear.decoder import LinearDecoder
from dreamerv3.analysis.dreams.measures import DreamSet
from dreamerv3.base.progress import ProgressBar
from dreamerv3.modes.dream_starts import Start, Starts
from dreamerv3.probing.dreaming import Dreamer, Dreams
from dreamerv3.probing.probe import WIDTH
from dreamerv3.probing.trained import Trained

EXAMPLES = 4  # dreams with maps of probability


def imagine(
  dreamer: Any,
  params: Mapping[str, Any],
  starts: Starts,
  drawn: Sequence[Start],
  settings: Any,
  seed: int,
) -> tuple[DreamSet, dict[str, np.ndarray]]:
  """Dreams from all starts, decoded batch by batch.

  Returns:
    The dreams, and arrays to keep: `dream_proba` (N, H, W, Hg) of the policy's
    dreams, `replay_proba` of the first ones replayed; and, if asked for,
    dream_deter, replay_deter (N, H, D) float16, *_stoch (N, H, S, C) uint8.
  """
  decoder, H = starts.decoder, settings.horizon
  parts: list[dict[str, Any]] = []
  batches = range(0, len(drawn), WIDTH)
  with ProgressBar(len(drawn), 'dream') as bar:
    for first in batches:
      batch = drawn[first : first + WIDTH]
      found = dreamer(params, *given(starts, batch, batch, H, seed))
      parts.append(keep(decoder, found, settings.save_activations, first))
      bar.update(len(batch))
  # Each part is let go as it is joined, so that little is there twice.
  kept = {k: np.concatenate([x.pop(k) for x in parts]) for k in list(parts[0])}
  decoded = {k: kept.pop(k) for k in ('policy', 'replay')}
  return starts.dreams(drawn, decoded), kept


def given(
  starts: Starts, batch: Sequence[Start], acting: Sequence[Start], H: int, seed: int
) -> tuple[Latent, dict[str, np.ndarray], np.ndarray]:
  """What the dreamer takes: states, the actions that followed other ones, seeds."""
  start = Latent(*(jnp.stack([getattr(x, k) for x in batch]) for k in Latent._fields))
  acts = [starts.actions(x, H) for x in acting]
  actions = {k: np.stack([x[k] for x in acts]) for k in acts[0]}
  seeds = [np.random.SeedSequence([seed, x.episode, x.t]) for x in batch]
  return start, actions, np.stack([x.generate_state(2) for x in seeds])


def with_controls(
  dreamer: Dreamer,
  trained: Trained,
  starts: Starts,
  drawn: Sequence[Start],
  dreams: DreamSet,
) -> DreamSet:
  """Adds what a dream that knows nothing of moving would be, decoded alike.

  `permuted`: from the same start along the actions of a start in another episode;
  `untrained`: along the real actions, by the network before it learned.
  """
  seed, H = trained.config.seed, dreams.horizon
  partners = strangers(drawn, seed)
  work: dict[str, tuple[Mapping[str, Any] | None, Sequence[Start]]] = {
    'permuted': (trained.params if partners else None, partners),
    'untrained': (trained.drawn, drawn),
  }
  added = {}
  for name, (params, acting) in work.items():
    if params is None:
      continue
    parts = []
    for first in range(0, len(drawn), WIDTH):
      here = slice(first, first + WIDTH)
      inputs = given(starts, drawn[here], acting[here], H, seed)
      deter = np.asarray(dreamer.replay(params, *inputs).deter)
      flat = starts.decoder.predict(deter.reshape(-1, deter.shape[-1]))
      parts.append(flat.reshape(*deter.shape[:2], 2))
    path = np.concatenate(parts)
    added[name] = np.concatenate([dreams.decoded['replay'][:, :1], path], 1)
  return dataclasses.replace(dreams, decoded={**dreams.decoded, **added})


def strangers(drawn: Sequence[Start], seed: int) -> list[Start]:
  """For each start one of another episode; empty where there is only one."""
  rng = np.random.default_rng([seed, 51])
  found = []
  for start in drawn:
    others = [x for x in drawn if x.episode != start.episode]
    if not others:
      return []
    found.append(others[rng.integers(len(others))])
  return found


def keep(
  decoder: LinearDecoder, found: Dreams, latents: bool, first: int
) -> dict[str, Any]:
  """What stays of a batch of dreams; `first` is the number of its first."""
  kept: dict[str, Any] = {}
  for kind, name in (('policy', 'dream'), ('replay', 'replay')):
    latent: Latent = getattr(found, kind)
    deter = np.asarray(latent.deter)
    flat = deter.reshape(-1, deter.shape[-1])
    kept[kind] = decoder.predict(flat).reshape(*deter.shape[:2], 2)
    rows = len(deter) if kind == 'policy' else max(0, EXAMPLES - first)
    shown = deter[:rows]
    proba = decoder.predict_proba(shown.reshape(-1, shown.shape[-1]))
    kept[f'{name}_proba'] = proba.reshape(*shown.shape[:2], *decoder.grid.shape)
    if latents:
      kept[f'{name}_deter'] = deter.astype(np.float16)
      kept[f'{name}_stoch'] = np.asarray(latent.stoch).round().astype(np.uint8)
  return kept
