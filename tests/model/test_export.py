import json

import jax
import numpy as np
import pytest
from building import LLAMA, config_of, decoder_rows, logits_of, mesh_of, model_directory, moved
from t5_reference import ARCHITECTURES, rows, torch_logits

from flan_jax.errors import InputError
from flan_jax.model.load import create
from flan_jax.model.save import export_huggingface, export_peft
from flan_jax.weights.tensors import open_tensors

PROMPTS = [[3, 4, 5, 6, 7], [8, 9]]
SETTINGS = {"llama": LLAMA, "t5_1_1": ARCHITECTURES["t5_1_1"], "tied": {**LLAMA, "tie_word_embeddings": True}}
LORA = {"method": "lora", "lora": {"rank": 3, "alpha": 5.0, "scaling": "rslora", "targets": ["all-linear"]}}


def tuned_model(settings, tuning, directory):
    """A base model on disk, a config that starts from it, and the model with what is tuned moved."""
    mesh = mesh_of()
    fresh = config_of({"architecture": settings})
    export_huggingface(create(fresh, mesh), directory, config=fresh, mesh=mesh, prompts=PROMPTS, dtype="float32")
    config = config_of({"path": str(directory)}, tuning)
    return config, moved(create(config, mesh))


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """Of each family: a LoRA-tuned model, its PEFT export and its merged export."""
    made = {}
    for name, settings in SETTINGS.items():
        folder = tmp_path_factory.mktemp(name)
        config, parts = tuned_model(settings, LORA, folder / "base")
        shared = {"config": config, "mesh": mesh_of(), "prompts": PROMPTS}
        export_peft(parts, folder / "peft", **shared)
        export_huggingface(parts, folder / "merged", dtype="float32", **shared)
        made[name] = (folder, config, parts)
    return made


def running_logits(name, parts):
    return logits_of(parts, decoder_rows() if name != "t5_1_1" else rows())


def reference_logits(name, model):
    torch = pytest.importorskip("torch", reason="needs the extra 'parity'")
    if name == "t5_1_1":
        return torch_logits(model, rows())
    with torch.no_grad():
        return model(torch.tensor(decoder_rows()["inputs"], dtype=torch.long)).logits.numpy()


def loaded(directory):
    transformers = pytest.importorskip("transformers", reason="needs the extra 'parity'")
    pytest.importorskip("torch", reason="needs the extra 'parity'")
    config = transformers.AutoConfig.from_pretrained(directory)
    kind = transformers.T5ForConditionalGeneration if config.model_type == "t5" else transformers.LlamaForCausalLM
    model, report = kind.from_pretrained(directory, dtype="float32", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def assert_equal(name, found, expected):
    real = slice(None) if name != "t5_1_1" else rows()["decoder_segments"] > 0
    np.testing.assert_allclose(found[real], expected[real], rtol=1e-4, atol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("name", SETTINGS)
def test_peft_loads_the_adapter_with_equal_logits(name, adapted):
    peft = pytest.importorskip("peft", reason="needs the extra 'parity'")
    folder, _, parts = adapted[name]
    model = peft.PeftModel.from_pretrained(loaded(folder / "base"), folder / "peft").eval()
    base = reference_logits(name, loaded(folder / "base"))
    found = running_logits(name, parts)
    assert np.abs(found - base).max() > 0.1, "the adapter does nothing, so the test proves nothing"
    assert_equal(name, reference_logits(name, model), found)


@pytest.mark.parity
@pytest.mark.parametrize("name", SETTINGS)
def test_transformers_loads_the_merged_model_with_equal_logits(name, adapted):
    folder, _, parts = adapted[name]
    assert_equal(name, reference_logits(name, loaded(folder / "merged")), running_logits(name, parts))


@pytest.mark.parity
def test_an_adapter_made_by_peft_starts_a_run(tmp_path, adapted):
    peft = pytest.importorskip("peft", reason="needs the extra 'parity'")
    torch = pytest.importorskip("torch", reason="needs the extra 'parity'")
    folder, _, _ = adapted["llama"]
    settings = peft.LoraConfig(r=2, lora_alpha=7, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    torch.manual_seed(0)
    model = peft.get_peft_model(loaded(folder / "base"), settings).eval()
    model.save_pretrained(tmp_path)
    lora = {"rank": 2, "alpha": 7.0, "targets": ["query", "down_proj"], "adapter": str(tmp_path)}
    config = config_of({"path": str(folder / "base")}, {"method": "lora", "lora": lora})
    parts = create(config, mesh_of())
    assert_equal("llama", running_logits("llama", parts), reference_logits("llama", model))


@pytest.mark.parametrize("name", SETTINGS)
def test_an_adapter_comes_back_bit_equal(name, adapted):
    folder, config, parts = adapted[name]
    lora = config.tuning.lora.model_copy(update={"adapter": str(folder / "peft")})
    again = create(config.model_copy(update={"tuning": config.tuning.model_copy(update={"lora": lora})}), mesh_of())
    for one, other in zip(jax.tree.leaves(parts.tuned), jax.tree.leaves(again.tuned), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_fully_tuned_model_comes_back_bit_equal_from_any_mesh(tmp_path):
    config = config_of({"architecture": LLAMA})
    mesh = mesh_of(2, 2, 2)
    parts = moved(create(config, mesh))
    export_huggingface(
        parts, tmp_path / "out", config=config, mesh=mesh, prompts=PROMPTS, dtype="float32", max_shard_bytes=5000
    )
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 1
    again = create(config_of({"path": str(tmp_path / "out")}), mesh_of())
    for one, other in zip(jax.tree.leaves(parts.tuned), jax.tree.leaves(again.tuned), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_report_and_the_config_stand_beside_the_weights(adapted):
    folder, _, _ = adapted["llama"]
    for form in ("peft", "merged"):
        report = json.loads((folder / form / "parity.json").read_text())
        assert report["prompts"], report["positions"] == (2, 7)
        assert report["max_abs_difference"] < 1e-4 * report["max_abs_logit"]
        assert report["same_argmax"] == 1.0
        assert "100.00% of positions" in (folder / form / "parity.txt").read_text()
    settings = json.loads((folder / "merged" / "config.json").read_text())
    assert settings["dtype"] == "float32"
    assert settings["bos_token_id"] == LLAMA["bos_token_id"], "settings we do not use go through"
    assert json.loads((folder / "peft" / "adapter_config.json").read_text())["use_rslora"] is True


def test_bfloat16_is_rounded_once_from_float32(tmp_path, adapted):
    folder, config, parts = adapted["llama"]
    report = export_huggingface(
        parts, tmp_path / "out", config=config, mesh=mesh_of(), prompts=PROMPTS, dtype="bfloat16"
    )
    wide, narrow = open_tensors(folder / "merged"), open_tensors(tmp_path / "out")
    for name in wide.names():
        np.testing.assert_array_equal(wide.read(name).astype(narrow.dtype(name)), narrow.read(name))
    assert 0 < report.max_abs_difference < 0.1 * report.max_abs_logit


def test_targets_in_one_stack_only_are_named_in_full(tmp_path, adapted):
    folder, _, _ = adapted["t5_1_1"]
    lora = {"rank": 2, "targets": ["decoder.blocks.cross_attention.query"]}
    config = config_of({"path": str(folder / "base")}, {"method": "lora", "lora": lora})
    export_peft(create(config, mesh_of()), tmp_path / "out", config=config, mesh=mesh_of(), prompts=PROMPTS)
    modules = json.loads((tmp_path / "out" / "adapter_config.json").read_text())["target_modules"]
    assert modules == [f"decoder.block.{layer}.layer.1.EncDecAttention.q" for layer in range(3)]


def test_a_filled_folder_is_left_alone(tmp_path, adapted):
    _, config, parts = adapted["llama"]
    (tmp_path / "note.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "note.txt"):
        with pytest.raises(InputError, match=r"the folder is (not empty|a file); remove it or give another"):
            export_peft(parts, out, config=config, mesh=mesh_of(), prompts=PROMPTS)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_nothing_is_left_when_something_fails(tmp_path, adapted):
    _, config, parts = adapted["llama"]

    def no_space(folder):
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="cannot be written \\(No space left on device\\)"):
        export_peft(parts, tmp_path / "out", config=config, mesh=mesh_of(), prompts=PROMPTS, add_files=no_space)
    assert not list(tmp_path.iterdir())


def test_exports_need_prompts_and_adapters(tmp_path, adapted):
    _, config, parts = adapted["llama"]
    with pytest.raises(InputError, match="at least one prompt"):
        export_peft(parts, tmp_path / "out", config=config, mesh=mesh_of(), prompts=[])
    full = config_of({"architecture": LLAMA})
    with pytest.raises(InputError, match="has no adapter; export as huggingface"):
        export_peft(create(full, mesh_of()), tmp_path / "out", config=full, mesh=mesh_of(), prompts=PROMPTS)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"use_dora": True}, "option 'use_dora' is True, which is not supported"),
        ({"rank_pattern": {"q_proj": 4}}, "option 'rank_pattern' is {'q_proj': 4}"),
        ({"modules_to_save": ["lm_head"]}, "option 'modules_to_save'"),
        ({"bias": "all"}, "option 'bias' is 'all'"),
        ({"init_lora_weights": "pissa"}, "'pissa', which changes the base weights"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
        ({"r": 8, "lora_alpha": 16}, "set tuning.lora.rank=8 tuning.lora.alpha=16$"),
        ({"use_rslora": False}, "set tuning.lora.scaling=lora$"),
        ({"target_modules": ["q_proj"]}, r"set tuning.lora.targets=\[blocks.attention.query\]$"),
        ({"target_modules": r"model\.layers\.0\.self_attn\.q_proj"}, "in some layers only"),
        ({"target_modules": ["c_attn"]}, r"target_modules' \['c_attn'\] matches no projection"),
        ({"target_modules": "(q"}, "is not a valid pattern"),
    ],
)
def test_adapters_we_do_not_compute_are_refused(change, text, tmp_path, adapted):
    folder, config, _ = adapted["llama"]
    settings = json.loads((folder / "peft" / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, **change}))
    lora = config.tuning.lora.model_copy(update={"adapter": str(tmp_path)})
    changed = config.model_copy(update={"tuning": config.tuning.model_copy(update={"lora": lora})})
    with pytest.raises(InputError, match=text):
        create(changed, mesh_of())


def test_an_adapter_without_a_tensor_is_refused(tmp_path, adapted):
    folder, config, _ = adapted["llama"]
    source = open_tensors(folder / "peft" / "adapter_model.safetensors")
    tensors = {name: source.read(name) for name in source.names()[1:]}
    model_directory(tmp_path, {}, tensors, stem="adapter_model")
    (tmp_path / "adapter_config.json").write_text((folder / "peft" / "adapter_config.json").read_text())
    lora = config.tuning.lora.model_copy(update={"adapter": str(tmp_path)})
    changed = config.model_copy(update={"tuning": config.tuning.model_copy(update={"lora": lora})})
    with pytest.raises(InputError, match=f"1 tensors missing: {source.names()[0]}"):
        create(changed, mesh_of())
