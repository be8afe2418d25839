"""Model families, their layers, adapters, and reading and writing of weights."""
