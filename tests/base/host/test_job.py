"""The job's CPUs and memory, from the files and variables of many machines."""

import os

import pytest

from dreamerv3.base.host import job

GIB = 2**30
INFO = 'MemTotal: 67108864 kB\nMemFree: 1 kB\nMemAvailable: 41943040 kB\n'  # 64, 40
V2 = '31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n'
V1 = (
  '32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n'
  '35 31 0:32 {top} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n'
)


@pytest.fixture(autouse=True)
def many(monkeypatch):
  """A machine of 64 cores, of which affinity leaves 48."""
  monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(48), raising=False)
  monkeypatch.setattr(os, 'cpu_count', lambda: 64)


def tree(root, files):
  """A machine made of files: {path: text}."""
  for name, text in {'proc/meminfo': INFO, **files}.items():
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else f'{text}\n')
  return root


def v2(own='/', **files):
  return {'proc/self/cgroup': f'0::{own}\n', 'proc/self/mountinfo': V2, **files}


def v1(own='/', top='/', **files):
  groups = f'9:name=systemd:/x\n4:memory:{own}\n1:cpu,cpuacct:{own}\n0::/\n'
  info = V1.format(top=top)
  return {'proc/self/cgroup': groups, 'proc/self/mountinfo': info, **files}


def check(root, files, env, total, free, source, cpus=48):
  found = job.memory(tree(root, files), env)
  assert (found.total / GIB, found.free / GIB) == (total, free)
  assert found.source == source
  assert job.cpus(root, env) == cpus


def test_a_bare_machine(tmp_path):
  check(tmp_path, {}, {}, 64, 40, 'this machine')


def test_a_mac(monkeypatch, tmp_path):
  monkeypatch.delattr(os, 'sched_getaffinity')
  assert job.cpus(tmp_path, {}) == 64
  found = job.memory(tmp_path, {})  # psutil, here of this machine
  assert found.total >= found.free > 0


def test_version_2_without_limits(tmp_path):
  files = v2('/user.slice', **{'sys/fs/cgroup/user.slice/memory.max': 'max'})
  files['sys/fs/cgroup/user.slice/cpu.max'] = 'max 100000'
  check(tmp_path, files, {}, 64, 40, 'this machine')


def test_version_2_own_group_and_those_above(tmp_path):
  top = 'sys/fs/cgroup/job_7'
  files = v2(
    '/job_7/step_0',
    **{
      f'{top}/memory.max': 16 * GIB,
      f'{top}/memory.current': 6 * GIB,
      f'{top}/memory.stat': f'anon 3\ninactive_file {2 * GIB}\n',
      f'{top}/step_0/memory.max': 'max',
      f'{top}/step_0/memory.high': 30 * GIB,
      f'{top}/step_0/memory.current': 5 * GIB,
      f'{top}/cpu.max': '350000 100000',
      f'{top}/step_0/cpu.max': '800000 100000',
    },
  )
  check(tmp_path, files, {}, 16, 12, f'control group /{top}', cpus=3)


def test_version_2_in_a_container(tmp_path):
  """Its own group is mounted as the top, and may lie outside of what it sees."""
  files = v2('/../../x', **{'sys/fs/cgroup/memory.max': 8 * GIB})
  files['sys/fs/cgroup/cpu.max'] = '50000 100000'
  check(tmp_path, files, {}, 8, 8, 'control group /sys/fs/cgroup', cpus=1)


def test_version_1(tmp_path):
  memory, cpu = 'sys/fs/cgroup/memory', 'sys/fs/cgroup/cpu,cpuacct'
  files = v1(
    '/slurm/job_7',
    **{
      f'{memory}/memory.limit_in_bytes': 2**63 - 4096,
      f'{memory}/slurm/job_7/memory.limit_in_bytes': 10 * GIB,
      f'{memory}/slurm/job_7/memory.usage_in_bytes': 4 * GIB,
      f'{memory}/slurm/job_7/memory.stat': f'cache 1\ntotal_inactive_file {GIB}\n',
      f'{cpu}/slurm/cpu.cfs_quota_us': 400000,
      f'{cpu}/slurm/cpu.cfs_period_us': 100000,
      f'{cpu}/slurm/job_7/cpu.cfs_quota_us': -1,
      f'{cpu}/slurm/job_7/cpu.cfs_period_us': 100000,
    },
  )
  check(tmp_path, files, {}, 10, 7, f'control group /{memory}/slurm/job_7', cpus=4)


def test_version_1_in_a_container(tmp_path):
  """It sees the group's path on the host, and the group itself mounted."""
  files = v1(
    '/docker/ab', '/docker/ab', **{'sys/fs/cgroup/memory/memory.limit_in_bytes': GIB}
  )
  check(tmp_path, files, {}, 1, 1, 'control group /sys/fs/cgroup/memory')
  other = v1('/docker/abc', '/docker/ab')
  check(tmp_path, other, {}, 1, 1, 'control group /sys/fs/cgroup/memory')


SLURM = {
  'SLURM_MEM_PER_NODE': ({'SLURM_MEM_PER_NODE': '16384'}, 16, 48),
  'a unit': ({'SLURM_MEM_PER_NODE': '12G'}, 12, 48),
  'SLURM_MEM_PER_CPU': (
    {'SLURM_MEM_PER_CPU': '2048', 'SLURM_CPUS_ON_NODE': '8'},
    16,
    8,
  ),
  'of one task': (
    {
      'SLURM_MEM_PER_CPU': '1024',
      'SLURM_CPUS_ON_NODE': '8',
      'SLURM_CPUS_PER_TASK': '4',
    },
    8,
    4,
  ),
  'SLURM_MEM_PER_GPU': (
    {'SLURM_MEM_PER_GPU': '10240', 'SLURM_GPUS_ON_NODE': '2'},
    20,
    48,
  ),
}


@pytest.mark.parametrize(('env', 'total', 'cpus'), SLURM.values(), ids=SLURM)
def test_what_slurm_has_promised(tmp_path, env, total, cpus):
  pages = GIB // os.sysconf('SC_PAGE_SIZE')
  name = next(x for x in env if '_MEM_' in x)
  files = {'proc/self/statm': f'9999999 {pages} 0 0 0 0 0'}
  check(tmp_path, files, env, total, total - 1, name, cpus)


STRANGE = [
  {'SLURM_MEM_PER_NODE': '0', 'SLURM_CPUS_PER_TASK': '0'},  # the whole node
  {'SLURM_MEM_PER_NODE': 'all', 'SLURM_CPUS_ON_NODE': '8(x2)'},
  {'SLURM_MEM_PER_GPU': '10', 'SLURM_GPUS_ON_NODE': 'a100:2'},
]


@pytest.mark.parametrize('env', STRANGE)
def test_what_cannot_be_read_is_left_out(tmp_path, env):
  files = v2('/x', **{'sys/fs/cgroup/x/memory.max': 'nonsense'})
  files['sys/fs/cgroup/x/cpu.max'] = '? ?'
  files['proc/self/mountinfo'] = f'bad line\n{V2}'
  check(tmp_path, files, env, 64, 40, 'this machine')


def test_of_this_machine():
  found = job.memory()
  assert found.total >= found.free > 0
  assert job.cpus() >= 1
