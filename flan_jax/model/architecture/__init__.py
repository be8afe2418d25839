"""The frozen specifications of the two architectures."""
