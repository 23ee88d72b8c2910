"""What pip installs, and python -m dreamerv3: all code, all data, one pin list."""

import pathlib
import re
import sys
import tomllib

import pytest

from dreamerv3.base import version
from tests import cli, test_layers

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())
# import name -> name of the package, where they differ
NAMES = {'PIL': 'pillow', 'ruamel': 'ruamel.yaml', 'sklearn': 'scikit-learn'}
# Comes with another package, or is asked for when it is used.
OTHERS = {'cycler', 'h5py', 'hdmf', 'ml_dtypes', 'wandb'}
ON_A_GPU = {'torch'}
OF_THE_DASHBOARD = {'streamlit', 'altair'}


def pins(name):
  lines = (ROOT / name).read_text().splitlines()
  return dict(re.findall(r'^([\w.-]+)(?:\[\w+\])?==(\S+)', '\n'.join(lines), re.M))


def imported():
  for name, path in test_layers.modules():
    for target, _ in test_layers.imports(name, path):
      yield target.partition('.')[0]


def test_every_import_is_pinned_to_run():
  own = {'dreamerv3', 'embodied', *sys.stdlib_module_names}
  need = {NAMES.get(x, x) for x in {*imported()} - own - OTHERS}
  need -= ON_A_GPU | OF_THE_DASHBOARD
  assert need <= {*pins('requirements.txt')}


def test_packages_of_tests_and_of_runs_are_told_apart():
  run_pins, test_pins = pins('requirements.txt'), pins('requirements-test.txt')
  assert not run_pins.keys() & test_pins.keys()
  assert {'pytest', 'ruff', 'mypy'} <= test_pins.keys()
  cuda_pins = pins('requirements-cuda.txt')
  assert cuda_pins.keys() == {'jax', *ON_A_GPU}
  assert cuda_pins.items() <= {**run_pins, **test_pins}.items()
  assert pins('requirements-dashboard.txt').items() <= test_pins.items()


def test_pip_reads_the_one_pin_list():
  dynamic = PROJECT['tool']['setuptools']['dynamic']
  assert dynamic['dependencies'] == {'file': ['requirements.txt']}
  for name in (x.name for x in ROOT.glob('requirements*.txt')):
    # setuptools understands requirements, not options of pip.
    lines = (ROOT / name).read_text().splitlines()
    assert not [x for x in lines if x.startswith('-')], name


def test_all_modules_and_data_are_in_the_package():
  data = PROJECT['tool']['setuptools']['package-data']
  for top in ('dreamerv3', 'embodied'):
    for path in sorted((ROOT / top).rglob('*')):
      if not path.is_file() or {'__pycache__', 'tests'} & {*path.parts}:
        continue
      assert (path.parent / '__init__.py').exists(), path
      if path.suffix != '.py':
        assert any(path.match(x) for x in data[top]), path


def test_commands_are_listed_with_a_line_each(tmp_path):
  done = cli.script('__main__', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  rows = dict(re.findall(r'^  (\w+) +(\S.*)$', done.stdout, re.M))
  assert {'main', 'decode_position', 'tuning_curve', 'origin'} <= rows.keys()
  doors = {
    x.stem
    for x in (ROOT / 'dreamerv3').glob('*.py')
    if "__name__ == '__main__'" in x.read_text()
  }
  assert rows.keys() == doors - {'__main__'}


def test_listing_imports_nothing_heavy():
  found = cli.loaded('import dreamerv3.__main__ as m; m.listing()')
  assert not {'numpy', 'jax', 'torch', 'matplotlib'} & found


def test_a_command_runs_by_its_name(tmp_path):
  done = cli.python('-m', 'dreamerv3', 'origin', '--help')
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith('usage: dreamerv3 origin')
  done = cli.script('__main__', 'origin', '--fil', 'x', cwd=tmp_path)
  assert cli.refused(done).startswith('dreamerv3 origin: error:')


def test_an_unknown_command_names_its_neighbour(tmp_path):
  done = cli.script('__main__', 'decode', cwd=tmp_path)
  assert cli.refused(done) == (
    'dreamerv3: error: decode is no command; did you mean decode_position?\n'
  )


def test_a_built_package_knows_its_commit(tmp_path):
  pytest.importorskip('setuptools')
  done = cli.python('setup.py', '-q', 'build_py', '--build-lib', tmp_path)
  assert done.returncode == 0, done.stderr
  done = cli.python('-m', 'dreamerv3', '--version', cwd=tmp_path)
  sha = (tmp_path / 'dreamerv3' / 'base' / 'git_sha.txt').read_text().strip()
  assert done.stdout.endswith(f', code {sha}\n')
  assert version.code.__wrapped__().sha == sha.removesuffix('-dirty')
