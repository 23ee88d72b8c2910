"""An agent played by hand: the recorded episode, until someone intervenes."""

import numpy as np
import pytest

from dreamerv3.base.errors import UserError
from dreamerv3.probing.player import AgentPlayer
from tests.recorded_runs import load, make_run, record

LENGTH = 12


@pytest.fixture(scope='module')
def logdir(tmp_path_factory):
  return make_run(tmp_path_factory.mktemp('player') / 'run')


@pytest.fixture(scope='module')
def player(logdir):
  return AgentPlayer.load(logdir, '--jax.platform', 'cpu')


def play(player, episode, steps, before=lambda player: None):
  """Layers and positions of the first timesteps."""
  player.begin(episode)
  rows = []
  for _ in range(steps):
    rows.append({**player.layers, 'pos': player.obs['player_pos']})
    before(player)
    player.step()
  return rows


@pytest.mark.slow
def test_an_episode_is_the_one_that_is_recorded(logdir, player):
  record(logdir, '--eval_trajectory.num_episodes', '2')
  there = load(logdir / 'trajectories' / 'episode_002.pkl')
  rows = play(player, 2, LENGTH)
  for t, row in enumerate(rows):
    np.testing.assert_array_equal(row.pop('pos'), there['player_pos'][t])
    assert {*row} == {*there['layer_names']}
    for name, value in row.items():
      kept = there[f'act/{name}'][t]
      np.testing.assert_array_equal(value.astype(kept.dtype).ravel(), kept)


def test_state_and_layers_are_the_same_numbers(player):
  player.begin(1)
  player.step()
  np.testing.assert_array_equal(player.deter, player.layers['dyn/deter'])
  assert player.stoch.shape == player.layers['dyn/stoch'].shape


def test_a_changed_state_changes_what_follows_and_only_that(player):
  def push(player):
    if player.time == 3:
      player.deter = player.deter + 1

  plain, same, pushed = (
    play(player, 1, 6, x) for x in (lambda p: None, lambda p: None, push)
  )
  for t in range(6):
    one, two, three = (x[t]['dyn/deter'] for x in (plain, same, pushed))
    np.testing.assert_array_equal(one, two)
    assert (one != three).any() == (t > 3)


def test_the_agent_knows_an_action_that_was_given_to_it(player):
  def after(action):
    player.begin(1)
    player.step(action)
    return player.deter

  player.begin(1)
  chosen = int(player.action['action'])
  np.testing.assert_array_equal(after(None), after(chosen))
  assert (after(None) != after((chosen + 1) % 17)).any()


@pytest.mark.parametrize(
  'look',
  [
    lambda player: player.over,
    lambda player: player.deter,
    lambda player: player.stoch,
    lambda player: setattr(player, 'deter', np.zeros(8)),
    lambda player: player.step(),
  ],
)
def test_nothing_can_be_asked_before_an_episode_is_begun(player, look):
  fresh = AgentPlayer(player.probe, player.params, player.env, player.seed)
  with pytest.raises(UserError, match=r'call player\.begin\(episode=1\) first'):
    look(fresh)


def test_mistakes(player, tmp_path):
  with pytest.raises(UserError, match=r'no config\.yaml'):
    AgentPlayer.load(tmp_path)
  player.begin(1)
  with pytest.raises(ValueError, match=r'deter has shape \(3,\); expected'):
    player.deter = np.zeros(3)
  player.obs = {**player.obs, 'is_last': np.bool_(True)}
  with pytest.raises(ValueError, match='call begin'):
    player.step()
