"""`python -m flan_jax` is the command line."""

from flan_jax.cli import main

main()
