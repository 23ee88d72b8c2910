"""Environment-side core: contracts, driver, replay, streams, clocks."""

from . import base as base
from . import clock as clock
from . import streams as streams
from . import wrappers as wrappers
from .base import BaseAgent as BaseAgent
from .base import Env as Env
from .base import Stream as Stream
from .chunk import memory_estimate as memory_estimate
from .clock import Clock as Clock
from .clock import Ratio as Ratio
from .driver import Driver as Driver
from .env_process import EnvError as EnvError
from .replay import Replay as Replay
