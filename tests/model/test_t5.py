import jax
import jax.numpy as jnp
import numpy as np
import pytest
from building import logits_of, mesh_of, model_directory, parts_of
from flax import nnx
from t5_reference import ARCHITECTURES, GOLDEN, rows, torch_logits, torch_model

from flan_jax.errors import InputError
from flan_jax.model.architecture.encoder_decoder import T5Architecture
from flan_jax.model.nn.relative_bias import distance_buckets

NAMES = tuple(ARCHITECTURES)


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


def on_device(batch):
    return {name: jnp.asarray(array) for name, array in batch.items()}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Model directories made of the golden weights."""
    directories = {}
    for name in NAMES:
        weights = {key: array for key, array in golden(name).items() if key != "logits"}
        directories[name] = model_directory(tmp_path_factory.mktemp(name), ARCHITECTURES[name], weights)
    return directories


def assert_equal_logits(found, expected, batch):
    real = batch["decoder_segments"] > 0
    np.testing.assert_allclose(found[real], expected[real], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_logits_equal_the_golden_ones(name, pretrained, strict_types):
    assert_equal_logits(logits_of(parts_of({"path": str(pretrained[name])}), rows()), golden(name)["logits"], rows())


@pytest.mark.parity
@pytest.mark.parametrize("name", NAMES)
def test_logits_equal_the_torch_reference(name, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra 'parity'")
    pytest.importorskip("torch", reason="needs the extra 'parity'")
    model = torch_model(name)
    model.save_pretrained(tmp_path)
    batch = rows(seed=5)
    found = logits_of(parts_of({"path": str(tmp_path)}), batch)
    assert_equal_logits(found, torch_logits(model, batch), batch)


def gradient(parts):
    def loss(tuned):
        return jnp.mean(jnp.square(nnx.merge(parts.graphdef, tuned, parts.frozen).hidden(on_device(rows()))))

    return jax.tree.leaves(jax.jit(jax.grad(loss))(parts.tuned))


def test_recomputing_and_unrolling_change_nothing(pretrained):
    path = {"path": str(pretrained["t5_1_1"])}
    changed = gradient(parts_of({**path, "remat": "full", "scan_unroll": 2}))
    for one, other in zip(gradient(parts_of(path)), changed, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_bfloat16_stays_near(pretrained):
    path = str(pretrained["t5_1_1"])
    low = logits_of(parts_of({"path": path, "compute_dtype": "bfloat16", "frozen_dtype": "bfloat16"}), rows())
    real = rows()["decoder_segments"] > 0
    low, high = low[real], golden("t5_1_1")["logits"][real]
    assert np.abs(low - high).mean() < 0.03 * np.abs(high).mean()


def packed_and_alone():
    """Three examples packed in one row, each in a row of its own, and where each one's decoder tokens are packed."""
    rng = np.random.default_rng(3)
    packed, alone, places = empty_row(), [], []
    starts = {"encoder": 0, "decoder": 0}
    for segment, size in enumerate([(7, 4), (5, 6), (9, 3)], 1):
        single = empty_row()
        for side, length in zip(("encoder", "decoder"), size, strict=True):
            ids = rng.integers(2, 40, length)
            part = slice(starts[side], starts[side] + length)
            for row, cut, number in ((packed, part, segment), (single, slice(0, length), 1)):
                row[f"{side}_inputs"][0, cut] = ids
                row[f"{side}_segments"][0, cut] = number
            starts[side] += length
        alone.append(single)
        places.append(part)
    return packed, alone, places


def empty_row():
    lengths = {"encoder": 24, "decoder": 16}
    return {
        f"{side}_{what}": np.zeros((1, lengths[side]), np.int32) for side in lengths for what in ("inputs", "segments")
    }


@pytest.mark.parametrize("name", NAMES)
def test_packed_equals_unpacked(name, pretrained):
    parts = parts_of({"path": str(pretrained[name])})
    packed, alone, places = packed_and_alone()
    together = logits_of(parts, packed)[0]
    for single, place in zip(alone, places, strict=True):
        expected = logits_of(parts, single)[0, : place.stop - place.start]
        np.testing.assert_allclose(together[place], expected, rtol=1e-5, atol=1e-5)


def test_no_gradient_crosses_segments(pretrained):
    parts = parts_of({"path": str(pretrained["t5_1_1"])})
    packed, _, places = packed_and_alone()

    def first_segment(tuned):
        hidden = nnx.merge(parts.graphdef, tuned, parts.frozen).hidden(on_device(packed))
        return jnp.sum(hidden[0, places[0]])

    gradient = jax.jit(jax.grad(first_segment))(parts.tuned)
    moved = np.abs(np.asarray(gradient["embedding"]["table"][...])).sum(1) > 0
    own = set(packed["encoder_inputs"][0, :7]) | set(packed["decoder_inputs"][0, :4])
    assert set(np.flatnonzero(moved)) == own


def test_many_targets_read_one_encoded_input(pretrained):
    parts = parts_of({"path": str(pretrained["t5_1_1"])})
    _, (first, second, _), _ = packed_and_alone()
    # four tokens of the first target, then six of the second, both reading encoder segment 1
    inputs, segments = first["decoder_inputs"].copy(), first["decoder_segments"].copy()
    inputs[0, 4:10], segments[0, 4:10] = second["decoder_inputs"][0, :6], 2
    cross = (segments > 0).astype(np.int32)
    both = {**first, "decoder_inputs": inputs, "decoder_segments": segments, "cross_segments": cross}
    together = logits_of(parts, both)[0]
    np.testing.assert_allclose(together[:4], logits_of(parts, first)[0, :4], rtol=1e-5, atol=1e-5)
    source = {name: first[name] for name in ("encoder_inputs", "encoder_segments")}
    expected = logits_of(parts, {**second, **source})[0, :6]
    np.testing.assert_allclose(together[4:10], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "padded", "dtype"),
    [("t5_1_0", "left", "float32"), ("t5_1_1", "right", "float32"), ("t5_1_1", "left", "bfloat16")],
)
def test_decoding_equals_the_full_forward(name, padded, dtype, pretrained, strict_types):
    parts = parts_of({"path": str(pretrained[name]), "compute_dtype": dtype})
    batch = rows()
    if padded == "left":
        for key in ("encoder_inputs", "encoder_segments"):
            batch[key][1] = np.roll(batch[key][1], 8)
    length = 19  # where neither row is padded
    start = np.full((2, 1), ARCHITECTURES[name]["decoder_start_token_id"], np.int32)
    batch["decoder_inputs"] = np.concatenate([start, batch["decoder_inputs"]], 1)[:, :length]
    batch["decoder_segments"] = np.ones((2, length), np.int32)

    @jax.jit
    def generate(tuned, batch):
        module = nnx.merge(parts.graphdef, tuned, parts.frozen)
        hidden, state = module.start_decode(batch, max_new_tokens=length - 1)

        def step(state, tokens):
            hidden, state = module.decode_step(state, tokens)
            return state, hidden

        _, others = jax.lax.scan(step, state, jnp.transpose(batch["decoder_inputs"])[1:])
        return jnp.concatenate([hidden[:, None], jnp.swapaxes(others, 0, 1)], 1), module.hidden(batch)

    with jax.set_mesh(mesh_of()):
        stepped, whole = generate(parts.tuned, batch)
    tolerance = 1e-4 if dtype == "float32" else 0.1
    np.testing.assert_allclose(stepped.astype(jnp.float32), whole.astype(jnp.float32), rtol=tolerance, atol=tolerance)


def test_dropout_follows_its_key(pretrained):
    parts = parts_of({"path": str(pretrained["t5_1_1"])})

    @jax.jit
    def hidden(tuned, key):
        return nnx.merge(parts.graphdef, tuned, parts.frozen).hidden(on_device(rows()), dropout_key=key)

    one, again, other = (np.asarray(hidden(parts.tuned, jax.random.key(seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1
    # the rate of zeros at the output is the architecture's
    assert abs((one == 0).mean() - 0.2) < 0.05


@pytest.mark.parity
@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (12, 17), (10, 20), (32, 64), (64, 1000)])
@pytest.mark.parametrize("is_bidirectional", [True, False])
def test_buckets_equal_the_torch_reference(buckets, distance, is_bidirectional):
    torch = pytest.importorskip("torch", reason="needs the extra 'parity'")
    modeling = pytest.importorskip("transformers.models.t5.modeling_t5", reason="needs the extra 'parity'")
    expected = modeling.T5Attention._relative_position_bucket(
        torch.arange(-distance, distance + 1), is_bidirectional, buckets, distance
    )
    found = distance_buckets(buckets, distance, is_bidirectional=is_bidirectional)
    np.testing.assert_array_equal(found, expected.numpy())


def test_buckets_are_exact_near_and_logarithmic_far():
    found = distance_buckets(8, 16, is_bidirectional=False)
    assert found[16:].tolist() == [0] * 17
    assert found[16::-1].tolist() == [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7]


@pytest.mark.parametrize("name", NAMES)
def test_architecture_survives_the_round_trip(name):
    architecture = T5Architecture.from_hf(ARCHITECTURES[name])
    assert T5Architecture.from_hf(architecture.to_hf()) == architecture
    assert architecture.to_hf().items() >= ARCHITECTURES[name].items()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"d_kv": None}, "'d_kv' must be a positive integer, found None"),
        ({"d_ff": -3}, "'d_ff' must be a positive integer, found -3"),
        ({"feed_forward_proj": "gated-swish"}, "'gated-swish' is not supported; supported are relu, gated-gelu"),
    ],
)
def test_bad_settings_are_refused(change, text):
    with pytest.raises(InputError, match=text):
        T5Architecture.from_hf({**ARCHITECTURES["t5_1_0"], **change})
