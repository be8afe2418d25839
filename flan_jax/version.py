"""The version of this package; part of what a store's shards are named after."""

__version__ = "0.1.0"
