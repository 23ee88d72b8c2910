"""Parameters as files hold them: flat dicts of numpy arrays, by name.

For whoever loads a checkpoint that may not fit.

  state = restore(shapes, loaded, regex=None)  # MismatchError says what is off
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

_SHOWN = 8  # names listed per kind of mismatch

# What only learning needs, by the starts of names: an agent that ships has none of it.
LEARNING = ('opt/', 'slowval/', 'slowval_count/', 'retnorm/', 'valnorm/', 'advnorm/')

# What a parameter's shape depends on: regex over names -> settings.
_CAUSES = (
  (r'^dyn/(dynin0|dynhid|dyngru)', 'agent.dyn.rssm.deter, .hidden, .blocks'),
  (r'^dyn/(dynin1|obslogit|priorlogit)', 'agent.dyn.rssm.stoch, .classes'),
  (r'^dyn/dynin2/', 'the action space (task)'),
  (r'^dyn/(obs|prior)\d', 'agent.dyn.rssm.hidden, .obslayers, .imglayers'),
  (r'^enc/cnn', 'agent.enc.simple.depth, .mults, .kernel, env size'),
  (r'^enc/mlp', 'agent.enc.simple.units, .layers, vector observations'),
  (r'^dec/(sp|conv|imgout)', 'agent.dec.simple.depth, .mults, .bspace'),
  (r'^dec/(mlp|vec)', 'agent.dec.simple.units, .layers, vector observations'),
  (r'^rew/', 'agent.rewhead.units, .layers, .bins'),
  (r'^con/', 'agent.conhead.units, .layers'),
  (r'^pol/head', 'the action space (task), agent.policy_dist_disc, _cont'),
  (r'^pol/', 'agent.policy.units, .layers'),
  (r'^(slow)?val/', 'agent.value.units, .layers, .bins'),
  (r'^(ret|val|adv)norm/', 'agent.retnorm, .valnorm, .advnorm: impl, debias'),
  (r'^opt/state/\d/count', 'agent.opt.wd (zero or not)'),
)


class MismatchError(ValueError):
  """A checkpoint whose parameters are not those of this agent.

  Attributes:
    missing: names that the agent has and the checkpoint lacks.
    extra: names that only the checkpoint has.
    shapes: name -> (shape in the checkpoint, shape in the agent).
    causes: settings that explain the differences.
  """

  def __init__(
    self,
    missing: Iterable[str] = (),
    extra: Iterable[str] = (),
    shapes: Mapping[str, tuple] | None = None,
  ):
    self.missing, self.extra = sorted(missing), sorted(extra)
    self.shapes = dict(sorted((shapes or {}).items()))
    names = [*self.missing, *self.extra, *self.shapes]
    self.causes = causes(names)
    lines = ['the checkpoint does not fit this agent']
    lines += _listed('missing in the checkpoint', self.missing)
    lines += _listed('only in the checkpoint', self.extra)
    other = [f'{k} {a} is {b} here' for k, (a, b) in self.shapes.items()]
    lines += _listed('of another shape', other)
    if self.causes:
      lines.append('settings to compare: ' + '; '.join(self.causes))
    super().__init__('\n'.join(lines))


def causes(names: Iterable[str]) -> list[str]:
  """Settings that these parameters depend on, most specific rule each."""
  found: list[str] = []
  for name in names:
    name = re.sub(r'^opt/state/\d/1/', '', name)
    hints = (hint for regex, hint in _CAUSES if re.match(regex, name))
    hint = next(hints, None)
    if hint and hint not in found:
      found.append(hint)
  return found


def _listed(title: str, items: list[str]) -> list[str]:
  if not items:
    return []
  # Optimizer moments repeat the parameters; name them only if alone.
  short = [x for x in items if not x.startswith('opt/state/')] or items
  shown = short[:_SHOWN]
  more = len(items) - len(shown)
  tail = f', and {more} more' if more else ''
  return [f'{title} ({len(items)}): ' + ', '.join(shown) + tail]


def restore(
  shapes: Mapping[str, Any],
  loaded: Mapping[str, np.ndarray],
  regex: str | None = None,
) -> dict[str, np.ndarray]:
  """The arrays to put into the agent.

  Args:
    shapes: name -> anything with shape and dtype, of the agent.
    loaded: name -> array, of the checkpoint.
    regex: take only names that it matches from their start; without it, all
      names must agree.

  Returns:
    name -> array in the agent's dtype; a subset if a regex is given.

  Raises:
    MismatchError: names or shapes differ.
    ValueError: the regex matches nothing, or a parameter of a network is not finite.
  """
  want = set(shapes)
  have = set(loaded)
  if regex is not None:
    want = {k for k in want if re.match(regex, k)}
    have = {k for k in have if re.match(regex, k)}
    if not have and not want:
      raise ValueError(f'regex {regex!r} matches no parameter')
  other = {
    k: (tuple(loaded[k].shape), tuple(shapes[k].shape))
    for k in want & have
    if tuple(loaded[k].shape) != tuple(shapes[k].shape)
  }
  if want != have or other:
    raise MismatchError(want - have, have - want, other)
  found = {k: np.array(loaded[k], dtype=shapes[k].dtype) for k in sorted(want)}
  for name, value in found.items():
    if not name.startswith(LEARNING) and not np.isfinite(value).all():
      raise ValueError(f'{name} is not finite; take another checkpoint')
  return found


def with_slow_critic(
  loaded: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
  """A whole checkpoint as it is; one of the networks alone with what can be derived.

  Returns:
    name -> array; and how the names begin that it lacks, none of a whole one.
  """
  if any(k.startswith('opt/') for k in loaded):
    return dict(loaded), ()
  slow = {f'slow{k}': v for k, v in loaded.items() if k.startswith('val/')}
  whole = {**slow, **loaded}
  starts = (x for x in LEARNING if not any(k.startswith(x) for k in whole))
  return whole, tuple(starts)


def to_host(state: Mapping[str, jax.Array]) -> dict[str, np.ndarray]:
  """Plain writable numpy arrays, 0-d ones included, sorted by name."""
  host = jax.device_get({k: state[k] for k in sorted(state)})
  return {k: np.array(v) for k, v in host.items()}


def summary(state: Mapping[str, Any]) -> str:
  """Number of values per module, as a few lines of text."""
  totals: dict[str, int] = {}
  for name, value in state.items():
    top = name.partition('/')[0]
    totals[top] = totals.get(top, 0) + int(np.prod(value.shape))
  lines = [f'{k:<8}{v:>14,}' for k, v in totals.items()]
  return '\n'.join([*lines, f'{"total":<8}{sum(totals.values()):>14,}'])
