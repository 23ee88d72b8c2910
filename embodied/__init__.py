"""Acting and learning without knowing which agent: `import embodied`.

Exports the core only. Environments (embodied.envs), the JAX tools
(embodied.jax) and the loops (embodied.run) are imported by name.
"""

from .core import Agent as Agent
from .core import Env as Env
from .core import Stream as Stream
