"""Tokenizers from every kind of file give the ids of the libraries they stand in for, and survive being saved."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from small_tokenizers import SENTENCES, SHARED, byte_level_backend, train_sentencepiece, write_directory

from flan_jax.errors import InputError
from flan_jax.text.chat import ChatEncoder
from flan_jax.text.conversation import Message
from flan_jax.text.tokenizer import load_tokenizer

TEXTS = (
    *SENTENCES,
    "",
    " ",
    "  two  spaces ",
    "a\nb\tc\n",
    "Ünïcode ﬁ ½ 日本語 😀 \u200b x",
    "don't 12345 £5 ...",
    " \n ",
)
MODELS = {
    "unigram": {"model_type": "unigram", "bos_id": -1, "eos_id": 1, "pad_id": 0, "unk_id": 2},
    "unigram with bytes": {"model_type": "unigram", "byte_fallback": True, "vocab_size": 460},
    "bpe": {"model_type": "bpe", "byte_fallback": True, "vocab_size": 460, "normalization_rule_name": "identity"},
    "bpe as it stands": {
        "model_type": "bpe",
        "byte_fallback": True,
        "vocab_size": 460,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
    },
    "bpe without a space in front": {
        "model_type": "bpe",
        "byte_fallback": True,
        "vocab_size": 460,
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
    },
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_converted_vocabulary_encodes_as_sentencepiece_does(tmp_path: Path, kind: str):
    path = train_sentencepiece(tmp_path, "tokenizer", **({"vocab_size": 200} | MODELS[kind]))
    reference = pytest.importorskip("sentencepiece").SentencePieceProcessor(str(path))
    tokenizer = load_tokenizer(path)
    for text in TEXTS:
        assert tokenizer.encode(text) == reference.encode(text), text
        if reference.unk_id() not in reference.encode(text):  # which sentencepiece writes as " ⁇ "
            assert tokenizer.decode(reference.encode(text)) == reference.decode(reference.encode(text)), text
    assert tokenizer.vocab_size == reference.vocab_size()
    assert tokenizer.eos_id == reference.eos_id()


def test_t5_gets_its_hundred_sentinels(tmp_path: Path):
    path = train_sentencepiece(tmp_path, "spiece", vocab_size=200, **MODELS["unigram"])
    tokenizer = load_tokenizer(path)
    num_pieces = tokenizer.vocab_size - 100
    assert tokenizer.encode("<extra_id_0>") == [num_pieces + 99]
    assert tokenizer.encode("<extra_id_99>") == [num_pieces]
    assert tokenizer.encode("house<extra_id_1> house")[-1:] == tokenizer.encode("house")[-1:]
    assert (tokenizer.pad_id, tokenizer.eos_id, tokenizer.bos_id, tokenizer.adds_bos) == (0, 1, None, False)
    assert tokenizer.backend.encode("house").ids[-1] == tokenizer.eos_id


def test_user_defined_pieces_stay_whole(tmp_path: Path):
    path = train_sentencepiece(tmp_path, "tokenizer", vocab_size=200, user_defined_symbols=["[SEP]"])
    tokenizer = load_tokenizer(path)
    ids = tokenizer.encode("house [SEP] house")
    assert sum(tokenizer.token(i) == "[SEP]" for i in ids) == 1
    assert tokenizer.backend.token_to_id("[SEP]") not in tokenizer.special_ids


def test_a_directory_brings_its_special_tokens_and_template(tmp_path: Path):
    write_directory(tmp_path, "{{ messages }}", pad_token={"content": "<|endoftext|>", "special": True})
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0]}))
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (0, 2, 0)
    assert tokenizer.stop_ids == (2, 0)
    assert tokenizer.special["eos_token"] == "<|im_end|>"
    assert tokenizer.chat_template == "{{ messages }}"
    assert not tokenizer.adds_bos
    assert tokenizer.encode("<|im_start|>house<|im_end|>")[::4] != []
    (tmp_path / "chat_template.jinja").write_text("{{ 1 }}")
    assert load_tokenizer(tmp_path).chat_template == "{{ 1 }}"
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "tool_use.jinja").write_text("{{ 2 }}")
    assert load_tokenizer(tmp_path).chat_template == "{{ 1 }}"
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="templates tool_use and none named 'default'"):
        load_tokenizer(tmp_path)


def test_named_templates_give_the_default_one(tmp_path: Path):
    named = [{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]
    assert load_tokenizer(write_directory(tmp_path, chat_template=named)).chat_template == "b"
    with pytest.raises(InputError, match="templates tool_use and none named 'default'"):
        load_tokenizer(write_directory(tmp_path, chat_template=named[:1]))


def test_batches_offsets_and_single_texts_agree(tmp_path: Path):
    tokenizer = load_tokenizer(write_directory(tmp_path))
    batch = tokenizer.encode_batch(TEXTS)
    assert batch == [tokenizer.encode(text) for text in TEXTS]
    for text, ids, (same, offsets) in zip(TEXTS, batch, tokenizer.encode_batch_with_offsets(TEXTS), strict=True):
        assert ids == same
        assert tokenizer.decode(ids) == text
        assert len(offsets) == len(ids)
        assert all(0 <= begin <= end <= len(text) for begin, end in offsets)


def test_every_token_can_be_read(tmp_path: Path):
    tokenizer = load_tokenizer(write_directory(tmp_path / "bytes"))
    ids = tokenizer.encode("the <|im_end|> é house")
    assert "".join(tokenizer.token(i) for i in ids) == "the <|im_end|> é house"
    assert tokenizer.token(tokenizer.encode("日")[0]).startswith(r"\xe6")
    assert tokenizer.token(10_000) == "<id 10000>"
    path = train_sentencepiece(tmp_path, "tokenizer", vocab_size=200)
    pieces = load_tokenizer(path)
    assert "".join(pieces.token(i) for i in pieces.encode("the house")) == " the house"


@pytest.mark.parametrize("kind", ["bytes", *MODELS])
def test_what_is_saved_is_the_same_tokenizer(tmp_path: Path, kind: str):
    if kind == "bytes":
        source = write_directory(tmp_path / "source", "{{ messages }}", model_max_length=77)
        (source / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0]}))
    else:
        source = train_sentencepiece(tmp_path, "tokenizer", **({"vocab_size": 200} | MODELS[kind]))
    tokenizer = load_tokenizer(source)
    tokenizer.save(tmp_path / "saved")
    again = load_tokenizer(tmp_path / "saved")
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode_batch(TEXTS) == tokenizer.encode_batch(TEXTS)
    if kind == "bytes":
        assert json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())["model_max_length"] == 77


def test_the_fingerprint_follows_vocabulary_template_and_special_tokens(tmp_path: Path):
    paths = [
        write_directory(tmp_path / "a"),
        write_directory(tmp_path / "b", "{{ 1 }}"),
        write_directory(tmp_path / "c", eos_token="<|endoftext|>"),
        write_directory(tmp_path / "d"),
    ]
    byte_level_backend(421).save(str(tmp_path / "d" / "tokenizer.json"))
    assert len({load_tokenizer(path).fingerprint for path in paths}) == 4


@pytest.mark.parametrize("kind", ["bytes", "unigram", "bpe"])
def test_transformers_loads_what_is_saved(tmp_path: Path, kind: str):
    from transformers import AutoTokenizer

    if kind == "bytes":
        source = write_directory(tmp_path / "source", "{{ messages }}")
    else:
        source = train_sentencepiece(tmp_path, "tokenizer", **({"vocab_size": 200} | MODELS[kind]))
    tokenizer = load_tokenizer(source)
    tokenizer.save(tmp_path / "saved")
    reference = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in TEXTS:
        assert reference.encode(text, add_special_tokens=False) == tokenizer.encode(text)
    assert (reference.bos_token_id, reference.eos_token_id) == (tokenizer.bos_id, tokenizer.eos_id)
    assert reference.chat_template == tokenizer.chat_template
    assert (reference.encode("house")[0] == tokenizer.bos_id) == tokenizer.adds_bos


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", "{", "is no tokenizer.json that can be read"),
        ("tokenizer.json", '{"model": {"type": "magic"}}', "is no tokenizer.json that can be read"),
        ("tokenizer.model", "no protocol buffer", "is no SentencePiece model"),
        ("tokenizer.model", "", "is no SentencePiece model"),
        ("tokenizer_config.json", "{}", "the folder holds none of tokenizer.json"),
        ("model.gguf", "", "to use model.gguf, give the file itself"),
    ],
)
def test_files_that_are_no_tokenizer_are_refused(tmp_path: Path, name: str, content: str, message: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        load_tokenizer(tmp_path)


def test_a_faulty_or_missing_config_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no such file or folder"):
        load_tokenizer(tmp_path / "nowhere")
    write_directory(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(InputError, match="must hold a mapping, found a list"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<end>"}')
    with pytest.raises(InputError, match="'<end>' is not in its vocabulary"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(InputError, match="needs an end token and none is named"):
        load_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"eos_token_id": 2}')
    assert load_tokenizer(tmp_path).eos_id == 2


def test_an_end_token_that_no_piece_is_is_refused(tmp_path: Path):
    train_sentencepiece(tmp_path, "tokenizer", vocab_size=200)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<end>"}')
    with pytest.raises(InputError, match="'<end>' is not in its vocabulary"):
        load_tokenizer(tmp_path)


def test_added_tokens_that_do_not_fit_the_vocabulary_are_refused(tmp_path: Path):
    train_sentencepiece(tmp_path, "tokenizer", vocab_size=200)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<new>": 5000}))
    with pytest.raises(InputError, match="'<new>' is said to have id 5000"):
        load_tokenizer(tmp_path)


def test_a_file_is_read_as_it_stands_whatever_class_a_config_names(tmp_path: Path):
    cutting = byte_level_backend()
    cutting.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    write_directory(tmp_path, tokenizer_class="GPT2Tokenizer")
    assert len(load_tokenizer(tmp_path).encode("42")) == 1
    cutting.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.backend.to_str() == cutting.to_str()
    assert len(tokenizer.encode("42")) == 2
    # and so by others, once it is saved
    tokenizer.save(tmp_path / "saved")
    (tmp_path / "saved" / "config.json").write_text('{"model_type": "llama"}')
    from transformers import AutoTokenizer

    assert AutoTokenizer.from_pretrained(tmp_path / "saved").encode("42") == tokenizer.encode("42")


def test_a_vocabulary_and_merges_become_the_class_that_the_config_names(tmp_path: Path):
    write_directory(tmp_path, tokenizer_class="GPT2Tokenizer")
    (tmp_path / "tokenizer.json").unlink()
    model = json.loads(byte_level_backend().to_str())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    (tmp_path / "merges.txt").write_text("\n".join(" ".join(merge) for merge in model["merges"]))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode_batch(TEXTS) == [byte_level_backend().encode(text).ids for text in TEXTS]
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.adds_bos) == (0, 2, False)
    (tmp_path / "vocab.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot read its vocab\.json"):
        load_tokenizer(tmp_path)


def test_byt5_needs_no_vocabulary(tmp_path: Path):
    from transformers import ByT5Tokenizer

    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer", "extra_ids": 125}')
    tokenizer, reference = load_tokenizer(tmp_path), ByT5Tokenizer()
    for text in (*TEXTS, "a<extra_id_3> b</s>"):
        assert tokenizer.encode(text) == reference.encode(text, add_special_tokens=False)
        assert tokenizer.decode(tokenizer.encode(text), skip_special=False) == text
    assert (tokenizer.vocab_size, tokenizer.eos_id, tokenizer.pad_id) == (384, 1, 0)
    assert load_tokenizer(tmp_path).fingerprint != load_tokenizer("bytes").fingerprint


def test_code_that_a_folder_brings_is_refused_and_never_run(tmp_path: Path):
    write_directory(tmp_path, tokenizer_class="OwnTokenizer", auto_map={"AutoTokenizer": ["own.OwnTokenizer", None]})
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass OwnTokenizer: pass\n")
    with pytest.raises(InputError, match=r"Python code of its own .* which is never run"):
        load_tokenizer(tmp_path)
    assert (
        load_tokenizer(tmp_path / "tokenizer.json").encode("the house") == byte_level_backend().encode("the house").ids
    )
    assert not (tmp_path / "ran").exists()


def test_without_torch_nothing_is_said_about_it(tmp_path: Path):
    script = (
        "import importlib.util, sys\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'torch' else find(name, *more)\n"
        "from flan_jax.text.tokenizer import load_tokenizer\nload_tokenizer(sys.argv[1])\n"
        "from transformers.utils import is_torch_available\nprint(is_torch_available())"
    )
    words = [sys.executable, "-c", script, str(write_directory(tmp_path))]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_loading_leaves_torch_out_and_a_worker_leaves_transformers_out(tmp_path: Path):
    write_directory(tmp_path, "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}")
    load = (
        "import pickle, sys; from flan_jax.text.chat import ChatEncoder; from flan_jax.text.tokenizer import "
        "load_tokenizer\npickle.dump(ChatEncoder(load_tokenizer(sys.argv[1]), 'default'), open(sys.argv[2], 'wb'))\n"
        "print([name for name in ('torch', 'jax', 'tensorflow') if name in sys.modules])"
    )
    use = (
        "import pickle, sys; encoder = pickle.load(open(sys.argv[2], 'rb'))\n"
        "from flan_jax.text.conversation import Message\n"
        "(example,) = encoder.encode([[Message('user', 'a house'), Message('assistant', 'is 42')]])\n"
        "print(example.ids.tolist(), [name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    words = [str(tmp_path), str(tmp_path / "encoder.pickle")]
    outputs = [
        subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True).stdout
        for script in (load, use)
    ]
    turns = [Message("user", "a house"), Message("assistant", "is 42")]
    (example,) = ChatEncoder(load_tokenizer(tmp_path), "default").encode([turns])
    assert outputs == ["[]\n", f"{example.ids.tolist()} []\n"]


def _shared(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {os.path.join(*parts)} here: the real vocabulary is not in the repository")
    return path


def test_the_real_t5_vocabulary_gives_the_known_ids():
    expected = [13959, 1566, 12, 2968, 10, 37, 629, 19, 1627, 5]
    for name in ("spiece.model", "tokenizer.json"):
        tokenizer = load_tokenizer(_shared("tokenizers", "t5", name))
        assert tokenizer.encode("translate English to German: The house is wonderful.") == expected
        assert tokenizer.encode("<extra_id_0>") == [32099]
        assert (tokenizer.vocab_size, tokenizer.eos_id, tokenizer.pad_id) == (32100, 1, 0)


def test_both_forms_of_the_real_t5_vocabulary_agree():
    pieces, ready = (load_tokenizer(_shared("tokenizers", "t5", name)) for name in ("spiece.model", "tokenizer.json"))
    assert pieces.encode_batch(TEXTS) == ready.encode_batch(TEXTS)


def test_the_real_mistral_vocabulary_encodes_as_sentencepiece_does():
    path = _shared("tokenizers", "mistral-v1", "tokenizer.model")
    reference = pytest.importorskip("sentencepiece").SentencePieceProcessor(str(path))
    tokenizer = load_tokenizer(path)
    assert tokenizer.encode_batch(TEXTS) == [reference.encode(text) for text in TEXTS]
    assert tokenizer.adds_bos


@pytest.mark.parametrize("legacy", [True, False])
def test_the_real_mistral_vocabulary_encodes_as_transformers_does(tmp_path: Path, legacy: bool):
    from transformers import AutoTokenizer

    (tmp_path / "tokenizer.model").write_bytes(_shared("tokenizers", "mistral-v1", "tokenizer.model").read_bytes())
    settings = {"tokenizer_class": "LlamaTokenizer", "legacy": legacy, "bos_token": "<s>", "eos_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"unk_token": "<unk>"}))
    reference = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    # its Llama class leaves the scores of this vocabulary out of account, which shows where spaces follow each other;
    # there, the test above holds us to sentencepiece
    texts = [text for text in TEXTS if "  " not in text and text.strip() == text]
    texts.append("<s>[INST] house [/INST] house</s><s>[INST] x [/INST]")
    assert tokenizer.encode_batch(texts) == [reference.encode(text, add_special_tokens=False) for text in texts]


def test_the_small_llama_reads_its_own_story():
    folder = _shared("models", "stories260k")
    ids = np.load(folder / "reference.npz")["input_ids"].tolist()
    ready, pieces = load_tokenizer(folder), load_tokenizer(folder / "tokenizer.model")
    text = ready.decode(ids)
    assert text.startswith("Once upon a time, there was a little girl named Lily.")
    # a sampled text may be spelled in pieces that encoding would join; the prompt is as encoded
    prompt_length = int(np.load(folder / "reference.npz")["prompt_len"])
    prompt = ready.decode(ids[:prompt_length])
    assert [ready.bos_id, *ready.encode(prompt)] == ids[:prompt_length]
    assert [pieces.bos_id, *pieces.encode(prompt)] == ids[:prompt_length]
    assert ready.adds_bos
    assert pieces.adds_bos
