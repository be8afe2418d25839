"""Checkpoints: Orbax writes the arrays in the background, and our metadata, written last, proves them whole.

    <directory>/00000100/state/…         Orbax: tuned parameters and optimizer state
                        /metadata.json   step, data position, config, fingerprints, checksums of arrays and files
               /best.json                step, metric and value of the best checkpoint

    save:     dispatch array checksums ─► Orbax copies to the host, writes, renames ─► hash files ─► metadata ─► prune
    restore:  newest metadata that parses ─► every file as long and as hashed ─► Orbax ─► every array's checksum;
              what fails is named and passed over for the one before

Orbax restores a flipped bit without a word, and still lists a checkpoint whose state was deleted; so nothing it says
of completeness is asked for. A folder without metadata is a save that was cut off. All processes call `save` and the
restoring methods together, over one file system; the first decides and tells the others.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils

from flan_jax.config import Config
from flan_jax.errors import InputError
from flan_jax.model.blueprint import flat_parameters
from flan_jax.parallel.multihost import is_main
from flan_jax.train.checksums import array_checksums
from flan_jax.train.metadata import FILE, Metadata, check_resume, write_atomically
from flan_jax.train.state import TrainState

STATE = "state"
BEST = "best.json"


@dataclass(frozen=True)
class Damage:
    """A checkpoint that was passed over.

    Attributes:
        name: its folder's name.
        reason: what is wrong with it.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Restored:
    """The newest sound checkpoint.

    Attributes:
        state: on the mesh, as asked for.
        metadata: all else.
    """

    state: TrainState
    metadata: Metadata


@dataclass(frozen=True)
class Account:
    """What is saved beside the state.

    Attributes:
        position: where the data goes on.
        progress: of the evaluations.
        metrics: last measured.
        best: metric name and value if this is the best so far.
    """

    position: Mapping[str, Any]
    progress: Mapping[str, Any]
    metrics: Mapping[str, float]
    best: tuple[str, float] | None


class Checkpoints:
    """The checkpoints of one run; a context manager that ends with the last save on disk."""

    def __init__(self, directory: Path, *, config: Config, fingerprints: Mapping[str, str]):
        """Names the folder; it is made by the first save.

        Args:
            directory: of all checkpoints of the run.
            config: of the run; how many are kept is read from it.
            fingerprints: of what the run is made from (base, tokenizer, templates, store).
        """
        # 1.5 s of imports that most commands do without
        import orbax.checkpoint as ocp

        self.directory = directory
        self._config, self._fingerprints = config, dict(fingerprints)
        self._ocp = ocp
        # with directories made in the background, one that cannot be made shows as a timeout of ten minutes
        options = ocp.options.AsyncOptions(create_directories_asynchronously=False)
        self._orbax = ocp.AsyncCheckpointer(ocp.PyTreeCheckpointHandler(), async_options=options)
        logging.getLogger("absl").addFilter(_is_not_raised_again)
        self._thread = ThreadPoolExecutor(1, "flan-jax-checkpoint")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            self._orbax.close()

    def save(self, state: TrainState, account: Account) -> None:
        """Begins to write a checkpoint; returns once the arrays may be changed. Waits for the one before.

        Raises:
            InputError: this or the save before could not be written.
        """
        self.wait()
        step = int(state.step)
        folder = self.directory / _name(step)
        arrays = _named_arrays(state)
        mesh = next(iter(arrays.values())).sharding.mesh
        checksums = array_checksums(arrays, mesh)
        with _writing(self.directory):
            if is_main():
                # of a cut-off save, or of a run that went on from an older checkpoint
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            self._orbax.save(folder / STATE, args=self._ocp.args.PyTreeSave(arrays))
        described = {name: (list(array.shape), str(array.dtype)) for name, array in arrays.items()}
        self._pending = self._thread.submit(self._finish, step, described, checksums, account)

    def wait(self) -> None:
        """Blocks until the save that is under way is complete on disk.

        Raises:
            InputError: it could not be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            with _writing(self.directory):
                pending.result()

    def _finish(
        self, step: int, described: Mapping[str, tuple[list[int], str]], checksums: jax.Array, account: Account
    ) -> None:
        """What follows Orbax's commit, in the background, by the main process alone."""
        self._orbax.wait_until_finished()
        if not is_main():
            return
        folder = self.directory / _name(step)
        sums = np.asarray(checksums).tolist()
        metadata = Metadata(
            step=step,
            position=dict(account.position),
            progress=dict(account.progress),
            config=self._config.model_dump(mode="json"),
            fingerprints=self._fingerprints,
            metrics=dict(account.metrics),
            arrays={
                name: {"shape": shape, "dtype": dtype, "checksum": pair}
                for (name, (shape, dtype)), pair in zip(described.items(), sums, strict=True)
            },
            files={path: _fingerprint(folder / path) for path in _files(folder)},
        )
        write_atomically(folder / FILE, metadata.to_json())
        if account.best is not None:
            name, value = account.best
            best = {"step": step, "metric": name, "value": value}
            write_atomically(self.directory / BEST, json.dumps(best) + "\n")
        self._prune(step)

    def _prune(self, newest: int) -> None:
        """Deletes all but the newest and the best; also what a run that was set back has left ahead of it."""
        steps = [step for step in self.steps() if step <= newest and (self.directory / _name(step) / FILE).exists()]
        kept = {*steps[: self._config.checkpoint.keep], self.best_step()}
        for step in self.steps():
            if step not in kept:
                folder = self.directory / _name(step)
                # first, so that a deletion that is cut off leaves no checkpoint that looks complete
                (folder / FILE).unlink(missing_ok=True)
                shutil.rmtree(folder)

    def steps(self) -> list[int]:
        """Steps of all checkpoint folders, complete or not, newest first."""
        if not self.directory.is_dir():
            return []
        names = (path.name for path in self.directory.iterdir() if path.is_dir())
        return sorted((int(name) for name in names if name.isdecimal() and len(name) == 8), reverse=True)

    def best_step(self) -> int | None:
        """The step of the best checkpoint, if one was chosen."""
        path = self.directory / BEST
        try:
            return int(json.loads(path.read_text())["step"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise InputError(f"'{path}': damaged; delete it, and the best checkpoint is chosen anew") from None

    def restore_latest(self, abstract: TrainState) -> tuple[Restored | None, list[Damage]]:
        """The newest checkpoint that is whole, and those newer ones that are not.

        Args:
            abstract: shapes, types and shardings of the state (`state.abstract_state`).

        Raises:
            InputError: the newest whole checkpoint belongs to other settings, data or weights.
        """
        targets = _named_arrays(abstract)
        whole, damaged = self._restore(self.steps(), targets, is_resumed=True)
        if whole is None:
            return None, damaged
        arrays, metadata = whole
        step = jax.device_put(np.int32(metadata.step), abstract.step.sharding)
        flat = [arrays[name] for name in targets]
        structure = jax.tree.structure((abstract.tuned, abstract.optimizer))
        tuned, optimizer = jax.tree.unflatten(structure, flat)
        return Restored(TrainState(step, tuned, optimizer), metadata), damaged

    def restore_tuned(
        self, which: Literal["latest", "best"] | int, abstract: nnx.State
    ) -> tuple[nnx.State, Metadata, list[Damage]]:
        """The tuned parameters of one checkpoint, onto any mesh; optimizer state is not read.

        Args:
            which: the newest that is whole, the best, or a step.
            abstract: shapes, types and shardings of the parameters.

        Raises:
            InputError: there is no such checkpoint, or it is damaged.
        """
        steps = self.steps()
        if which != "latest":
            chosen = self.best_step() if which == "best" else which
            steps = [step for step in steps if step == chosen]
        targets = _named_arrays(TrainState(None, abstract, ()))
        whole, damaged = self._restore(steps, targets, is_resumed=False)
        if whole is None:
            names = ", ".join(map(_name, reversed(self.steps()))) or "none"
            reasons = "".join(f"; {damage.name}: {damage.reason}" for damage in damaged)
            raise InputError(
                f"run folder '{self.directory.parent}': no whole checkpoint for '{which}' (found: {names}"
                f"{reasons}); run 'flan-jax train' first"
            )
        arrays, metadata = whole
        tuned = jax.tree.unflatten(jax.tree.structure(abstract), [arrays[name] for name in targets])
        return tuned, metadata, damaged

    def _restore(
        self, steps: list[int], targets: Mapping[str, Any], *, is_resumed: bool
    ) -> tuple[tuple[dict[str, jax.Array], Metadata] | None, list[Damage]]:
        """The arrays of `targets` of the first of `steps` that is whole."""
        self.wait()
        damaged: list[Damage] = []
        # all processes walk the main one's list, and hear from it which folders are whole
        for step in json.loads(_from_main(json.dumps(steps))):
            verdict = json.loads(_from_main(json.dumps(_verdict(self.directory / _name(step)))))
            if verdict["reason"]:
                damaged.append(Damage(_name(step), verdict["reason"]))
                continue
            metadata = Metadata.from_json(verdict["metadata"])
            where = f"checkpoint '{self.directory / _name(step)}'"
            if is_resumed:
                check_resume(metadata, self._config, self._fingerprints, where)
            _check_arrays(metadata, targets, where)
            arrays = self._orbax.restore(
                self.directory / _name(step) / STATE,
                args=self._ocp.args.PyTreeRestore(
                    item=dict(targets),
                    restore_args=self._ocp.checkpoint_utils.construct_restore_args(dict(targets)),
                    partial_restore=True,
                ),
            )
            mesh = next(iter(targets.values())).sharding.mesh
            sums = np.asarray(array_checksums({name: arrays[name] for name in targets}, mesh)).tolist()
            wrong = [
                name for name, pair in zip(targets, sums, strict=True) if pair != metadata.arrays[name]["checksum"]
            ]
            if not wrong:
                return (arrays, metadata), damaged
            damaged.append(Damage(_name(step), f"array '{wrong[0]}' does not match its checksum"))
        return None, damaged


@contextlib.contextmanager
def _writing(directory: Path) -> Iterator[None]:
    """Tells what the system refused in one sentence."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError) as e:
        # Orbax's storage library has no OSError of its own: a ValueError whose text ends in the system's number
        number = re.search(r"os_error_code='(\d+)'", str(e))
        code = e.errno if isinstance(e, OSError) else int(number[1]) if number else None
        if code is None:
            raise
        raise InputError(
            f"checkpoint folder '{directory}': cannot be written ({os.strerror(code)}); make room or rights, and the "
            "same command goes on from the last whole checkpoint"
        ) from e


def _is_not_raised_again(record: logging.LogRecord) -> bool:
    """Drops Orbax's own report of an error in its threads: `wait` raises it."""
    return not (record.levelno >= logging.ERROR and "orbax" in record.pathname)


def _name(step: int) -> str:
    return f"{step:08d}"


def _named_arrays(state: TrainState) -> dict[str, Any]:
    """Arrays of the state but its step, by name, in the order of leaves."""
    named = {f"tuned.{name}": variable.get_value() for name, variable in flat_parameters(state.tuned).items()}
    for path, leaf in jax.tree_util.tree_flatten_with_path(state.optimizer)[0]:
        named[f"optimizer.{jax.tree_util.keystr(path, simple=True, separator='.')}"] = leaf
    return named


def _check_arrays(metadata: Metadata, targets: Mapping[str, Any], where: str) -> None:
    for name, array in targets.items():
        saved = metadata.arrays.get(name)
        now = f"{list(array.shape)} {array.dtype}"
        if saved is None or (saved["shape"], saved["dtype"]) != (list(array.shape), str(array.dtype)):
            then = "missing" if saved is None else f"{saved['shape']} {saved['dtype']}"
            raise InputError(
                f"{where}: array '{name}' is {then}, the model here has {now}; use the version of flan-jax and the "
                "model it was made with, or start a new run in another 'run.dir'"
            )


def _verdict(folder: Path) -> dict[str, str]:
    """What is wrong with a checkpoint's files, or the text of its metadata; empty on all but the main process."""
    if not is_main():
        return {}
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
        metadata = Metadata.from_json(text)
    except FileNotFoundError:
        return {"reason": f"incomplete: no {FILE}, the save was cut off"}
    except (OSError, ValueError) as e:
        return {"reason": f"{FILE} is damaged ({e})"}
    for path, expected in metadata.files.items():
        reason = _file_damage(folder / path, expected)
        if reason:
            return {"reason": f"file '{path}' {reason}"}
    return {"reason": "", "metadata": text}


def _file_damage(path: Path, expected: Mapping[str, Any]) -> str:
    try:
        size = path.stat().st_size
        if size != expected["size"]:
            return f"has {size} bytes, {expected['size']} were written"
        return "" if _fingerprint(path) == expected else "does not match its checksum"
    except FileNotFoundError:
        return "is missing"
    except OSError as e:
        return f"cannot be read ({e.strerror})"


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _files(folder: Path) -> Iterator[str]:
    yield from sorted(str(path.relative_to(folder)) for path in (folder / STATE).rglob("*") if path.is_file())


def _from_main(text: str) -> str:
    """The main process's text, on every process."""
    if jax.process_count() == 1:
        return text
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text.encode()))))
    encoded = np.zeros(length, np.uint8)
    if is_main():
        encoded[:] = np.frombuffer(text.encode(), np.uint8)
    return bytes(np.asarray(multihost_utils.broadcast_one_to_all(encoded), np.uint8)).decode()
