"""Bringing JAX up where other processes join in."""

import os

import jax
import psutil
import pytest

from embodied.jax import setup


@pytest.mark.parametrize(
  ('env', 'devices', 'expected'),
  [
    # One process per node, with one or several GPUs.
    ({}, 1, [0]),
    ({'SLURM_LOCALID': '0', 'CUDA_VISIBLE_DEVICES': '0,1,2'}, 3, [0, 1, 2]),
    # Two tasks on a node that see the same four GPUs.
    ({'SLURM_LOCALID': '1', 'CUDA_VISIBLE_DEVICES': '0,1,2,3'}, 2, [2, 3]),
    ({'SLURM_LOCALID': '1'}, 1, [1]),
    # Two tasks, each bound to its own.
    ({'SLURM_LOCALID': '1', 'CUDA_VISIBLE_DEVICES': '1'}, 1, [0]),
    ({'SLURM_LOCALID': '1', 'CUDA_VISIBLE_DEVICES': '2,3'}, 2, [0, 1]),
    ({'JAX_LOCAL_DEVICE_IDS': '3', 'SLURM_LOCALID': '1'}, 1, None),
  ],
)
@pytest.mark.parametrize('address', ['', 'node0:1234'])
def test_each_process_takes_its_gpus(monkeypatch, address, env, devices, expected):
  for name in (
    'SLURM_LOCALID',
    'CUDA_VISIBLE_DEVICES',
    'JAX_LOCAL_DEVICE_IDS',
  ):
    monkeypatch.delenv(name, raising=False)
  for name, value in env.items():
    monkeypatch.setenv(name, value)
  asked: dict = {}

  def initialize(
    coordinator_address=None,
    num_processes=None,
    process_id=None,
    local_device_ids=None,
  ):
    asked.update(address=coordinator_address, devices=local_device_ids)

  monkeypatch.setattr(jax.distributed, 'is_initialized', lambda: False)
  monkeypatch.setattr(jax.distributed, 'initialize', initialize)
  monkeypatch.setattr(jax, 'process_count', lambda: 2)
  monkeypatch.setattr(setup.multihost_utils, 'sync_global_devices', lambda name: None)
  setup.distribute(address, 1, 2, devices)
  assert asked == {'address': address or None, 'devices': expected}


@pytest.fixture
def broken(monkeypatch):
  """JAX whose GPU does not start; returns the platforms that were set."""
  platforms = []

  def default_backend():
    if 'cpu' not in platforms:
      raise RuntimeError("Unable to initialize backend 'cuda': too old")
    return 'cpu'

  def update(name, value):
    if name == 'jax_platforms':
      platforms.append(value)

  monkeypatch.setattr(jax, 'default_backend', default_backend)
  monkeypatch.setattr(jax.config, 'update', update)
  monkeypatch.setattr(setup, 'clear_backends', lambda: None)
  monkeypatch.delenv('JAX_PLATFORMS', raising=False)
  return platforms


def test_auto_falls_back_to_the_cpu_and_says_so(broken, capsys):
  assert setup.setup('auto') == 'cpu'
  assert broken == ['cpu']
  assert 'runs on the CPU, since' in capsys.readouterr().out


def test_who_insists_on_a_gpu_hears_that_there_is_none(broken, monkeypatch):
  with pytest.raises(ValueError, match=r'use --jax.platform cpu'):
    setup.setup('cuda')
  monkeypatch.setenv('JAX_PLATFORMS', 'cuda')
  with pytest.raises(ValueError, match='too old'):
    setup.setup('auto')


def test_devices_of_a_cpu_wait_for_each_other(monkeypatch):
  flag = '--xla_cpu_collective_call_terminate_timeout_seconds'
  monkeypatch.setenv('XLA_FLAGS', '--xla_dump_to=x')
  setup.be_patient()
  once = os.environ['XLA_FLAGS']
  assert once == f'--xla_dump_to=x {flag}=86400'
  setup.be_patient()
  assert os.environ['XLA_FLAGS'] == once
  monkeypatch.setenv('XLA_FLAGS', f'{flag}=7')
  setup.be_patient()
  assert os.environ['XLA_FLAGS'] == f'{flag}=7'


def test_what_a_compilation_took_is_handed_back():
  def resident():
    return psutil.Process().memory_info().rss / 2**20

  setup.keep_memory()
  blocks = [bytearray(2**16) for _ in range(3200)]  # 200 MiB
  del blocks
  kept = resident()
  event = '/jax/core/compile/backend_compile_duration'
  jax.monitoring.record_event_duration_secs(event, 0.1)
  assert resident() > kept - 20
  jax.monitoring.record_event_duration_secs(event, 10.0)
  assert resident() < kept - 100
