"""The DreamerV3 agent: networks, world model, actor, critic, losses.

from dreamerv3.agent import Agent
"""

from dreamerv3.agent.agent import Agent, plan
from dreamerv3.agent.model import Model

__all__ = ['Agent', 'Model', 'plan']
