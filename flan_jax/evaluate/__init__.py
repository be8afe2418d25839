"""Measuring a model: log-likelihood of answer options, decoding, metrics, and the held-out protocol."""
