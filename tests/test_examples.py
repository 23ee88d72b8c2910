"""The examples in module docstrings: each call in them fits a real signature."""

import ast
import builtins
import functools
import importlib
import inspect
import pathlib
import textwrap
import typing

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
UNKNOWN = object()


def modules():
  for top in ('dreamerv3', 'embodied', 'bench'):
    for path in sorted((ROOT / top).rglob('*.py')):
      if 'tests' not in path.relative_to(ROOT).parts:
        parts = path.relative_to(ROOT).with_suffix('').parts
        yield '.'.join(x for x in parts if x != '__init__'), path


def examples(doc):
  """Statements of the paragraphs that are Python and call something."""
  for block in doc.split('\n\n'):
    try:
      tree = ast.parse(textwrap.dedent(block))
    except SyntaxError:
      continue
    if any(isinstance(x, ast.Call) for x in ast.walk(tree)):
      yield tree


class Reader:
  """Follows what the names of an example stand for, as far as annotations say."""

  def __init__(self, module):
    self.module = module
    # A module may be written as its users see it: `nulls.pairings(...)`.
    self.names = {module.__name__.rpartition('.')[2]: module}
    self.problems = []
    self.bound = 0

  def read(self, tree):
    for node in ast.walk(tree):
      if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        self.names[node.targets[0].id] = self.value(node.value)
      elif isinstance(node, ast.With):
        for item in node.items:
          if isinstance(item.optional_vars, ast.Name):
            self.names[item.optional_vars.id] = self.value(item.context_expr)
    for node in ast.walk(tree):
      if isinstance(node, ast.Call):
        self.check(node)

  def value(self, node):
    """What an expression is: an object, or `of(its class)`; else UNKNOWN."""
    if isinstance(node, ast.Name):
      for scope in (self.names, vars(self.module), vars(builtins)):
        if node.id in scope:
          return scope[node.id]
      return elsewhere(node.id)
    if isinstance(node, ast.Attribute):
      return self.attribute(self.value(node.value), node)
    if isinstance(node, ast.Call):
      return returned(self.value(node.func))
    return UNKNOWN

  def attribute(self, owner, node):
    if owner is UNKNOWN:
      return UNKNOWN
    if isinstance(owner, Instance):
      member = inspect.getattr_static(owner.kind, node.attr, None)
      if inspect.isfunction(member):
        return Method(owner.kind, member)
      if member is not None or not inspect.isclass(owner.kind):
        return UNKNOWN
      known = {*getattr(owner.kind, '__annotations__', {})}
      source = inspect.getsource(owner.kind)
      if node.attr not in known and f'self.{node.attr}' not in source:
        self.problems.append(f'{owner.kind.__name__} has no {node.attr}')
      return UNKNOWN
    if not hasattr(owner, node.attr):
      self.problems.append(f'{getattr(owner, "__name__", owner)} has no {node.attr}')
      return UNKNOWN
    return getattr(owner, node.attr)

  def check(self, node):
    target = self.value(node.func)
    function = target.function if isinstance(target, Method) else target
    ours = str(getattr(function, '__module__', '')).partition('.')[0]
    if ours not in ('dreamerv3', 'embodied', 'bench') or not callable(function):
      return
    values = [None] * (len(node.args) + isinstance(target, Method))
    keywords = {x.arg: None for x in node.keywords if x.arg}
    # `f(x, ...)` leaves the rest open.
    whole = not any(
      isinstance(x, ast.Starred) or (isinstance(x, ast.Constant) and x.value is ...)
      for x in node.args
    ) and all(x.arg for x in node.keywords)
    try:
      signature = inspect.signature(function)
    except ValueError:  # an exception, or another class built in C
      return
    try:
      (signature.bind if whole else signature.bind_partial)(*values, **keywords)
    except TypeError as e:
      self.problems.append(f'{ast.unparse(node)}: {e}; it is {signature}')
    self.bound += 1


@functools.cache
def classes():
  """Name of a class that only one module has -> that module."""
  found: dict[str, list[str]] = {}
  for name, path in modules():
    for node in ast.parse(path.read_text()).body:
      if isinstance(node, ast.ClassDef):
        found.setdefault(node.name, []).append(name)
  return {k: v[0] for k, v in found.items() if len(v) == 1}


def elsewhere(name):
  """A class that an example takes from another module; UNKNOWN if there is none."""
  if name not in classes():
    return UNKNOWN
  return getattr(importlib.import_module(classes()[name]), name)


class Instance(typing.NamedTuple):
  kind: type


class Method(typing.NamedTuple):
  kind: type
  function: typing.Any


def owner(method: typing.Any):
  return method.__self__


def returned(target):
  if inspect.isclass(target):
    return Instance(target)
  function = target.function if isinstance(target, Method) else target
  if not inspect.isroutine(function):
    return UNKNOWN
  try:
    kind = typing.get_type_hints(function).get('return')
  except (NameError, TypeError):
    return UNKNOWN
  if kind is typing.Self:
    kind = target.kind if isinstance(target, Method) else owner(function)
  own = str(getattr(kind, '__module__', '')).startswith(('dreamerv3', 'embodied'))
  return Instance(kind) if inspect.isclass(kind) and own else UNKNOWN


@pytest.mark.slow
def test_example_lines_fit_the_code():
  problems, bound = [], 0
  for name, path in modules():
    doc = ast.get_docstring(ast.parse(path.read_text())) or ''
    trees = list(examples(doc))
    if not trees:
      continue
    reader = Reader(importlib.import_module(name))
    for tree in trees:
      reader.read(tree)
    problems += [f'{name}: {x}' for x in reader.problems]
    bound += reader.bound
  assert not problems, '\n'.join(problems)
  assert bound > 100


@pytest.mark.parametrize(
  ('line', 'problem'),
  [
    ("reading('x', 'y', 'z')", 'too many'),
    ("UserError('x')", None),
    ('errors.missing(1)', 'has no missing'),
    ("with reading('x'): pass", 'missing a required'),
    ('reading(path, ...)', None),
  ],
)
def test_a_line_that_does_not_fit_is_told(line, problem):
  reader = Reader(importlib.import_module('dreamerv3.base.errors'))
  for tree in examples('What it answers.\n\n  ' + line):
    reader.read(tree)
  assert (problem is None) == (not reader.problems)
  assert problem is None or problem in reader.problems[0]
