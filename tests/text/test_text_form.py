"""Plain text for decoders and pairs for encoder-decoders: boundaries, end tokens, turns."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import train_sentencepiece, write_directory

from flan_jax.text.conversation import ConversationError, Message
from flan_jax.text.plain import PairEncoder, TextEncoder
from flan_jax.text.tokenizer import Tokenizer, load_tokenizer

ASKED = [Message("user", "What is the capital? "), Message("assistant", " It is Paris.\n")]
TALK = [*ASKED, Message("user", "Is it\n\ntrue?"), Message("assistant", "Yes.")]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load_tokenizer(write_directory(tmp_path_factory.mktemp("text") / "tokenizer", add_bos_token=True))


def test_turns_stand_one_after_the_other_and_answers_end(tokenizer: Tokenizer):
    (example,) = TextEncoder(tokenizer, "default").encode([TALK])
    expected = [
        ("<|endoftext|>What is the capital?\n", 0.0),
        ("It is Paris.<|im_end|>", 1.0),
        ("\n\nIs it\n\ntrue?\n", 0.0),
        ("Yes.<|im_end|>", 1.0),
    ]
    assert example.ids.tolist() == [i for text, _ in expected for i in tokenizer.encode(text)]
    assert example.weights.tolist() == [weight for text, weight in expected for _ in tokenizer.encode(text)]


def test_prompt_and_answer_are_what_training_saw(tokenizer: Tokenizer):
    encoder = TextEncoder(tokenizer, "Be brief.")
    conversations = [ASKED, TALK, [Message("system", "Own words."), *ASKED]]
    prompts = encoder.prompt(conversations)
    answers = encoder.answers(conversations, [turns[-1].content for turns in conversations])
    for example, prompt, answer in zip(encoder.encode(conversations), prompts, answers, strict=True):
        np.testing.assert_array_equal(np.concatenate([prompt, answer]), example.ids)
        assert tokenizer.decode(prompt).startswith("Be brief.\n\nWhat is the capital?\n")
        assert answer[-1] == tokenizer.eos_id


def _any_text() -> st.SearchStrategy[str]:
    return st.text(st.one_of(st.sampled_from(" \n\tab.1é"), st.characters(exclude_categories=("Cs",))), max_size=12)


@settings(max_examples=60, deadline=None)
@given(_any_text(), _any_text())
def test_any_example_is_split_exactly_or_refused(tokenizer: Tokenizer, question: str, answer: str):
    encoder = TextEncoder(tokenizer, "none")
    try:
        (example,) = encoder.encode([[Message("user", question), Message("assistant", answer)]])
    except ConversationError:
        return
    begin = int(np.argmax(example.weights))
    assert example.weights[begin:].all()
    assert tokenizer.decode(example.ids[:begin], skip_special=True) == f"{question.rstrip()}\n"
    assert tokenizer.decode(example.ids[begin:], skip_special=False) == f"{answer.strip()}<|im_end|>"


def test_a_conversation_without_an_answer_is_refused(tokenizer: Tokenizer):
    encoder = TextEncoder(tokenizer, "none")
    with pytest.raises(ConversationError, match="conversation 1 of the batch: has no assistant turn"):
        encoder.encode([ASKED, ASKED[:1]])
    with pytest.raises(ConversationError, match="is empty"):
        encoder.encode([[]])


def test_pairs_end_on_both_sides(tmp_path: Path):
    path = train_sentencepiece(tmp_path, "spiece", vocab_size=200, bos_id=-1, eos_id=1, pad_id=0, unk_id=2)
    tokenizer = load_tokenizer(path)
    encoder = PairEncoder(tokenizer, "none")
    ((inputs, targets), (longer, _)) = encoder.encode_pairs([ASKED, TALK])
    assert inputs[-1] == targets[-1] == tokenizer.eos_id == 1
    assert tokenizer.decode(inputs) == "What is the capital?"
    assert tokenizer.decode(targets) == "It is Paris."
    assert tokenizer.decode(longer) == "What is the capital? It is Paris. Is it true?"
    np.testing.assert_array_equal(encoder.prompt([ASKED])[0], inputs)
    np.testing.assert_array_equal(encoder.answers([ASKED], ["It is Paris."])[0], targets)
    opened = PairEncoder(tokenizer, "Translate.").prompt([[Message("system", "Own words."), *ASKED]])
    assert tokenizer.decode(opened[0]) == "Translate. What is the capital?"
    with pytest.raises(ConversationError, match="must end in an assistant turn"):
        encoder.encode_pairs([ASKED[:1]])
