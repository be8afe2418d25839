"""Tasks as a config wants them: with its own sources, caps and settings in place."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping

from flan_jax.config import DataConfig
from flan_jax.data.forms.openassistant import TreeConversations
from flan_jax.data.sources.held_back import HELD_BACK_SHARE, HoldBack
from flan_jax.data.sources.hub import HubSource
from flan_jax.data.sources.seqio_cache import SeqioCacheSource, is_cache
from flan_jax.data.spec.fields import is_usable
from flan_jax.data.spec.source import TRAIN, VALIDATION, SplitSource
from flan_jax.data.spec.task import ANSWER, TaskSpec
from flan_jax.data.spec.variant import split_variant
from flan_jax.errors import InputError, unknown
from flan_jax.files.addresses import find_files, is_folder


def source_at(spec: TaskSpec, path: str) -> SplitSource:
    """A task's source from a local file or folder instead, in the form in which it is published.

    Raises:
        InputError: the folder is a task's that SeqIO cached, and the task asks for more than its prompts and answers.
    """
    inner = spec.source.source if isinstance(spec.source, HoldBack) else spec.source
    if isinstance(inner, SeqioCacheSource) or not is_cache(path):
        return inner.local(path)
    asked = {name for prompt, target in spec.patterns for name in (*prompt.fields, *target.fields)}
    if spec.map is not None or not asked <= {"prompt", ANSWER}:
        raise InputError(
            f"data.sources '{spec.name}': '{path}' is a task that SeqIO cached, so it holds finished prompts and "
            f"answers, and '{spec.name}' phrases raw records itself; name it in data.mixture as seqio-cache:{path}"
        )
    return SeqioCacheSource(path)


def with_settings(spec: TaskSpec, data: DataConfig) -> TaskSpec:
    """The task as the config's `languages` and `validation_share` want it; they show in its source's or own version."""
    if isinstance(spec.map, TreeConversations) and data.languages:
        kept = dataclasses.replace(spec.map, languages=data.languages)
        version = f"{spec.version}, languages {' '.join(data.languages)}"
        spec = dataclasses.replace(spec, map=kept, version=version)
        if isinstance(spec.source, HoldBack):
            spec = dataclasses.replace(spec, source=dataclasses.replace(spec.source, usable=kept))
    if not isinstance(spec.source, HoldBack) or spec.source.share is not None:
        return spec
    if data.validation_share == HELD_BACK_SHARE:
        return spec
    if data.validation_share:
        return dataclasses.replace(spec, source=dataclasses.replace(spec.source, share=data.validation_share))
    inner = spec.source.source
    # nothing is held back: the split is there only where the source has one; a hub data set is not asked over the net
    has_own = not isinstance(inner, HubSource) and inner.has_split(spec.splits.get(VALIDATION, VALIDATION))
    splits = {ours: theirs for ours, theirs in spec.splits.items() if ours != VALIDATION or has_own}
    return dataclasses.replace(spec, source=inner, splits=splits)


def _capped(spec: TaskSpec, cap: int | None) -> TaskSpec:
    return spec if cap is None or spec.max_examples is not None else dataclasses.replace(spec, max_examples=cap)


def _with_sources(
    specs: Mapping[str, TaskSpec], sources: Mapping[str, str], left_out: Iterable[str]
) -> dict[str, TaskSpec]:
    """The specs with `data.sources` in place; a task's source serves its variants as well."""
    placed = dict(specs)
    bases = {name: split_variant(name)[0] for name in [*specs, *left_out]}
    for name, path in sources.items():
        meant = [variant for variant, base in bases.items() if name in (variant, base)]
        if not meant:
            raise InputError(f"data.sources: {unknown('task', name, bases)} (of those trained on or evaluated)")
        for variant in meant:
            if variant in placed:
                placed[variant] = with_source(placed[variant], path)
    return placed


def with_source(spec: TaskSpec, path: str) -> TaskSpec:
    """The task reading a local file or folder with the same fields.

    Raises:
        InputError: there is no such file or folder.
    """
    if not is_folder(path) and not find_files(path):
        raise InputError(f"data.sources '{spec.name}': no file or folder '{path}'; give one with the task's own fields")
    source = source_at(spec, path)
    if TRAIN not in spec.splits:
        # a task that is for evaluation alone has nothing to hold back: all of its file is asked
        return dataclasses.replace(
            spec, source=source, splits={VALIDATION: VALIDATION if source.has_split(VALIDATION) else TRAIN}
        )
    parted = spec.source if isinstance(spec.source, HoldBack) else HoldBack(source)
    parted = dataclasses.replace(parted, source=source, usable=functools.partial(is_usable, spec))
    return dataclasses.replace(spec, source=parted, splits={TRAIN: TRAIN, VALIDATION: VALIDATION})
