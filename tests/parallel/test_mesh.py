import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AbstractMesh, AxisType, PartitionSpec

from flan_jax.config import MeshConfig
from flan_jax.errors import InputError
from flan_jax.model.adapters.lora import LoRAParam, LoraSettings
from flan_jax.model.architecture.decoder import LlamaArchitecture
from flan_jax.model.decoder import Llama
from flan_jax.model.nn.layers import ComputeSettings
from flan_jax.parallel.mesh import (
    AXES,
    constrain,
    host_rows,
    make_mesh,
    mesh_shape,
    place_batch,
    sharding_for,
    spec_for,
)

# the shape of Llama 3.1 70B
LARGE = {
    "vocab_size": 128256,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": False,
}
PROJECTIONS = {"blocks.attention.query": "q_proj", "blocks.attention.output": "o_proj", "blocks.mlp.down": "down_proj"}
TABLE = """
blocks.attention.key.kernel     (80, 8192, 8, 128)    layers None, embed fsdp, kv_heads tensor, head_dim None
blocks.attention.output.kernel  (80, 64, 128, 8192)   layers None, heads tensor, head_dim None, embed fsdp
blocks.attention.output.lora_a  (80, 64, 128, 16)     layers None, heads tensor, head_dim None, rank None
blocks.attention.output.lora_b  (80, 16, 8192)        layers None, rank None, embed fsdp
blocks.attention.query.kernel   (80, 8192, 64, 128)   layers None, embed fsdp, heads tensor, head_dim None
blocks.attention.query.lora_a   (80, 8192, 16)        layers None, embed fsdp, rank None
blocks.attention.query.lora_b   (80, 16, 64, 128)     layers None, rank None, heads tensor, head_dim None
blocks.attention.value.kernel   (80, 8192, 8, 128)    layers None, embed fsdp, kv_heads tensor, head_dim None
blocks.attention_norm.scale     (80, 8192)            layers None, norm None
blocks.mlp.down.kernel          (80, 28672, 8192)     layers None, mlp tensor, embed fsdp
blocks.mlp.down.lora_a          (80, 28672, 16)       layers None, mlp tensor, rank None
blocks.mlp.down.lora_b          (80, 16, 8192)        layers None, rank None, embed fsdp
blocks.mlp.gate.kernel          (80, 8192, 28672)     layers None, embed fsdp, mlp tensor
blocks.mlp.up.kernel            (80, 8192, 28672)     layers None, embed fsdp, mlp tensor
blocks.mlp_norm.scale           (80, 8192)            layers None, norm None
embedding.table                 (128256, 8192)        vocab tensor, embed fsdp
final_norm.scale                (8192,)               norm None
unembedding.table               (128256, 8192)        vocab tensor, embed fsdp
"""


def large_model() -> Llama:
    settings = ComputeSettings(jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.bfloat16), "full", 1)
    lora = LoraSettings(rank=16, scale=2.0, dropout=0.0, paths=frozenset(PROJECTIONS))
    architecture = LlamaArchitecture.from_hf(LARGE)
    return nnx.eval_shape(lambda: Llama(architecture, rngs=nnx.Rngs(params=0, lora=1), settings=settings, lora=lora))


def large_mesh(data: int = 2, fsdp: int = 16, tensor: int = 8) -> AbstractMesh:
    return AbstractMesh((data, fsdp, tensor), AXES, axis_types=(AxisType.Auto,) * 3)


def parameters(model: nnx.Module) -> dict[str, nnx.Variable]:
    return {".".join(map(str, path)): leaf for path, leaf in nnx.to_flat_state(nnx.state(model))}


def test_every_parameter_is_split_as_the_table_says():
    mesh = large_mesh()
    lines = []
    for path, parameter in sorted(parameters(large_model()).items()):
        spec = spec_for(parameter.axes, parameter.shape, mesh, path)
        split = ", ".join(f"{axis} {entry}" for axis, entry in zip(parameter.axes, spec, strict=True))
        lines.append(f"{path:<31} {parameter.shape!s:<21} {split}")
    assert lines == TABLE.strip().splitlines()


def test_a_large_model_lowers_without_being_made():
    """Loss and adapter gradients of a 70B model on 256 devices that are not there."""
    mesh = large_mesh()
    graphdef, tuned, frozen = nnx.split(large_model(), LoRAParam, ...)

    def on_mesh(state):
        def place(path, leaf):
            sharding = sharding_for(leaf.axes, leaf.shape, mesh, str(path))
            return leaf.replace(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding))

        return nnx.map_state(place, state)

    batch = jax.ShapeDtypeStruct((64, 2048), jnp.int32)

    def loss(tuned, frozen, batch):
        states = nnx.merge(graphdef, tuned, frozen).hidden(batch)
        return jnp.sum(states.astype(jnp.float32))

    with jax.sharding.use_abstract_mesh(mesh):
        traced = jax.jit(jax.grad(loss)).trace(
            on_mesh(tuned), on_mesh(frozen), dict.fromkeys(("inputs", "segments", "positions"), batch)
        )
        text = traced.lower(lowering_platforms=("tpu",)).as_text()
    assert "sharding" in text
    assert "80x8192x28672xbf16" in text


@pytest.mark.parametrize(
    ("sizes", "devices", "shape"),
    [((-1, 1, 1), 8, (8, 1, 1)), ((-1, 2, 2), 8, (2, 2, 2)), ((1, 2, 2), 8, (1, 2, 2)), ((-1, 1, 8), 8, (1, 1, 8))],
)
def test_data_takes_what_the_other_axes_leave(sizes, devices, shape):
    assert mesh_shape(MeshConfig(**dict(zip(AXES, sizes, strict=True))), devices) == shape


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ((4, 2, 2), ("data 4 × fsdp 2 × tensor 2", "needs 16 devices, 8 found")),
        ((-1, 3, 1), ("mesh.fsdp=3", "does not divide the 8 devices")),
        ((-1, 16, 1), ("mesh.fsdp=16", "does not divide the 8 devices")),
        ((0, 1, 1), ("sizes must be at least 1",)),
        ((1, -1, 1), ("sizes must be at least 1",)),
    ],
)
def test_meshes_that_do_not_fit_are_refused(sizes, parts):
    config = MeshConfig.model_construct(**dict(zip(AXES, sizes, strict=True)))
    with pytest.raises(InputError) as error:
        make_mesh(config)
    assert all(part in str(error.value) for part in parts)


def test_a_dimension_that_does_not_divide_is_named():
    with pytest.raises(InputError) as error:
        spec_for(("layers", "embed", "kv_heads", "head_dim"), (2, 64, 3, 16), large_mesh(1, 2, 4), "block.key.kernel")
    for part in ("block.key.kernel (2, 64, 3, 16)", "'kv_heads' of size 3", "mesh axis tensor of size 4"):
        assert part in str(error.value)


def test_several_mesh_axes_split_one_dimension():
    assert spec_for(("batch", "length"), (12, 5), large_mesh(2, 3, 1), "x") == PartitionSpec(("data", "fsdp"), None)
    with pytest.raises(InputError, match="mesh axis data×fsdp of size 6"):
        spec_for(("batch", "length"), (8, 5), large_mesh(2, 3, 1), "x")


@pytest.mark.parametrize("sizes", [(8, 1, 1), (2, 2, 2), (1, 1, 8), (1, 1, 1)])
def test_batches_come_onto_the_mesh_whole(sizes):
    mesh = make_mesh(MeshConfig(**dict(zip(AXES, sizes, strict=True))))
    batch = {"inputs": np.arange(48, dtype=np.int32).reshape(8, 6), "weights": np.ones((8, 6), np.float32)}
    assert host_rows(mesh, 8) == slice(0, 8)
    placed = place_batch(batch, mesh, 8)
    for name, array in batch.items():
        np.testing.assert_array_equal(placed[name], array)
        rows = 8 // (mesh.shape["data"] * mesh.shape["fsdp"])
        assert {shard.data.shape for shard in placed[name].addressable_shards} == {(rows, 6)}


def test_rows_that_do_not_divide_are_refused():
    mesh = make_mesh(MeshConfig(data=4, fsdp=2))
    with pytest.raises(InputError, match="a batch of 12 rows does not divide over mesh data × fsdp = 8 devices"):
        host_rows(mesh, 12)


def test_activations_are_held_to_the_mesh_in_use():
    x = jnp.ones((8, 4, 6))
    axes = ("batch", "length", "act_embed")
    assert constrain(x, axes) is x
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
    with jax.set_mesh(mesh):
        found = jax.jit(lambda x: constrain(x, axes))(x)
    assert {shard.data.shape for shard in found.addressable_shards} == {(2, 4, 6)}
