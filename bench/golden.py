"""Does the agent give the numbers of the published one? Exit code 1 if not.

For whoever changes the model. The file holds parameters, a batch, and what
the published agent makes of them, all sampling replaced by the mode. Sizes
are read off the arrays.

  python bench/golden.py --npz tests/fixtures/dreamerv3_size1m.npz

Longer than other files: one group of golden numbers after the other.
"""

import argparse
import collections
import pathlib
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import elements
import jax
import jax.numpy as jnp
import ninjax as nj
import numpy as np

from dreamerv3.agent import Model, returns
from dreamerv3.agent.latents import Latent, tensor
from dreamerv3.agent.model import Context
from dreamerv3.agent.networks import TRAINED
from dreamerv3.setup import config as configs
from embodied.jax import outs
from embodied.jax.opt import Optimizer

FORWARD, BACKWARD = 1e-4, 1e-3  # largest error, relative to the largest value
Arrays = dict[str, np.ndarray]
Errors = dict[str, dict[str, float]]


def error(got: np.ndarray, want: np.ndarray, scale: float = 0.0) -> float:
  """Largest absolute difference over the largest magnitude."""
  got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
  if got.shape != want.shape:
    raise ValueError(f'shape {got.shape}, expected {want.shape}')
  if not want.size:
    return 0.0
  scale = max(np.abs(want).max(), scale) or 1.0
  difference = np.abs(got - want).max() / scale
  return float(difference) if np.isfinite(difference) else np.inf


def group(data: Arrays, prefix: str) -> Arrays:
  """Entries below a prefix, without it."""
  return {k[len(prefix) :]: v for k, v in data.items() if k.startswith(prefix)}


def sizes(data: Arrays) -> dict[str, object]:
  """The settings of the agent block that the shapes imply."""
  p = group(data, 'param/')
  depth = [p[f'enc/cnn{i}/bias'].size for i in range(4)]
  unit = depth[0] // 2
  stoch, classes = data['out/post_logit'].shape[-2:]

  def layers(name: str) -> int:
    return sum(k.startswith(name) and k.endswith('kernel') for k in p)

  found = {
    'dyn.rssm.deter': data['out/deter'].shape[-1],
    'dyn.rssm.hidden': p['dyn/dynin0/bias'].size,
    'dyn.rssm.stoch': stoch,
    'dyn.rssm.classes': classes,
    'dyn.rssm.blocks': p['dyn/dyngru/kernel'].shape[0],
    'dyn.rssm.imglayers': layers('dyn/prior') - 1,
    'dyn.rssm.obslayers': layers('dyn/obs') - 1,
    'dyn.rssm.dynlayers': layers('dyn/dynhid'),
    'enc.simple.mults': [x // unit for x in depth],
    'dec.simple.mults': [x // unit for x in depth],
    'dec.simple.units': p['dec/sp1/bias'].size // 2,
    'dec.simple.bspace': p['dec/sp0/kernel'].shape[0],
  }
  for side, name in (('enc', 'enc/cnn0'), ('dec', 'dec/imgout')):
    found[f'{side}.simple.depth'] = unit
    found[f'{side}.simple.kernel'] = p[f'{name}/kernel'].shape[0]
  heads = dict(rew='rewhead', con='conhead', pol='policy', val='value')
  for name, section in heads.items():
    found[f'{section}.layers'] = layers(f'{name}/mlp')
    found[f'{section}.units'] = p[f'{name}/mlp/linear0/bias'].size
  found['rewhead.bins'] = p['rew/head/logits/bias'].size
  found['value.bins'] = p['val/head/logits/bias'].size
  return found


def build(data: Arrays, dtype: jnp.dtype = jnp.float32) -> Model:
  """The model of these sizes."""
  blocks = configs.read_blocks()
  config = configs.stack(blocks, {'configs': ['crafter']})
  changes = {f'agent.{k}': v for k, v in sizes(data).items()}
  config = config.update(changes)
  actions = data['param/pol/head/action/logits/bias'].size
  image = data['in/image'].shape[2:]
  obs_space = {
    'image': elements.Space(np.uint8, image),
    'reward': elements.Space(np.float32),
    'is_first': elements.Space(bool),
    'is_last': elements.Space(bool),
    'is_terminal': elements.Space(bool),
  }
  act_space = {'action': elements.Space(np.int32, (), 0, actions)}
  agent = elements.Config(**config.agent, replay_context=config.replay_context)
  return Model(obs_space, act_space, agent, dtype)


class Golden:
  """One file, the model with its parameters, and the comparisons."""

  def __init__(self, path: str, dtype: jnp.dtype = jnp.float32):
    with np.load(path) as data:
      self.data = {k: data[k] for k in data.files}
    self.model = build(self.data, dtype)
    self.given = group(self.data, 'param/')
    self.inputs = group(self.data, 'in/')
    self.state = self.model.complete(
      {k: v for k, v in self.given.items() if TRAINED.match(k)}
    )
    self.state |= self.given
    self.errors: Errors = collections.defaultdict(dict)

  def compare(self, name: str, key: str, got: object, scale: float = 0.0) -> None:
    """Notes the error of one array against the published agent's."""
    self.errors[name][key] = error(np.asarray(got), self.data[key], scale)

  def start(self) -> Latent:
    """Initial latents of the golden batch."""
    batch = self.inputs['reward'].shape[0]
    return self.model.dyn.initial(batch, self.model.dtype)

  def obs(self) -> Arrays:
    """Observations of the golden batch, (B, T, ...) each."""
    keys = ('image', 'reward', 'is_first', 'is_last', 'is_terminal')
    return {k: self.inputs[k] for k in keys}

  def prevact(self) -> Arrays:
    """Actions before each observation, {'action': (B, T)}."""
    return {'action': self.inputs['prevaction']}

  def batch(self) -> Context:
    """The golden batch on the device."""
    obs, prevact = jax.tree.map(jnp.asarray, (self.obs(), self.prevact()))
    return Context(self.start(), obs, prevact)

  def run(self, fun: Callable, *args: object) -> Any:
    """Result of a function of the model, with the golden parameters."""
    pure = nj.pure(fun)
    step = jax.jit(lambda state, *xs: pure(state, *xs, modify=False)[1])
    return step(self.state, *args)

  def init(self) -> None:
    """Shapes equal; standard deviations as drawn, within sampling noise."""
    drawn = self.model.init(seed=0)
    want = group(self.data, 'init/')
    for key, value in want.items():
      have = drawn[key]
      if have.shape != value.shape:
        raise ValueError(f'{key}: {have.shape}, expected {value.shape}')
      spread = value.std()
      if spread == 0:
        self.errors['init'][key] = error(have, value)
        continue
      # The relative noise of a standard deviation is about 1 / sqrt(2 n).
      noise = 1 / np.sqrt(2 * value.size)
      off = abs(have.std() / spread - 1) / (6 * noise)
      self.errors['init (of 6 sigma)'][key] = float(off)

  def forward(self) -> None:
    """The filtered sequence and all heads."""
    model = self.model

    def filtered(start: Latent, obs: dict, prevact: dict) -> dict:
      tokens = model.enc(obs, 2, model.dtype)
      first = obs['is_first']
      _, feat = model.dyn.observe(start, tokens, prevact, first, None)
      prior = model.dyn.prior(feat.deter)
      x = tensor(feat)
      rew: Any = model.rew(x)
      con: Any = model.con(x)
      val: Any = model.val(x)
      pol: Any = model.pol(x)['action']
      post: Any = model.dyn.dist(feat.logit)
      return {
        'tokens': tokens,
        'deter': feat.deter,
        'stoch': feat.stoch,
        'post_logit': feat.logit,
        'prior_logit': prior,
        'post_logit_unimix': post.output.logits,
        'image_mean': model.dec(feat)['image'].pred(),
        'reward_logits': rew.logits,
        'reward_mean': rew.pred(),
        'cont_logit': con.logit,
        'cont_prob': con.prob(),
        'policy_logits': pol.logits,
        'policy_entropy': pol.entropy(),
        'value_logits': val.logits,
        'value_mean': val.pred(),
        'slowvalue_mean': model.slowval(x).pred(),
        'bins': rew.bins,
      }

    out = self.run(filtered, self.start(), self.obs(), self.prevact())
    for key, value in out.items():
      self.compare('forward', f'out/{key}', value)
    self.feat = Latent(out['deter'], out['stoch'])

  def imagination(self) -> None:
    """Open loop from t = 5 with real actions, and with the mode policy."""
    model = self.model
    length = self.data['out/openloop_deter'].shape[1]
    total = self.inputs['reward'].shape[1]
    before = jax.tree.map(lambda x: x[:, total - length - 1], self.feat)
    acts = {'action': self.inputs['prevaction'][:, total - length :]}
    _, feat = self.run(lambda s, a: model.dyn.imagine(s, a, None), before, acts)
    self.compare('imagination', 'out/openloop_deter', feat.deter)
    self.compare('imagination', 'out/openloop_prior_logit', feat.logit)
    last = jax.tree.map(lambda x: x[:, -1], self.feat)
    steps = self.data['out/dream_deter'].shape[1]
    x, act = self.run(lambda s: model.dream(s, steps, None), last)
    deter = np.asarray(x)[1:, :, : feat.deter.shape[-1]]
    self.compare('imagination', 'out/dream_deter', deter.swapaxes(0, 1))
    actions = np.asarray(act['action']).swapaxes(0, 1)
    self.compare('imagination', 'out/dream_action', actions)

  def losses(self) -> None:
    """Each loss per step, the total, every metric, and the gradients."""
    trained = {k: v for k, v in self.state.items() if TRAINED.match(k)}
    rest = {k: v for k, v in self.state.items() if k not in trained}

    def loss(trained: dict, batch: Context) -> tuple:
      state = {**trained, **rest}
      _, (total, aux) = nj.pure(self.model.loss)(state, batch, None, modify=False)
      return total, aux

    (total, aux), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(
      trained, self.batch()
    )
    terms, metrics = aux.terms, aux.metrics
    self.compare('losses', 'loss/total', total)
    for key, value in terms.items():
      self.compare('losses', f'loss/{key}', value)
    for key in group(self.data, 'lossmet/'):
      self.compare('loss metrics', f'lossmet/{key}', metrics[key])
    for key in group(self.data, 'gradnorm/'):
      norm = jnp.sqrt(jnp.square(grads[key]).sum())
      self.compare('gradient norms', f'gradnorm/{key}', norm)
    for key in group(self.data, 'grad/'):
      self.compare('gradients', f'grad/{key}', grads[key])

  def training(self) -> None:
    """Three optimizer steps from zero moments."""
    state = dict(self.state)
    count = self.data['train/start_count']
    for key in state:
      if key.startswith('opt/state/') and key.endswith('/count'):
        state[key] = count
    update: Any = self.model.update
    step = jax.jit(lambda s, x: update(s, x, None))
    steps = {int(k.split('/')[0]) for k in group(self.data, 'train/') if k[0].isdigit()}
    for i in sorted(steps):
      state, _, metrics = step(state, self.batch())
      for key in group(self.data, f'train/{i}/'):
        self.compare('train metrics', f'train/{i}/{key}', metrics[key])
    self.after({k: np.asarray(v) for k, v in state.items()})

  def after(self, state: Arrays) -> None:
    """The state after the steps: values, norms of changes, norms."""
    for key in group(self.data, 'trained/'):
      self.compare('trained state', f'trained/{key}', state[key])
      if key in self.given and state[key].dtype == np.float32:
        # The change alone, which a tolerance on the value would not see.
        want = self.data[f'trained/{key}'] - self.given[key]
        have = state[key] - self.given[key]
        floor = 1e-4 * np.abs(self.given[key]).max()
        self.errors['trained change'][key] = error(have, want, float(floor))
    for key in group(self.data, 'trained_deltanorm/'):
      norm = np.linalg.norm((state[key] - self.given[key]).ravel())
      self.compare('trained change', f'trained_deltanorm/{key}', norm)
    for key in group(self.data, 'trained_norm/'):
      norm = np.linalg.norm(state[key].ravel())
      self.compare('trained moments', f'trained_norm/{key}', norm)

  def units(self) -> None:
    """The lambda return, the two-hot output and the optimizer alone."""
    lam = {k: jnp.asarray(v) for k, v in group(self.data, 'unit/lam/').items()}
    ret = returns.lambda_return(
      *(lam[k] for k in ('rew', 'last', 'term', 'boot')), lam=0.95, disc=1 - 1 / 333
    )
    self.compare('units', 'unit/lam/ret', ret)
    two = group(self.data, 'unit/twohot/')
    bins = outs.symexp_bins(two['logits'].shape[-1])
    dist = outs.TwoHot(jnp.asarray(two['logits']), bins)
    self.compare('units', 'unit/twohot/pred', dist.pred())
    target = jnp.asarray(two['target'])
    self.compare('units', 'unit/twohot/loss', dist.loss(target))
    self.optimizer()

  def optimizer(self) -> None:
    """Compares two updates of the optimizer."""
    opt = Optimizer(lr=1e-2, warmup=2)
    params: dict[str, Any] = group(self.data, 'unit/opt/param/')
    state: dict[str, Any] = opt.init(params)
    step = 0
    while grads := group(self.data, f'unit/opt/grad{step}/'):
      moved = {k: jnp.asarray(v) for k, v in grads.items()}
      new, state, _ = opt.update(params, moved, state)
      for key in params:
        change = np.asarray(new[key]) - params[key]
        # The change of a float32 sum is known to half a unit of the sum.
        scale = float(np.abs(params[key]).max()) * 1e-2
        name = f'unit/opt/update{step}/{key}'
        self.compare('units', name, change, scale)
      params = {k: np.asarray(v) for k, v in new.items()}
      step += 1


LIMITS = {
  'init': 1e-6,
  'init (of 6 sigma)': 1.0,
  'forward': FORWARD,
  'imagination': FORWARD,
  'losses': FORWARD,
  'loss metrics': FORWARD,
  'gradient norms': BACKWARD,
  'gradients': BACKWARD,
  'train metrics': BACKWARD,
  'trained state': BACKWARD,
  'trained change': BACKWARD,
  'trained moments': BACKWARD,
  'units': FORWARD,
}


def compare(path: str) -> Errors:
  """All errors, by group and array."""
  golden = Golden(path)
  for part in (
    golden.init,
    golden.forward,
    golden.imagination,
    golden.losses,
    golden.training,
    golden.units,
  ):
    part()
  return golden.errors


def main(argv: list[str] | None = None) -> int:
  """Prints all errors; exit code 1 if one is too large."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--npz', required=True, help='file of golden numbers')
  args = parser.parse_args(argv)
  jax.config.update('jax_platforms', 'cpu')
  if not pathlib.Path(args.npz).is_file():
    print(f'--npz {args.npz}: no such file', file=sys.stderr)
    return 2
  failed = False
  print(f'{"group":<20}{"arrays":>7}{"worst":>10}{"limit":>10}  where')
  for name, errors in compare(args.npz).items():
    where, worst = max(errors.items(), key=lambda x: x[1])
    bad = not worst <= LIMITS[name]
    failed |= bad
    print(
      f'{name:<20}{len(errors):>7}{worst:>10.1e}{LIMITS[name]:>10.0e}  '
      f'{where}{"  FAILED" if bad else ""}'
    )
  return int(failed)


if __name__ == '__main__':
  sys.exit(main())
