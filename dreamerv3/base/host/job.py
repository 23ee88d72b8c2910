"""How many CPUs and how much memory may this process use? Its job's, not the host's.

  pool = ProcessPoolExecutor(cpus())
  found = memory()
  print(f'{found.free / 2**30:.1f} GiB free ({found.source})')

For every pool, estimate and default. The smallest of what the machine has, what
the control groups of Linux allow (version 1 and 2, with those above our own), and
what SLURM has promised counts. Where one of them cannot be read, the others do.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from collections.abc import Iterator, Mapping

ROOT = pathlib.Path('/')
MIB = 2**20
# Version 1 says 'no limit' by the largest number of pages.
_ENDLESS = 2**60
_UNITS = {'': MIB, 'K': 2**10, 'M': MIB, 'G': 2**30, 'T': 2**40}


@dataclasses.dataclass(frozen=True)
class HostMemory:
  """Memory of this process, in bytes.

  Attributes:
    total: the most that the job may take.
    free: what is left of it now; files that the system keeps for later count.
    source: whose limit leaves the least, such as 'this machine'.
  """

  total: int
  free: int
  source: str


def cpus(root: pathlib.Path = ROOT, env: Mapping[str, str] | None = None) -> int:
  """Number of CPUs that this process may keep busy, at least 1.

  Args:
    root: where /proc and /sys are.
    env: environment; that of this process by default.
  """
  env = os.environ if env is None else env
  found = [_affinity(), *_quotas(root)]
  found += [x for x in [_slurm_cpus(env)] if x]
  return max(1, int(min(found)))


def memory(
  root: pathlib.Path = ROOT, env: Mapping[str, str] | None = None
) -> HostMemory:
  """Memory that this process may take, and what is left of it now.

  Args: see `cpus`.
  """
  env = os.environ if env is None else env
  found = [_machine(root), *_groups_memory(root)]
  promised = _slurm_memory(env)
  if promised:
    name, total = promised
    found.append(HostMemory(total, max(0, total - _own(root)), name))
  least = min(found, key=lambda x: x.free)
  return HostMemory(min(x.total for x in found), least.free, least.source)


def _affinity() -> int:
  if hasattr(os, 'sched_getaffinity'):  # not on macOS
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _quotas(root: pathlib.Path) -> Iterator[float]:
  """CPUs that control groups allow, as time per time."""
  for folder in _groups(root, ''):
    words = _text(folder / 'cpu.max').split()
    if len(words) == 2 and words[0].isdecimal() and int(words[1] or 0):
      yield int(words[0]) / int(words[1])
  for folder in _groups(root, 'cpu'):
    quota = _number(folder / 'cpu.cfs_quota_us')
    period = _number(folder / 'cpu.cfs_period_us')
    if quota and period:
      yield quota / period


def _slurm_cpus(env: Mapping[str, str]) -> int:
  """CPUs of a task of SLURM, or of the job on this node; 0 if unknown."""
  for name in ('SLURM_CPUS_PER_TASK', 'SLURM_CPUS_ON_NODE'):
    if env.get(name, '').isdecimal():
      return int(env[name])
  return 0


def _slurm_memory(env: Mapping[str, str]) -> tuple[str, int] | None:
  """Name of the variable, and bytes that it promises on this node.

  A limit of 0 is that of the whole node.
  """
  on_node = env.get('SLURM_CPUS_ON_NODE', '')
  gpus = env.get('SLURM_GPUS_ON_NODE', '')
  times = {
    'SLURM_MEM_PER_NODE': 1,
    'SLURM_MEM_PER_CPU': int(on_node) if on_node.isdecimal() else _slurm_cpus(env),
    'SLURM_MEM_PER_GPU': int(gpus) if gpus.isdecimal() else 0,
  }
  for name, each in times.items():
    parsed = re.fullmatch(r'(\d+)([KMGT]?)B?', env.get(name, '').upper())
    if parsed and int(parsed[1]) * each:
      return name, int(parsed[1]) * _UNITS[parsed[2]] * each
  return None


def _machine(root: pathlib.Path) -> HostMemory:
  lines = _text(root / 'proc/meminfo')
  found = dict(re.findall(r'^(\w+):\s+(\d+) kB', lines, re.MULTILINE))
  if {'MemTotal', 'MemAvailable'} <= found.keys():
    total, free = (int(found[x]) * 1024 for x in ('MemTotal', 'MemAvailable'))
  else:  # not Linux
    import psutil

    host = psutil.virtual_memory()
    total, free = host.total, host.available
  return HostMemory(total, free, 'this machine')


def _groups_memory(root: pathlib.Path) -> Iterator[HostMemory]:
  """Limits of our control groups, from our own up to the top."""
  for folder in _groups(root, ''):
    found = (_number(folder / f'memory.{x}') for x in ('max', 'high'))
    limits = [x for x in found if x]
    if limits:
      used = _number(folder / 'memory.current') - _stat(folder, 'inactive_file')
      yield _group(min(limits), used, root, folder)
  for folder in _groups(root, 'memory'):
    limit = _number(folder / 'memory.limit_in_bytes')
    if limit:
      used = _number(folder / 'memory.usage_in_bytes')
      used -= _stat(folder, 'total_inactive_file')
      yield _group(limit, used, root, folder)


def _group(
  limit: int, used: int, root: pathlib.Path, folder: pathlib.Path
) -> HostMemory:
  name = f'control group /{folder.relative_to(root)}'
  return HostMemory(limit, max(0, limit - max(0, used)), name)


def _stat(folder: pathlib.Path, key: str) -> int:
  found = re.search(rf'^{key} (\d+)$', _text(folder / 'memory.stat'), re.MULTILINE)
  return int(found[1]) if found else 0


def _groups(root: pathlib.Path, controller: str) -> Iterator[pathlib.Path]:
  """Folders of the control groups that we are in, our own first.

  Args:
    controller: 'cpu' or 'memory' of version 1, '' for version 2.
  """
  own = _own_group(root, controller)
  for top, point in _mounts(root, controller):
    place = root / point.lstrip('/')
    # A container sees the path of the host, and its own group mounted.
    mine, top = own.rstrip('/') + '/', top.rstrip('/') + '/'
    inside = mine.removeprefix(top) if mine.startswith(top) else ''
    below = pathlib.PurePosixPath(inside)
    if '..' in below.parts:  # outside of what the container sees
      below = pathlib.PurePosixPath()
    for part in (below, *below.parents):
      if (place / part).is_dir():
        yield place / part
    return


def _own_group(root: pathlib.Path, controller: str) -> str:
  for line in _text(root / 'proc/self/cgroup').splitlines():
    _, _, rest = line.partition(':')
    names, _, path = rest.partition(':')
    if controller in names.split(','):
      return path
  return '/'


def _mounts(root: pathlib.Path, controller: str) -> Iterator[tuple[str, str]]:
  """(group, where it is mounted), of the hierarchies with a controller."""
  for line in _text(root / 'proc/self/mountinfo').splitlines():
    left, _, right = line.partition(' - ')
    fields, kind = left.split(' '), right.split(' ')
    if len(fields) < 5 or len(kind) < 3:
      continue
    options = kind[2].split(',')
    if kind[0] == 'cgroup2' if not controller else controller in options:
      yield fields[3], fields[4].replace(r'\040', ' ')


def _own(root: pathlib.Path) -> int:
  """Bytes that this process holds in memory."""
  words = _text(root / 'proc/self/statm').split()
  if len(words) > 1 and words[1].isdecimal():
    return int(words[1]) * os.sysconf('SC_PAGE_SIZE')
  return 0


def _number(path: pathlib.Path) -> int:
  """The number in a file; 0 for no limit, or where there is none."""
  text = _text(path).strip()
  value = int(text) if text.isdecimal() else 0
  return value if value < _ENDLESS else 0


def _text(path: pathlib.Path) -> str:
  try:
    return path.read_text(errors='replace')
  except OSError:
    return ''
