"""What docs/architecture.md promises of the code's form, read from the code."""

import ast
import collections
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
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
