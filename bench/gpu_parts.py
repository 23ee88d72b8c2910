"""One part of bench/gpu.py, in a process of its own.

  python -m bench.gpu_parts '{"part": "decode"}' '{"platform": "cpu", ...}'

Results are lines of JSON. A part that is to be timed says that it is ready, and
waits for a line before it goes on.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# Dense bfloat16 products, TFLOP/s, from the makers' data sheets.
PEAKS = {'H200': 989.0, 'H100': 989.0, 'A100': 312.0, 'L40S': 362.0, 'L4': 121.0}
Row = dict[str, Any]


def say(**row: Any) -> None:
  """One line of JSON for whoever started this."""
  print(json.dumps(row), flush=True)


def wait() -> None:
  """Until the others have compiled."""
  say(ready=True)
  sys.stdin.readline()


def timed(call: Callable[[], Any], seconds: float, least: int = 3) -> float:
  """Median milliseconds of calls for some time."""
  walls: list[float] = []
  stop = time.perf_counter() + seconds
  while len(walls) < least or time.perf_counter() < stop:
    began = time.perf_counter()
    call()
    walls.append(time.perf_counter() - began)
  return 1e3 * float(np.median(walls))


def peak(name: str, given: float) -> float:
  """TFLOP/s of bfloat16 on a card of this name; 0 where nobody knows."""
  if given:
    return given
  return next((v for k, v in PEAKS.items() if k in name.split()), 0.0)


class TrainedStep:
  """A preset's compiled train step and policy."""

  def __init__(self, spec: dict[str, Any], options: argparse.Namespace):
    from bench import train
    from bench.flops import operations

    self.options = argparse.Namespace(**vars(options), cache='off', devices=1)
    self.options.unroll = spec['unroll']
    if spec['form'] == 'plain':
      train.leave_to_xla()
    self.agent, host = train.build(spec['preset'], self.options)
    self.preset = spec['preset']
    self.data = self.agent.put(host)
    self.seeds = self.agent._seeds((0,), 0, (2,))
    carry = self.agent.init_train(options.batch)
    given = self.agent.state, carry, self.data, self.seeds
    began = time.perf_counter()
    traced = self.agent._train.trace(*given)
    self.step = traced.lower().compile()
    self.compile_s = time.perf_counter() - began
    self.flop = operations(traced.jaxpr.jaxpr)
    self.carry = carry
    self.policies: dict[int, Callable[[], None]] = {}
    if spec['policy']:
      rows = {k: v[:1, 0] for k, v in host.items() if k in self.agent.obs_space}
      for batch in (1, 16):
        self.policies[batch] = self._policy(batch, rows)
        self.policies[batch]()

  def _policy(self, batch: int, rows: dict[str, np.ndarray]) -> Callable[[], None]:
    obs = {k: v.repeat(batch, 0) for k, v in rows.items()}
    carries = [self.agent.init_policy(batch)]

    def act() -> None:
      carries[0], _, _ = self.agent.policy(carries[0], obs)

    return act

  def train(self) -> None:
    """Start one update."""
    self.agent.state, self.carry, *_ = self.step(
      self.agent.state, self.carry, self.data, self.seeds
    )

  def synced(self) -> None:
    """One update, waiting for it."""
    import jax

    self.train()
    jax.block_until_ready(self.agent.state)

  def rate(self, seconds: float) -> float:
    """Updates per second that follow each other without waiting."""
    count, began = 0, time.perf_counter()
    while count < 3 or time.perf_counter() - began < seconds:
      for _ in range(3):
        self.train()
      self.synced()
      count += 4
    return count / (time.perf_counter() - began)

  def memory(self) -> Row:
    """GB: XLA's plan, the device's peak, the estimate of setup/memory.py."""
    import jax

    from bench import train
    from dreamerv3.setup.memory import estimate

    config = train.settle(self.preset, self.options)
    state = sum(x.nbytes for x in self.agent.state.values())
    on_gpu = self.agent.backend != 'cpu'
    need = estimate(config, *train.spaces(), state, on_gpu)
    plan = self.step.memory_analysis()
    stats = jax.local_devices()[0].memory_stats() or {}
    return {
      'state_gb': state / 1e9,
      'temp_gb': plan.temp_size_in_bytes / 1e9,
      'peak_gb': stats.get('peak_bytes_in_use', 0) / 1e9,
      'estimate_gb': need.device / 1e9,
      'estimated_activations_gb': need.activations / 1e9,
    }


def train(spec: dict[str, Any], options: argparse.Namespace) -> None:
  """The train step and the policy of one preset."""
  import jax

  made = TrainedStep(spec, options)
  made.synced()
  wait()
  made.synced()
  row: Row = {'dtype': made.agent.dtype.name, 'compile_s': made.compile_s}
  row['step_ms'] = timed(made.synced, options.seconds)
  row['updates_s'] = made.rate(options.seconds)
  row['gflop'] = made.flop / 1e9
  card = jax.devices()[0].device_kind
  row['tflop_s'] = made.flop * row['updates_s'] / 1e12
  most = peak(card, options.peak)
  if most and made.agent.dtype.name == 'bfloat16':
    row['share_of_peak'] = row['tflop_s'] / most
  row |= made.memory()
  for batch, act in made.policies.items():
    row[f'policy{batch}_ms'] = timed(act, options.seconds / 3)
  say(**row, card=card)


def parity(spec: dict[str, Any], options: argparse.Namespace) -> None:
  """Errors against the golden numbers in one dtype and precision."""
  import jax
  import jax.numpy as jnp

  from bench.golden import Golden

  jax.config.update('jax_platforms', options.platform)
  jax.config.update('jax_default_matmul_precision', spec['precision'])
  golden = Golden(options.npz, jnp.dtype(spec['dtype']))
  for part in (golden.forward, golden.losses):
    began = time.perf_counter()
    part()
    took = time.perf_counter() - began
    for name, errors in golden.errors.items():
      where, worst = max(errors.items(), key=lambda x: x[1])
      middle = float(np.median(list(errors.values())))
      row: Row = dict(group=name, median=middle, worst=worst, where=where)
      if 'loss/total' in errors:
        row['total'] = errors['loss/total']
      say(**row, seconds=took)
    golden.errors.clear()


def decode(_: dict[str, Any], options: argparse.Namespace) -> None:
  """A position decoder of planted activations on each device."""
  import torch

  from dreamerv3.analysis.decoding.linear.fit import FitOptions, PositionDecoder
  from dreamerv3.data.grid import Grid

  rows, units, side = (400, 16, 6) if options.quick else (20000, 1024, 32)
  rng = np.random.default_rng(0)
  pos = rng.integers(0, side, (rows, 2))
  waves = rng.normal(size=(2, units)) * 4 / side
  X = np.tanh(np.sin(pos @ waves) + rng.normal(size=(rows, units)))
  X = X.astype(np.float32)
  groups = (np.arange(rows) * 5 // rows).astype(np.int64)
  grid = Grid(side, side)
  devices = ['cpu', *(['cuda:0'] if torch.cuda.is_available() else [])]
  for device in devices:
    fit = PositionDecoder(FitOptions(n_iters=200, device=device))
    began = time.perf_counter()
    found = fit.fit(X, pos, groups, grid)
    took = time.perf_counter() - began
    error = np.abs(found.predict(X[:2000]) - pos[:2000]).sum(-1).mean()
    say(device=device, rows=rows, units=units, seconds=took, error=float(error))
  if len(devices) == 1:
    say(device='cuda', note=f'torch {torch.__version__} sees no GPU')


def main() -> None:
  """Run the part that the first argument names."""
  spec, options = (json.loads(x) for x in sys.argv[1:])
  given = argparse.Namespace(**options)
  os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
  if spec['part'] != 'train':
    # What is not timed leaves the processors and the GPU to what is.
    os.nice(10)
    os.environ.setdefault('XLA_FLAGS', '--xla_gpu_autotune_level=0')
  {'train': train, 'parity': parity, 'decode': decode}[spec['part']](spec, given)


if __name__ == '__main__':
  main()
