"""Where dreams start, what learns from them, and what goes back to the replay."""

import types
from typing import Any

import elements
import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np
import pytest

from dreamerv3.agent import Model
from dreamerv3.agent.latents import Feat
from dreamerv3.agent.model import Context
from tests.agent import agents

SMALL = {'batch_size': 2, 'batch_length': 4, 'report_length': 4}


@pytest.mark.parametrize('last', [2, 3, 9])
def test_dreams_start_from_no_more_steps_than_there_are(last):
  model = agents.make_model(['debug'], {**SMALL, 'agent.imag_last': last})
  obs: Any = {
    k: jax.ShapeDtypeStruct((2, 4, *v.shape), v.dtype)
    for k, v in model.obs_space.items()
  }
  act: Any = {'action': jax.ShapeDtypeStruct((2, 4), np.int32)}
  start = jax.eval_shape(lambda: model.init_carry(2)).latent
  _, (_, aux) = jax.eval_shape(
    lambda *args: nj.pure(model.loss)(*args, None, modify=False),
    model.shapes(),
    Context(start, obs, act),
  )
  assert aux.terms['policy'].shape == (2, min(last, 4))


def gradients(ac_grads, rng):
  """Norms of the gradients of actor and critic's losses by module."""
  changes = {
    **SMALL,
    'agent.ac_grads': ac_grads,
    'agent.repval_loss': False,
    'agent.imag_length': 3,
    'agent.value.outscale': 1.0,
    **{f'agent.loss_scales.{k}': 0.0 for k in ('rec', 'rew', 'con', 'dyn', 'rep')},
  }
  agent = agents.make_agent(['debug'], changes)
  data = agents.batch(agent, rng, 2, 5)
  given = agent.model.context(agent.init_train(2), data)

  @jax.jit
  @jax.grad
  def grad(state):
    _, (total, _) = nj.pure(agent.model.loss)(
      {**agent.state, **state}, given, None, modify=False
    )
    return total

  names = 'enc/cnn0/kernel', 'dyn/obs0/kernel', 'dyn/prior0/kernel'
  found = grad({k: agent.state[k] for k in names})
  return {k: float(jnp.abs(v).sum()) for k, v in found.items()}


@pytest.mark.slow
def test_the_world_model_learns_from_actor_and_critic_by_real_states(rng):
  off = gradients(False, rng)
  assert not any(off.values())
  on = gradients(True, rng)
  assert on['enc/cnn0/kernel'] > 0
  assert on['dyn/obs0/kernel'] > 0
  # The prior makes imagined states alone, and they are no way to it.
  assert on['dyn/prior0/kernel'] == 0


def outs_of(changes=None, **more):
  """Names of what a train step sends back to the replay."""
  config = agents.make_config(['debug'], {**SMALL, **(changes or {})})
  config = elements.Config(**config, **more)
  model = Model(agents.obs_space(), agents.act_space(), config)
  aux: Any = types.SimpleNamespace(
    feat=Feat(*(jnp.zeros((1, 1, 4, 4)) for _ in range(3))),
    terms=dict(image=1.0, rew=2.0, con=4.0, dyn=8.0, rep=16.0, policy=99.0),
  )
  return model.outs(aux, jnp.zeros(0)).get('replay', {})


def test_latents_go_back_only_where_a_context_reads_them():
  assert outs_of({}).keys() == {'stepid', 'dyn/deter', 'dyn/stoch'}
  assert outs_of({'replay_context': 0}) == {}


@pytest.mark.parametrize(
  ('signal', 'expected'), [('model', 15 + 1.6), ('dyn', 8), ('image', 1)]
)
def test_priorities_are_losses_of_the_world_model(signal, expected):
  found = outs_of(priosignal=signal)
  assert found['priority'] == pytest.approx(expected)


def test_other_priorities_are_refused():
  with pytest.raises(ValueError, match='priosignal .*policy.*image, rew, con'):
    outs_of(priosignal='policy')
