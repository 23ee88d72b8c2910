"""The import rules of docs/architecture.md, read from the code itself.

Each module belongs to one room. A room may import the rooms below it and the
libraries it exists for; a heavy library lives in exactly one module.
"""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]

JAX = {'jax', 'jaxlib', 'optax', 'ninjax', 'chex'}
HEAVY = {'torch', 'sklearn', 'pynapple', 'matplotlib'}
LIBRARIES = JAX | HEAVY | {
    'numpy', 'elements', 'crafter', 'numba', 'opensimplex', 'scipy', 'joblib',
    'PIL', 'imageio', 'av', 'ruamel', 'filelock', 'tqdm', 'psutil',
    'tensorboardX', 'cloudpickle', 'threadpoolctl', 'ml_dtypes', 'wandb',
}  # fmt: skip

AGENT_FILES = (
    'agent', 'networks', 'imagination', 'rssm', 'encoder', 'decoder', 'losses',
    'report', 'taps', 'rollouts', 'dreamer',
)  # fmt: skip
SETUP_FILES = (
    'make', 'config', 'flags_help', 'checks', 'rundir', 'memory', 'accelerator',
    'recording', 'inference', 'player',
)  # fmt: skip
AGENT_SCRIPTS = ('eval_trajectory', 'dream_decode')
ANALYSIS_SCRIPTS = (
    'decode_position', 'tuning_curve', 'plot_trajectories', 'plot_training',
    'summarize', 'origin',
)  # fmt: skip

AGENT = tuple(f'dreamerv3.{x}' for x in AGENT_FILES)
BASE = {'numpy', 'tqdm', 'psutil'}

# room: (own modules, rooms it may import, libraries it may import)
ROOMS: dict[str, tuple[tuple[str, ...], set[str], set[str]]] = {
  'core': (
    ('embodied.core',),
    set(),
    BASE | {'elements', 'cloudpickle', 'tensorboardX', 'wandb', 'PIL'},
  ),
  'data': (('dreamerv3.data',), set(), BASE | {'filelock'}),
  'run_info': (
    ('dreamerv3.run_info', 'dreamerv3.leftovers'), {'data'}, {'filelock'},
  ),
  'envs': (
    ('embodied.envs',),
    {'core'},
    BASE | {'elements', 'crafter', 'numba', 'opensimplex', 'PIL'},
  ),
  'jax': (
    ('embodied.jax',),
    {'core'},
    BASE | JAX | {'elements', 'ml_dtypes', 'filelock'},
  ),
  'analysis': (
    ('dreamerv3.analysis',),
    {'data'},
    BASE | {'scipy', 'torch', 'pynapple', 'threadpoolctl'},
  ),
  'run': (('embodied.run',), {'core'}, BASE | {'elements'}),
  'agent': (AGENT, {'core', 'jax'}, BASE | JAX | {'elements'}),
  'plots': (
    ('dreamerv3.plots',),
    {'data', 'analysis'},
    BASE | {'matplotlib', 'PIL', 'av', 'scipy'},
  ),
  'setup': (
    tuple(f'dreamerv3.{x}' for x in SETUP_FILES),
    {'core', 'envs', 'jax', 'run', 'agent', 'data', 'run_info'},
    BASE | JAX | {'elements', 'ruamel', 'filelock'},
  ),
  'agent scripts': (
    tuple(f'dreamerv3.{x}' for x in AGENT_SCRIPTS),
    {'core', 'envs', 'jax', 'run', 'agent', 'setup', 'data', 'run_info',
     'analysis', 'plots'},
    BASE | JAX | {'elements', 'matplotlib'},
  ),
  'analysis scripts': (
    tuple(f'dreamerv3.{x}' for x in ANALYSIS_SCRIPTS),
    {'data', 'run_info', 'analysis', 'plots'},
    BASE | {'matplotlib'},
  ),
  'main': (
    ('dreamerv3.main',),
    {'core', 'run', 'data', 'run_info', 'setup', 'agent scripts'},
    BASE | {'elements', 'ruamel'},
  ),
}  # fmt: skip

# A heavy library is imported by these modules alone.
ONLY = {
  'torch': {
    'dreamerv3.analysis.discriminant',
    'dreamerv3.analysis.linear_decoder_data',
    'dreamerv3.analysis.linear_decoder_fit',
  },
  'pynapple': {'dreamerv3.analysis.tuning'},
}

# entry point -> libraries that importing it must not load
LIGHT = {
  'embodied': JAX | HEAVY | {'crafter'},
  'dreamerv3': JAX | HEAVY | {'elements', 'numpy'},
  'dreamerv3.data.reader': JAX | HEAVY | {'elements', 'scipy'},
  'dreamerv3.run_info': JAX | HEAVY | {'elements'},
  'dreamerv3.main': JAX | HEAVY | {'crafter', 'numba'},
  'dreamerv3.make': JAX | HEAVY | {'crafter', 'numba'},
  'embodied.run.train': JAX | HEAVY | {'crafter', 'numba'},
  'dreamerv3.agent': HEAVY | {'crafter', 'numba'},
}


def modules():
  for top in ('dreamerv3', 'embodied'):
    for path in sorted((ROOT / top).rglob('*.py')):
      parts = path.relative_to(ROOT).with_suffix('').parts
      if 'tests' in parts:
        continue
      if parts[-1] == '__init__':
        parts = parts[:-1]
      yield '.'.join(parts), path


def room_of(name):
  """The room of a module; None for a bare package such as `dreamerv3`."""
  for room, (members, _, _) in ROOMS.items():
    if any(name == x or name.startswith(x + '.') for x in members):
      return room
  return None


def imports(name, path):
  """Absolute names of everything a module imports, lazily or not."""
  package = name if path.name == '__init__.py' else name.rpartition('.')[0]
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from ((alias.name, node.lineno) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      base = node.module or ''
      if node.level:
        up = package.split('.')
        up = up[: len(up) - node.level + 1]
        base = '.'.join([*up, *([base] if base else [])])
      yield from ((f'{base}.{a.name}', node.lineno) for a in node.names)


def violations(name, path):
  room = room_of(name)
  rooms, libraries = (
    (ROOMS[room][1] | {room}, ROOMS[room][2]) if room else ({'core'}, set())
  )
  for target, line in imports(name, path):
    top = target.partition('.')[0]
    place = f'{path.relative_to(ROOT)}:{line}'
    if top in ('dreamerv3', 'embodied'):
      there = room_of(target)
      if there is not None and there not in rooms:
        yield f'{place} {room or name} imports {there}: {target}'
      if room == there and room in ('agent scripts', 'analysis scripts'):
        own = {'dreamerv3.make', 'dreamerv3.config', 'dreamerv3.recording'}
        if not any(target.startswith(x) for x in own):
          yield f'{place} a script imports a script: {target}'
    elif top in LIBRARIES:
      if top not in libraries:
        yield f'{place} {room or name} imports {top}'
      if top in ONLY and name not in ONLY[top]:
        yield f'{place} {top} belongs to {sorted(ONLY[top])} alone'


def test_every_module_has_a_room():
  bare = {'dreamerv3', 'embodied'}
  lost = [n for n, _ in modules() if n not in bare and room_of(n) is None]
  assert not lost, f'modules without a room in tests/test_layers.py: {lost}'


def test_imports_go_down():
  found = [v for name, path in modules() for v in violations(name, path)]
  assert not found, '\n'.join(found)


def test_a_planted_violation_is_found(tmp_path, monkeypatch):
  path = tmp_path / 'dreamerv3' / 'plots' / 'bad.py'
  path.parent.mkdir(parents=True)
  path.write_text('import jax\nfrom embodied.run import train\n')
  monkeypatch.setitem(globals(), 'ROOT', tmp_path)
  found = list(violations('dreamerv3.plots.bad', path))
  assert len(found) == 2, found


@pytest.mark.parametrize('entry', sorted(LIGHT))
def test_entry_points_stay_light(entry):
  code = f'import sys, {entry}; print(*sys.modules)'
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT, capture_output=True, text=True, check=True,
  )  # fmt: skip
  loaded = LIGHT[entry] & {x.partition('.')[0] for x in done.stdout.split()}
  assert not loaded, f'import {entry} loads {sorted(loaded)}'


def test_package_root_is_empty():
  assert (ROOT / 'dreamerv3' / '__init__.py').read_text() == ''
