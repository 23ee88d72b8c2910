"""A whole study of position decoding: results of all layers, and their table.

  plan = make_plan(data, None, Protocol(mode='layers'))
  for result, decoder in work(plan, plan.chosen, FitJob()): ...
  rows = table_rows(results, control, perceive(plan, results, FitJob()), FitJob())

For decode_position.py and for notebooks. Only `fill` prints and writes.
"""

import contextlib
import dataclasses
from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple

from dreamerv3.analysis.compatible import check_same, other_episodes, untrained
from dreamerv3.analysis.decoding import layers as decode
from dreamerv3.analysis.decoding.comparisons import (
  DETER,
  NAN,
  compare,
  hardest,
  memory,
)
from dreamerv3.analysis.decoding.linear.fit import FitOptions
from dreamerv3.analysis.decoding.perception import TOKENS, Source, beside, sources
from dreamerv3.analysis.decoding.protocol import REPRS, Plan
from dreamerv3.analysis.decoding.result import DecodeResult, summary
from dreamerv3.analysis.decoding.said import Decoder
from dreamerv3.analysis.decoding.store import Shelf
from dreamerv3.base.errors import UserError
from dreamerv3.base.progress import ProgressBar
from dreamerv3.data import layers as names
from dreamerv3.data.trajectories import Trajectories


@dataclasses.dataclass(frozen=True)
class FitJob:
  """How a plan is worked off.

  Attributes:
    fit: see FitOptions; its device is 'cpu' or 'cuda'.
    n_jobs: fits at a time, -1 for one per core.
    save: decoders are wanted: after cross-validation, one of all episodes.
    most: timesteps that such a decoder is fitted to; 0 for all.
    n_boot: draws of episodes behind intervals; seed: of the draws.
  """

  fit: FitOptions = FitOptions()
  n_jobs: int = 1
  save: bool = False
  most: int = 0
  n_boot: int = 1000
  seed: int = 0


def work(
  plan: Plan, todo: Sequence[str], job: FitJob
) -> Generator[tuple[DecodeResult, Decoder]]:
  """Decodes some of the plan's layers; yields each as it is done."""
  refit = job.save and len(plan.folds) > 1
  return decode.decode_layers(
    plan.data, todo, plan.folds, job.fit, job.n_jobs, refit, job.most
  )


def fill(shelf: Shelf, plan: Plan, job: FitJob) -> list[DecodeResult]:
  """All results in network order; each is on disk and told as soon as it is done."""
  todo = shelf.todo(plan.chosen)
  works = work(plan, todo, job)
  with contextlib.closing(works), ProgressBar(len(todo), 'layer') as bar:
    for result, decoder in works:
      shelf.keep(result, decoder)
      bar.update(1, result.layer)
      print(f'{result.layer}: {result.errors.mean():.2f} tiles', flush=True)
  names = plan.names if shelf.mode == 'layers' else plan.chosen
  return shelf.finish(names, plan.copies, plan.data)


def with_copies(
  plan: Plan, results: Mapping[str, DecodeResult]
) -> dict[str, DecodeResult]:
  """The results and those of layers that hold the same numbers as one of them."""
  same = {
    copy: dataclasses.replace(results[original], layer=copy)
    for copy, original in plan.copies.items()
    if original in results
  }
  return {**results, **same}


def open_control(plan: Plan, control: Trajectories) -> list[str]:
  """Notes on the recording of the untrained network.

  Raises:
    UserError: it is of a trained network, of another one or another world.
  """
  notes = untrained(control, plan.data)
  common = {REPRS.get(x, x) for x in plan.names} & control.layers().keys()
  check_same(plan.data, control, sorted(common))
  return notes


def control_results(
  plan: Plan, wanted: Sequence[str], job: FitJob
) -> dict[str, DecodeResult]:
  """The same work on the recording of the untrained network."""
  job = dataclasses.replace(job, save=False)
  todo = [x for x in plan.chosen if x in wanted]
  with contextlib.closing(work(plan, todo, job)) as done:
    return with_copies(plan, {result.layer: result for result, _ in done})


def evaluate(
  data: Trajectories, decoders: Mapping[str, Decoder], patterns: Sequence[str]
) -> tuple[list[DecodeResult], list[str]]:
  """Saved decoders on a recording: results in network order, and notes.

  Args:
    decoders: by layer.
    patterns: of layers, read by `data.layers.select`; all without.

  Raises:
    UserError: no layer in common, or episodes that were trained on.
  """
  sizes = set(data.layers())
  sizes |= {k for k, v in REPRS.items() if v in sizes}
  if set(REPRS) <= sizes:
    sizes.add('combined')
  common = [x for x in names.order(decoders) if x in sizes]
  if patterns:
    common = names.select(patterns, common)
  if not common:
    raise UserError(
      f'The decoders are of {", ".join(decoders)}, and {data.path} has '
      f'{", ".join(names.order(sizes))}: no layer is in both.'
    )
  notes: list[str] = []
  fitted = [decoders[x].trained_on for x in common]
  for known in {str(x): x for x in fitted}.values():
    notes += other_episodes('`from_model`', known, '`data`', data.source())
  return [decode.evaluate(data, decoders[x], x) for x in common], notes


class Seen(NamedTuple):
  """What can be read from what is seen now.

  Attributes:
    alone: {name: result} of pixels, tokens and view.
    both: {layer: result} of the best of them beside a layer of the state.
    notes: on what the recording does not hold.
  """

  alone: dict[str, DecodeResult]
  both: dict[str, DecodeResult]
  notes: list[str]


NOTHING = Seen({}, {}, [])


def perceive(plan: Plan, results: Sequence[DecodeResult], job: FitJob) -> Seen:
  """Decodes what is seen now, and the best of it beside the recurrent state."""
  found, notes = sources(plan.data, job.seed)
  # Chance of these is nobody's question, and half of the time.
  folds = [dataclasses.replace(x, paired=None) for x in plan.folds]

  def decoded(read: Mapping[str, Source]) -> dict[str, DecodeResult]:
    made = decode.decode_layers(
      plan.data, list(read), folds, job.fit, job.n_jobs, read=read.__getitem__
    )
    with contextlib.closing(made) as done:
      return {result.layer: result for result, _ in done}

  done = {x.layer: x for x in results}
  alone = {}
  if TOKENS in found and 'enc/tokens' in done:
    alone[TOKENS] = done['enc/tokens']
  alone |= decoded({k: v for k, v in found.items() if k not in alone})
  if not alone:
    return Seen({}, {}, notes)
  best = found[hardest(alone)]
  deter = [x for x in DETER if x in done]
  both = decoded({x: beside(best, plan.data, x) for x in deter})
  return Seen({k: alone[k] for k in found}, both, notes)


def table_rows(
  results: Sequence[DecodeResult],
  control: Mapping[str, DecodeResult],
  seen: Seen,
  job: FitJob,
) -> list[dict[str, Any]]:
  """A row of the table per result: `result.summary` and `comparisons.compare`."""
  more = compare(results, control, seen.alone, job.n_boot, job.seed)
  rows = []
  for result, columns in zip(results, more, strict=True):
    row, other = summary(result, job.n_boot, job.seed), control.get(result.layer)
    row['control'] = NAN if other is None else float(other.errors.mean())
    # It may walk paths of its own, which can be easier or harder to guess.
    row['control_constant'] = (
      NAN if other is None else float(other.best_constant.mean())
    )
    gain = dict.fromkeys(('memory', 'memory_low', 'memory_high', 'p_memory'), NAN)
    if result.layer in seen.both:
      best = seen.alone[hardest(seen.alone)]
      gain = memory(best, seen.both[result.layer], job.n_boot, job.seed)
    rows.append({**row, **columns, **gain})
  return rows
