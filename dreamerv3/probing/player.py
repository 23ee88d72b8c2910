"""A trained agent in its world, played by hand: look inside, intervene, go on.

  player = AgentPlayer.load('logdir/run')
  player.begin(episode=1)
  while not player.over:
    print(player.layers['val/value'])  # of every layer, at this step
    player.deter *= 0.9                # what the next step starts from
    player.step()                      # with the policy's action, or step(3)

For notebooks and experiments; eval_trajectory records many episodes faster.
Untouched, an episode is the one that a recording holds under its number.
"""

import sys

if __name__ == '__main__':  # before what cannot be found from here
  print(
    'This is no command; docs/python.md tells how to use it from Python.',
    file=sys.stderr,
  )
  sys.exit(2)

import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from dreamerv3.base.errors import UserError
from dreamerv3.probing.batch import Row, fill, row_of, seeds_of
from dreamerv3.probing.probe import Probe
from dreamerv3.probing.trained import Look, Trained
from dreamerv3.setup import config, make, rules, rundir
from embodied.core import base


class AgentPlayer:
  """One agent in one environment, one step at a time.

  Args:
    probe: the policy, with its layers laid open.
    params: of its model, on the device that acts.
    env: must have `set_episode`.
    seed: of the chance in latents and actions.

  Attributes:
    env: the environment; `env.world_map` (W, H) are ids into `env.materials`.
    episode, time: number of the episode, and its timestep, from 0.
    obs: observation of this timestep: `image`, `player_pos` (x, y) [tiles],
      `reward`, `is_last` and others.
    action: what the policy chose here, {key: array}.
    layers: {name: float32 activations in the layer's own shape} of this
      timestep, named as in docs/data_format.md.
  """

  def __init__(
    self,
    probe: Probe,
    params: Mapping[str, jax.Array],
    env: base.Env,
    seed: int,
  ):
    self.probe, self.params, self.env, self.seed = probe, params, env, seed
    self.episode, self.time = 0, 0
    self.obs: base.Step = {}
    self.action: base.Step = {}
    self.layers: dict[str, np.ndarray] = {}

  @classmethod
  def load(
    cls, logdir: str | os.PathLike, *flags: str, layers: str = '.*'
  ) -> 'AgentPlayer':
    """The agent of a run in the world that its recordings are of.

    Args:
      logdir: of the run.
      flags: as on the command line, e.g. '--run.from_checkpoint', 'PATH', or
        '--eval_trajectory.load_checkpoint', 'False' for the untrained network.
      layers: regular expression of the layers to look at.

    Raises:
      UserError, CheckpointError: no run, flags or layers that do not exist.
    """
    given = config.parse_flags(
      ['--script', 'eval_trajectory', *flags, '--logdir', os.fspath(logdir)]
    )
    blocks = config.read_blocks()
    settled = config.fill_logdir(config.stack(blocks, given))
    settled, notes = rundir.inherit(settled, blocks, given)
    print('\n'.join(notes))
    rules.check(settled)
    settled = make.platform(settled)
    look = Look(layers, 'float32', load=settled.eval_trajectory.load_checkpoint)
    trained = Trained.open(settled, lambda: make.make_agent(settled), look)
    return cls(trained.probe, trained.params, trained.guide, int(settled.seed))

  @property
  def over(self) -> bool:
    """Whether this is the last timestep of the episode."""
    self._check_begun()
    return bool(self.obs['is_last'])

  @property
  def deter(self) -> np.ndarray:
    """Recurrent state (D,) of this timestep; set it to change what follows."""
    return self._state('deter')

  @deter.setter
  def deter(self, value: np.ndarray) -> None:
    self._set_latent(deter=value)

  @property
  def stoch(self) -> np.ndarray:
    """Latent sample (S, C) of this timestep; set it to change what follows."""
    return self._state('stoch')

  @stoch.setter
  def stoch(self, value: np.ndarray) -> None:
    self._set_latent(stoch=value)

  def begin(self, episode: int) -> base.Step:
    """Starts an episode and observes its timestep 0.

    Args:
      episode: its number, from 1; spawn and chance follow from it.
    """
    self.episode, self.time = episode, 0
    self.env.set_episode(episode)  # type: ignore[attr-defined]
    self._carry = self.probe.init()
    space = self.env.act_space
    zero = {k: np.zeros(v.shape, v.dtype) for k, v in space.items()}
    return self._observe({**zero, 'reset': np.bool_(True)})

  def step(self, action: Any = None) -> base.Step:
    """Acts, and observes the next timestep.

    Args:
      action: another than the policy chose; {key: array}, or the number of an
        action of Crafter. The agent knows what it did.
    """
    if self.over:
      raise ValueError('The episode is over; call begin.')
    if action is not None:
      given = action if isinstance(action, Mapping) else {'action': action}
      for key, value in given.items():
        new = {key: self._changed(key, self._carry.prevact[key], value)}
        self._carry = self._carry._replace(prevact={**self._carry.prevact, **new})
        self.action[key] = np.asarray(value, self.action[key].dtype)
    self.time += 1
    return self._observe({**self.action, 'reset': np.bool_(False)})

  @property
  def _row(self) -> int:
    """Where a recording has this episode in its policy calls."""
    return row_of(self.probe, self.episode)

  def _check_begun(self) -> None:
    """UserError before the first `begin`: there is no timestep to look at."""
    if not self.obs:
      raise UserError('No episode was begun; call player.begin(episode=1) first.')

  def _state(self, name: str) -> np.ndarray:
    self._check_begun()
    return np.array(getattr(self._carry.latent, name)[self._row], np.float32)

  def _set_latent(self, **values: Any) -> None:
    self._check_begun()
    latent = self._carry.latent
    new = {k: self._changed(k, getattr(latent, k), v) for k, v in values.items()}
    self._carry = self._carry._replace(latent=latent._replace(**new))

  def _changed(self, name: str, old: jax.Array, value: Any) -> jax.Array:
    """The array (B, ...) with another value in this episode's row."""
    value = np.asarray(value)
    if value.shape != old.shape[1:]:
      raise ValueError(f'{name} has shape {value.shape}; expected {old.shape[1:]}.')
    return old.at[self._row].set(value.astype(old.dtype))

  def _observe(self, act: base.Step) -> base.Step:
    """Steps the environment, then the policy on what it shows."""
    self.obs = self.env.step(act)
    row, seeds = self._row, seeds_of(self.seed, self.episode)
    filled = fill(self.probe, {row: Row(self.obs, seeds, self.time)})
    self._carry, chosen, found = self.probe(self.params, self._carry, *filled)
    self.action = {k: np.array(v[row]) for k, v in chosen.items()}
    rows = {k: np.asarray(v[row]) for k, v in found.items()}
    self.layers = {x.name: x.of(rows) for x in self.probe.layers}
    return self.obs
