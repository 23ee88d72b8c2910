"""How fast does the agent start, act and learn, and in how much memory?

For whoever changes the model or picks a size. Each preset runs in a process
of its own, on random data of Crafter's spaces. `matmul` is this machine's
rate for a large matrix product in the compute dtype, measured in the same
process; `share` is the rate of the step's operations against it. `gflop` are
those of its matrix products and convolutions (flops.py), `xla_gflop` is XLA's
count, which takes the body of a loop once.
Seconds of processor time (cpu) are steadier than the clock on a busy machine.
Everything is compiled anew unless --cache names a folder of compiled programs.
A CPU is as many devices as in a training run, for steps and for policy calls of
16 rows, unless --devices says how many.

--plain measures the peer beside it: the same network, where convolutions, pools
and upsampling are written as usual and left to XLA, all images at once, on one
device. The ratios are those of the rows: plain / ours.

  python bench/train.py --presets size1m size12m --plain
  python bench/train.py --devices 1
"""

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.flops import operations
from dreamerv3.base.host import job
from dreamerv3.setup.machine import choose, split_cpu

COLUMNS = (
  'preset',
  'form',
  'ready_s',
  'compile_s',
  'compile_cpu_s',
  'step_s',
  'step_cpu_s',
  'policy1_ms',
  'policy16_ms',
  'gflop',
  'xla_gflop',
  'matmul_gflops',
  'share',
  'temp_gb',
  'peak_gb',
)


def clock(call: Callable[[], object], repeats: int) -> tuple[float, float]:
  """Median seconds of a call by the clock and by the processor."""
  walls, cpus = [], []
  for _ in range(repeats):
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    walls.append(time.perf_counter() - wall)
    cpus.append(time.process_time() - cpu)
  return statistics.median(walls), statistics.median(cpus)


def matmul_rate(dtype: Any) -> float:
  """FLOP/s of a product of two square matrices."""
  import jax
  import jax.numpy as jnp

  size = 2048 if jax.default_backend() == 'cpu' else 8192
  x = jnp.ones((size, size), dtype)
  product = jax.jit(lambda x: x @ x)
  product(x).block_until_ready()
  wall, _ = clock(lambda: product(x).block_until_ready(), 5)
  return 2 * size**3 / wall


OBSERVED = (64, 64, 3)


def spaces() -> tuple[dict, dict]:
  """Crafter's spaces of observations and actions."""
  import elements
  import numpy as np

  Space = elements.Space
  flag = {k: Space(bool) for k in ('is_first', 'is_last', 'is_terminal')}
  obs = {'image': Space(np.uint8, OBSERVED), 'reward': Space(np.float32), **flag}
  return obs, {'action': Space(np.int32, (), 0, 17)}


def settle(preset: str, options: argparse.Namespace, acting: int = 1) -> Any:
  """All settings of a preset.

  Args:
    acting: devices that act.
  """
  from dreamerv3.setup import config as configs

  flags = {'configs': ['crafter', preset]}
  return configs.stack(configs.read_blocks(), flags).update(
    {
      'jax.platform': options.platform,
      'jax.debug': False,
      'jax.compute_dtype': options.dtype,
      'jax.cache': options.cache,
      'jax.unroll': options.unroll,
      'jax.mock_devices': options.devices if options.devices > 1 else 0,
      'jax.train_devices': list(range(options.devices)),
      'jax.policy_devices': list(range(acting)),
      'batch_size': options.batch,
      'batch_length': options.length,
    }
  )


def build(
  preset: str, options: argparse.Namespace, acting: int = 1
) -> tuple[Any, dict]:
  """The agent of a preset and a batch of random sequences.

  Args:
    acting: devices that act.
  """
  import elements
  import numpy as np

  from dreamerv3.agent import Agent

  config = settle(preset, options, acting)
  beside = (
    'logdir',
    'seed',
    'jax',
    'batch_size',
    'batch_length',
    'replay_context',
    'report_length',
    'replica',
    'replicas',
  )
  obs, act = spaces()
  settings = elements.Config(**config.agent, **{k: config[k] for k in beside})
  agent = Agent(obs, act, settings)
  rng = np.random.default_rng(0)
  lead = (options.batch, options.length + config.replay_context)
  data = {k: np.zeros(lead, bool) for k in ('is_first', 'is_last', 'is_terminal')}
  data['image'] = rng.integers(0, 256, (*lead, *OBSERVED), np.uint8)
  data['reward'] = rng.normal(size=lead).astype(np.float32)
  data['action'] = rng.integers(0, 17, lead).astype(np.int32)
  data['consec'] = np.zeros(lead, np.int32)
  data['stepid'] = np.zeros((*lead, 20), np.uint8)
  for key, value in agent.model.init_carry(1).latent._asdict().items():
    shape = (*lead, *value.shape[1:])
    data[f'dyn/{key}'] = np.zeros(shape, np.float32)
  return agent, data


def leave_to_xla() -> None:
  """Replace the forms of convolutions by the plain ones, in this process."""
  import jax

  from embodied.jax import conv
  from embodied.jax.conv_cpu import plain_conv

  def upsampled(kernel: jax.Array, _: int) -> conv.Form:
    return lambda x: plain_conv(x.repeat(2, 1).repeat(2, 2), kernel)

  conv.on_cpu = lambda: False
  conv.FORMS['upsampled'] = upsampled


def measure(preset: str, options: argparse.Namespace) -> dict:
  """All columns for one preset."""
  began = time.perf_counter()
  import jax

  if options.plain:
    leave_to_xla()
  agent, data = build(preset, options)
  data = agent.put(data)
  carry = agent.init_train(options.batch)
  seeds = agent._seeds((0,), 0, (2,))
  wall, cpu = time.perf_counter(), time.process_time()
  lowered = agent._train.lower(agent.state, carry, data, seeds)
  step = lowered.compile()
  row: dict = {
    'preset': preset,
    'form': 'plain' if options.plain else 'ours',
    'compile_s': time.perf_counter() - wall,
    'compile_cpu_s': time.process_time() - cpu,
  }
  agent._train = step
  row['ready_s'] = time.perf_counter() - began
  state = [agent.state, carry]

  def train() -> None:
    *state[:], _, _ = step(*state, data, seeds)
    jax.block_until_ready(state)

  train()
  row['step_s'], row['step_cpu_s'] = clock(train, options.steps)
  row['peak_gb'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
  memory = step.memory_analysis()
  trace = jax.make_jaxpr(agent.model.train)
  done = operations(trace(agent.state, carry, data, jax.random.key(0)).jaxpr)
  row['gflop'] = done / 1e9
  row['xla_gflop'] = step.cost_analysis()['flops'] / 1e9
  row['temp_gb'] = memory.temp_size_in_bytes / 1e9
  rate = matmul_rate(agent.dtype)
  row['matmul_gflops'] = rate / 1e9
  row['share'] = done / row['step_s'] / rate
  host = jax.device_get({k: data[k][:, 0] for k in agent.obs_space})
  for batch in (1, 16):
    if batch > 1 and options.devices > 1:
      agent, _ = build(preset, options, acting=options.devices)
    obs = {k: v[:batch].repeat(batch // len(v[:batch]), 0) for k, v in host.items()}
    carries = [agent.init_policy(batch)]

    def act(agent: Any = agent, carries: list = carries, obs: dict = obs) -> None:
      carries[0], _, _ = agent.policy(carries[0], obs)

    act()
    row[f'policy{batch}_ms'] = 1e3 * clock(act, 50)[0]
  return row


def main(argv: list[str] | None = None) -> int:
  """Measures each preset and prints a row for each."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--presets', nargs='+', default=['size1m'])
  parser.add_argument('--platform', default='auto')
  parser.add_argument('--dtype', default='auto')
  parser.add_argument('--cache', default='off', help='as --jax.cache')
  parser.add_argument('--unroll', type=int, default=0, help='as --jax.unroll')
  parser.add_argument('--devices', type=int, default=0, help='of the CPU')
  parser.add_argument('--plain', action='store_true', help='measure the peer, too')
  parser.add_argument('--batch', type=int, default=16)
  parser.add_argument('--length', type=int, default=64)
  parser.add_argument('--steps', type=int, default=5)
  parser.add_argument('--json', action='store_true', help='one line of JSON')
  options = parser.parse_args(argv)
  if not options.devices:
    gpu = choose(options.platform.replace('gpu', 'cuda'))[0] == 'cuda'
    options.devices = 1 if gpu else split_cpu(options.batch, job.cpus())
  if options.json:
    print(json.dumps(measure(options.presets[0], options)))
    return 0
  print(' '.join(f'{x:>13}' for x in COLUMNS))
  names = ('platform', 'dtype', 'cache', 'unroll', 'batch', 'length', 'steps')
  same = [f'--{k}={getattr(options, k)}' for k in names]
  forms = [[f'--devices={options.devices}']]
  if options.plain:
    forms.append(['--devices=1', '--plain'])
  jobs = [(x, form) for x in options.presets for form in forms]
  for preset, form in jobs:
    command = [sys.executable, __file__, '--json', *same, *form]
    command += ['--presets', preset]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
      return done.returncode
    row = json.loads(done.stdout.splitlines()[-1])
    shown = [row[x] if x in COLUMNS[:2] else f'{row[x]:.4g}' for x in COLUMNS]
    print(' '.join(f'{x:>13}' for x in shown), flush=True)
  return 0


if __name__ == '__main__':
  sys.exit(main())
