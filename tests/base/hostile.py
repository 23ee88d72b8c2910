"""Hostile files: pickles that a stranger may write, by name. For test_hostile.

python tests/base/hostile.py FOLDER   # writes, opens and judges all; prints JSON
"""

import json
import pathlib
import pickle
import resource
import struct
import sys
import time
import traceback

if __name__ == '__main__':
  sys.path[0] = str(pathlib.Path(__file__).resolve().parents[2])

import numpy as np

from dreamerv3.base import unpickle
from dreamerv3.base.errors import UserError
from embodied.run import checkpoint

MEMORY = 3 << 30  # bytes of addresses that the process of all cases may use
P = pickle


def text(value):
  raw = value.encode()
  return P.BINUNICODE + struct.pack('<I', len(raw)) + raw


def raw_bytes(value):
  return P.BINBYTES + struct.pack('<I', len(value)) + value


def number(value):
  return P.dumps(value, 2)[2:-1]


def name(module, attribute):
  return P.GLOBAL + f'{module}\n{attribute}\n'.encode()


def call(function, *args):
  return function + P.MARK + b''.join(args) + P.TUPLE + P.REDUCE


def items(*values):
  return P.MARK + b''.join(values) + P.TUPLE


def dtype(code='f4', state=None, order='<'):
  """A dtype; `state` in the place of the one that numpy writes."""
  begun = call(name('numpy', 'dtype'), text(code), P.NEWFALSE, P.NEWTRUE)
  last = (number(-1), number(-1), number(0))
  usual = items(number(3), text(order), P.NONE, P.NONE, P.NONE, *last)
  return begun + (usual if state is None else state) + P.BUILD


def fields(subarray=P.NONE, names=P.NONE, fields=P.NONE, size=None, flags=0):
  size = number(-1 if size is None else size)
  head = (number(3), text('|'), subarray, names, fields)
  return items(*head, size, number(1), number(flags))


def array(shape, kind, raw, *, version=1, fortran=P.NEWFALSE):
  core = 'numpy.core.multiarray'
  made = call(
    name(core, '_reconstruct'), name('numpy', 'ndarray'), number((0,)), raw_bytes(b'b')
  )
  return made + items(number(version), shape, kind, fortran, raw) + P.BUILD


def scalar(kind, raw):
  return call(name('numpy.core.multiarray', 'scalar'), kind, raw)


def whole(code, protocol=4):
  return P.PROTO + bytes([protocol]) + code + P.STOP


def nested(depth, form):
  """`[x, x]` of `[x, x]` of ..., shared by memory."""
  code = P.EMPTY_LIST + P.BINPUT + b'\x00'
  for _ in range(depth):
    twice = P.BINGET + b'\x00' + P.BINGET + b'\x00'
    made = {
      'list': P.MARK + twice + P.LIST,
      'tuple': twice + P.TUPLE2,
      'dict': P.MARK + text('a') + twice[:2] + text('b') + twice[2:] + P.DICT,
    }[form]
    code += P.POP + made + P.BINPUT + b'\x00'
  return code


PAYLOAD = bytes(8000)
NDARRAY = name('numpy', 'ndarray')
OBJECTS = (
  fields(flags=63),
  fields(flags=0),  # says that it holds none
  fields(size=8, flags=0),
)
POINTERS = struct.pack('<2Q', 0xDEADBEEF, 0x41414141) * 500


def object_arrays():
  """Every way to an array of pointers over bytes of the file."""
  for i, state in enumerate(OBJECTS):
    for code in ('O', 'O8', 'object', '|O'):
      kind = dtype(code, state)
      yield f'objects {code} {i}', array(number((1000,)), kind, raw_bytes(POINTERS))
      yield f'object {code} {i}', scalar(kind, raw_bytes(POINTERS[:8]))
  listed = P.EMPTY_LIST + P.NONE + P.APPEND
  yield 'objects in a list', array(number((1,)), dtype('O8'), listed)
  yield 'objects, late', array(number((2,)), dtype('f8'), listed)
  buffer = call(NDARRAY, number((1000,)), dtype('O8'), raw_bytes(POINTERS))
  yield 'ndarray over a buffer', buffer
  yield (
    'frombuffer',
    call(
      name('numpy._core.numeric', '_frombuffer'),
      raw_bytes(POINTERS),
      dtype('O8'),
      number((1000,)),
      text('C'),
    ),
  )


def ndarray_calls():
  raw = raw_bytes(PAYLOAD)
  for i, rest in enumerate(
    [
      (number((5,)), dtype(), raw, number(4), number((1 << 40,))),
      (number((5,)), dtype(), raw, number(1 << 40), P.NONE),
      (number((5,)), dtype(), raw, number(-(1 << 20)), number((4,))),
      (number((1 << 50,)),),
      (P.EMPTY_TUPLE,),
    ]
  ):
    yield f'ndarray called {i}', call(NDARRAY, *rest)
  yield 'ndarray with a state', call(NDARRAY, number((0,))) + items(P.NONE) + P.BUILD
  twice = array(number((2,)), dtype(), raw_bytes(bytes(8)))
  yield 'a state twice', twice + items(P.NONE, P.NONE) + P.BUILD


def dtypes():
  inner = dtype('O8', fields(flags=63))
  one = items(inner, number((2,)))
  yield 'sub-array', dtype('V16', fields(subarray=one, size=16))
  named = P.EMPTY_DICT + text('a') + items(inner, number(0)) + P.SETITEM
  record = fields(names=items(text('a')), fields=named, size=8)
  yield 'structured', dtype('V8', record)
  yield 'structured, plain code', dtype('f4', record)
  yield 'metadata', dtype('M8', items(number(4), text('<'), *[P.NONE] * 3, *[P.NONE]))
  yield 'wide', dtype('f4', fields(size=1 << 30))
  yield 'narrow', dtype('f8', fields(size=1))
  for code in ('V8', 'M8[ns]', 'm8', 'f16', 'c32', 'g', 'U9999999', 'U-1', 'f4,f4', ''):
    yield f'code {code}', dtype(code)
  yield 'no code', call(name('numpy', 'dtype'), P.NONE, P.NEWFALSE, P.NEWTRUE)
  yield 'a byte order', dtype('f4', order='x')
  yield 'two byte orders', dtype('f4', order='<<')
  yield 'one argument', call(name('numpy', 'dtype'), text('f4'))


def shapes():
  raw = raw_bytes(PAYLOAD)
  for shape in (
    (1000, -8),
    (1000, 10**11),
    (1000, 10**30),
    (-1,),
    (-2000, -1),
    (1999,),
    (2001,),
    (2**62, 4),
    (2**32, 2**32, 0),
    (0, 10**30),
    (True, 2000),
    (2000.0,),
    ('2000',),
    [2000],
    None,
    2000,
    (1,) * 40 + (2000,),
  ):
    yield f'shape {shape!r}'[:60], array(number(shape), dtype(), raw)
  yield 'a small array, too small', array(number((3,)), dtype(), raw_bytes(bytes(8)))
  yield 'a small array, too large', array(number((1,)), dtype(), raw_bytes(bytes(8)))
  yield 'values without bytes', array(number((10**11,)), dtype('U0'), raw_bytes(b''))
  yield 'bool of 7', array(number((9,)), dtype('b1'), raw_bytes(b'\x07' * 9))
  yield 'bool of 7, many', array(number((8000,)), dtype('b1'), raw_bytes(b'\7' * 8000))
  yield 'beyond unicode', array(number((1,)), dtype('U1'), raw_bytes(b'\xff' * 4))
  yield 'a scalar too long', scalar(dtype(), raw_bytes(bytes(5)))
  yield 'a scalar of a list', scalar(dtype(), P.EMPTY_LIST)
  yield 'no dtype', array(number((2000,)), P.NONE, raw)
  yield 'no bytes', array(number((2000,)), dtype(), P.NONE)
  yield 'no state', array(number((2,)), dtype(), raw)[: -len(P.BUILD)]
  yield 'a used array', P.MARK + array(number((2,)), dtype(), raw)[:-1] + P.LIST
  huge = raw_bytes(PAYLOAD) + P.BINPUT + b'\x09' + P.POP
  shared = array(number((2000,)), dtype(), P.BINGET + b'\x09')
  yield 'one payload, 200 arrays', huge + P.MARK + shared * 200 + P.LIST


def containers():
  for form in ('list', 'tuple', 'dict'):
    yield f'memo bomb of {form}', nested(40, form)
  for code, what in ((P.TUPLE1, 'tuple'), (P.EMPTY_LIST + P.APPEND, 'list')):
    deep = P.EMPTY_TUPLE + P.TUPLE1 * 200_000
    deep = P.EMPTY_LIST * 200_000 + P.APPEND * 199_999 if what == 'list' else deep
    yield f'deep {what}', deep
    key = P.EMPTY_DICT + deep + P.NONE + P.SETITEM
    yield f'deep {what} as a key', key
    yield f'deep {what} in a set', P.EMPTY_SET + P.MARK + deep + P.ADDITEMS
    assert code
  loop = P.EMPTY_LIST + P.MEMOIZE + P.BINGET + b'\x00'
  yield 'a list that holds itself', loop + P.APPEND
  yield 'marks', P.MARK * 300_000
  for put in (P.LONG_BINPUT + b'\x00\x00\x00\x08', P.PUT + b'134217728\n'):
    yield f'memory far out {put[:1]!r}', P.NONE + put
  yield 'memory not there', P.LONG_BINGET + b'\x00\x00\x00\x08'
  yield 'a large integer', P.LONG4 + struct.pack('<I', 1 << 20) + bytes(1 << 20)
  yield 'digits', P.LONG + b'9' * 100_000 + b'L\n'
  yield 'unhashable', P.EMPTY_DICT + P.EMPTY_LIST + P.NONE + P.SETITEM
  yield 'odd', P.EMPTY_DICT + P.MARK + P.NONE + P.SETITEMS
  prime = (1 << 61) - 1
  same = b''.join(number(prime * i) + P.NONE for i in range(1, 40_000))
  yield 'keys of one hash', P.EMPTY_DICT + P.MARK + same + P.SETITEMS
  for code in (P.APPEND, P.APPENDS, P.SETITEM, P.SETITEMS, P.ADDITEMS):
    target = array(number((2,)), dtype(), raw_bytes(bytes(8)))
    mark = P.MARK if code in (P.APPENDS, P.SETITEMS, P.ADDITEMS) else b''
    yield f'array {code!r}', target + mark + number(0) + number(7) + code


def calls():
  evil = [('os', 'system'), ('builtins', 'eval'), ('numpy', 'load')]
  evil += [('numpy.core.multiarray', 'array'), ('numpy', 'dtype.__setstate__')]
  evil += [('copyreg', '_reconstructor'), ('builtins', 'getattr')]
  evil += [('os\x1b[2J', 'a' * 5000)]
  for module, attribute in evil:
    where = f'{module[:9]}.{attribute[:9]}'
    yield f'global {where}', name(module, attribute)
    yield f'stack global {where}', text(module) + text(attribute) + P.STACK_GLOBAL
    yield f'inst {where}', P.MARK + P.INST + f'{module}\n{attribute}\n'.encode()
  known = name('collections', 'OrderedDict')
  yield 'obj', P.MARK + known + P.OBJ
  yield 'newobj', known + P.EMPTY_TUPLE + P.NEWOBJ
  yield 'newobj_ex', known + P.EMPTY_TUPLE + P.EMPTY_DICT + P.NEWOBJ_EX
  for code, rest in ((P.EXT1, 1), (P.EXT2, 2), (P.EXT4, 4)):
    yield f'extension {rest}', code + b'\x01' * rest
  yield 'persistent', P.PERSID + b'two\x1b[31m lines\n'
  yield 'persistent, binary', text('two\nlines') + P.BINPERSID
  yield 'buffers', P.NEXT_BUFFER + P.READONLY_BUFFER
  for codec in ('rot13', 'hex', 'zlib', 'nonsense', 'utf\n8'):
    yield f'codec {codec}', call(name('_codecs', 'encode'), text('x'), text(codec))
  yield 'encode no text', call(name('_codecs', 'encode'), P.NONE, text('latin1'))
  for module, attribute in (
    ('_codecs', 'encode'),
    ('numpy.core.multiarray', '_reconstruct'),
    ('numpy', 'ndarray'),
    ('collections', 'OrderedDict'),
    ('builtins', 'set'),
  ):
    state = P.EMPTY_DICT + text('__defaults__') + P.EMPTY_TUPLE + P.SETITEM
    yield f'build on {attribute}', name(module, attribute) + state + P.BUILD
    yield f'{attribute} as a value', name(module, attribute)
    yield f'{attribute} of nothing', call(name(module, attribute), P.NONE, P.NONE)
  yield 'call of a list', P.EMPTY_LIST + P.EMPTY_TUPLE + P.REDUCE
  yield 'call without a tuple', name('builtins', 'set') + P.EMPTY_LIST + P.REDUCE
  yield 'build on a dict', P.EMPTY_DICT + P.EMPTY_DICT + P.BUILD
  for byte in range(256):
    yield f'instruction {byte}', bytes([byte]) * 3


def endings():
  """A small file, cut at every byte."""
  values = {'a': np.arange(3), 'b': ['x', 1.5, (True, None)], 'c': np.float32(1)}
  for protocol in (2, 4, 5):
    raw = P.dumps(values, protocol)
    for i in range(len(raw)):
      yield f'protocol {protocol} cut at {i}', raw[:i]


def cases():
  """{name: bytes of a file} of all."""
  groups = (object_arrays, ndarray_calls, dtypes, shapes, containers, calls)
  found = {f'{g.__name__}: {k}': whole(code) for g in groups for k, code in g()}
  return found | {f'endings: {k}': raw for k, raw in endings()}


# What may open: nothing in it is wrong.
HARMLESS = (
  'containers: memory far out',
  'calls: set of nothing',
  'calls: instruction',
)


def judge(path, read):
  """'opened', 'refused: ...' or what else happened."""
  began = time.perf_counter()
  try:
    read(path)
    result = 'opened'
  except (UserError, checkpoint.CheckpointError) as e:
    clean = '\n' not in str(e) and str(e).isprintable() and len(str(e)) < 500
    named = path.name in str(e)
    result = 'refused' if clean and named else f'an unclear message: {e!r}'
  except BaseException:
    result = traceback.format_exc()
  if time.perf_counter() - began > 10:
    result = f'slow, then {result}'
  return result


def scan(path):
  """As an analysis does: opens, then reads what stayed on disk."""
  for value in _leaves(unpickle.scan(path)):
    if isinstance(value, unpickle.LazyArray):
      value.read()


def _leaves(value):
  if isinstance(value, dict):
    value = list(value.values())
  return value if isinstance(value, list) else [value]


def main(folder):
  """Prints {case: [what load, scan and the checkpoint's reader did]}."""
  resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
  path = pathlib.Path(folder) / 'x.pkl'
  results = {}
  for key, raw in cases().items():
    path.write_bytes(raw)
    readers = (unpickle.load, scan, checkpoint.read)
    results[key] = [judge(path, x) for x in readers]
    (path.parent / 'last').write_text(key)
  print(json.dumps(results))


if __name__ == '__main__':
  main(sys.argv[1])
