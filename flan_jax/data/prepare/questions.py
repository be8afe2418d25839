"""The evaluation split of a task: its questions as text and as ids, one JSON object a line.

    {"example_id", "template_id", "prompt", "prompt_ids", "option_ids", "options", "answer_index", "references"}

Prompt and longest answer fit the row that the model trains on; what does not is left out and counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flan_jax.data.prepare.encode import TOO_LONG, Encoder, Fit, LeftOut, cut_end, foreign_ids, one_by_one
from flan_jax.data.render.example import Example
from flan_jax.data.store.manifest import refusing_bad_disk
from flan_jax.text.conversation import ConversationError


@dataclass(frozen=True)
class Question:
    """One evaluation question: its line of the file, and the tokens of prompt and answers."""

    line: str
    num_tokens: int


class QuestionWriter:
    """Gathers the questions of one evaluation split; `close` writes them to a file."""

    def __init__(self, path: Path):
        self._path = path
        self._lines: list[str] = []
        self.num_tokens = 0

    @property
    def num_records(self) -> int:
        """Questions so far."""
        return len(self._lines)

    @property
    def num_examples(self) -> int:
        """Questions so far: each example is asked once."""
        return len(self._lines)

    @property
    def content(self) -> str:
        """Sha256 over the questions so far, in order."""
        return hashlib.sha256(self._data).hexdigest()

    def write(self, question: Question) -> None:
        """Adds one question."""
        self._lines.append(question.line)
        self.num_tokens += question.num_tokens

    def close(self) -> None:
        """Writes the file.

        Raises:
            InputError: it cannot be written.
        """
        with refusing_bad_disk(self._path.parent.parent):
            self._path.write_bytes(self._data)

    def arrays(self) -> dict[str, np.ndarray]:
        """None: questions are not planned."""
        return {}

    @property
    def _data(self) -> bytes:
        return "".join(f"{line}\n" for line in self._lines).encode()


def questions(encoder: Encoder, examples: Sequence[Example], fit: Fit) -> list[tuple[Question | LeftOut, bool]]:
    """For each example rendered for evaluation its question, or why it is left out; and whether its prompt was cut.

    Raises:
        InputError: token ids of another pipeline are of another vocabulary than the model's.
    """
    results: list[tuple[Question | LeftOut, bool]] = []
    for example, ids in zip(examples, one_by_one(examples, lambda some: _ids(encoder, some)), strict=True):
        if isinstance(ids, LeftOut):
            results.append((ids, False))
            continue
        prompt, answers = ids
        kept = _fitted_prompt(prompt, max(map(len, answers)), fit)
        if kept is None:
            results.append((LeftOut(TOO_LONG), False))
        else:
            question = Question(_line(encoder, example, kept, answers), len(kept) + sum(map(len, answers)))
            results.append((question, len(kept) < len(prompt)))
    return results


def _ids(encoder: Encoder, examples: Sequence[Example]) -> list[tuple[np.ndarray, list[np.ndarray]]]:
    """Prompt, and the answers it is judged by: the options where there are some, else the target."""
    texts = [example for example in examples if example.token_ids is None]
    prompts = iter(encoder.prompt([example.messages for example in texts]))
    # All answers of all examples in one batch.
    owners = [(index, answer) for index, example in enumerate(texts) for answer in _answers(example)]
    try:
        conversations = [texts[index].messages for index, _ in owners]
        answers = iter(encoder.answers(conversations, [answer for _, answer in owners]))
    except ConversationError as e:
        raise ConversationError(owners[e.index][0], str(e)) from e
    results = []
    for example in examples:
        if example.token_ids is None:
            results.append((next(prompts), [next(answers) for _ in _answers(example)]))
        else:
            prompt, answer = foreign_ids(encoder, example)
            results.append((prompt, [answer]))
    return results


def _answers(example: Example) -> tuple[str, ...]:
    return example.options or (example.target,)


def _fitted_prompt(prompt: np.ndarray, longest_answer: int, fit: Fit) -> np.ndarray | None:
    if len(fit.sizes) == 2:
        if longest_answer > fit.sizes[1]:
            return None
        room = fit.sizes[0]
    else:
        room = fit.sizes[0] + 1 - longest_answer  # the last token is no input
    if len(prompt) <= room:
        return prompt
    return cut_end(prompt, room) if fit.cut_input else None


def _line(encoder: Encoder, example: Example, prompt_ids: np.ndarray, answers: Sequence[np.ndarray]) -> str:
    if example.token_ids is None:
        prompt = "\n\n".join(turn.content for turn in example.messages[:-1])
        references = example.references or (example.target,)
    else:
        prompt = encoder.tokenizer.decode(prompt_ids.tolist())
        references = (encoder.tokenizer.decode(answers[0].tolist()),)
    return json.dumps(
        {
            "example_id": example.example_id,
            "template_id": example.template_id,
            "prompt": prompt,
            "prompt_ids": prompt_ids.tolist(),
            "option_ids": [ids.tolist() for ids in answers] if example.options else [],
            "options": list(example.options),
            "answer_index": example.answer_index,
            "references": list(references),
        },
        ensure_ascii=False,
    )
