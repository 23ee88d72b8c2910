"""Makes `tests.synthetic` importable, also for benchmarks."""
