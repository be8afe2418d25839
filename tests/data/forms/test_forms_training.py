"""`data.train_on_inputs`: every token of a decoder's example carries loss; stores of either kind are told apart."""

import json
from pathlib import Path

import numpy as np
import pytest

from flan_jax.config import Config
from flan_jax.config_file import parse_config
from flan_jax.data.prepare.encode import encode, row_fit
from flan_jax.data.prepare.opened import open_prepared
from flan_jax.data.prepare.prepare import prepare
from flan_jax.data.registry.resolve import resolve_run
from flan_jax.data.render.example import Example
from flan_jax.data.store.record import TokenRecord
from flan_jax.errors import InputError
from flan_jax.text.chat import make_encoder
from flan_jax.text.conversation import Message
from flan_jax.text.tokenizer import load_tokenizer

TOKENIZER = load_tokenizer("bytes")
TEXT = make_encoder("text", TOKENIZER, "default", is_encoder_decoder=False)
PAIR = make_encoder("auto", TOKENIZER, "default", is_encoder_decoder=True)


def run(folder: Path, *, length: int = 96, **data: object) -> Config:
    path = folder / "x.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"question {n}", "completion": f"a{n}"}) + "\n" for n in range(20)))
    tree = {
        "run": {"dir": str(folder / "run")},
        "batch": {"rows": 2, "length": length, "input_length": 96, "target_length": 16, "window_batches": 2},
        "data": {"mixture": f"prompt-completion:{path}", **data},
    }
    return parse_config(tree, "test")


def test_all_tokens_carry_loss_and_the_ids_stay(tmp_path: Path):
    [plain], [whole] = (
        open_prepared(config, TEXT, resolve_run(config)).train.values()
        for config in (run(tmp_path, store=str(tmp_path / "a")), run(tmp_path, train_on_inputs=True))
        if prepare(config, TEXT, resolve_run(config))
    )
    for answers_only, everything in zip(plain.read(range(19)), whole.read(range(19)), strict=True):
        assert isinstance(answers_only, TokenRecord)
        assert isinstance(everything, TokenRecord)
        np.testing.assert_array_equal(answers_only.tokens, everything.tokens)
        assert 0 < answers_only.loss_tokens < everything.loss_tokens == len(everything.tokens) - 1


def test_a_prepared_store_is_not_taken_for_the_other_kind(tmp_path: Path):
    prepare(config := run(tmp_path), TEXT, resolve_run(config))
    with pytest.raises(InputError, match=r"data.train_on_inputs \(None stored, True now\)"):
        open_prepared(config := run(tmp_path, train_on_inputs=True), TEXT, resolve_run(config))
    # evaluation asks questions in either case: its folder is not built again
    report = prepare(config := run(tmp_path, train_on_inputs=True), TEXT, resolve_run(config))
    assert [folder.state for folder in report.folders] == ["rebuilt", "found"]


def test_the_cut_still_goes_by_the_answers(tmp_path: Path):
    config = run(tmp_path, length=12, train_on_inputs=True, too_long="cut_input")
    turns = (Message("user", "a long question that is cut"), Message("assistant", "yes"))
    [(record, was_cut)] = encode(TEXT, [Example("t", 0, 0, 0, turns)], row_fit(TEXT, config.batch, config.data))
    assert isinstance(record, TokenRecord)
    assert was_cut
    assert record.weights.all()
    assert TOKENIZER.decode(record.tokens.tolist()).rstrip().endswith("yes")
    assert len(record.tokens) == 13


def test_an_encoder_decoder_refuses_it(tmp_path: Path):
    config = run(tmp_path, train_on_inputs=True)
    with pytest.raises(InputError, match=r"data\.train_on_inputs: an encoder-decoder, as this model is"):
        prepare(config, PAIR, resolve_run(config))
    assert not (tmp_path / "run").exists()
