"""A run as an object: what the commands do, for notebooks, studies and servers. Nothing is printed.

config ──► text, tasks (resolved once) ──► store ──► train ──► evaluate, generate, export
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
from jax.sharding import Mesh

from flan_jax.data.prepare.prepare import PrepareReport
from flan_jax.evaluate.compare import Change, compare
from flan_jax.evaluate.protocol import Evaluation
from flan_jax.evaluate.results import write_evaluation
from flan_jax.evaluate.subsets import TaskSubsets, subset_scores
from flan_jax.model.blueprint import Blueprint, flat_parameters
from flan_jax.model.load import create
from flan_jax.model.parity import Parity
from flan_jax.parallel.mesh import spec_for
from flan_jax.parallel.multihost import barrier, is_main
from flan_jax.report.console import ParameterLine
from flan_jax.report.progress import Advance, Display, hidden, named_numbers, silent
from flan_jax.runs.answer import Chat, answer_all
from flan_jax.runs.data import RunData
from flan_jax.runs.export import check_export, write_export
from flan_jax.runs.measure import dirty_examples, evaluation_folder, evaluation_tasks, make_evaluator, measure
from flan_jax.runs.model import OpenModel, check_model, open_model
from flan_jax.runs.open import start_jax
from flan_jax.runs.tune import Watch, loop_evaluator, tune
from flan_jax.train.loop import Reporter

OnMetrics = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True)
class Trained:
    """How a training ended.

    Attributes:
        step: the run's last step.
        stopped_early: whether `evaluation.patience` ended it.
    """

    step: int
    stopped_early: bool


class Run(RunData):
    """One run: its data, and its model at any checkpoint.

    Where a method takes a `checkpoint`, it is latest, best, untuned or a step, read anew each time; or what `open`
    gave, which stays in memory for several calls.
    """

    def prepare_missing(self) -> PrepareReport | None:
        """Builds the token store where a part of it is not there: the main process, in one of its own, while the others
        wait; none: all of it is, or this is another process.

        Raises:
            InputError: the data cannot be prepared.
        """
        self._start()
        report = super().prepare_missing() if is_main() else None
        barrier("prepared")
        return report

    def check(self) -> tuple[Blueprint, Mesh]:
        """The model's blueprint and the mesh, worked out once, after all that can be refused without data or weights.

        Raises:
            InputError: an unknown family, a LoRA target that matches nothing, a mesh or a batch that does not divide.
        """
        self._start()
        return self._checked

    @functools.cached_property
    def _checked(self) -> tuple[Blueprint, Mesh]:
        return check_model(self.config, self.text)

    def parameters(self) -> list[ParameterLine]:
        """Every parameter of the model, its sharding, and whether it is trained; reads no weights.

        Raises:
            InputError: an unknown family, a LoRA target that matches nothing, or a mesh that does not fit.
        """
        return parameters(*self.check())

    def train(self, on_metrics: OnMetrics | None = None) -> Trained:
        """Trains to `train.steps`, or goes on where the run stopped.

        Args:
            on_metrics: called with the metrics of each logged step, `step` among them.

        Raises:
            InputError: the config, data or weights are refused, or nothing can be written.
            NotFiniteError: the loss became NaN or infinite; the last checkpoint is kept.
            StoppedError: SIGTERM or SIGINT; the state is saved, and the same call goes on from there.
        """
        blueprint, mesh = self.check()
        prepared = self.prepared
        parts = create(self.config, mesh, blueprint)
        evaluate = None
        if self.config.evaluation.every_steps is not None:
            evaluate = loop_evaluator(self.config, self.text, prepared, parts, mesh)
        ended = tune(
            self.config,
            self.text,
            prepared,
            parts,
            mesh,
            evaluate=evaluate,
            say=self._say,
            watch=watched(self._display, self.config.train.steps, on_metrics),
        )
        return Trained(int(ended.state.step), ended.stopped_early)

    def open(self, checkpoint: str = "latest") -> OpenModel:
        """The model at a checkpoint, for several calls.

        Raises:
            InputError: the checkpoint is not there or damaged, or the weights are refused.
        """
        self._start()
        return open_model(self.config, self.text, checkpoint=checkpoint, say=self._say)

    def evaluate(
        self, checkpoint: str | OpenModel = "latest", *, out: str | Path | Literal["auto"] | None = None
    ) -> Evaluation:
        """Measures the run's tasks.

        Args:
            checkpoint: which weights.
            out: folder for results.json and every prediction; "auto" is evaluations/LABEL in the run's own; none:
                nothing is written.

        Returns:
            Every question, answer and score; its `summary()` has the means by task, cluster and side.

        Raises:
            InputError: a task has no validation split, a question does not fit, `evaluation.subsets` is of another
                store, or the checkpoint is refused.
            NotFiniteError: the weights give likelihoods that are no numbers.
        """
        self._start()
        tasks = evaluation_tasks(self.config, self.prepared)
        dirty_examples(self.config, self.prepared, [task.name for task in tasks])  # refused before weights are read
        model = self._opened(checkpoint)
        evaluator = make_evaluator(self.config, self.text, model.parts, model.mesh, tasks)
        evaluation = measure(evaluator, model.parts, label=model.label, display=self._display)
        if out is not None and is_main():
            folder = evaluation_folder(self.config, model.label) if out == "auto" else out
            about = {"checkpoint": model.label, "step": model.step}
            write_evaluation(folder, evaluation, about=about, subsets=self.subset_scores(evaluation))
        return evaluation

    def subset_scores(self, evaluation: Evaluation) -> tuple[TaskSubsets, ...]:
        """An evaluation's scores on clean and dirty questions, by task; empty where `evaluation.subsets` is not set.

        Raises:
            InputError: the file cannot be read, or was made for another store.
        """
        dirty = dirty_examples(self.config, self.prepared, [result.task for result in evaluation.results])
        return () if dirty is None else subset_scores(evaluation, dirty)

    def compare(self, before: Evaluation, after: Evaluation) -> dict[str, Change]:
        """What changed between two evaluations of the same questions, with 95% intervals, by the keys of `summary()`.

        Raises:
            InputError: the questions are not the same.
        """
        return compare(before, after, seed=self.config.run.seed)

    def generate(self, prompts: Sequence[str], checkpoint: str | OpenModel = "latest") -> list[str]:
        """The answer to each prompt, as the `generation` settings say.

        Raises:
            InputError: a prompt leaves no room for an answer, or the checkpoint is refused.
        """
        return answer_all(self.config, self.text, self._opened(checkpoint), prompts)

    def chat(self, checkpoint: str | OpenModel = "latest") -> Chat:
        """A conversation; its `say` gives an answer piece by piece.

        Raises:
            InputError: the model is an encoder–decoder, or the checkpoint is refused.
        """
        return Chat(self.config, self.text, self._opened(checkpoint))

    def export(
        self,
        out: str | Path,
        *,
        format: str = "peft",
        checkpoint: str | OpenModel = "latest",
        dtype: str = "float32",
    ) -> Parity:
        """Writes weights for Hugging Face tools.

        Args:
            out: folder to write; must not exist or be empty.
            format: peft (the adapter) or huggingface (merged weights).
            checkpoint: which weights.
            dtype: of merged weights: float32 or bfloat16.

        Returns:
            How equal the logits of what was written are.

        Raises:
            InputError: the format or dtype is unknown, there is no adapter, or the folder or checkpoint is refused.
        """
        check_export(self.config, form=format, dtype=dtype)
        model = self._opened(checkpoint)
        return write_export(self.config, self.text, model, out=Path(out), form=format, dtype=dtype)

    def _opened(self, checkpoint: str | OpenModel) -> OpenModel:
        return self.open(checkpoint) if isinstance(checkpoint, str) else checkpoint

    def _start(self) -> None:
        """Joins the other processes of the run; what they would say, the main one says for all."""
        start_jax(self.config)
        if not is_main():
            self._say, self._display = silent, hidden


def parameters(blueprint: Blueprint, mesh: Mesh) -> list[ParameterLine]:
    """Every parameter of a model, tuned ones first, with its sharding on a mesh.

    Raises:
        InputError: a dimension does not divide by its mesh axis.
    """
    _, tuned, frozen = blueprint.abstract()
    lines = []
    for state, is_tuned in ((tuned, True), (frozen, False)):
        for path, variable in flat_parameters(state).items():
            value: jax.ShapeDtypeStruct = variable.get_value()
            spec = spec_for(variable.get_metadata("axes"), value.shape, mesh, f"parameter {path}")
            axes = ", ".join("×".join(entry) if isinstance(entry, tuple) else entry or "·" for entry in spec)
            lines.append(ParameterLine(path, value.shape, str(value.dtype), axes, is_tuned))
    return lines


def watched(display: Display, num_steps: int, on_metrics: OnMetrics | None = None) -> Watch:
    """Shows a training's steps with loss and speed, and hands its metrics on."""

    @contextlib.contextmanager
    def watch(first: int) -> Iterator[Sequence[Reporter]]:
        with display("train", num_steps, done=first) as advance:
            yield [_Shown(advance, first), *(() if on_metrics is None else (_Called(on_metrics),))]

    return watch


class _Shown:
    """A reporter that shows steps, with loss and speed."""

    def __init__(self, advance: Advance, step: int):
        self._advance, self._step = advance, step

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Goes on to `step`; metrics of an evaluation change nothing."""
        if "train/loss" in metrics:
            names = {"loss": "train/loss", "tokens/s": "train/tokens_per_second"}
            self._advance(
                step - self._step, named_numbers({n: metrics[key] for n, key in names.items() if key in metrics})
            )
            self._step = step


class _Called:
    """A reporter that hands metrics on."""

    def __init__(self, on_metrics: OnMetrics):
        self._on_metrics = on_metrics

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Hands the metrics of a step on."""
        self._on_metrics({"step": step, **metrics})
