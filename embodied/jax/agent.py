"""An agent around a model: compile, place, feed, count, save.

For models that are pure functions of a flat dict of parameters (see `Model`
in dreamerv3/agent.py). Everything that knows about devices is here.

  agent = JaxAgent(make_model, obs_space, act_space, config)
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import elements
import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np
from jax.experimental import multihost_utils

from embodied.core import base, streams

from . import finite, internal, packed, params
from .acting import ActingCopy
from .devices import bring_up

MODES = ('train', 'eval', 'greedy')
# Sources of random numbers, so that none shifts those of another.
_LEARNING, _ACTING, _REPORTING, _EVALUATING = range(4)
_TRACE = (100, 120)  # updates that the profiler sees
# What an update found, on the devices: outs and metrics.
Results = tuple[dict[str, Any], packed.Packed]


class JaxAgent(base.BaseAgent):
  """Runs a model on devices.

  A device works through what it is sent in its order, while the host goes on. So
  train results come one call late, when they have long been copied to the host, and
  the policy acts once more with the parameters before an update: its next call need
  not wait for that.

  Args:
    make: compute dtype -> model.
    obs_space, act_space: spaces by key, without `log/*` and `reset`.
    config: has seed, jax, batch_size, replica, replicas, logdir.

  Attributes:
    model: the model.
    state: flat dict of arrays on the train devices.
    counters: updates, batches (of updates and reports) and actions in
      training so far.
  """

  def __init__(
    self,
    make: Callable[[jnp.dtype], Any],
    obs_space: dict[str, elements.Space],
    act_space: dict[str, elements.Space],
    config: elements.Config,
  ):
    self.config, self.obs_space, self.act_space = config, obs_space, act_space
    devices = bring_up(config)
    self.backend, self.dtype = devices.backend, devices.dtype
    self.place, self.actors = devices.train, devices.act
    self.model, self.unroll = make(self.dtype), devices.unroll
    self.ahead = devices.ahead
    self.counters = dict(updates=0, batches=0, actions=0)
    self._evaluated = 0  # actions outside training, not saved
    self._traced = False  # whether the profiler looks on
    host = self.model.init(int(config.seed))
    self.state = self.place.put_state({k: host[k] for k in sorted(host)})
    self._policy_keys = [k for k in self.state if re.match(self.model.policy_regex, k)]
    self._compile()
    self.acting = ActingCopy(self._copy_policy)
    # Results of the newest update, and those of the one before until they are read.
    self._pending: Results | None = None
    self._before: Results | None = None

  def _compile(self) -> None:
    """Make the compiled functions; each compiles at its first call."""
    model, place, seeded = self.model, self.place, internal.seeded
    unrolled = functools.partial(internal.unrolled, steps=self.unroll)

    def train(*args: Any) -> tuple:
      *new, mets = model.train(*args)
      return *new, packed.pack(mets)

    self._train = place.jit(unrolled(seeded(train)), 'sbbs', 'sbbs', donate=(0, 1))
    self._report = place.jit(unrolled(seeded(model.report)), 'sbbs', 'bs')
    self._copy = place.jit(functools.partial(jax.tree.map, jnp.copy), 's', 's')

    def policy(greedy: bool, *args: Any) -> tuple:
      _, out = nj.pure(model.policy)(*args, greedy, modify=False)
      return out

    self._policy = {
      greedy: self.actors.jit(seeded(functools.partial(policy, greedy)), 'sbbb', 'bbb')
      for greedy in (False, True)
    }

  # Carries

  def init_policy(self, batch_size: int) -> base.Carry:
    """Zero latents and actions for batch_size environments."""
    self.actors.check(batch_size)
    return self.actors.put_batch(self.model.init_carry(batch_size))

  def init_train(self, batch_size: int) -> base.Carry:
    """Zero latents and actions for batch_size rows of this process."""
    self.place.check(batch_size)
    return self.place.put_batch(self.model.init_carry(batch_size))

  # Calls

  def policy(
    self,
    carry: base.Carry,
    obs: dict[str, Any],
    mode: str = 'train',
    seeds: np.ndarray | None = None,
    meanwhile: Callable[[], object] = lambda: None,
  ) -> tuple[base.Carry, base.Batch, base.Batch]:
    """Choose actions for a batch of observations.

    Args:
      carry: as from init_policy.
      obs: (B, ...) per key.
      mode: train and eval sample; greedy takes the most likely action. Only
        calls in mode train count as training: others change nothing of it,
        and act with the newest parameters.
      seeds: uint32 (B, 2): the noise of row i depends on seeds[i] alone. By
        default they follow from the agent's seed and the number of calls.
      meanwhile: called once the actions are being computed. What it sends to the
        devices comes after them, and runs while their results are waited for.

    Returns:
      carry; act, numpy (B, ...) per key; out: dyn/deter, dyn/stoch float32,
      where a replay context reads them.

    Raises:
      FloatingPointError: the latents are not finite.
    """
    if mode not in MODES:
      raise ValueError(f'mode {mode!r}: expected one of {MODES}')
    if seeds is None:
      seeds = self._acting_seeds(mode, len(obs['is_first']))
    obs = {k: obs[k] for k in (*self.model.spaces, 'is_first')}
    state = self.acting.now if mode == 'train' else self.acting.newest()
    carry, act, out = self._policy[mode == 'greedy'](state, carry, obs, seeds)
    if mode == 'train':
      self.acting.take_newest()
    meanwhile()
    act, out = jax.device_get((act, out))
    out = {k: np.asarray(v, np.float32) for k, v in out.items()}
    finite.check(out, 'policy', self.counters['actions'] + self._evaluated)
    return carry, act, out if self.config.replay_context else {}

  def train(
    self, carry: base.Carry, data: base.Batch
  ) -> tuple[base.Carry, base.Batch, base.Batch]:
    """Learn from one batch; outs and metrics are those of the call before.

    Args:
      carry: as from init_train; it is consumed.
      data: (B, K + T, ...) per key, K = replay_context; as from `stream`, or
        numpy.

    Returns:
      carry; outs, as of the model and in its dtype, for the rows of this process, or
      {} at the first call; metrics, {} at the first call.

    Raises:
      FloatingPointError: loss or gradient of the call before is not finite.
    """
    carry = self.begin(carry, data)
    return carry, *self.results()

  def begin(self, carry: base.Carry, data: base.Batch) -> base.Carry:
    """The first half of `train`, which waits for nothing; `results` has to follow."""
    assert self._before is None, 'results of an update that nobody read'
    self._profile()
    data = self._ready(data)
    # Equal in all processes: they compute one batch together.
    seeds = self._seeds((_LEARNING,), self.counters['updates'], (2,))
    self.acting.begin_update()
    self.state, carry, outs, mets = self._train(self.state, carry, data, seeds)
    self.counters['updates'] += 1
    self._before, self._pending = self._pending, (outs, mets)
    self.place.send(self._pending)
    return carry

  def results(self) -> tuple[base.Batch, base.Batch]:
    """Outs and metrics of the update before the one begun last, see `train`."""
    before, self._before = self._before, None
    return self._read(before) if before else ({}, {})

  def flush(self) -> tuple[base.Batch, base.Batch]:
    """Outs and metrics of the last train call, waiting for it.

    The next train call then returns none. Before saving, this hands over
    what would be lost in a restart.
    """
    last, self._pending = self._pending, None
    return self._read(last) if last else ({}, {})

  def report(
    self, carry: base.Carry, data: base.Batch
  ) -> tuple[base.Carry, base.Batch]:
    """Losses on a batch and videos, without learning."""
    if not self.config.report:
      return carry, {}
    seeds = self._seeds((_REPORTING,), self.counters['batches'], (2,))
    data = self._ready(data)
    carry, mets = self._report(self.state, carry, data, seeds)
    mets = self.place.get(mets)
    mets['params/summary'] = params.summary(self.state)
    return carry, mets

  def stream(self, source: base.Stream) -> base.Stream:
    """Batches of the source, checked and moved to the train devices."""
    return streams.Prefetch(source, self.put, self.ahead)

  def put(self, batch: base.Batch) -> base.Batch:
    """Check one batch of numpy arrays and move it to the train devices."""
    batch = {k: v for k, v in batch.items() if not k.startswith('log/')}
    batch = self.model.needed(batch)
    finite.check(batch, 'replay', self.counters['batches'])
    return self.place.put_batch(batch)

  # State

  def save(self) -> dict[str, Any]:
    """Parameters by name and counters, as plain containers and arrays."""
    if self._pending is not None:
      self._checked(self.place.get(self._pending[1]))
    return {
      'params': params.to_host(self.state),
      'counters': dict(self.counters),
    }

  def load(self, data: dict[str, Any], regex: str | None = None) -> None:
    """Take over parameters: all of them, or those that the regex matches.

    With a regex, a checkpoint of the networks alone is taken too: what only learning
    needs stays as it is here, and the slow critic becomes a copy of the critic.

    Raises:
      params.MismatchError: names or shapes are not those of this agent.
    """
    loaded, state = data['params'], self.state
    if regex is not None:
      loaded, lacking = params.with_slow_critic(loaded)
      state = {k: v for k, v in state.items() if not k.startswith(lacking)}
    new = params.restore(state, loaded, regex)
    self._pending = None
    self.state = {**self.state, **self.place.put_state(new)}
    if regex is None:
      self.counters = {k: int(data['counters'][k]) for k in self.counters}
    self.acting.restart()

  def save_carry(self, carry: base.Carry) -> list[np.ndarray]:
    """A carry of training as plain arrays, for the rows of this process."""
    return jax.tree.leaves(self.place.get(carry))

  def load_carry(self, saved: list[np.ndarray], batch_size: int) -> base.Carry:
    """What `save_carry` gave, or zeros if that was of other shapes."""
    like, form = jax.tree.flatten(self.model.init_carry(batch_size))
    if [x.shape for x in like] != [np.shape(x) for x in saved]:
      return self.init_train(batch_size)
    cast = [np.asarray(v, x.dtype) for v, x in zip(saved, like, strict=True)]
    return self.place.put_batch(jax.tree.unflatten(form, cast))

  def save_acting(self) -> dict[str, Any] | None:
    """Parameters of the next policy call, where they are not the newest."""
    return params.to_host(self.acting.now) if self.acting.behind else None

  def load_acting(self, data: dict[str, Any] | None) -> None:
    """After `load`: act once more with the parameters of `save_acting`."""
    if data is not None:
      self.acting.act_once_with(jax.device_put(data, self.actors.whole))

  def agree(self, wishes: list[int]) -> list[int]:
    """The largest wish of all processes of the run, for each entry."""
    if self.backend == 'cpu':
      # Programs that do not need each other's results may run at once, and
      # then processes mix up the messages of the train step with these.
      jax.block_until_ready((self.state, self._pending))
    found = multihost_utils.process_allgather(np.array(wishes, np.int32))
    return np.asarray(found).reshape(-1, len(wishes)).max(0).tolist()

  # Machinery

  def _seeds(
    self, source: tuple[int, ...], number: int, shape: tuple[int, ...]
  ) -> np.ndarray:
    """uint32 random numbers of call `number`, a stream apart per source."""
    seed = [int(self.config.seed), *source, number]
    high = np.iinfo(np.uint32).max
    return np.random.default_rng(seed).integers(0, high, shape, np.uint32)

  def _acting_seeds(self, mode: str, batch: int) -> np.ndarray:
    replica = int(self.config.replica)
    if mode == 'train':
      number = self.counters['actions']
      self.counters['actions'] += 1
      return self._seeds((_ACTING, replica), number, (batch, 2))
    self._evaluated += 1
    source = (_EVALUATING, replica, self.counters['updates'])
    return self._seeds(source, self._evaluated, (batch, 2))

  def _ready(self, data: base.Batch) -> base.Batch:
    """A batch on the devices."""
    if not isinstance(data['is_first'], jax.Array):
      data = self.put(data)
    self.counters['batches'] += 1
    return data

  def _copy_policy(self) -> dict[str, Any]:
    """Parameters that the policy needs, apart from those being trained."""
    chosen = self._copy({k: self.state[k] for k in self._policy_keys})
    if self.place.shared:
      chosen = jax.tree.map(lambda x: x.addressable_data(0), chosen)
    return jax.device_put(chosen, self.actors.whole)

  def _read(self, found: Results) -> tuple[base.Batch, base.Batch]:
    """What an update found, on the host."""
    outs, numbers = self.place.get(found)  # all at once: one wait, not three
    return outs, self._checked(numbers)

  def _checked(self, numbers: packed.Packed) -> dict[str, Any]:
    mets = packed.unpack(numbers)
    finite.check_update(mets)
    return mets

  def _profile(self) -> None:
    """Trace some updates, if jax.profiler asks for it."""
    if not self.config.jax.profiler or self.config.replica:
      return
    if self.counters['updates'] == _TRACE[0]:
      jax.profiler.start_trace(str(self.config.logdir))
      self._traced = True
    if self._traced and self.counters['updates'] == _TRACE[1]:
      jax.profiler.stop_trace()
      self._traced = False
