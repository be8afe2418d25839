"""The registry of tasks and mixtures: the only module that task files import.

It is filled on first use, not at import: this project's own `flan_jax.tasks`, installed packages that state the entry
point group `flan_jax.tasks`, and the user's `data.modules`. A task file makes `TaskSpec`s and hands them to `add_task`.
Nothing here reads a record or imports JAX, TensorFlow or transformers.
"""

from flan_jax.data.forms.forms import task_in_form
from flan_jax.data.forms.natural_instructions import NaturalInstructionsSource, natural_instructions_rows
from flan_jax.data.forms.openassistant import trees
from flan_jax.data.forms.p3 import prompted
from flan_jax.data.registry.loading import load_modules
from flan_jax.data.registry.named import get_task
from flan_jax.data.registry.tables import (
    add_cluster,
    add_mixture,
    add_task,
    cluster_names,
    find_mixture,
    get_cluster,
    get_mixture,
    mixture_names,
    task_names,
)
from flan_jax.data.sources.files import FileSource
from flan_jax.data.sources.held_back import HoldBack
from flan_jax.data.sources.hub import HubSource
from flan_jax.data.sources.plain import IterableSource, JoinedSource, Reshaped
from flan_jax.data.sources.seqio_cache import SeqioCacheSource
from flan_jax.data.sources.tfds import TfdsSource
from flan_jax.data.sources.web import WebFileSource
from flan_jax.data.spec.mixture import ClusterSpec, MixtureSpec
from flan_jax.data.spec.schema import Labels, Skip
from flan_jax.data.spec.source import OwnSource, Source
from flan_jax.data.spec.task import TaskSpec
from flan_jax.data.spec.template import Template
from flan_jax.errors import unknown

__all__ = [
    "ClusterSpec",
    "FileSource",
    "HoldBack",
    "HubSource",
    "IterableSource",
    "JoinedSource",
    "Labels",
    "MixtureSpec",
    "NaturalInstructionsSource",
    "OwnSource",
    "Reshaped",
    "SeqioCacheSource",
    "Skip",
    "Source",
    "TaskSpec",
    "Template",
    "TfdsSource",
    "WebFileSource",
    "add_cluster",
    "add_mixture",
    "add_task",
    "cluster_names",
    "find_mixture",
    "get_cluster",
    "get_mixture",
    "get_task",
    "load_modules",
    "mixture_names",
    "natural_instructions_rows",
    "prompted",
    "task_in_form",
    "task_names",
    "trees",
    "unknown",
]
