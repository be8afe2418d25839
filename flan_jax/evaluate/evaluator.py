"""A model's evaluator: the protocol wired to the scorer and the decoder of one model structure.

Made once, it checks that every question fits before anything compiles; then it measures any weights of that structure,
in the loop or from the command line, without compiling again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flax import nnx
from jax.sharding import Mesh

from flan_jax.config import BatchConfig, EvaluationConfig
from flan_jax.evaluate.layout import DecoderLayout, PairLayout, RowLayout
from flan_jax.evaluate.protocol import Evaluation, OptionLikelihoods, evaluate_tasks
from flan_jax.evaluate.questions import EvaluationItem
from flan_jax.evaluate.score import OptionScorer
from flan_jax.evaluate.tasks import EvaluationTask
from flan_jax.generate.decoder import Decoder
from flan_jax.generate.sampling import GREEDY
from flan_jax.model.family import Architecture


def row_layout(architecture: Architecture, batch: BatchConfig) -> RowLayout:
    """Rows of the model's kind, as long as the rows it trains on."""
    if architecture.kind == "decoder":
        return DecoderLayout(batch.length)
    return PairLayout(batch.input_length, batch.target_length, architecture.decoder_start_token_id)


class Evaluator:
    """Measures weights of one model structure on one set of tasks."""

    def __init__(
        self,
        tasks: Sequence[EvaluationTask],
        *,
        graphdef: nnx.GraphDef,
        architecture: Architecture,
        mesh: Mesh,
        batch: BatchConfig,
        settings: EvaluationConfig,
        stop_ids: Sequence[int],
        decode_text: Callable[[Sequence[int]], str],
    ) -> None:
        """Prepares scorer and decoder, and checks every question against them.

        Args:
            tasks: what to measure on.
            graphdef: structure of the model.
            architecture: its sizes.
            mesh: devices the weights lie on.
            batch: lengths of the rows that options are packed into.
            settings: rows of a batch and lengths of answers.
            stop_ids: tokens that end an answer.
            decode_text: ids → text, special tokens left out.

        Raises:
            InputError: a question does not fit the model, or `settings.rows` does not divide over the mesh.
        """
        longest = architecture.max_length
        layout = row_layout(architecture, batch)
        self.scorer = OptionScorer(graphdef, mesh, layout=layout, rows=settings.rows, longest=longest)
        self.decoder = Decoder(
            graphdef,
            mesh,
            kind=architecture.kind,
            rows=settings.rows,
            stop_ids=stop_ids,
            longest=longest,
        )
        self._tasks, self._decode_text = tuple(tasks), decode_text
        self._max_tokens = {False: settings.max_tokens, True: settings.max_reasoning_tokens}
        for task in tasks:
            if task.is_ranked:
                self.scorer.check(task.items)
            if task.is_generated:
                names = [f"evaluation of task '{task.name}', example {item.example_id}" for item in task.items]
                prompts = [item.prompt_ids for item in task.items]
                self.decoder.check(prompts, self._max_tokens[task.reasoning], names)

    @property
    def total(self) -> int:
        """Questions asked in one evaluation; a task both ranked and generated counts twice."""
        return sum(len(task.items) * (task.is_ranked + task.is_generated) for task in self._tasks)

    def __call__(
        self,
        tuned: nnx.State,
        frozen: nnx.State,
        *,
        label: str,
        on_progress: Callable[[int], None] | None = None,
    ) -> Evaluation:
        """The results of these weights on every task.

        Args:
            tuned: tuned weights, on the mesh.
            frozen: frozen weights, on the mesh.
            label: what is measured, kept with the results.
            on_progress: told how many more questions are done.

        Raises:
            NotFiniteError: the weights give likelihoods that are no numbers.
        """

        def rank(items: Sequence[EvaluationItem]) -> Sequence[OptionLikelihoods]:
            return self.scorer(tuned, frozen, items, on_progress=on_progress)

        def generate(items: Sequence[EvaluationItem], *, reasoning: bool) -> Sequence[str]:
            answers = self.decoder(
                tuned,
                frozen,
                [item.prompt_ids for item in items],
                max_new_tokens=self._max_tokens[reasoning],
                sampling=GREEDY,
                on_progress=on_progress,
            )
            return [self._decode_text(ids).strip() for ids in answers]

        return evaluate_tasks(self._tasks, rank=rank, generate=generate, label=label)
