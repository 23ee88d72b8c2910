"""How many bytes does a compiled program read and write, loops included?

  accessed(compiled.as_text())

XLA's own cost analysis takes the body of a loop once. Here it counts as often as the
loop runs, where the program says so. Each operation reads its operands and writes its
result once; of a slice the slice counts, of an update in place the update. That is
what passes between operations: what stays in a cache from one to the next counts, too,
so that a small network may seem to move more than the memory could.
"""

import re
from typing import NamedTuple

FREE = {'parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'after-all'}
SLICES = {'dynamic-slice', 'slice', 'gather'}
_COMPUTATION = re.compile(r'^(ENTRY )?%?([\w.-]+) \(.*\) -> .*{$')
_OP = re.compile(r'^\s+(ROOT )?%?([\w.-]+) = (.*)$')
_CODE = re.compile(r'\s*([a-z][\w-]*)\(')
_ARRAY = re.compile(r'([a-z]+)(\d*)\w*\[([\d,]*)\]')
_TRIPS = re.compile(r'"known_trip_count":\s*{\s*"n":\s*"(\d+)"')
_CALLED = re.compile(r'(?:calls|to_apply|body|condition|computations?)=({[^}]*}|%\S+)')
_BRANCHES = re.compile(r'branch_computations={([^}]*)}|_computation=%([\w.-]+)')
_NAME = re.compile(r'%([\w.-]+)')


class Op(NamedTuple):
  """One line of a program: what it makes, of what, and how."""

  name: str
  made: str
  code: str
  operands: tuple[str, ...]
  rest: str


Computation = dict[str, Op]  # the last is what it returns


def accessed(text: str, loops: bool = True) -> float:
  """Bytes read and written by a program in XLA's text form.

  Args:
    loops: count the body of a loop as often as it runs; else once, as XLA does.
  """
  parts, entry = parse(text)
  return _Traffic(parts, loops).of(entry)


def parse(text: str) -> tuple[dict[str, Computation], str]:
  """The computations by name, and the name of the first to run."""
  parts: dict[str, Computation] = {}
  entry = ''
  current: Computation = {}
  for line in text.splitlines():
    if head := _COMPUTATION.match(line):
      current = parts[head[2]] = {}
      entry = head[2] if head[1] else entry
    elif found := _OP.match(line):
      op = _read(found[2], found[3])
      current.pop(op.name, None)
      current[op.name] = op
  if not entry:
    raise ValueError('no ENTRY in this text; expected that of compiled.as_text()')
  return parts, entry


def _read(name: str, text: str) -> Op:
  """An operation of what stands right of the equals sign."""
  stop = _closing(text, 0) if text.startswith('(') else text.index(' ')
  code = _CODE.match(text, stop)
  if not code:
    raise ValueError(f'cannot read the operation {name} = {text[:80]}')
  end = _closing(text, code.end() - 1)
  operands = tuple(_NAME.findall(text[code.end() : end]))
  return Op(name, text[:stop], code[1], operands, text[end:])


def _closing(text: str, start: int) -> int:
  """Behind the parenthesis that closes the one at `start`."""
  depth = 0
  for i in range(start, len(text)):
    depth += (text[i] == '(') - (text[i] == ')')
    if not depth:
      return i + 1
  raise ValueError(f'parentheses do not close: {text[:80]}')


def size(shape: str) -> float:
  """Bytes of an array or of a tuple of arrays, as 'bf16[2,3]{1,0}'."""
  total = 0.0
  for kind, bits, dims in _ARRAY.findall(shape):
    width = 1.0 if kind == 'pred' else int(bits or 0) / 8
    for n in dims.split(','):
      width *= int(n or 1)
    total += width
  return total


class _Traffic:
  """Bytes of each computation, counted once."""

  def __init__(self, parts: dict[str, Computation], loops: bool):
    self.parts, self.loops = parts, loops
    self.known: dict[str, float] = {}

  def of(self, name: str) -> float:
    """Bytes of all operations of a computation."""
    if name not in self.known:
      part = self.parts[name]
      self.known[name] = sum(self._op(x, part) for x in part.values())
    return self.known[name]

  def _op(self, op: Op, part: Computation) -> float:
    if op.code in FREE or op.code.endswith('-done'):
      return 0.0
    if op.code == 'while':
      trips = _TRIPS.search(op.rest) if self.loops else None
      return (int(trips[1]) if trips else 1) * self._called(op)
    if op.code == 'conditional':
      names = [_NAME.findall(x[0]) or [x[1]] for x in _BRANCHES.findall(op.rest)]
      return max((self.of(n) for x in names for n in x), default=0.0)
    if op.code in ('call', 'async-start'):
      return self._called(op)
    if op.code in ('fusion', 'fusion-start'):
      return self._fusion(op)
    if op.code.endswith('-start'):  # its result holds the operand and more
      return 2 * sum(size(part[x].made) for x in op.operands)
    return self._alone(op, part)

  def _called(self, op: Op) -> float:
    names = (n for x in _CALLED.findall(op.rest) for n in _NAME.findall(x))
    return sum(self.of(x) for x in names)

  def _alone(self, op: Op, part: Computation) -> float:
    """An operation that is a kernel by itself."""
    if op.code in SLICES:
      return 2 * size(op.made)
    if op.code == 'dynamic-update-slice':
      return 2 * size(part[op.operands[1]].made)
    made = op.made
    if op.code == 'custom-call':  # the scratch space of a library comes last
      made = re.sub(r', s8\[\d+\]\S*\)$', ')', made)
    return size(made) + sum(size(part[x].made) for x in op.operands if x in part)

  def _fusion(self, op: Op) -> float:
    """Reads what the operations in it need of each operand, and writes its result."""
    called = _CALLED.search(op.rest)
    inner = self.parts[_NAME.findall(called[1])[0]] if called else {}
    given = {x.name: x for x in inner.values() if x.code == 'parameter'}
    read = sum(_read_of(x, inner) for x in given.values())
    ops = list(inner.values())
    return read + (_written(ops[-1], inner) if ops else size(op.made))


def _users(name: str, inner: Computation) -> list[tuple[Op, str]]:
  """Who reads a value, and under which name: a bitcast is the same value."""
  found = []
  for op in inner.values():
    if name in op.operands:
      found += _users(op.name, inner) if op.code == 'bitcast' else [(op, name)]
  return found


def _read_of(parameter: Op, inner: Computation) -> float:
  """Bytes that a fusion reads of an operand."""
  total, whole = 0.0, size(parameter.made)
  for user, name in _users(parameter.name, inner):
    first = user.operands[0] == name
    if user.code in SLICES and first:
      total += size(user.made)
    elif not (user.code == 'dynamic-update-slice' and first):
      return whole
  return min(total, whole)


def _written(op: Op, inner: Computation) -> float:
  """Bytes that a fusion writes, whose result is this."""
  if op.code == 'tuple':
    return sum(_written(inner[x], inner) for x in op.operands)
  if op.code == 'bitcast' and op.operands[0] in inner:
    return _written(inner[op.operands[0]], inner)
  if op.code == 'dynamic-update-slice':
    return size(inner[op.operands[1]].made)
  return size(op.made)
