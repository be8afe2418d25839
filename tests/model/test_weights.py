import jax
import jax.numpy as jnp
import numpy as np
import pytest
from building import LLAMA, config_of, decoder_rows, logits_of, mesh_of, model_directory, parts_of
from t5_reference import ARCHITECTURES, GOLDEN, rows

from flan_jax.errors import InputError
from flan_jax.model.load import base_fingerprint
from flan_jax.weights.safetensors import SafetensorsSource
from flan_jax.weights.tensors import open_tensors

MESHES = [(1, 1, 1), (8, 1, 1), (2, 2, 2)]
T5 = ARCHITECTURES["t5_1_1"]


@pytest.fixture(scope="module")
def t5_tensors():
    with np.load(GOLDEN / "t5_1_1.npz") as arrays:
        return {name: array for name, array in arrays.items() if name != "logits"}


@pytest.fixture(scope="module")
def t5_directory(tmp_path_factory, t5_tensors):
    return str(model_directory(tmp_path_factory.mktemp("t5"), T5, t5_tensors))


def test_every_mesh_gives_the_same_random_model():
    tuning = {"method": "lora", "lora": {"rank": 2}}
    found = []
    for shape in MESHES:
        mesh = mesh_of(*shape)
        parts = parts_of({"architecture": LLAMA}, tuning, mesh)
        found.append(
            (logits_of(parts, decoder_rows(), mesh), [np.asarray(leaf) for leaf in jax.tree.leaves(parts.tuned)])
        )
    for logits, adapters in found[1:]:
        np.testing.assert_allclose(logits, found[0][0], rtol=1e-5, atol=1e-5)
        for one, other in zip(adapters, found[0][1], strict=True):
            np.testing.assert_array_equal(one, other)


def test_every_mesh_reads_the_same_model(t5_directory):
    batch = {name: np.tile(array, (4, 1)) for name, array in rows().items()}
    found = []
    for shape in MESHES:
        mesh = mesh_of(*shape)
        found.append(logits_of(parts_of({"path": t5_directory}, mesh=mesh), batch, mesh))
    for logits in found[1:]:
        np.testing.assert_allclose(logits, found[0], rtol=1e-5, atol=1e-5)


def test_a_device_reads_its_part_alone(t5_directory, monkeypatch):
    largest = {}
    read_slice = SafetensorsSource.read_slice

    def watched(self, name, slices):
        part = read_slice(self, name, slices)
        largest[name] = max(largest.get(name, 0), part.size)
        return part

    monkeypatch.setattr(SafetensorsSource, "read_slice", watched)
    parts_of({"path": t5_directory}, mesh=mesh_of(2, 2, 2))
    assert largest["shared.weight"] == 40 * 16 // 4
    assert largest["encoder.block.1.layer.0.SelfAttention.q.weight"] == 16 * 24 // 4
    assert largest["decoder.block.2.layer.2.DenseReluDense.wo.weight"] == 16 * 20 // 4
    assert largest["encoder.final_layer_norm.weight"] == 16


def test_many_files_read_as_one(tmp_path, t5_tensors, t5_directory):
    model_directory(tmp_path, T5, t5_tensors, max_shard_bytes=20_000)
    assert len(list(tmp_path.glob("*.safetensors"))) > 3
    whole, sharded = (jax.tree.leaves(parts_of({"path": path}).tuned) for path in (t5_directory, str(tmp_path)))
    for one, other in zip(whole, sharded, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_tuned_is_float32_and_what_is_frozen_is_stored_small(t5_directory):
    model = {"path": t5_directory, "frozen_dtype": "bfloat16"}
    lora, full = parts_of(model, {"method": "lora", "lora": {"rank": 2}}), parts_of(model)
    assert {leaf.dtype for leaf in jax.tree.leaves(lora.frozen)} == {jnp.dtype("bfloat16")}
    assert {leaf.dtype for leaf in jax.tree.leaves((lora.tuned, full.tuned))} == {jnp.dtype("float32")}
    assert not jax.tree.leaves(full.frozen)


def test_the_base_is_the_same_with_and_without_adapters(t5_directory):
    plain = logits_of(parts_of({"path": t5_directory}), rows())
    adapted = logits_of(parts_of({"path": t5_directory}, {"method": "lora"}), rows())
    np.testing.assert_allclose(plain, adapted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"lm_head.weight": None}, "1 tensors missing: lm_head.weight; give the weights and the config that belong"),
        ({"extra.bias": np.zeros(3, np.float32)}, "1 tensors not part of this architecture: extra.bias"),
        ({"shared.weight": np.zeros((40, 8), np.float32)}, r"shape: shared.weight \(40, 8\) instead of \(40, 16\)"),
        ({"shared.weight": np.zeros((40, 16), np.int8)}, "other than float32, float16 or bfloat16: shared.weight int8"),
    ],
)
def test_weights_that_do_not_belong_are_refused(change, text, tmp_path, t5_tensors):
    tensors = {name: array for name, array in {**t5_tensors, **change}.items() if array is not None}
    model_directory(tmp_path, T5, tensors)
    with pytest.raises(InputError, match=text):
        parts_of({"path": str(tmp_path)})


def test_many_faults_are_counted_and_a_few_named(tmp_path, t5_tensors):
    model_directory(tmp_path, T5, {name: array for name, array in t5_tensors.items() if "wi_0" not in name})
    with pytest.raises(InputError, match=r"5 tensors missing: (\S+wi_0.weight,? ){3}…"):
        parts_of({"path": str(tmp_path)})


def test_copies_of_the_embedding_are_fine_and_a_head_of_its_own_is_not(tmp_path, t5_tensors):
    tied = {**T5, "tie_word_embeddings": True}
    copies = dict.fromkeys(("encoder.embed_tokens.weight", "lm_head.weight"), t5_tensors["shared.weight"])
    parts_of({"path": str(model_directory(tmp_path / "copies", tied, {**t5_tensors, **copies}))})
    only_copy = {name: array for name, array in {**t5_tensors, **copies}.items() if name != "shared.weight"}
    parts_of({"path": str(model_directory(tmp_path / "only", tied, only_copy))})
    model_directory(tmp_path / "own", tied, t5_tensors)
    with pytest.raises(InputError, match=r"lm_head.weight differs from shared.weight; set tie_word"):
        parts_of({"path": str(tmp_path / "own")})


def test_a_model_must_be_named():
    with pytest.raises(InputError, match=r"neither 'model\.path' .* is given; give one"):
        parts_of({})


def test_a_dimension_that_does_not_divide_is_named():
    with pytest.raises(InputError, match=r"parameter blocks.attention.key.kernel .*'kv_heads' of size 2 .* size 4"):
        parts_of({"architecture": LLAMA}, mesh=mesh_of(tensor=4))


def test_the_fingerprint_follows_the_bytes(tmp_path, t5_tensors, t5_directory):
    changed = {**t5_tensors, "shared.weight": t5_tensors["shared.weight"] + 1}
    other = model_directory(tmp_path, T5, changed)
    sources = [open_tensors(path) for path in (t5_directory, other, t5_directory)]
    prints = [base_fingerprint(config_of({}), source) for source in sources]
    prints += [base_fingerprint(config_of({"architecture": ARCHITECTURES[name]}), None) for name in ARCHITECTURES]
    assert len(set(prints)) == 4
    assert prints[0] == prints[2]
