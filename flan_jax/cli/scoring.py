"""What `train`, `evaluate` and `quickstart` share: the tasks to measure, an evaluator for a model, tables of scores."""

from __future__ import annotations

from rich.console import Console

from flan_jax.evaluate.evaluator import Evaluator
from flan_jax.evaluate.protocol import Evaluation
from flan_jax.model.load import Parts
from flan_jax.report.progress import ProgressReport


def measure(evaluator: Evaluator, parts: Parts, *, label: str, console: Console) -> Evaluation:
    """An evaluation with a progress bar."""
    with ProgressReport(f"evaluate {label}", evaluator.total, console=console) as progress:
        return evaluator(parts.tuned, parts.frozen, label=label, on_progress=progress.advance)
