"""How much memory will this run need? Told before it starts, not by a crash.

The replay is exact (bytes per step times steps), parameters and optimizer
are counted, activations are estimated (docs/training.md has the measurements).

  need = estimate(config, obs_space, act_space, state_bytes, on_gpu=False)
  print_estimate(need, job.memory(), gpu_bytes)
"""

import dataclasses
import sys
from collections.abc import Mapping

import elements
import numpy as np

from dreamerv3.base.host import job
from embodied.core.chunk import memory_estimate
from embodied.core.compact import ClassIndex, Forms, Rounded

GIB = 1024**3
# Python, JAX and its compiler beside all of ours, at the peak of a first start;
# programs that are found in the cache take half of it.
PROCESS = 1.5 * GIB


@dataclasses.dataclass(frozen=True)
class Need:
  """Bytes by purpose.

  Attributes:
    replay: At the end of the run, in host memory.
    saving: Latents that training changes while a checkpoint is written, at
      most all: until a chunk is on disk its old ones are kept too.
    state: Parameters, slow critic and optimizer.
    activations: what one train step keeps, on one GPU or on all devices of a CPU.
    on_gpu: Whether state and activations are on a GPU.
    steps: How many steps the replay holds at the end.
    copies: how often the state is held: each device of a CPU has its own.
  """

  replay: float
  saving: float
  state: float
  activations: float
  on_gpu: bool
  steps: int
  copies: int = 1

  @property
  def device(self) -> float:
    """Bytes on one GPU, or of all devices of a CPU."""
    # Policy copy and the batch ahead are small; XLA needs room to move.
    return 1.15 * self.state * self.copies + self.activations

  @property
  def host(self) -> float:
    """Bytes of host memory, with those of the CPU's devices."""
    # A checkpoint in the making is one more copy of the state.
    own = self.replay + self.saving + self.state + PROCESS
    return own if self.on_gpu else own + self.device


def estimate(
  config: elements.Config,
  obs_space: Mapping[str, elements.Space],
  act_space: Mapping[str, elements.Space],
  state: float,
  on_gpu: bool,
) -> Need:
  """Memory of a training run.

  Args:
    config: All settings.
    obs_space, act_space: what the environment gives and takes.
    state: Bytes of parameters, slow critic and optimizer.
    on_gpu: Whether training happens on a GPU.
  """
  itemsize = 4 if _dtype(config, on_gpu) == 'float32' else 2
  steps = int(min(config.run.steps, config.replay.size))
  devices = len(config.jax.train_devices)
  # Each process, and on GPUs each device, computes on its share of the batch.
  share = config.replicas * (devices if on_gpu else 1)
  activations = activation_bytes(config, obs_space, itemsize, on_gpu)
  return Need(
    replay=replay_bytes(config, obs_space, act_space, on_gpu),
    saving=steps * latent_bytes(config, on_gpu),
    state=state,
    activations=activations / share,
    on_gpu=on_gpu,
    steps=steps,
    copies=1 if on_gpu else devices,
  )


def _dtype(config: elements.Config, on_gpu: bool) -> str:
  auto = 'bfloat16' if on_gpu else 'float32'
  wanted = config.jax.compute_dtype
  return auto if wanted == 'auto' else wanted


def _latents(config: elements.Config) -> dict[str, elements.Space]:
  """What the agent stores beside observations and actions."""
  if not config.replay_context:
    return {}
  rssm = config.agent.dyn.rssm
  return {
    'dyn/deter': elements.Space(np.float32, (rssm.deter,)),
    'dyn/stoch': elements.Space(np.float32, (rssm.stoch, rssm.classes)),
  }


def latent_forms(config: elements.Config, on_gpu: bool) -> Forms:
  """How the replay keeps latents: in what the agent computes in, if it is not told."""
  deter = config.replay.deter
  return {
    'dyn/deter': Rounded(_dtype(config, on_gpu) if deter == 'auto' else deter),
    'dyn/stoch': ClassIndex(config.agent.dyn.rssm.classes),
  }


def latent_bytes(config: elements.Config, on_gpu: bool) -> int:
  """Bytes of the latents of a step."""
  forms = latent_forms(config, on_gpu)
  rows = [forms[k].row(tuple(v.shape)) for k, v in _latents(config).items()]
  return sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in rows)


def replay_bytes(
  config: elements.Config,
  obs_space: Mapping[str, elements.Space],
  act_space: Mapping[str, elements.Space],
  on_gpu: bool,
) -> int:
  """Bytes of the replay at the end: observations, actions and latents."""
  actions = {k: v for k, v in act_space.items() if k != 'reset'}
  return memory_estimate(
    {**obs_space, **actions, **_latents(config)},
    config.run.steps,
    config.replay.size,
    config.run.envs,
    config.replay_context + config.consec_train * config.batch_length,
    config.replay.chunksize,
    latent_forms(config, on_gpu),
  )


def activation_bytes(
  config: elements.Config,
  obs_space: Mapping[str, elements.Space],
  itemsize: int,
  on_gpu: bool,
) -> float:
  """Bytes that one train step needs beside the state, roughly.

  Counted are the largest tensors that the backward pass keeps: feature maps of
  encoder and decoder, the recurrent state at each step, and the features of
  all imagined states with the hidden layers and logits of the heads. On a CPU
  the maps are those of a few images at a time, and a pooled one of each image
  that is kept (`internal.in_pieces`).
  """
  from embodied.jax import conv  # with JAX, which commands load late

  agent = config.agent
  steps = config.batch_size * config.batch_length
  images = [v for v in obs_space.values() if len(v.shape) == 3]
  maps = 0.0
  for space in images:
    area = space.shape[0] * space.shape[1]
    share = 1.0
    if not on_gpu:
      rows = (steps, *space.shape[:2])
      share = conv.rows_at_once(rows, agent.dec.simple.depth) / steps
    for net in (agent.enc.simple, agent.dec.simple):
      for stage, mult in enumerate(net.mults):
        # Before and after pooling or upsampling, norm and activation.
        size = net.depth * mult * area / 4**stage
        maps += share * 3 * size + (0 if on_gpu else size / 4)
    maps += 4 * area * space.shape[2]
  rssm = agent.dyn.rssm
  feature = rssm.deter + rssm.stoch * rssm.classes
  recurrent = 8 * rssm.deter + 4 * rssm.hidden
  logits = 2 * agent.value.bins + agent.rewhead.bins
  imagined = (agent.imag_length + 1) * (
    2 * feature
    + 2 * agent.policy.layers * agent.policy.units
    + 2 * agent.value.layers * agent.value.units
  )
  half = steps * itemsize * (maps + recurrent + imagined)
  return half + steps * 4 * (agent.imag_length + 1) * logits


def print_estimate(need: Need, host: job.HostMemory, gpu: float) -> bool:
  """Prints what the run needs and has; warns and returns False if too much.

  Args:
    need: As from `estimate`.
    host: What this job may still take of the host.
    gpu: Bytes that are free of one GPU.
  """
  where = 'GPU' if need.on_gpu else 'host'
  lines = [
    f'Memory: host {_gib(need.host)} of {_gib(host.free)} free in '
    f'{host.source} (replay of '
    f'{need.steps} steps {_gib(need.replay)}, while it is saved up to '
    f'{_gib(need.saving)} more); {where} for training '
    f'{_gib(need.device)}'
    + (f' of {_gib(gpu)}' if need.on_gpu else '')
    + f' (state {_gib(need.state)}, activations about '
    f'{_gib(need.activations)}).'
  ]
  if need.host > host.free:
    growing = need.replay + need.saving
    fits = need.steps * max(0, host.free - need.host + growing) / growing
    lines.append(
      f'WARNING: {host.source} leaves less memory than this run will need; it is '
      f'full after about {fits:.0e} steps. Lower --replay.size or --run.steps, or '
      'take a smaller preset.'
    )
  if need.on_gpu and need.device > gpu:
    lines.append(
      'WARNING: the GPU has less memory than one train step needs. Lower '
      '--batch_size or --batch_length, or take a smaller preset.'
    )
  for line in lines:
    print(line, file=sys.stderr, flush=True)
  return len(lines) == 1


def _gib(number: float) -> str:
  return f'{number / GIB:.1f} GiB'
