from . import compile_cache

compile_cache.settle()
