"""Runnable configs: YAML files that hold only what differs from the defaults in flan_jax/config.py."""
