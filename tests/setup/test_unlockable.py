"""Each place that locks, on a file system that cannot: one line, and on it goes."""

from tests import unlockable

CODE = """
import os, pathlib
from dreamerv3.base.host import locks
from dreamerv3.data.metadata import Metadata
from dreamerv3.recording.recorder import Recorder
from dreamerv3.run_info import log_run_info, read_run_info
from dreamerv3.setup import config, rundir
from embodied.jax import cache

locks._POLL = 0.01
os.environ.pop('JAX_COMPILATION_CACHE_DIR', None)
for name, number in {errnos!r}.items():
  os.environ['LOCK_ERRNO'] = str(number)
  folder = pathlib.Path({folder!r}, name)
  for place in ('run/.lock', 'recording/.recording.lock'):
    (folder / place).parent.mkdir(parents=True)
    (folder / place).touch()  # as a file system that can lock leaves it
  flags = config.parse_flags(['--logdir', str(folder / 'run')])
  with rundir.training(config.stack(config.read_blocks(), flags)):
    assert (folder / 'run/config.yaml').exists()
  extra = {{'fingerprint': {{}}}}
  with Recorder(folder / 'recording', Metadata((9, 9), extra=extra), {{}}) as x:
    assert x.missing([1, 2]) == [1, 2]
  for stage in ('first', 'second'):
    log_run_info(folder / 'results', stage)
  assert [x.stage for x in read_run_info(folder / 'results')] == ['first', 'second']
  assert cache.enable(str(folder / 'cache')) is None
"""


def test_without_locks_each_place_says_so_and_goes_on(tmp_path):
  library = unlockable.build(tmp_path)
  code = CODE.format(errnos=unlockable.ERRNOS, folder=str(tmp_path))
  lines = unlockable.run(library, code).splitlines()
  assert len(lines) == 3 * len(unlockable.ERRNOS), lines
  for name in unlockable.ERRNOS:
    training, recording, cache = lines[:3]
    assert f'Cannot lock {tmp_path}/{name}/run/.lock (' in training
    assert f'Cannot lock {tmp_path}/{name}/recording/.recording.lock (' in recording
    assert cache.startswith(f'No cache of compiled programs: {tmp_path}/{name}/cache/')
    del lines[:3]
