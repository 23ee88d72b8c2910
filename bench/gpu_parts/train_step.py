"""The train step of a preset: rate, memory, profile, and what bounds it."""

import argparse
import tempfile
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from bench import train as bench
from bench.flops import operations
from bench.gpu_parts.bounds import Costs
from bench.gpu_parts.cards import Card, find
from bench.gpu_parts.kernels import Profile, trace
from bench.gpu_parts.talk import Row, say, timed, wait
from bench.gpu_parts.traffic import accessed
from dreamerv3.setup.memory import estimate

STEPS = 3  # that the profiler sees


class StepCosts(NamedTuple):
  """Of one step: multiplications and additions, bytes read and written."""

  flop: float
  moved: float


class TrainedStep:
  """A preset's agent with its compiled train step, and a batch on the device."""

  def __init__(self, spec: dict[str, Any], options: argparse.Namespace):
    self.options = argparse.Namespace(**vars(options), cache='off', devices=1)
    self.options.unroll = spec['unroll']
    if spec['form'] == 'plain':
      bench.leave_to_xla()
    self.preset = spec['preset']
    self.agent, host = bench.build(self.preset, self.options)
    self.data = self.agent.put(host)
    self.seeds = self.agent._seeds((0,), 0, (2,))
    self.carry = self.agent.init_train(options.batch)
    given = self.agent.state, self.carry, self.data, self.seeds
    began = time.perf_counter()
    traced = self.agent._train.trace(*given)
    self.step = self.agent._train = traced.lower().compile()
    self.compile_s = time.perf_counter() - began
    flop = operations(traced.jaxpr.jaxpr)
    self.work = StepCosts(flop, bytes_of(self.step.as_text()))

  def train(self) -> None:
    """Start one step."""
    self.agent.state, self.carry, *_ = self.step(
      self.agent.state, self.carry, self.data, self.seeds
    )

  def synced(self) -> None:
    """One step, waiting for it."""
    self.train()
    jax.block_until_ready(self.agent.state)

  def steps_rate(self, seconds: float) -> float:
    """Steps per second that follow each other without waiting."""
    count, began = 0, time.perf_counter()
    while count < 3 or time.perf_counter() - began < seconds:
      for _ in range(3):
        self.train()
      self.synced()
      count += 4
    return count / (time.perf_counter() - began)

  def update(self) -> None:
    """An update of the whole agent; results of the one before come to the host."""
    self.carry, *_ = self.agent.train(self.carry, self.data)

  def updates_rate(self, seconds: float) -> float:
    """Updates per second of the whole agent, of a batch that is on the device."""
    count, began = 0, time.perf_counter()
    while count < 3 or time.perf_counter() - began < seconds:
      self.update()
      count += 1
    self.agent.flush()
    return count / (time.perf_counter() - began)

  def memory(self) -> Row:
    """GB: XLA's plan of the step, the device's peak, the estimate of setup/memory.py.

    The peak holds what XLA took to choose its kernels, too.
    """
    config = bench.settle(self.preset, self.options)
    state = sum(x.nbytes for x in self.agent.state.values())
    on_gpu = self.agent.backend != 'cpu'
    need = estimate(config, *bench.spaces(), state, on_gpu)
    plan = self.step.memory_analysis()
    planned = plan.temp_size_in_bytes + plan.argument_size_in_bytes
    planned += plan.output_size_in_bytes - plan.alias_size_in_bytes
    stats = jax.local_devices()[0].memory_stats() or {}
    return {
      'state_gb': state / 1e9,
      'plan_gb': planned / 1e9,
      'peak_gb': stats.get('peak_bytes_in_use', np.nan) / 1e9,
      'estimate_gb': need.device / 1e9,
      'estimate_by_plan': need.device / planned,
    }


def bytes_of(text: str) -> float:
  """Bytes that a program moves; NaN, and said, if XLA writes it in an unknown way."""
  try:
    return accessed(text)
  except (ValueError, KeyError, IndexError) as e:
    say(note=f'the bytes that it moves are unknown: {e!r}')
    return float('nan')


def train(spec: dict[str, Any], options: argparse.Namespace) -> None:
  """The train step of one preset; its profile, where the spec asks for one."""
  made = TrainedStep(spec, options)
  made.synced()
  memory = made.memory()
  made.update()
  made.update()
  wait()
  made.synced()
  name = jax.devices()[0].device_kind
  card = find(name, options.peak, options.bandwidth)
  step_ms = timed(made.synced, options.seconds)
  row: Row = {'dtype': made.agent.dtype.name, 'compile_s': made.compile_s}
  row |= {'step_ms': step_ms, 'steps_s': made.steps_rate(options.seconds)}
  row['updates_s'] = made.updates_rate(options.seconds)
  row |= shares(made.work, row['steps_s'], row['dtype'], card)
  say(**row, **memory, card=name)
  if spec['profile']:
    profile(made, row['updates_s'], row['dtype'], card)


def shares(work: StepCosts, rate: float, dtype: str, card: Card) -> Row:
  """What a rate of steps is of the card's peaks; without shares for one unknown."""
  row = {
    'gflop': work.flop / 1e9,
    'gb': work.moved / 1e9,
    'tflop_s': work.flop * rate / 1e12,
    'tb_s': work.moved * rate / 1e12,
  }
  if card.tflops and dtype == 'bfloat16':
    row['of_peak'] = row['tflop_s'] / card.tflops
  if card.tbytes:
    row['of_bandwidth'] = row['tb_s'] / card.tbytes
  return row


def profile(made: TrainedStep, rate: float, dtype: str, card: Card) -> None:
  """Where the time of a step goes, and what bounds an update."""
  with tempfile.TemporaryDirectory() as folder:
    found = Profile.of(trace(made.synced, STEPS, folder), STEPS)
  if dtype != 'bfloat16':
    card = card._replace(tflops=0.0)  # the peak is that of bfloat16
  costs = Costs.of(1e3 / rate, made.work.flop, made.work.moved, card, found)
  row: Row = {'part': 'profile', 'dtype': dtype, 'update_ms': costs.wall}
  row |= {'span_ms': found.span, **found.spent, 'idle': found.idle}
  row |= {'launches': found.launches, 'short_ms': found.short}
  say(**row, bound=costs.bound(), longest=found.longest)
