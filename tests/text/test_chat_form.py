"""Loss lies on what the assistant says and the token that ends its turn, token by token, or the template is refused."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import BRACKETS, CHATML, CHATML_DEFAULT_SYSTEM, CHATML_MARKED, FORGETFUL, write_directory

from flan_jax.errors import InputError
from flan_jax.text.chat import ChatEncoder, make_encoder
from flan_jax.text.chat_template import ChatTemplate
from flan_jax.text.conversation import ConversationError, Message
from flan_jax.text.plain import PairEncoder, TextEncoder
from flan_jax.text.tokenizer import Tokenizer, load_tokenizer

ASKED = [Message("user", "What is the capital?"), Message("assistant", "It is Paris.")]
TALK = [*ASKED, Message("user", "Is it\n\ntrue?"), Message("assistant", "Yes,\n it is.")]


def _tokenizer(path: Path, template: str | None, **settings: object) -> Tokenizer:
    return load_tokenizer(write_directory(path / "tokenizer", template, **settings))


def _from_pieces(tokenizer: Tokenizer, pieces: Sequence[tuple[str, float]]) -> tuple[list[int], list[float]]:
    """Ids and weights of texts that are encoded one by one."""
    ids, weights = [], []
    for text, weight in pieces:
        piece = tokenizer.encode(text)
        ids += piece
        weights += [weight] * len(piece)
    return ids, weights


CHATML_PIECES = [
    ("<|im_start|>user\nWhat is the capital?<|im_end|>\n<|im_start|>assistant\n", 0.0),
    ("It is Paris.<|im_end|>", 1.0),
    ("\n<|im_start|>user\nIs it\n\ntrue?<|im_end|>\n<|im_start|>assistant\n", 0.0),
    ("Yes,\n it is.<|im_end|>", 1.0),
    ("\n", 0.0),
]
BRACKETS_PIECES = [
    ("<|endoftext|>[INST] What is the capital? [/INST]", 0.0),
    (" It is Paris.<|im_end|>", 1.0),
    ("[INST] Is it\n\ntrue? [/INST]", 0.0),
    (" Yes,\n it is.<|im_end|>", 1.0),
]


@pytest.mark.parametrize(
    ("template", "pieces"),
    [(CHATML, CHATML_PIECES), (CHATML_MARKED, CHATML_PIECES), (BRACKETS, BRACKETS_PIECES)],
    ids=["unmarked", "marked", "brackets"],
)
def test_the_loss_covers_answers_and_their_end_token_only(tmp_path: Path, template: str, pieces: list):
    tokenizer = _tokenizer(tmp_path, template)
    (example,) = ChatEncoder(tokenizer, "default").encode([TALK])
    ids, weights = _from_pieces(tokenizer, pieces)
    assert example.ids.tolist() == ids
    assert example.weights.tolist() == weights
    assert example.ids.dtype == np.int32
    assert example.weights.dtype == np.float32


def test_an_end_token_that_the_marks_leave_out_is_learned_too(tmp_path: Path):
    narrow = CHATML_MARKED.replace("message['content'] + '<|im_end|>'", "message['content']")
    narrow = narrow.replace("{{- '\n' }}", "{{- '<|im_end|>\n' }}", 1)
    tokenizer = _tokenizer(tmp_path, narrow)
    (example,) = ChatEncoder(tokenizer, "default").encode([TALK])
    assert (example.ids.tolist(), example.weights.tolist()) == _from_pieces(tokenizer, CHATML_PIECES)


def test_what_follows_the_end_token_may_join_the_next_turn(tmp_path: Path):
    tokenizer = _tokenizer(
        tmp_path, BRACKETS.replace("+ eos_token", "+ eos_token + ' '").replace("[INST]", "the house")
    )
    assert len(tokenizer.encode(" the")) == 1
    (example,) = ChatEncoder(tokenizer, "default").encode([TALK])
    said = tokenizer.decode(example.ids[example.weights > 0], skip_special=False)
    assert said == " It is Paris.<|im_end|> Yes,\n it is.<|im_end|>"


@pytest.mark.parametrize("template", [CHATML, CHATML_DEFAULT_SYSTEM, CHATML_MARKED, BRACKETS])
def test_prompt_and_answer_are_what_training_saw(tmp_path: Path, template: str):
    encoder = ChatEncoder(_tokenizer(tmp_path, template), "default")
    conversations = [ASKED, TALK, [Message("user", "12"), Message("assistant", "")]]
    examples = encoder.encode(conversations)
    prompts = encoder.prompt(conversations)
    answers = encoder.answers(conversations, [turns[-1].content for turns in conversations])
    for example, prompt, answer in zip(examples, prompts, answers, strict=True):
        joined = np.concatenate([prompt, answer])
        np.testing.assert_array_equal(joined, example.ids[: len(joined)])
        last = np.flatnonzero(example.weights)[-1] + 1
        assert len(joined) == last
        assert example.weights[len(prompt) : last].all()
        assert answer[-1] in encoder.stop_ids


def test_a_prompt_needs_no_answer_and_a_given_one_is_left_out(tmp_path: Path):
    encoder = ChatEncoder(_tokenizer(tmp_path, CHATML), "default")
    open_end, answered = encoder.prompt([ASKED[:1], ASKED])
    np.testing.assert_array_equal(open_end, answered)


def _any_text() -> st.SearchStrategy[str]:
    letters = st.characters(exclude_categories=("Cs",), exclude_characters="\ufdd0\ufdd1")
    return st.text(st.one_of(st.sampled_from(" \n\tab.1é"), letters), max_size=12)


@pytest.fixture(scope="module")
def chatml_form(tmp_path_factory: pytest.TempPathFactory) -> ChatEncoder:
    return ChatEncoder(_tokenizer(tmp_path_factory.mktemp("chatml"), CHATML), "default")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_any_text(), _any_text()), min_size=1, max_size=3))
def test_any_conversation_is_split_exactly_or_refused(chatml_form: ChatEncoder, exchanges: list[tuple[str, str]]):
    turns = [Message(role, text) for pair in exchanges for role, text in zip(("user", "assistant"), pair, strict=True)]
    tokenizer = chatml_form.tokenizer
    text = "".join(f"<|im_start|>{turn.role}\n{turn.content}<|im_end|>\n" for turn in turns)
    try:
        (example,) = chatml_form.encode([turns])
    except ConversationError:
        return
    assert example.ids.tolist() == tokenizer.encode(text)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], example.weights, [0]])))
    for (begin, end), (_, answer) in zip(edges.reshape(-1, 2), exchanges, strict=True):
        assert tokenizer.decode(example.ids[begin:end], skip_special=False) == f"{answer}<|im_end|>"
        before = tokenizer.decode(example.ids[:begin], skip_special=False)
        assert tokenizer.encode(before) == example.ids[:begin].tolist()


def test_a_batch_takes_two_calls_and_repeated_pieces_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    encoder = ChatEncoder(_tokenizer(tmp_path, CHATML), "default")
    calls: list[int] = []
    for name in ("encode_batch", "encode_batch_with_offsets"):
        original = getattr(Tokenizer, name)

        def counted(self: Tokenizer, texts: Sequence[str], original=original):
            calls.append(len(texts))
            return original(self, texts)

        monkeypatch.setattr(Tokenizer, name, counted)
    encoder.encode([[Message("user", f"{i}?"), Message("assistant", f"{i + 1}")] for i in range(50)])
    # 50 texts; then "<|im_start|>assistant⏎", which is the same before every answer
    assert calls == [50, 1]


def test_an_answer_that_grows_into_the_prompt_is_refused(tmp_path: Path):
    glued = CHATML.replace("{{ message['role'] }}\n", "{{ message['role'] }} hous").replace(
        "assistant\n", "assistant hous"
    )
    encoder = ChatEncoder(_tokenizer(tmp_path, glued), "default")
    assert len(encoder.tokenizer.encode(" house")) == 1
    encoder.encode([ASKED])
    growing = [TALK[0], Message("assistant", "e is")]
    with pytest.raises(
        ConversationError, match=r"conversation 1 of the batch: answer 0 .*reach across its edge"
    ) as caught:
        encoder.encode([ASKED, growing])
    assert caught.value.index == 1
    with pytest.raises(ConversationError, match="reach across its edge"):
        encoder.answers([growing], ["e is"])


def test_a_template_that_rewrites_earlier_turns_is_refused(tmp_path: Path):
    encoder = ChatEncoder(_tokenizer(tmp_path, FORGETFUL), "default")
    thinking = Message("assistant", "<think>12</think>42")
    encoder.encode([[TALK[0], thinking]])
    with pytest.raises(
        ConversationError, match=r"conversation 1 of the batch: turn 1 .* chat template of '.*tokenizer'"
    ):
        encoder.encode([ASKED, [TALK[0], thinking, TALK[2], TALK[3]]])


def test_a_conversation_the_template_refuses_is_named(tmp_path: Path):
    encoder = ChatEncoder(_tokenizer(tmp_path, BRACKETS), "default")
    with pytest.raises(ConversationError, match=r"conversation 1 of the batch: .*turns must go user, assistant, user"):
        encoder.encode([ASKED, ASKED[1:]])
    with pytest.raises(ConversationError, match="has no assistant turn"):
        encoder.encode([ASKED[:1]])
    with pytest.raises(ConversationError, match="U\\+FDD0"):
        encoder.encode([[Message("user", "\ufdd0"), ASKED[1]]])


def test_the_system_turn_is_what_the_config_says(tmp_path: Path):
    own = [Message("system", "Own words."), *ASKED]

    def start(template: str, system: str, turns: Sequence[Message] = ASKED) -> str:
        tokenizer = _tokenizer(tmp_path, template)
        (prompt,) = ChatEncoder(tokenizer, system).prompt([turns])
        return tokenizer.decode(prompt, skip_special=False).partition("<|im_start|>user")[0]

    assert start(CHATML, "default") == start(CHATML, "none") == start(CHATML, "none", own) == ""
    assert start(CHATML, "default", own) == "<|im_start|>system\nOwn words.<|im_end|>\n"
    assert start(CHATML, "Be brief.", own) == "<|im_start|>system\nBe brief.<|im_end|>\n"
    assert start(CHATML_DEFAULT_SYSTEM, "default") == "<|im_start|>system\nYou are kind.<|im_end|>\n"
    assert start(CHATML_DEFAULT_SYSTEM, "Be brief.") == "<|im_start|>system\nBe brief.<|im_end|>\n"


def test_no_system_turn_is_a_promise(tmp_path: Path):
    with pytest.raises(InputError, match="inserts a system turn by itself"):
        ChatEncoder(_tokenizer(tmp_path, CHATML_DEFAULT_SYSTEM), "none")
    # an empty system message turns this one's default off
    polite = (
        "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are kind.<|im_end|>\n{% endif %}"
        "{% for message in messages %}{% if message['content'] %}"
        "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tokenizer = _tokenizer(tmp_path, polite)
    (prompt,) = ChatEncoder(tokenizer, "none").prompt([ASKED])
    assert tokenizer.decode(prompt, skip_special=False).startswith("<|im_start|>user\n")
    assert ChatEncoder(_tokenizer(tmp_path, BRACKETS), "none").prompt([ASKED])


def test_a_template_that_cannot_take_the_system_text_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="turns must go user, assistant, user"):
        ChatEncoder(_tokenizer(tmp_path, BRACKETS), "Be brief.")
    deaf = CHATML.replace("{% for message in messages %}", "{% for message in messages if message.role != 'system' %}")
    with pytest.raises(InputError, match="leaves system turns out"):
        ChatEncoder(_tokenizer(tmp_path, deaf), "Be brief.")


def test_templates_that_cannot_be_learned_from_are_refused(tmp_path: Path):
    endless = CHATML.replace("<|im_end|>", "")
    with pytest.raises(InputError, match="cannot learn to stop"):
        ChatEncoder(_tokenizer(tmp_path, endless), "default")
    with pytest.raises(InputError, match="does not write an assistant's text as it stands"):
        ChatEncoder(_tokenizer(tmp_path, CHATML.replace("message['content']", "message['content'] | upper")), "default")
    with pytest.raises(InputError, match="no valid Jinja template"):
        ChatEncoder(_tokenizer(tmp_path, "{% for %}"), "default")
    with pytest.raises(InputError, match="has no chat template"):
        ChatEncoder(_tokenizer(tmp_path, None), "default")


def test_templates_run_in_a_sandbox(tmp_path: Path):
    with pytest.raises(InputError, match="does not take"):
        ChatEncoder(_tokenizer(tmp_path, "{{ messages.__class__.__mro__[1].__subclasses__() }}" + CHATML), "default")
    with pytest.raises(InputError, match="does not take"):
        ChatEncoder(_tokenizer(tmp_path, "{{ messages.append(1) }}" + CHATML), "default")


def test_the_date_of_a_template_stands_still(tmp_path: Path):
    dated = "{{ strftime_now('%d %b %Y') }}\n" + CHATML
    tokenizer = _tokenizer(tmp_path, dated)
    (prompt,) = ChatEncoder(tokenizer, "default").prompt([ASKED])
    assert tokenizer.decode(prompt).startswith("26 Jul 2024\n")


def test_a_turn_may_end_in_another_token_than_the_text(tmp_path: Path):
    tokenizer = _tokenizer(tmp_path, CHATML, eos_token="<|endoftext|>")
    encoder = ChatEncoder(tokenizer, "default")
    end_of_turn, eos = tokenizer.encode("<|im_end|><|endoftext|>")
    assert encoder.stop_ids == (end_of_turn, eos)
    assert encoder.answers([ASKED], ["It is Paris."])[0][-1] == end_of_turn


def test_fingerprints_follow_form_system_and_template(tmp_path: Path):
    plain, other = _tokenizer(tmp_path / "a", CHATML), _tokenizer(tmp_path / "b", CHATML + " ")
    encoders = [
        ChatEncoder(plain, "default"),
        ChatEncoder(plain, "none"),
        ChatEncoder(other, "default"),
        TextEncoder(plain, "default"),
    ]
    assert len({encoder.fingerprint for encoder in encoders}) == len(encoders)
    assert ChatEncoder(_tokenizer(tmp_path / "c", CHATML), "default").fingerprint == encoders[0].fingerprint


def test_the_form_follows_config_and_model(tmp_path: Path):
    chat, plain = _tokenizer(tmp_path / "a", CHATML), _tokenizer(tmp_path / "b", None)
    assert isinstance(make_encoder("auto", chat, "default", is_encoder_decoder=False), ChatEncoder)
    assert isinstance(make_encoder("text", chat, "default", is_encoder_decoder=False), TextEncoder)
    assert isinstance(make_encoder("auto", plain, "default", is_encoder_decoder=False), TextEncoder)
    assert isinstance(make_encoder("auto", chat, "default", is_encoder_decoder=True), PairEncoder)
    with pytest.raises(InputError, match="encoder-decoder"):
        make_encoder("chat", chat, "default", is_encoder_decoder=True)
    with pytest.raises(InputError, match="has no chat template"):
        make_encoder("chat", plain, "default", is_encoder_decoder=False)


# what templates of released models use: a macro, captured text, a namespace, loop controls, JSON, tests of names
MACRO = (
    "{% macro say(message) %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ message.content }}<|im_end|>{% endif %}\n\n{% endmacro %}"
    "{% for message in messages %}{{ say(message) }}{% endfor %}"
)
CAPTURED = (
    "{% for message in messages %}{% set turn %}  <|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ message.content }}<|im_end|>{% endif %}{% endset %}{{ turn | trim }}{% endfor %}"
)
RICH = (
    "{%- set ns = namespace(count=0, first=true) -%}{{ bos_token }}\n"
    "    {%- for message in messages -%}\n"
    "        {%- if message.role == 'tool' %}{% continue %}{% endif -%}\n"
    "        {%- if ns.first and tools is none and documents is not defined %}no {% endif -%}\n"
    "        {%- set ns.count = ns.count + 1 -%}{%- set ns.first = false -%}\n"
    "        <|im_start|>{{ message | tojson }}{{ {'a': '<é>', 'b': [1]} | tojson(indent=2, sort_keys=True) }}\n"
    "{{ message['content'].split('?')[0].strip() }} {{ loop.index }} {{ ns.count }}<|im_end|>\n"
    "    {%- if ns.count > 3 %}{% break %}{% endif %}\n"
    "    {%- endfor %}{{ missing }}{{ dict(a=1) }}{{ strftime_now is defined }}\n"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize("name", ["plain", "default system", "marked", "brackets", "macro", "captured", "rich"])
@pytest.mark.parametrize("adds_prompt", [False, True])
def test_text_is_what_transformers_renders(name: str, adds_prompt: bool):
    from transformers.utils.chat_template_utils import render_jinja_template

    templates = [CHATML, CHATML_DEFAULT_SYSTEM, CHATML_MARKED, BRACKETS, MACRO, CAPTURED, RICH]
    names = ["plain", "default system", "marked", "brackets", "macro", "captured", "rich"]
    template = dict(zip(names, templates, strict=True))[name]
    special = {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    turns = [{"role": message.role, "content": message.content} for message in TALK]
    (expected,), _ = render_jinja_template([turns], None, None, template, add_generation_prompt=adds_prompt, **special)
    assert ChatTemplate(template, special, "x").render(TALK, add_generation_prompt=adds_prompt)[0] == expected


@pytest.mark.parametrize("template", [CHATML_MARKED, MACRO, CAPTURED], ids=["marked", "macro", "captured"])
def test_marks_lie_on_the_answers_also_in_macros_and_captured_text(template: str):
    text, spans = ChatTemplate(template, {}, "x").render(TALK, add_generation_prompt=False)
    assert [text[begin:end] for begin, end in spans] == ["It is Paris.<|im_end|>", "Yes,\n it is.<|im_end|>"]


@pytest.mark.parametrize(
    "template", ["{% set ns = namespace(_a=1) %}", "{% set ns = namespace() %}{% set ns._a = 1 %}"]
)
def test_a_namespace_takes_no_private_names(template: str):
    with pytest.raises(InputError, match="no names with an underscore in front, as '_a'"):
        ChatTemplate(template, {}, "x").render(TALK, add_generation_prompt=False)


@pytest.mark.parametrize("template", [CHATML, CHATML_DEFAULT_SYSTEM, CHATML_MARKED, BRACKETS])
def test_ids_and_masks_equal_those_of_transformers(tmp_path: Path, template: str):
    from transformers import AutoTokenizer

    tokenizer = _tokenizer(tmp_path, template)
    reference = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    encoder = ChatEncoder(tokenizer, "default")
    turns = [{"role": message.role, "content": message.content} for message in TALK]
    expected = reference.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    (example,) = encoder.encode([TALK])
    assert example.ids.tolist() == expected["input_ids"]
    if template == CHATML_MARKED:
        assert example.weights.tolist() == expected["assistant_masks"]
    prompt = reference.apply_chat_template(turns[:-1], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert encoder.prompt([TALK])[0].tolist() == prompt


@pytest.mark.parametrize("template", [None, CHATML, CHATML_MARKED], ids=["text", "unmarked", "marked"])
def test_a_form_is_the_same_in_another_process(tmp_path: Path, template: str | None):
    encoder = make_encoder("auto", _tokenizer(tmp_path, template), "default", is_encoder_decoder=False)
    assert isinstance(encoder, (ChatEncoder, TextEncoder))
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy.fingerprint == encoder.fingerprint
    assert copy.tokenizer.fingerprint == encoder.tokenizer.fingerprint
    [before], [after] = encoder.encode([TALK]), copy.encode([TALK])
    assert after.ids.tolist() == before.ids.tolist()
    assert after.weights.tolist() == before.weights.tolist()
