"""Acting and learning without knowing which agent: `import embodied`.

Exports the core only. Environments (embodied.envs), the JAX tools
(embodied.jax) and the loops (embodied.run) are imported by name.
"""

from .core import BaseAgent as BaseAgent
from .core import Clock as Clock
from .core import Driver as Driver
from .core import Env as Env
from .core import EnvError as EnvError
from .core import Ratio as Ratio
from .core import Replay as Replay
from .core import Stream as Stream
from .core import memory_estimate as memory_estimate
from .core import streams as streams
from .core import wrappers as wrappers
