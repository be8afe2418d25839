"""The Python API: what the commands do, without printing; `run` has it as one object."""
