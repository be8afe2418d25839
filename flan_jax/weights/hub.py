"""Models by their names on the Hugging Face hub, fetched into the hub's own cache.

    model.path, model.tokenizer, tuning.lora.adapter
      ├─ a file or folder here ─────────► itself
      └─ org/name[@revision] ─► commit ─► its folder in the cache, with the files that are asked for

`huggingface_hub` fetches, goes on with what broke off, and keeps the cache; HF_HOME, HF_HUB_OFFLINE, HF_TOKEN and
HF_ENDPOINT are its settings. Asked for are configs, tokenizers and safetensors that lie in a repository's root: never
pickles, never code. It is imported when a name needs it.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from flan_jax.errors import InputError
from flan_jax.weights.safetensors import INDEX, PICKLE_SUFFIXES, indexed_files

_NAME = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@([^\s@]+))?")
_FILE_SUFFIXES = (".gguf", ".safetensors", ".json", ".model", *PICKLE_SUFFIXES)
_CONFIGS = ("config.json", "generation_config.json", "adapter_config.json")
_VOCABULARIES = ("tokenizer.json", "spiece.model", "tokenizer.model")
_TOKENIZER = (
    *("config.json", "generation_config.json", *_VOCABULARIES, "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
)
_WHOLE = ("model.safetensors", "adapter_model.safetensors")  # a file of either name is all the weights


@dataclass(frozen=True)
class HubName:
    """A repository of models, and the branch, tag or commit of it that is meant; none: its main branch."""

    repo: str
    revision: str | None

    def __str__(self) -> str:
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"


def hub_name(name: str | Path) -> HubName | None:
    """`org/name[@revision]` in its parts; none: a path, which anything is that lies here."""
    match = _NAME.fullmatch(str(name))
    if match is None or str(name).lower().endswith(_FILE_SUFFIXES) or Path(name).exists():
        return None
    return HubName(match[1], match[2])


def pinned(name: str) -> str:
    """`org/name@commit` of a hub name; a path stays as it is.

    Raises:
        InputError: as `local_model`.
    """
    hub = hub_name(name)
    return name if hub is None else f"{hub.repo}@{_fetch(hub, _CONFIGS).name}"


def local_tokenizer(name: str | Path) -> str | Path:
    """Where the tokenizer's files of a hub name lie in the cache; a path stays as it is.

    Raises:
        InputError: as `local_model`, or the repository has no tokenizer.
    """
    hub = hub_name(name)
    if hub is None:
        return name
    folder = _fetch(hub, _TOKENIZER)
    names = _names(hub, folder.name)
    if names is not None and not set(_VOCABULARIES) & names:
        raise InputError(f"hub repository '{hub}': has none of {', '.join(_VOCABULARIES)}; give another tokenizer")
    return folder


def local_model(name: str | Path) -> Path:
    """Where config and tokenizer of a hub name lie in the cache, its weights not yet; a path stays as it is.

    Raises:
        InputError: no such repository or revision, it is private or gated, holds no safetensors, or cannot be fetched.
    """
    hub = hub_name(name)
    if hub is None:
        return Path(name)
    folder = _fetch(hub, _CONFIGS)
    names = _names(hub, folder.name)
    if names is not None:
        _weight_files(hub, names)
    return folder


def local_weights(name: str | Path) -> Path:
    """Where weights and config of a hub name lie in the cache; a path stays as it is.

    Raises:
        InputError: as `local_model`.
    """
    hub = hub_name(name)
    if hub is None:
        return Path(name)
    folder = _fetch(hub, _CONFIGS)
    names = _names(hub, folder.name)
    if names is None:
        return folder
    files = _weight_files(hub, names)
    commit = HubName(hub.repo, folder.name)
    if INDEX in files:
        _fetch(commit, (INDEX,))
        files = (INDEX, *(indexed_files(folder) or ()))
    return _fetch(commit, files)


def _weight_files(hub: HubName, names: frozenset[str]) -> tuple[str, ...]:
    """The files that hold a repository's weights."""
    for name in (INDEX, *_WHOLE):
        if name in names:
            return (name,)
    files = tuple(sorted(name for name in names if "/" not in name and name.endswith(".safetensors")))
    if files:
        return files
    pickles = sorted(name for name in names if name.endswith(PICKLE_SUFFIXES))
    ggufs = sorted(name for name in names if name.endswith(".gguf"))
    if pickles:
        why = (
            f"{pickles[0]} is a pickle file, which can run code when opened, and is refused; convert it to safetensors"
        )
    elif ggufs:
        why = f"GGUF alone, such as {ggufs[0]}; download one of them and give the file itself"
    else:
        why = "no weights at all; give another repository"
    raise InputError(f"hub repository '{hub}': has no safetensors: {why}")


def _names(hub: HubName, commit: str) -> frozenset[str] | None:
    """Every file of a commit; none where the cache was filled by an older library, and offline."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return frozenset(file.path for file in get_cached_repo_tree(hub.repo, revision=commit))
    except CachedRepoTreeNotFoundError:
        return None


@lru_cache(maxsize=64)
def _fetch(hub: HubName, files: tuple[str, ...]) -> Path:
    """The folder of a commit in the cache, with those of `files` that the repository has; its name is the commit."""
    import httpx2
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import tqdm

    class Bars(tqdm):
        """The library's bars, on a terminal alone."""

        def __init__(self, *arguments: Any, **settings: Any):
            super().__init__(*arguments, **{**settings, "disable": settings.get("disable") or not sys.stderr.isatty()})

    try:
        folder = snapshot_download(hub.repo, revision=hub.revision, allow_patterns=list(files), tqdm_class=Bars)
        return Path(folder)
    except (OSError, ValueError, httpx2.HTTPError) as e:
        raise InputError(f"'{hub}': no file or folder here, and as a hub name {_reason(hub, e)}") from e


def _reason(hub: HubName, error: Exception) -> str:
    """Why a repository cannot be had, and what to do."""
    from huggingface_hub import constants, errors

    is_absent = isinstance(error, errors.LocalEntryNotFoundError)
    cause = error.__cause__ if is_absent and isinstance(error.__cause__, Exception) else error
    status = cause.response.status_code if isinstance(cause, errors.HfHubHTTPError) else None
    line = (str(cause).splitlines() or [type(cause).__name__])[0]
    url = f"{constants.ENDPOINT}/{hub.repo}"
    if isinstance(cause, errors.GatedRepoError):
        return f"it is gated; log in with `hf auth login` or set HF_TOKEN, and accept the terms at {url}"
    if isinstance(cause, errors.RevisionNotFoundError):
        return f"it has no revision '{hub.revision}'; give a branch, tag or commit of {url}"
    if isinstance(cause, errors.RepositoryNotFoundError) and status == 404:
        return f"no such repository on {constants.ENDPOINT}; check the name"
    if status in (401, 403):
        return (
            f"a private repository or none (HTTP {status}); check the name, or log in with `hf auth login` or set "
            f"HF_TOKEN, and accept the terms at {url} if it has any"
        )
    if is_absent:
        offline = isinstance(cause, errors.OfflineModeIsEnabled) or constants.HF_HUB_OFFLINE
        why = "HF_HUB_OFFLINE is set" if offline else f"{constants.ENDPOINT} cannot be reached ({line})"
        return f"not all in the cache {constants.HF_HUB_CACHE}, and {why}; fetch it once over a network"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        return f"the cache {constants.HF_HUB_CACHE} cannot be written ({error.strerror}); free space or set HF_HOME"
    if isinstance(error, errors.HFValidationError):
        return f"it is not well formed ({line})"
    return f"its download broke off each time ({line}); files that are whole are kept, so try again"
