"""What does the run take of the machine? Memory and load, for the logs."""

import shutil
import subprocess

import psutil

GB = 1024**3
QUERY = ('utilization.gpu', 'utilization.memory', 'memory.used')


class Usage:
  """Collects `psutil/*` of this process and machine, and `nvsmi/*` of GPUs."""

  def __init__(self, psutil: bool = True, nvsmi: bool = True):
    self.process = _process() if psutil else None
    self.nvsmi = nvsmi and shutil.which('nvidia-smi') is not None

  def stats(self) -> dict[str, float]:
    """Numbers of this moment, by name."""
    return {
      **(_psutil(self.process) if self.process else {}),
      **(_nvsmi() if self.nvsmi else {}),
    }


def _process() -> psutil.Process:
  process = psutil.Process()
  process.cpu_percent()  # the first call only starts the measurement
  return process


def _psutil(process: psutil.Process) -> dict[str, float]:
  memory = psutil.virtual_memory()
  own = process.memory_info().rss
  stats = {
    'proc_cpu_usage': process.cpu_percent() / 100,
    'proc_ram_frac': own / memory.total,
    'proc_ram_gb': own / GB,
    'total_cpu_count': psutil.cpu_count() or 0,
    'total_cpu_frac': psutil.cpu_percent() / 100,
    'total_ram_frac': memory.percent / 100,
    'total_ram_total_gb': memory.total / GB,
    'total_ram_used_gb': memory.used / GB,
    'total_ram_avail_gb': memory.available / GB,
  }
  return {f'psutil/{k}': v for k, v in stats.items()}


def _nvsmi() -> dict[str, float]:
  command = [
    'nvidia-smi',
    f'--query-gpu={",".join(QUERY)}',
    '--format=csv,noheader,nounits',
  ]
  try:
    done = subprocess.run(
      command, capture_output=True, text=True, timeout=20, check=True
    )
  except (OSError, subprocess.SubprocessError):
    return {}
  return parse_nvsmi(done.stdout)


def parse_nvsmi(text: str) -> dict[str, float]:
  """Lines of 'load %, memory load %, MiB' per GPU, as shares and GiB."""
  stats = {}
  for gpu, line in enumerate(text.strip().splitlines()):
    try:
      load, memory, used = (float(x) for x in line.split(','))
    except ValueError:  # '[N/A]' on some virtual GPUs
      continue
    stats[f'nvsmi/compute_avg/gpu{gpu}'] = load / 100
    stats[f'nvsmi/memory_avg/gpu{gpu}'] = memory / 100
    stats[f'nvsmi/memory_used_gb/gpu{gpu}'] = used / 1024
  return stats
