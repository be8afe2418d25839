"""The token store: built here, on Beam, or in a process of its own where something else needs it; and its damages.

this process ──config, encoder, tasks──► the other one, which may import TensorFlow
             ◄──how far it is, a report or the sentence that refuses──
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from flan_jax.config import Config
from flan_jax.data.prepare.handed import Handed, unpack
from flan_jax.data.prepare.needed import needed_folders
from flan_jax.data.prepare.prepare import PrepareReport, Status, prepare
from flan_jax.data.registry.resolve import Resolved
from flan_jax.data.store.manifest import damage, is_finished
from flan_jax.data.store.root import open_root
from flan_jax.errors import EXIT_BAD_INPUT, InputError
from flan_jax.report.progress import Display, Say, hidden, silent
from flan_jax.runs.open import Text

MOST_PROCESSES = 8  # one process reads and maps for all: more of them would wait for it


def build(
    handed: Handed,
    *,
    display: Display = hidden,
    say: Say = silent,
    runner: str | None = None,
    flags: Sequence[str] = (),
    spare_processes: int = 1,
) -> PrepareReport:
    """Builds what is missing of the store.

    Args:
        handed: what is prepared.
        display: shows how far it is.
        say: told when another process is waited for.
        runner: runner of Apache Beam; none: this process, and others of this machine.
        flags: options of Beam's pipeline.
        spare_processes: how many processes start where `data.prepare_processes` does not say, if there is much to do.

    Raises:
        InputError: an unknown runner, options without one, or the config's data cannot be prepared.
    """
    config, encoder, resolved = handed.config, handed.encoder, handed.resolved
    if runner is not None:
        from flan_jax.data.prepare import beam  # late: few want it

        if runner not in beam.RUNNERS:
            raise InputError(f"--runner '{runner}': unknown; allowed: {', '.join(beam.RUNNERS)}")
        return beam.prepare_on_beam(config, encoder, resolved, runner=cast(beam.Runner, runner), flags=flags)
    if flags:
        raise InputError(f"option '{flags[0]}': is for Apache Beam's pipeline; name its runner with --runner")
    with _shown(display, say, resolved) as show:
        return prepare(config, encoder, resolved, spare_processes=spare_processes, progress=show)


def spare_processes() -> int:
    """Processes that preparing may start on this machine."""
    # not on macOS: sched_getaffinity
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_PROCESSES, cores)


def build_missing(
    config: Config, text: Text, resolved: Resolved, *, display: Display = hidden, say: Say = silent
) -> PrepareReport | None:
    """Builds the store in a process of its own where a part of it is not there; none: all of it is.

    Of its own, since sources may bring TensorFlow, which would keep memory and devices that training needs. It is
    handed what was worked out here.

    Raises:
        InputError: the data cannot be prepared.
    """
    root = open_root(config)
    if all(is_finished(root.folder(one.path)) for one in needed_folders(resolved)):
        return None
    packed = Handed(config, text.encoder, resolved).pack()
    report: PrepareReport | None = None
    with (
        _shown(display, say, resolved) as show,
        subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdin is not None, "a pipe"
        assert process.stdout is not None, "a pipe"
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
                pipe.write(packed)
            with contextlib.suppress(EOFError):
                while True:
                    message = pickle.load(process.stdout)
                    if isinstance(message, Status):
                        show(message)
                    elif isinstance(message, PrepareReport):
                        report = message
                    else:
                        raise InputError(message)
        except BaseException:
            process.terminate()
            raise
    if report is None:
        raise InputError(
            f"preparing the store '{config.store_dir}' ended with exit code {process.returncode}; see above"
        )
    return report


def damages(config: Config, resolved: Resolved) -> dict[str, tuple[str, ...]]:
    """Reads every byte of the store: each part that it needs, and the sentences that say what is wrong with it."""
    root = open_root(config)
    return {str(one.path): tuple(damage(root.folder(one.path))) for one in needed_folders(resolved)}


@contextlib.contextmanager
def _shown(display: Display, say: Say, resolved: Resolved) -> Iterator[Callable[[Status], None]]:
    """Takes in how far a preparation is: the task at work, its examples and the speed."""
    began, num_finished = time.monotonic(), 0
    with display("prepare", len(needed_folders(resolved)), passing=True) as advance:

        def show(status: Status) -> None:
            nonlocal num_finished
            facts = [f"{status.task} {status.split}", f"{status.num_examples:,} examples"]
            if status.is_waiting:
                facts[1] = "is being built by another process; waiting for it"
                say(" ".join(facts))
            if status.num_tokens:
                facts.append(f"{status.num_tokens / (time.monotonic() - began):,.0f} tokens/s")
            if status.num_reused:
                facts.append(f"{status.num_reused:,} shards used again")
            advance(status.num_finished - num_finished, "  ".join(facts))
            num_finished = status.num_finished

        yield show


def main() -> None:
    """The other process: builds what comes on standard input, and answers on standard output."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a task or library prints is no answer

    def answer(message: Status | PrepareReport | str) -> None:
        pickle.dump(message, answers)
        answers.flush()

    try:
        handed = unpack(sys.stdin.buffer.read())
        answer(
            prepare(handed.config, handed.encoder, handed.resolved, spare_processes=spare_processes(), progress=answer)
        )
    except InputError as e:
        answer(str(e))
        sys.exit(EXIT_BAD_INPUT)
    except (KeyboardInterrupt, BrokenPipeError):  # the process that asked is ended, or is about to be
        sys.exit(1)


if __name__ == "__main__":
    main()
