"""One rendered example, as the renderer makes it and every encoder takes it."""

from __future__ import annotations

from dataclasses import dataclass

from flan_jax.data.spec.token_ids import TokenIds
from flan_jax.text.conversation import Message

NO_TEMPLATE = -1


@dataclass(frozen=True, slots=True)
class Example:
    """One rendering of one example.

    Attributes:
        task: name of the task.
        example_id: place of the example in its split, counted after `map`; skipped records count.
        rendering: which of the example's renderings.
        template_id: number of the template; NO_TEMPLATE in the modes `name` and `none` and for conversations.
        messages: the turns; the last one is the assistant's, the target.
        options: target text of every option in the order shown; () where the answer is not one of several.
        answer_index: place of the answer in `options`.
        references: accepted targets.
        token_ids: ids of another pipeline, to be taken as they are; `messages` is then empty.
        shots: how many examples stand before the question.
    """

    task: str
    example_id: int
    rendering: int
    template_id: int
    messages: tuple[Message, ...]
    options: tuple[str, ...] = ()
    answer_index: int | None = None
    references: tuple[str, ...] = ()
    token_ids: TokenIds | None = None
    shots: int = 0

    @property
    def target(self) -> str:
        """The desired output."""
        return self.messages[-1].content
