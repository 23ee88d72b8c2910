"""A device that computes nothing and writes down what it was asked for.

It takes the place of an agent's compiled functions and of jax's copies, so that tests
can count what a GPU would be sent, would send back and would be waited for. Like one,
it works in order: what is waited for is done once all that was begun before it is.

  device = FakeDevice(monkeypatch, agent, traced(agent, data))  # data: of the replay
  agent.train(carry, agent.put(data))
  [x.what for x in device.of('run')]  # ['train']
"""

import threading
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from embodied.jax.acting import ActingCopy


class Programs(NamedTuple):
  """Shapes and dtypes of what an agent's compiled functions return."""

  train: Any
  policy: Any


def traced(agent, data):
  """The programs of an agent for a batch `data`, as the replay gives it."""
  rows = len(data['is_first'])
  state, carry = shapes(agent.state), agent.model.init_carry(rows)
  seeds, batch = np.zeros((rows, 2), np.uint32), agent.model.needed(data)
  obs = {k: data[k][:, 0] for k in (*agent.model.spaces, 'is_first')}
  return Programs(
    agent._train.trace(state, carry, batch, seeds[0]).out_info,
    agent._policy[False].trace(state, carry, obs, seeds).out_info,
  )


def shapes(tree):
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


@dataclass(frozen=True)
class Asked:
  """Something that a host asked of the device.

  Attributes:
    kind: put (an explicit copy to it), pass (a copy of an argument), run (a program),
      send (a copy to the host begins), get (all of these are waited for), or the name
      of a method of an array that waits for it, which nothing should call.
    what: name of the program, or shapes of the arrays.
    bytes: of the arrays.
    thread: which one asked.
    program: number of the newest program that has to be done.
  """

  kind: str
  what: Any
  bytes: int = 0
  thread: str = ''
  program: int = 0


class FakeArray(jax.Array):
  """An array on the device: its shape and dtype, and which program makes it."""

  shape: Any = None  # of the class above, they are properties
  dtype: Any = None
  nbytes: Any = None

  def __init__(self, device, shape, dtype, program, hot=False):
    self.device_, self.program, self.hot = device, program, hot
    self.shape, self.dtype = tuple(shape), np.dtype(dtype)
    self.nbytes = int(np.prod(self.shape)) * self.dtype.itemsize

  def copy_to_host_async(self):
    self.device_.note('send', [self])

  def value(self):
    """Zeros, or one-hot vectors."""
    value = np.zeros(self.shape, self.dtype)
    if self.hot:
      value[..., 0] = 1
    return value

  def _waited(self, how):
    self.device_.note(how, [self])
    return self.value()

  def __array__(self, dtype=None, context=None, copy=None):
    return self._waited('__array__').astype(dtype or self.dtype)

  def __float__(self):
    return float(self._waited('__float__'))

  def __bool__(self):
    return bool(self._waited('__bool__'))

  def item(self, *args):
    return self._waited('item').item(*args)

  def block_until_ready(self):
    self._waited('block_until_ready')
    return self


class FakeDevice:
  """See the module."""

  def __init__(self, monkeypatch, agent, programs):
    self.events: list[Asked] = []
    self.programs = 0
    monkeypatch.setattr(jax, 'device_put', self._put)
    monkeypatch.setattr(jax, 'device_get', self._get)
    agent._train = self._program('train', programs.train)
    agent._policy = {False: self._program('policy', programs.policy)}
    agent._copy = self._program('copy', None)
    agent.state = self._made(shapes(agent.state))
    agent.acting = ActingCopy(agent._copy_policy)
    self.events.clear()
    self.programs = 0

  def of(self, *kinds):
    """Events of some kinds, in their order."""
    return [x for x in self.events if x.kind in kinds]

  def waits(self):
    """Events that a host waits for."""
    return [x for x in self.events if x.kind not in ('put', 'pass', 'run', 'send')]

  def note(self, kind, arrays):
    program = max((getattr(x, 'program', 0) for x in arrays), default=0)
    shapes = [tuple(np.shape(x)) for x in arrays]
    size = sum(x.nbytes for x in arrays)
    name = threading.current_thread().name.rpartition('_')[0] or 'main'
    self.events.append(Asked(kind, shapes, size, name, program))

  def _made(self, tree):
    def one(path, x):
      hot = len(x.shape) > 2 and 'stoch' in jax.tree_util.keystr(path)
      return FakeArray(self, x.shape, x.dtype, self.programs, hot)

    return jax.tree_util.tree_map_with_path(one, tree)

  def _program(self, name, found):
    def run(*args):
      given = [x for x in jax.tree.leaves(args) if not isinstance(x, jax.Array)]
      if given:
        self.note('pass', given)
      self.programs += 1
      self.events.append(Asked('run', name, program=self.programs))
      return self._made(args[0] if found is None else found)

    return run

  def _put(self, tree, *_):
    new = [x for x in jax.tree.leaves(tree) if not isinstance(x, FakeArray)]
    if new:
      self.note('put', new)
    made = self._made
    return jax.tree.map(lambda x: x if isinstance(x, FakeArray) else made(x), tree)

  def _get(self, tree):
    mine = [x for x in jax.tree.leaves(tree) if isinstance(x, FakeArray)]
    if mine:
      self.note('get', mine)
    return jax.tree.map(lambda x: x.value() if isinstance(x, FakeArray) else x, tree)
