"""Neural agents in JAX: layers, heads, optimizer, and the agent around them.

Importing this package is cheap; each module is imported where it is needed:

  from embodied.jax.agent import JaxAgent
"""
