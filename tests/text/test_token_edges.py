"""A place in a text is a place in its ids exactly where no token reaches across."""

from pathlib import Path

from small_tokenizers import train_sentencepiece, write_directory

from flan_jax.text.token_edges import TokenizedText, locate
from flan_jax.text.tokenizer import Tokenizer, load_tokenizer


def _located(tokenizer: Tokenizer, text: str) -> list[int | None]:
    """For every character of the text, and its end, how many ids stand before it."""
    ((ids, offsets),) = tokenizer.encode_batch_with_offsets([text])
    edges = range(len(text) + 1)
    (places,) = locate([TokenizedText(text, ids, offsets, tokenizer.hard_tokens)], [edges], tokenizer)
    return [places[edge] for edge in edges]


def test_every_place_found_is_where_encoding_the_text_before_ends(tmp_path: Path):
    tokenizer = load_tokenizer(write_directory(tmp_path))
    text = "<|im_start|>the house is\n\nwonderful<|im_end|>\n<|im_start|> 日本 é 12"
    ids = tokenizer.encode(text)
    for edge, place in enumerate(_located(tokenizer, text)):
        before = tokenizer.encode(text[:edge])
        assert place == (len(before) if ids[: len(before)] == before else None), edge
    assert _located(tokenizer, text)[-1] == len(ids)


def test_neighbouring_unknown_letters_are_one_token_and_cannot_be_parted(tmp_path: Path):
    tokenizer = load_tokenizer(train_sentencepiece(tmp_path, "tokenizer", vocab_size=200))
    text = "x ЖЖ"
    assert tokenizer.encode(text)[-1] == tokenizer.backend.token_to_id("<unk>")
    assert _located(tokenizer, text)[3] is None
    assert _located(tokenizer, text)[4] == len(tokenizer.encode(text))
