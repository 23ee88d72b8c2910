"""How long is the position known without sight? Error against steps in the dark.

  found = BlindStudy.of(curves, control=None, n_boot=1000, seed=0)
  print(found.verdict())

Judged on pairs: each error is compared with that of a rival at the same timestep.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from dreamerv3.analysis import bootstrap
from dreamerv3.analysis.differences import Differences, paired
from dreamerv3.analysis.without_sight.blind import BlindCurves
from dreamerv3.base.errors import UserError

ALPHA = 0.05
RIVALS = ('constant', 'frozen')


@dataclasses.dataclass(frozen=True)
class Course:
  """A mean error at each step, (K,) [tiles], and its 95 % interval over episodes."""

  mean: np.ndarray
  low: np.ndarray
  high: np.ndarray

  @classmethod
  def of(cls, errors: np.ndarray, number: np.ndarray, n_boot: int, seed: int) -> Self:
    """Of errors (S, K) of starts in episodes (S,)."""
    ends = [bootstrap.interval(x, number, n_boot, seed) for x in errors.T]
    low, high = np.array(ends).T
    return cls(errors.mean(0), low, high)


@dataclasses.dataclass(frozen=True)
class BlindJudgement:
  """One network in the dark.

  Attributes:
    curves: its errors; courses: {blind, sighted, constant, frozen: Course}.
    p: {constant, frozen: (K,)} paired by starts, over episodes, at each step.
    lost: first step at which the error is not shown to be below the best constant's;
      None if it is below at all of them. Steps are judged in their order and the first
      that fails ends the count, so that no correction is needed for their number
      (fixed-sequence testing: Maurer et al. 1995).
    half: first step at which the mean lead over the best constant is less than half of
      that with sight; None if it stays.
    moved: mean gain [tiles] against the kept place over the steps before `lost`;
      p_moved of it; NaN if there are none.
  """

  curves: BlindCurves
  courses: Mapping[str, Course]
  p: Mapping[str, np.ndarray]
  lost: int | None
  half: int | None
  moved: float
  p_moved: float

  @classmethod
  def of(cls, curves: BlindCurves, n_boot: int, seed: int) -> Self:
    """Judges the errors of one network."""
    names = ('blind', 'sighted', *RIVALS)
    courses = {
      k: Course.of(getattr(curves, k), curves.number, n_boot, seed) for k in names
    }
    tests = {k: _test(curves, k, n_boot, seed) for k in RIVALS}
    known = tests['constant']
    lost = _first(~((known.p <= ALPHA) & (known.diff < 0)))
    lead = courses['constant'].mean - courses['blind'].mean
    floor = courses['constant'].mean - courses['sighted'].mean
    kept = curves.steps if lost is None else lost - 1
    moved, p_moved = _gain(curves.frozen, curves.blind, kept, curves.number)
    return cls(
      curves,
      courses,
      {k: x.p for k, x in tests.items()},
      lost,
      _first(lead < floor / 2),
      moved,
      p_moved,
    )

  @property
  def kept(self) -> int:
    """Steps without sight that the position is known for."""
    return self.curves.steps if self.lost is None else self.lost - 1


def _first(failed: np.ndarray) -> int | None:
  """The first step, counted from 1, that is marked."""
  steps = np.flatnonzero(failed)
  return int(steps[0]) + 1 if len(steps) else None


def _gain(
  rival: np.ndarray, own: np.ndarray, steps: int, number: np.ndarray
) -> tuple[float, float]:
  """Mean of rival - own (S, K) over the first steps [tiles], and its paired p."""
  if not steps:
    return float('nan'), float('nan')
  found = paired((rival - own)[None, :, :steps].mean(2), number, 0, 0)
  return float(found.diff[0]), float(found.p[0])


def _test(curves: BlindCurves, rival: str, n_boot: int, seed: int) -> Differences:
  gap = (curves.blind - getattr(curves, rival)).T
  return paired(gap, curves.number, n_boot, seed)


@dataclasses.dataclass(frozen=True)
class BlindStudy:
  """A network in the dark, and another one on the same path.

  Attributes:
    trained: the network; control: of the untrained one, None without.
    gain: mean [tiles] by which it errs less than the control over the steps before it
      is lost; p_gain: paired by starts, over episodes; NaN if there are none.
  """

  trained: BlindJudgement
  control: BlindJudgement | None
  gain: float
  p_gain: float

  @classmethod
  def of(
    cls, curves: BlindCurves, control: BlindCurves | None, n_boot: int, seed: int
  ) -> Self:
    """Judges both; UserError if they did not lose sight at the same timesteps."""
    trained = BlindJudgement.of(curves, n_boot, seed)
    if control is None:
      return cls(trained, None, float('nan'), float('nan'))
    keys = [set(zip(x.number, x.limit, strict=True)) for x in (curves, control)]
    if keys[0] != keys[1] or len(curves.number) != len(control.number):
      raise UserError(
        'The control lost its sight in other episodes or at other timesteps; give '
        '--blind and --control_blind for the same --replay_activations.observe.'
      )
    order = [np.lexsort((x.limit, x.number)) for x in (curves, control)]
    gain, p_gain = _gain(
      control.blind[order[1]],
      curves.blind[order[0]],
      trained.kept,
      curves.number[order[0]],
    )
    return cls(trained, BlindJudgement.of(control, n_boot, seed), gain, p_gain)

  def verdict(self) -> str:
    """What may be said."""
    x = self.trained
    count = len(np.unique(x.curves.number))
    if count < bootstrap.ENOUGH:
      return f'{x.curves.layer} without sight: {count} episodes are too few to judge.'
    text = f'{x.curves.layer} without sight: {_kept(x)}'
    if x.half is not None:
      text += f', half of the lead gone at step {x.half}'
    if x.kept:
      nearer = x.p_moved <= ALPHA and x.moved > 0
      text += f'; {_shown(nearer, "nearer")} than the place where sight ended'
    if self.control is not None:
      text += f'. The untrained network: {_kept(self.control)}'
      if x.kept:
        farther = self.p_gain <= ALPHA and self.gain > 0
        text += f', {_shown(farther, "farther off")} (p {self.p_gain:.3f})'
    return f'{text}.'

  def rows(self) -> list[dict[str, Any]]:
    """The table blind_steps.csv: a row per step."""
    sides = {'': self.trained}
    if self.control is not None:
      sides['control_'] = self.control
    table = []
    for k in range(self.trained.curves.steps):
      row: dict[str, Any] = {'steps_without_sight': k + 1}
      for side, x in sides.items():
        for name, course in x.courses.items():
          row |= {
            f'{side}{name}': float(course.mean[k]),
            f'{side}{name}_low': float(course.low[k]),
            f'{side}{name}_high': float(course.high[k]),
          }
        row |= {f'{side}p_{name}': float(p[k]) for name, p in x.p.items()}
      table.append(row)
    return table


def _shown(holds: bool, what: str) -> str:
  return what if holds else f'not shown to be {what}'


def _kept(x: BlindJudgement) -> str:
  if x.lost is None:
    return f'better than the best constant on all {x.curves.steps} steps'
  if x.lost == 1:
    return 'not better than the best constant on step 1'
  return f'better than the best constant until step {x.lost - 1}'


def to_dict(found: BlindStudy) -> dict[str, Any]:
  """Plain dicts of arrays, as blind_results.pkl holds them."""
  return {'format': 1, 'blind': dataclasses.asdict(found)}


def from_dict(values: Mapping[str, Any]) -> BlindStudy:
  """Reads what `to_dict` made."""
  x = values['blind']
  control = None if x['control'] is None else _judgement(x['control'])
  return BlindStudy(_judgement(x['trained']), control, x['gain'], x['p_gain'])


def _judgement(x: Mapping[str, Any]) -> BlindJudgement:
  curves = BlindCurves(**x['curves'])
  courses = {k: Course(**v) for k, v in x['courses'].items()}
  return BlindJudgement(**{**x, 'curves': curves, 'courses': courses})
