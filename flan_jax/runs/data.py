"""The data of a run: how its model reads, its tasks, its store, the plan of its batches. Without JAX.

config ──► text, tasks (resolved once) ──► store ──► plan
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from flan_jax.config import Config
from flan_jax.data.plan.plan import Plan, make_plan
from flan_jax.data.plan.shares import MixtureReport, mixture_report
from flan_jax.data.prepare.handed import Handed
from flan_jax.data.prepare.opened import Prepared, open_prepared
from flan_jax.data.prepare.prepare import PrepareReport
from flan_jax.data.registry.resolve import Resolved, resolve_run
from flan_jax.errors import InputError
from flan_jax.report.progress import Display, Say, chosen_display, silent
from flan_jax.runs.audit import Contamination, audit
from flan_jax.runs.configs import open_run_or_config
from flan_jax.runs.open import Text, open_text
from flan_jax.runs.prepare import build, build_missing, damages

ShownBy = Display | Literal["auto"] | None


class RunData:
    """A config, and what is opened from it when it is first needed.

    Attributes:
        config: the whole config, every default filled in.
    """

    def __init__(self, config: str | Path | Config, *, say: Say = silent, progress: ShownBy = "auto", **settings: Any):
        """Reads the config.

        Args:
            config: a YAML file, the name of a bundled config, a run folder; or a `Config`, taken as it is, hub
                names with their commit.
            say: told what a command would print on the way, such as checkpoints that are passed over.
            progress: what shows long work: "auto" is bars on a terminal (on standard error) and in a notebook, and
                nothing elsewhere; none is nothing; or a `flan_jax.report.progress.Display` of one's own.
            settings: settings that differ from the file's, by dotted name: `**{"train.steps": 60}`.

        Raises:
            InputError: no such config, a setting is refused, or a hub name cannot be resolved.
        """
        if isinstance(config, Config):
            if settings:
                raise InputError(f"setting '{next(iter(settings))}': a Config is taken as it is; set it there")
            self.config = config
        else:
            words = [
                f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in settings.items()
            ]
            self.config = open_run_or_config(str(config), words).config
        self._say, self._display = say, chosen_display(progress)

    @functools.cached_property
    def text(self) -> Text:
        """How the model reads: its tokenizer, and the encoder of conversations."""
        return open_text(self.config)

    @functools.cached_property
    def resolved(self) -> Resolved:
        """The tasks that are trained on, held out and evaluated."""
        return resolve_run(self.config)

    @functools.cached_property
    def prepared(self) -> Prepared:
        """The opened token store; where a part of it is not there, it is built first, in a process of its own.

        Raises:
            InputError: the data cannot be prepared, or the store is damaged or stale.
        """
        self.prepare_missing()
        return open_prepared(self.config, self.text.encoder, self.resolved)

    @functools.cached_property
    def plan(self) -> Plan:
        """The sequence of all batches, computed from lengths; it has no end."""
        return make_plan(self.config, self.prepared.train, self.prepared.resolved.mixture)

    def prepare(
        self, *, runner: str | None = None, flags: Sequence[str] = (), spare_processes: int = 1
    ) -> PrepareReport:
        """Builds what is missing or stale of the token store, in this process or in `data.prepare_processes`.

        Args:
            runner: runner of Apache Beam (direct, flink, spark, dataflow); none: processes of this machine.
            flags: options of Beam's pipeline.
            spare_processes: how many processes start where the config does not say, if there is much to do; above 1
                only in programs that may be imported again (`if __name__ == "__main__":`).

        Returns:
            What became of each part, with counts of what was left out and why.

        Raises:
            InputError: the data cannot be prepared.
        """
        handed = Handed(self.config, self.text.encoder, self.resolved)
        return build(
            handed,
            display=self._display,
            say=self._say,
            runner=runner,
            flags=flags,
            spare_processes=spare_processes,
        )

    def prepare_missing(self) -> PrepareReport | None:
        """Builds the token store in a process of its own where a part of it is not there; none: all of it is.

        Raises:
            InputError: the data cannot be prepared.
        """
        return build_missing(self.config, self.text, self.resolved, display=self._display, say=self._say)

    def damages(self) -> dict[str, tuple[str, ...]]:
        """Reads every byte of the store: each part, and what is wrong with it in sentences; none where it is sound."""
        return damages(self.config, self.resolved)

    def shares(self, *, windows: int = 1) -> MixtureReport:
        """What each task is to have of the batches and what it has, and how full the rows are.

        Args:
            windows: how many windows of the plan are looked at, from its start.

        Raises:
            InputError: as `prepared`.
        """
        return mixture_report(self.plan, windows=windows)

    def contamination(self) -> Contamination:
        """Finds evaluation examples that are in the prepared training data, and duplicates within it.

        Returns:
            Both, and the folder in the run's own where they are written; its subsets.json is for `evaluation.subsets`.

        Raises:
            InputError: nothing is evaluated, a source cannot be read here or gives other examples than the store was
                made of, the store is not there, or the folder cannot be written.
        """
        prepared = open_prepared(self.config, self.text.encoder, self.resolved)
        return audit(self.config, prepared, self.text, display=self._display)
