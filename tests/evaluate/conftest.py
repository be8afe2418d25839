"""Toy models and questions are fixtures here."""

from toy_models import llama, make_items, meshes, split_model  # noqa: F401
