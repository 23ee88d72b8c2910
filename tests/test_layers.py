"""The rules of docs/architecture.md, read from the code itself: imports, and form.

Each module belongs to one room. A room may import the rooms below it and the
libraries it exists for; a heavy library lives in exactly one module.
"""

import ast
import collections
import pathlib
import re

import pytest

from tests import cli

ROOT = pathlib.Path(__file__).resolve().parents[1]

JAX = {'jax', 'jaxlib', 'optax', 'ninjax', 'chex'}
HEAVY = {'torch', 'sklearn', 'pynapple', 'matplotlib'}
LIBRARIES = (
  JAX
  | HEAVY
  | {
    'numpy',
    'elements',
    'crafter',
    'numba',
    'opensimplex',
    'scipy',
    'pandas',
    'joblib',
    'PIL',
    'imageio',
    'av',
    'ruamel',
    'filelock',
    'tqdm',
    'psutil',
    'tensorboardX',
    'cloudpickle',
    'threadpoolctl',
    'ml_dtypes',
    'wandb',
    'xarray',
    'pynwb',
    'streamlit',
    'altair',
  }
)

JAXES = 'jax jaxlib optax ninjax chex'

# Folder or module: what it may import of the project: libraries besides numpy, tqdm
# and psutil. `dreamerv3` stands for the commands at its top. A name covers what is
# below it, the longest name holds, and `@x` stands for all that x may import.
RULES = f"""
embodied: embodied.core:
embodied.core: dreamerv3.base: elements cloudpickle tensorboardX wandb PIL
embodied.envs: embodied.core: elements crafter numba opensimplex PIL
embodied.jax: embodied.core dreamerv3.base: {JAXES} elements ml_dtypes
embodied.run: embodied.core dreamerv3.base: elements
dreamerv3.base: : ml_dtypes
dreamerv3.base.yaml_file: dreamerv3.base: ruamel
dreamerv3.run_info: dreamerv3.base:
dreamerv3.data: dreamerv3.base: pandas xarray pynapple pynwb
dreamerv3.recording: dreamerv3.data dreamerv3.base dreamerv3.run_info:
dreamerv3.agent: embodied.core embodied.jax: {JAXES} elements
dreamerv3.setup: dreamerv3.agent dreamerv3.base embodied: {JAXES} elements ruamel
dreamerv3.probing: @dreamerv3.setup @dreamerv3.recording dreamerv3.setup dreamerv3.recording: {JAXES} elements
dreamerv3.analysis: dreamerv3.data dreamerv3.base: scipy sklearn torch pynapple pandas threadpoolctl
dreamerv3.plots: @dreamerv3.analysis dreamerv3.analysis: matplotlib PIL av scipy
dreamerv3.pages: @dreamerv3.plots dreamerv3.plots dreamerv3.run_info: PIL
dreamerv3.dashboard_page: @dreamerv3.pages dreamerv3.pages dreamerv3.setup embodied.run: elements pandas streamlit altair
dreamerv3: @dreamerv3.pages dreamerv3.pages:
dreamerv3.studies: dreamerv3.setup dreamerv3.recording dreamerv3.analysis dreamerv3.data dreamerv3.run_info dreamerv3.base: elements
dreamerv3.study: dreamerv3.studies dreamerv3.base:
dreamerv3.modes: @dreamerv3.probing @dreamerv3 dreamerv3.probing: {JAXES} elements
dreamerv3.main: dreamerv3.setup dreamerv3.base dreamerv3.run_info embodied.run embodied.core: elements ruamel
"""  # noqa: E501


def _rules():
  rows = [x.split(':') for x in RULES.strip().splitlines()]
  rooms = {x[0].strip(): x[1].split() for x in rows}

  def spelt(names):
    for name in names:
      yield from spelt(rooms[name[1:]]) if name[0] == '@' else [name]

  common = {'numpy', 'tqdm', 'psutil'}
  return {
    x[0].strip(): ({*spelt(x[1].split())}, {*x[2].split()} | common) for x in rows
  }


ROOMS = _rules()

DASHBOARD = {
  f'dreamerv3.dashboard_page.{x}'
  for x in ('app', 'curves_view', 'order_view', 'episode_view')
}
# A heavy library is imported by these modules alone.
ONLY = {
  'torch': {
    'dreamerv3.analysis.torch_arrays',
    'dreamerv3.analysis.devices',
  },
  'pynapple': {'dreamerv3.analysis.tuning.table', 'dreamerv3.data.convert'},
  'xarray': {'dreamerv3.data.convert'},
  'pynwb': {'dreamerv3.data.nwb'},
  'streamlit': DASHBOARD,
  'altair': DASHBOARD,
  'sklearn': {
    'dreamerv3.analysis.geometry.embedding',
    'dreamerv3.analysis.tuning.kinds.clusters',
    'dreamerv3.analysis.tuning.kinds.pictures',
  },
}

# entry point -> libraries that importing it must not load
LIGHT = {
  'embodied': JAX | HEAVY | {'crafter'},
  'dreamerv3': JAX | HEAVY | {'elements', 'numpy'},
  'dreamerv3.data.trajectories': JAX | HEAVY | {'elements', 'scipy'},
  'dreamerv3.run_info': JAX | HEAVY | {'elements'},
  'dreamerv3.main': JAX | HEAVY | {'crafter', 'numba'},
  'dreamerv3.setup.make': JAX | HEAVY | {'crafter', 'numba'},
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
  """The longest room that a module lies in; None for other packages."""
  parts = name.split('.')
  for stop in range(len(parts), 0, -1):
    if '.'.join(parts[:stop]) in ROOMS:
      return '.'.join(parts[:stop])
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
  rooms, libraries = ROOMS[room]
  for target, line in imports(name, path):
    top = target.partition('.')[0]
    place = f'{path.relative_to(ROOT)}:{line}'
    if top in ('dreamerv3', 'embodied'):
      there = room_of(target)
      if there == 'dreamerv3' and target != 'dreamerv3':
        yield f'{place} a command is imported: {target}'
      elif not any(f'{there}.'.startswith(f'{x}.') for x in rooms | {room}):
        yield f'{place} {room} imports {there}: {target}'
    elif top in LIBRARIES:
      if top not in libraries:
        yield f'{place} {room} imports {top}'
      if top in ONLY and name not in ONLY[top]:
        yield f'{place} {top} belongs to {sorted(ONLY[top])} alone'


def circles():
  """Groups of modules that import each other, at run time or for types."""
  known = dict(modules())
  graph: dict[str, set[str]] = {}
  for name, path in known.items():
    met = {x if x in known else parent(x) for x, _ in imports(name, path)}
    graph[name] = (met & known.keys()) - {name}

  def reached(name: str) -> set[str]:
    seen: set[str] = set()
    todo = [name]
    while todo:
      new = graph[todo.pop()] - seen
      seen |= new
      todo += new
    return seen

  return sorted(name for name in graph if name in reached(name))


def parent(name: str) -> str:
  return name.rpartition('.')[0]


def test_no_module_imports_itself_by_others():
  assert not circles()


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
  loaded = LIGHT[entry] & cli.loaded(f'import {entry}')
  assert not loaded, f'import {entry} loads {sorted(loaded)}'


def test_package_root_is_empty():
  assert (ROOT / 'dreamerv3' / '__init__.py').read_text() == ''


PATHS = sorted(
  path
  for top in ('agents', 'bench', 'docs', 'dreamerv3', 'embodied', 'tests')
  for path in (ROOT / top).rglob('*.py')
)


@pytest.fixture(scope='module')
def trees():
  return {x.relative_to(ROOT): ast.parse(x.read_text()) for x in PATHS}


def test_a_class_name_means_one_thing(trees):
  places = collections.defaultdict(list)
  for path, tree in trees.items():
    for node in ast.walk(tree):
      if isinstance(node, ast.ClassDef):
        places[node.name].append(f'{path}:{node.lineno}')
  assert not {k: v for k, v in places.items() if len(v) > 1}


def test_a_room_can_be_overseen(trees):
  """About a dozen modules; the commands at the top are as many as there are."""
  rooms = collections.Counter(
    x.parent for x in trees if x.parts[0] == 'dreamerv3' and x.name != '__init__.py'
  )
  del rooms[pathlib.Path('dreamerv3')]
  assert not {k: v for k, v in rooms.items() if v > 14}


def test_functions_fit_on_a_page(trees):
  long = [
    f'{path}:{node.lineno} {node.name}'
    for path, tree in trees.items()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
  ]
  assert not long


def test_a_long_file_says_why(trees):
  silent = [
    str(path)
    for path, tree in trees.items()
    if len((ROOT / path).read_text().splitlines()) > 350
    and 'Longer than other files: ' not in (ast.get_docstring(tree) or '')
  ]
  assert not silent


def test_the_map_of_the_code_names_files_that_are_there():
  page = (ROOT / 'docs' / 'architecture.md').read_text()
  named = set(re.findall(r'[a-z_/\d]+\.(?:py|yaml)\b', page))
  there = [f'/{x.relative_to(ROOT)}' for x in (*PATHS, ROOT / 'dreamerv3/configs.yaml')]
  assert not {x for x in named if not any(y.endswith(f'/{x}') for y in there)}
