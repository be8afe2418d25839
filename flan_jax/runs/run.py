"""A run as an object: what the commands do, for notebooks, studies and servers. Nothing is printed.

config ──► text, tasks (resolved once) ──► store ──► train ──► evaluate, generate, export
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flan_jax.data.prepare.opened import Prepared
from flan_jax.data.prepare.prepare import PrepareReport, prepare
from flan_jax.data.registry.resolve import Resolved, resolve_run
from flan_jax.evaluate.protocol import Evaluation
from flan_jax.model.load import create
from flan_jax.model.parity import Parity
from flan_jax.runs.answer import answer_all
from flan_jax.runs.configs import open_run_or_config
from flan_jax.runs.export import check_export, write_export
from flan_jax.runs.measure import evaluation_tasks, make_evaluator
from flan_jax.runs.model import check_model, open_model
from flan_jax.runs.open import Text, open_text, start_jax
from flan_jax.runs.prepare import ensure_prepared
from flan_jax.runs.tune import Say, loop_evaluator, silent, tune
from flan_jax.train.loop import Reporter

OnMetrics = Callable[[Mapping[str, float]], None]


class Run:
    """One run: a config, and what is opened from it when it is first needed."""

    def __init__(self, config: str, *, say: Say = silent, **settings: Any):
        """Reads the config.

        Args:
            config: a YAML file, the name of a bundled config, or a run folder.
            say: told what a command would print on the way, such as checkpoints that are passed over.
            settings: settings that differ from the file's, by dotted name: `**{"train.steps": 60}`.

        Raises:
            InputError: no such config, a setting is refused, or a hub name cannot be resolved.
        """
        words = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in settings.items()]
        self._source = open_run_or_config(config, words)
        self._say = say
        self.config = self._source.config

    @functools.cached_property
    def text(self) -> Text:
        """How the model reads."""
        return open_text(self.config)

    @functools.cached_property
    def resolved(self) -> Resolved:
        """The tasks that are trained on, held out and evaluated."""
        return resolve_run(self.config)

    @functools.cached_property
    def prepared(self) -> Prepared:
        """The token store, built in a child process where it is not there."""
        return ensure_prepared(self.config, self.text, self.resolved)

    def prepare(self) -> PrepareReport:
        """Builds what is missing of the token store, in this process or in `data.prepare_processes`.

        Raises:
            InputError: the data cannot be prepared.
        """
        return prepare(self.config, self.text.encoder, self.resolved)

    def train(self, on_metrics: OnMetrics | None = None) -> int:
        """Trains to `train.steps`, or goes on where the run stopped; the step it is at.

        Args:
            on_metrics: called with the metrics of each logged step, `step` among them.

        Raises:
            InputError, NotFiniteError, StoppedError: as `flan-jax train`.
        """
        start_jax(self.config)
        blueprint, mesh = check_model(self.config, self.text)
        parts = create(self.config, mesh, blueprint)
        evaluate = None
        if self.config.evaluation.every_steps is not None:
            evaluate = loop_evaluator(self.config, self.text, self.prepared, parts, mesh)
        reporters: Sequence[Reporter] = () if on_metrics is None else (_Called(on_metrics),)
        ended = tune(
            self.config,
            self.text,
            self.prepared,
            parts,
            mesh,
            evaluate=evaluate,
            say=self._say,
            watch=lambda first: contextlib.nullcontext(reporters),
        )
        return int(ended.state.step)

    def evaluate(self, checkpoint: str = "latest") -> Evaluation:
        """Measures the run's tasks; `summary()` of the result has the scores.

        Raises:
            InputError: as `flan-jax evaluate`.
        """
        start_jax(self.config)
        tasks = evaluation_tasks(self.config, self.prepared)
        model = open_model(self.config, self.text, checkpoint=checkpoint, say=self._say)
        evaluator = make_evaluator(self.config, self.text, model.parts, model.mesh, tasks)
        return evaluator(model.parts.tuned, model.parts.frozen, label=model.label)

    def generate(self, prompts: Sequence[str], checkpoint: str = "latest") -> list[str]:
        """The answer to each prompt.

        Raises:
            InputError: as `flan-jax generate`.
        """
        start_jax(self.config)
        model = open_model(self.config, self.text, checkpoint=checkpoint, say=self._say)
        return answer_all(self.config, self.text, model, prompts)

    def export(
        self, out: str | Path, *, format: str = "peft", checkpoint: str = "latest", dtype: str = "float32"
    ) -> Parity:
        """Writes weights for Hugging Face tools; how equal their logits are.

        Args:
            out: folder to write; must not exist or be empty.
            format: peft (the adapter) or huggingface (merged weights).
            checkpoint: latest, best, untuned or a step.
            dtype: of merged weights: float32 or bfloat16.

        Raises:
            InputError: as `flan-jax export`.
        """
        check_export(self.config, form=format, dtype=dtype)
        start_jax(self.config)
        model = open_model(self.config, self.text, checkpoint=checkpoint, say=self._say)
        return write_export(self.config, self.text, model, out=Path(out), form=format, dtype=dtype)


class _Called:
    """A reporter that hands metrics on."""

    def __init__(self, on_metrics: OnMetrics):
        self._on_metrics = on_metrics

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Hands the metrics of a step on."""
        self._on_metrics({"step": step, **metrics})
