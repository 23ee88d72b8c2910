"""The estimate before a run: counted where it can be, warned in time."""

import re

import elements
import numpy as np
import pytest

from dreamerv3.base.host import job
from dreamerv3.setup import config, machine, memory

GIB = memory.GIB
OBS = {
  'image': elements.Space(np.uint8, (64, 64, 3)),
  'reward': elements.Space(np.float32),
  'is_first': elements.Space(bool),
  'log/much': elements.Space(np.float32, (10**6,)),
}
ACT = {
  'action': elements.Space(np.int32, (), 0, 17),
  'reset': elements.Space(bool),
}


def settle(*argv):
  flags = config.parse_flags(['--configs', 'crafter_small', *argv])
  return config.stack(config.read_blocks(), flags)


def need(*argv, on_gpu=False, state=0.0):
  return memory.estimate(settle(*argv), OBS, ACT, state, on_gpu)


def test_replay_is_what_a_replay_takes():
  # image, reward, is_first, action, latents (deter 512, classes of 32 stoch)
  step = 64 * 64 * 3 + 4 + 1 + 4 + 4 * 512 + 32
  found = need('size1m', '--run.steps', '1e5')
  overhead = found.replay / (1e5 * step)
  assert 1 < overhead < 1.02
  # Bounded by the capacity, not by the steps.
  small = need('size1m', '--run.steps', '1e9', '--replay.size', '1e5')
  assert 1 < small.replay / found.replay < 1.05


def test_latents_count_twice_while_a_checkpoint_is_written():
  found = need('size12m', '--run.steps', '1e5')
  assert found.saving == 1e5 * (4 * 2048 + 32)
  parts = found.replay + found.saving + found.device + memory.PROCESS
  assert found.host == parts


def test_deter_is_kept_in_what_is_computed_in_unless_a_form_is_asked_for():
  def width(*argv, on_gpu=False):
    flags = ('size12m', '--run.steps', '1e5', *argv)
    return (need(*flags, on_gpu=on_gpu).saving / 1e5 - 32) / 2048

  assert width() == 4
  assert width(on_gpu=True) == width('--jax.compute_dtype', 'bfloat16') == 2
  assert width('--replay.deter', 'float16') == 2
  assert width('--replay.deter', 'float32', on_gpu=True) == 4


def test_activations_grow_as_the_work_does():
  def activations(size, *argv, dtype='float32'):
    flags = (size, '--jax.compute_dtype', dtype, *argv)
    return need(*flags, on_gpu=True).activations

  base = activations('size1m')
  assert activations('size1m', '--batch_size', '32') == 2 * base
  assert activations('size12m') > 2 * base
  half = activations('size1m', dtype='bfloat16')
  assert base / 2.2 < half < base / 1.5


def test_a_cpu_keeps_the_maps_of_a_few_images():
  flags = 'size1m', '--jax.compute_dtype', 'float32'
  cpu, gpu = (need(*flags, on_gpu=x).activations for x in (False, True))
  assert cpu < 0.4 * gpu
  # XLA's own count of one train step (bench/train.py, temp_gb).
  assert 0.5 < cpu / 0.569e9 < 2


def test_short_runs_need_what_was_measured_at_their_first_start():
  # Peak resident memory of 1500 and 1200 steps on two cores.
  for preset, peak in (('debug', 1.76), ('size1m', 1.97)):
    found = need(preset, '--run.steps', '1500')
    assert abs(found.host / GIB - peak) < 0.25, preset


def test_a_gpu_takes_state_and_activations_off_the_host():
  cpu = need('size12m', state=1e9)
  gpu = need('size12m', on_gpu=True, state=1e9)
  assert gpu.host < cpu.host
  assert gpu.device > gpu.activations


def test_devices_and_processes_share_the_activations():
  one = need('size12m', on_gpu=True, state=1e9)
  devices = '--jax.train_devices', '0', '1'
  two = need('size12m', *devices, on_gpu=True, state=1e9)
  four = need('size12m', *devices, '--replicas', '2', on_gpu=True, state=1e9)
  assert one.activations == 2 * two.activations == 4 * four.activations
  assert one.device - one.activations == two.device - two.activations
  # Devices of a CPU share its memory, and hold a copy of the state each.
  cpu = [need('size12m', *x, state=1e9) for x in ((), devices)]
  assert cpu[0].activations == cpu[1].activations
  assert cpu[1].host - cpu[0].host == pytest.approx(1.15e9)


def free(number):
  return job.HostMemory(number, number, 'SLURM_MEM_PER_NODE')


def test_warnings(capsys):
  found = need('size1m', on_gpu=True)
  assert memory.print_estimate(found, free(100 * GIB), 80 * GIB)
  assert 'WARNING' not in capsys.readouterr().err
  assert not memory.print_estimate(found, free(2 * GIB), 0.1 * GIB)
  err = capsys.readouterr().err
  assert 'WARNING: SLURM_MEM_PER_NODE leaves less memory' in err
  assert re.search(r'full after about \de\+\d\d steps', err)
  assert 'WARNING: the GPU' in err
  assert '--replay.size' in err


def test_platforms():
  none = machine.Gpus((), plugin=False)
  bare = machine.Gpus((8 * GIB,), plugin=False)
  full = machine.Gpus((8 * GIB,), plugin=True)
  assert machine.choose('auto', none)[0] == 'cpu'
  assert machine.choose('auto', full)[0] == 'cuda'
  assert machine.choose('cpu', full)[0] == 'cpu'
  platform, line = machine.choose('auto', bare)
  assert platform == 'cpu'
  assert 'requirements-cuda.txt' in line
