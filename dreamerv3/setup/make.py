"""Makes the parts of a run from its settings: agent, environments, replay.

For main.py and the scripts that it starts:

  make_env = factory('env', config)
  env = make_env(0)
"""

import contextlib
import functools
import math
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import elements

from dreamerv3.base.errors import UserError
from dreamerv3.base.host import job
from dreamerv3.setup import machine, memory
from embodied.core import base, logging, streams
from embodied.core.random_agent import RandomAgent
from embodied.core.replay import Replay
from embodied.core.wandb_log import WandB
from embodied.core.wrappers import standard
from embodied.envs import registry
from embodied.run import checkpoint

SCORES = r'^episode/(score|achievement_)'


def factory(name: str, config: elements.Config) -> Callable[..., Any]:
  """The function make_<name> with the settings filled in."""
  return functools.partial(FACTORIES[name], config)


def make_env(config: elements.Config, index: int, episode: int = 0) -> base.Env:
  """Environment number `index` of the run.

  Args:
    index: Gives it its own seed, hash((seed, index)).
    episode: The one to play first, if not the first; a resumed run goes on
      with new worlds.
  """
  suite = config.task.partition('_')[0]
  settings = dict(config.env.get(suite, {}))
  if settings.pop('use_seed', False):
    settings['seed'] = registry.env_seed(config.seed, first_env(config) + index)
  if settings.pop('use_logdir', False):
    folder = _own_folder(config) / f'env{index}'
    if episode:  # those from here on will be played again
      logging.truncate_jsonl(folder / 'stats.jsonl', episode - 1, 'episode')
    settings['logdir'] = folder
  try:
    env = registry.make(config.task, **settings)
  except ValueError as e:
    raise UserError(f'--task {config.task}: {e}') from e
  if episode and hasattr(env, 'set_episode'):
    env.set_episode(episode)
  return standard(env)


def _own_folder(config: elements.Config) -> pathlib.Path:
  """Where this script writes: inference beside the run, not into it."""
  logdir = pathlib.Path(config.logdir)
  return logdir if trains(config) else logdir / config.script


def trains(config: elements.Config) -> bool:
  """Whether the script owns the logdir."""
  return config.script.startswith('train')


def spaces(config: elements.Config) -> tuple[dict, dict]:
  """What the agent sees and chooses; raises UserError for a wrong task."""
  suite = config.task.partition('_')[0]
  quiet = {f'env.{suite}.use_logdir': False}  # it is not played in
  env = make_env(config.update({k: v for k, v in quiet.items() if k in config}), 0)
  obs_space = {k: v for k, v in env.obs_space.items() if k[:4] != 'log/'}
  act_space = {k: v for k, v in env.act_space.items() if k != 'reset'}
  env.close()
  return obs_space, act_space


def first_env(config: elements.Config) -> int:
  """Number of the first environment of this process, of all of the run."""
  return config.replica * (config.run.envs + config.run.eval_envs)


def local_batch(config: elements.Config) -> int:
  """Sequences of a batch that this process brings."""
  return config.batch_size // config.replicas


def make_agent(config: elements.Config) -> base.BaseAgent:
  """The agent for the spaces of the task."""
  obs_space, act_space = spaces(config)
  if config.random_agent:
    return RandomAgent(obs_space, act_space, config.seed)
  # Not at the top: JAX comes up only where an agent is made.
  from dreamerv3.agent import Agent

  with agent_errors():
    return Agent(obs_space, act_space, agent_config(config))


# Settings beside the block `agent` that the agent reads.
AGENT = (
  'logdir',
  'seed',
  'jax',
  'batch_size',
  'batch_length',
  'replay_context',
  'report_length',
  'replica',
  'replicas',
)


def agent_config(config: elements.Config) -> elements.Config:
  """The settings that the agent reads."""
  common = {k: config[k] for k in AGENT}
  if config.replay.fracs.priority:
    common['priosignal'] = config.replay.priosignal
  return elements.Config(**config.agent, **common)


@contextlib.contextmanager
def agent_errors() -> Iterator[None]:
  """Settings that fit no agent are a mistake of the user's."""
  try:
    yield
  except (ValueError, TypeError) as e:  # layers that do not fit each other
    line = str(e).partition('\n')[0]
    raise UserError(f'The agent cannot be made: {line}') from e


def make_replay(
  config: elements.Config, folder: pathlib.Path, share: float = 1.0
) -> Replay:
  """A replay that saves to a folder.

  Args:
    share: part of `replay.size` that it may hold.
  """
  length = config.consec_train * config.batch_length + config.replay_context
  return Replay(
    length,
    int(config.replay.size * share),
    folder,
    chunksize=config.replay.chunksize,
    online=config.replay.online,
    fracs=config.replay.fracs,
    prio=config.replay.prio,
    recexp=config.replay.recexp,
    seed=registry.env_seed(config.seed, config.replica),
    forms=memory.latent_forms(config, on_gpu=config.jax.platform == 'cuda'),
    context=config.replay_context,
  )


def make_stream(config: elements.Config, replay: Replay, mode: str) -> base.Stream:
  """Batches for `agent.train` or `agent.report`.

  Args:
    mode: train or report.
  """
  train = mode == 'train'
  return streams.Consec(
    streams.Replayed(replay, local_batch(config), mode),
    length=config.batch_length if train else config.report_length,
    consec=config.consec_train if train else config.consec_report,
    prefix=config.replay_context,
  )


def make_logger(
  config: elements.Config, step: Any, resumed: int | None = None
) -> logging.Logger:
  """Outputs of the run, in its logdir.

  Args:
    step: Counter of environment steps.
    resumed: Step of the checkpoint that the run continues from; what was
      logged after it will happen again and is dropped.
  """
  logdir = _own_folder(config)
  if not trains(config) and logdir.exists():  # each evaluation by itself
    logdir.rename(f'{logdir}-{elements.timestamp(millis=True)}')
  logdir.mkdir(parents=True, exist_ok=True)
  if resumed is not None:
    for name in ('metrics.jsonl', 'scores.jsonl'):
      dropped = logging.truncate_jsonl(logdir / name, resumed)
      if dropped:
        print(f'Dropped {dropped} lines of {name} after step {resumed}.')
  elements.timer.global_timer.enabled = config.logger.timer
  outputs: list[logging.Output] = [logging.Terminal(config.logger.filter)]
  outputs.append(
    logging.Videos(logdir / 'report', '^(report|eval)/', config.logger.fps)
  )
  if 'jsonl' in config.logger.outputs:
    outputs.append(logging.JsonLines(logdir / 'metrics.jsonl'))
    outputs.append(logging.JsonLines(logdir / 'scores.jsonl', SCORES))
  if 'tensorboard' in config.logger.outputs:
    purge = None if resumed is None else resumed + 1
    outputs.append(logging.TensorBoard(logdir, config.logger.fps, purge))
  if 'wandb' in config.logger.outputs:
    outputs.append(_wandb(config))
  return logging.Logger(step, outputs)


def _wandb(config: elements.Config) -> logging.Output:
  name = pathlib.Path(config.logdir).name
  return WandB(
    project='dreamerv3',
    name=name,
    id=name,
    group=config.method,
    config=config.flat,
    resume='allow',
  )


FACTORIES: dict[str, Callable[..., Any]] = {
  'agent': make_agent,
  'env': make_env,
  'replay': make_replay,
  'stream': make_stream,
  'logger': make_logger,
}


def check(config: elements.Config) -> None:
  """Raises UserError for a task, or a checkpoint, that is not there."""
  spaces(config)
  begun = pathlib.Path(config.logdir) / 'ckpt' / 'latest'
  if config.run.from_checkpoint and not begun.exists():
    checkpoint.find(config.run.from_checkpoint)


def check_agent(config: elements.Config) -> memory.Need | None:
  """Raises UserError for an agent that cannot be made; what it would need.

  Starts JAX, but takes no memory and writes nothing.
  """
  if config.random_agent:
    return None
  from dreamerv3.agent import plan

  sides = spaces(config)
  with agent_errors():
    backend, shapes = plan(*sides, agent_config(config))
  state = sum(x.size * x.dtype.itemsize for x in shapes.values())
  return memory.estimate(config, *sides, state, on_gpu=backend != 'cpu')


def tell_memory(config: elements.Config, need: memory.Need) -> None:
  """Prints what a run will need of the memory that is free now."""
  free = machine.find_gpus().free
  mine = [free[i] for i in config.jax.train_devices if i < len(free)]
  memory.print_estimate(need, job.memory(), min(mine, default=0))


def platform(config: elements.Config) -> elements.Config:
  """Settles `jax.platform` and the devices of a CPU, and says which."""
  wanted = config.jax.platform
  if config.random_agent:
    return config
  variable = os.environ.get('JAX_PLATFORMS')
  if wanted == 'auto' and variable:
    chosen, line = variable, f'JAX runs on {variable}, as JAX_PLATFORMS says.'
    if variable in ('cuda', 'gpu'):  # of which JAX says nothing but AssertionError
      machine.choose('cuda', by='JAX_PLATFORMS')
  else:
    chosen, line = machine.choose(wanted)
    # It still is auto where JAX has to prove that it can use the GPU.
    if wanted != 'auto' or chosen != 'cuda':
      config = config.update({'jax.platform': chosen})
  if chosen == 'cpu':
    config = _cpu_devices(config)
    number = len(config.jax.train_devices)
    if trains(config) and number > 1:
      line += f' {number} devices of it train.'
  print(line)
  return config


def _cpu_devices(config: elements.Config) -> elements.Config:
  """Settles jax.mock_devices -1: as many as pay, unless devices are named."""
  options = config.jax
  if options.mock_devices >= 0:
    return config
  named = (*options.train_devices, *options.policy_devices) != (0, 0)
  if named or not trains(config) or config.replicas > 1:
    return config.update({'jax.mock_devices': 0})
  number = machine.split_cpu(config.batch_size, job.cpus())
  acting = [config.run.envs]
  if config.script == 'train_eval':
    acting.append(config.run.eval_envs)
  return config.update(
    {
      'jax.mock_devices': number,
      'jax.train_devices': tuple(range(number)),
      'jax.policy_devices': tuple(range(machine.split_cpu(math.gcd(*acting), number))),
    }
  )


def run_args(config: elements.Config) -> elements.Config:
  """Settings of the run loops: the block `run` and what they share."""
  suite = config.task.partition('_')[0]
  logs = config.env.get(suite, {}).get('logs', False)
  shared = ('logdir', 'batch_length', 'consec_train', 'consec_report', 'replicas')
  return elements.Config(
    **config.run,
    **{k: config[k] for k in shared},
    batch_size=local_batch(config),
    log_keys='' if logs else '^log/reward$',
  )
