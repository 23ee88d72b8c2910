"""Acting and learning without knowing which agent.

The core (embodied.core), environments (embodied.envs), JAX tools (embodied.jax) and
loops (embodied.run) are imported by name.
"""
