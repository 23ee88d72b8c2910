"""What a part says to the program that started it, and how it takes times.

say(updates_s=12.5)
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Row = dict[str, Any]


def say(**row: Any) -> None:
  """One line of JSON for whoever started this, without NaN: what is not known."""
  known = {k: v for k, v in row.items() if v == v}
  print(json.dumps(known), flush=True)


def wait() -> None:
  """Until this may be timed: nothing else runs then."""
  say(ready=True)
  sys.stdin.readline()


def timed(call: Callable[[], Any], seconds: float, least: int = 3) -> float:
  """Median milliseconds of calls for some time."""
  walls: list[float] = []
  stop = time.perf_counter() + seconds
  while len(walls) < least or time.perf_counter() < stop:
    began = time.perf_counter()
    call()
    walls.append(time.perf_counter() - began)
  return 1e3 * float(np.median(walls))
