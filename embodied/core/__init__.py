"""Environment-side core: contracts, driver, replay, streams, clocks."""

from . import base as base
from .base import Agent as Agent
from .base import Env as Env
from .base import Stream as Stream
