"""The parts of bench/gpu.py; each runs in a process of its own.

  python -m bench.gpu_parts '{"part": "decode"}' '{"platform": "cpu", ...}'

Results are lines of JSON. A part that is to be timed says that it is ready, and waits
for a line before it goes on.
"""
