"""Decoding with a cache, a whole answer in one program."""
