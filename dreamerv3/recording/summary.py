"""What is in a recording? Lengths, returns, achievements, bytes per layer.

summary = Summary.of(Trajectories.open('trajectories'))
print('\\n'.join(summary.lines()))
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from dreamerv3.base.amounts import size
from dreamerv3.data import layers
from dreamerv3.data.coverage import Coverage, coverage_of
from dreamerv3.data.episode import PREFIX
from dreamerv3.data.trajectories import Trajectories


@dataclasses.dataclass(frozen=True)
class Summary:
  """Numbers of a recording of E episodes.

  Attributes:
    numbers: (E,) of the episodes.
    lengths: (E,) timesteps, the reset observation included.
    returns: (E,) sum of rewards.
    unlocked: {achievement: share of episodes that unlocked it}.
    counts: {achievement: times it was reached, over all episodes}.
    layer_bytes: {layer: bytes on disk}, in network order.
    layer_units: {layer: units}.
    image_bytes: bytes of the images.
    coverage: of the world; None where its map is unknown or worlds change.
  """

  numbers: np.ndarray
  lengths: np.ndarray
  returns: np.ndarray
  unlocked: Mapping[str, float]
  counts: Mapping[str, int]
  layer_bytes: Mapping[str, int]
  layer_units: Mapping[str, int]
  image_bytes: int
  coverage: Coverage | None

  @classmethod
  def of(cls, data: Trajectories) -> 'Summary':
    """Counts a recording; reads no activations."""
    episodes = data.episodes
    finals = [x.values.get('final_achievements', {}) for x in episodes]
    names = sorted({name for x in finals for name in x})
    units = data.layers()
    return cls(
      numbers=np.array([x.number for x in episodes]),
      lengths=np.array([len(x) for x in episodes]),
      returns=np.array([x.values['total_reward'] for x in episodes]),
      unlocked={k: float(np.mean([x.get(k, 0) > 0 for x in finals])) for k in names},
      counts={k: sum(x.get(k, 0) for x in finals) for k in names},
      layer_bytes={k: _bytes(data, PREFIX + k) for k in layers.order(units)},
      layer_units=units,
      image_bytes=_bytes(data, 'image'),
      coverage=coverage_of(data),
    )

  def lines(self) -> list[str]:
    """The table for the terminal."""
    total = sum(self.layer_bytes.values()) + self.image_bytes
    reached = {k: v for k, v in self.unlocked.items() if v}
    lines = [
      f'{len(self.lengths)} episodes, {self.lengths.sum()} timesteps, {size(total)}',
      f'  length        {_spread(self.lengths)}',
      f'  return        {_spread(self.returns)}',
      f'  achievements  {len(reached)} of {len(self.unlocked)} unlocked: '
      + (', '.join(f'{k} {v:.0%}' for k, v in _ranked(reached)) or 'none'),
    ]
    if self.coverage is not None:
      lines.append(f'  coverage      {self.coverage.line()}')
      lines += [f'  {x}' for x in self.coverage.warnings()]
    lines.append(f'  {"layer":<18}{"units":>8}{"size":>11}')
    for name, number in self.layer_bytes.items():
      units = self.layer_units[name]
      lines.append(f'  {name:<18}{units:>8}{size(number):>11}')
    lines.append(f'  {"(images)":<18}{"":>8}{size(self.image_bytes):>11}')
    return lines

  def report(self) -> str:
    """The text of eval_achievements.out."""
    lines = [
      f'Episodes: {len(self.lengths)}',
      f'Length:   {_spread(self.lengths)}',
      f'Reward:   {_spread(self.returns)}',
      *([f'Coverage: {self.coverage.line()}'] if self.coverage else []),
      '',
      f'{"episode":>8}{"length":>8}{"reward":>8}',
    ]
    rows = zip(self.numbers, self.lengths, self.returns, strict=True)
    lines += [f'{k:>8}{n:>8}{r:>8.1f}' for k, n, r in rows]
    lines += ['', f'{"achievement":<26}{"unlocked in":>12}{"times":>8}']
    for name, share in _ranked(self.unlocked):
      lines.append(f'{name:<26}{share:>12.1%}{self.counts[name]:>8}')
    return '\n'.join(lines) + '\n'

  def to_dict(self) -> dict[str, Any]:
    """Numbers for the record of the run."""
    return {
      'episodes': len(self.lengths),
      'timesteps': int(self.lengths.sum()),
      'mean_length': float(self.lengths.mean()),
      'mean_return': float(self.returns.mean()),
      'unlocked': dict(self.unlocked),
      'layer_bytes': dict(self.layer_bytes),
      'coverage': self.coverage and dataclasses.asdict(self.coverage),
    }


def _bytes(data: Trajectories, key: str) -> int:
  entries = [x.arrays.get(key) for x in data.episodes]
  return sum(
    int(np.prod(x.shape, dtype=np.int64)) * x.dtype.itemsize
    for x in entries
    if x is not None
  )


def _spread(values: np.ndarray) -> str:
  return (
    f'{values.mean():.1f} +- {values.std():.1f} '
    f'({values.min():.1f} to {values.max():.1f})'
  )


def _ranked(shares: Mapping[str, float]) -> list[tuple[str, float]]:
  return sorted(shares.items(), key=lambda x: (-x[1], x[0]))
