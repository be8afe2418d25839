"""Checkpoints: bit-equal onto any mesh, damage named and passed over, only the right ones kept."""

import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from small_state import account, assert_same_bits, small_abstract, small_state, small_tuned
from tiny_run import tiny_config, tiny_mesh

from flan_jax.errors import InputError
from flan_jax.train.checkpoint import Checkpoints
from flan_jax.train.checksums import array_checksums
from flan_jax.train.metadata import Metadata

FINGERPRINTS = {"base weights": "b", "store": "s"}


def open_checkpoints(directory: Path, *, fingerprints=FINGERPRINTS, **sections) -> Checkpoints:
    return Checkpoints(directory / "checkpoints", config=tiny_config(**sections), fingerprints=fingerprints)


def save_steps(directory: Path, *steps: int, **sections) -> dict[int, object]:
    mesh = tiny_mesh()
    states = {step: small_state(mesh, step, seed=step) for step in steps}
    with open_checkpoints(directory, checkpoint={"keep": 3}, **sections) as checkpoints:
        for step, state in states.items():
            checkpoints.save(state, account(step))
    return states


def files_of(directory: Path, step: int) -> list[Path]:
    folder = directory / "checkpoints" / f"{step:08d}" / "state"
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


def flip_bit(path: Path, place: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 16
    path.write_bytes(content)


def test_saved_on_eight_devices_restored_on_two_and_one(tmp_path: Path) -> None:
    state = small_state(tiny_mesh(data=2, fsdp=2, tensor=2), step=7)
    with open_checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, account(7))
        for mesh in (tiny_mesh(fsdp=2), tiny_mesh()):
            restored, damaged = checkpoints.restore_latest(small_abstract(mesh))
            assert restored is not None
            assert not damaged
            assert restored.metadata.step == 7
            assert restored.metadata.position == {"step": 7}
            assert_same_bits(restored.state, state)
            shardings = jax.tree.map(lambda x: x.sharding, restored.state)
            assert shardings == jax.tree.map(lambda x: x.sharding, small_abstract(mesh))


def test_tuned_alone_for_use(tmp_path: Path) -> None:
    states = save_steps(tmp_path, 1, 2)
    mesh = tiny_mesh(data=8)
    with open_checkpoints(tmp_path) as checkpoints:
        for which, step in (("latest", 2), (1, 1)):
            tuned, metadata, _ = checkpoints.restore_tuned(which, small_abstract(mesh).tuned)
            assert metadata.step == step
            jax.tree.map(np.testing.assert_array_equal, jax.device_get(tuned), jax.device_get(states[step].tuned))
        with pytest.raises(InputError, match=r"no whole checkpoint for '9' \(found: 00000001, 00000002\)"):
            checkpoints.restore_tuned(9, small_abstract(mesh).tuned)


def test_a_flipped_bit_anywhere_is_named_and_passed_over(tmp_path: Path) -> None:
    states = save_steps(tmp_path, 1, 2)
    folder = tmp_path / "checkpoints" / "00000002"
    places = [(path, place) for path in [*files_of(tmp_path, 2), folder / "metadata.json"] for place in (0.1, 0.9)]
    assert len(places) > 10
    with open_checkpoints(tmp_path) as checkpoints:
        for path, place in places:
            before = path.read_bytes()
            flip_bit(path, place)
            restored, damaged = checkpoints.restore_latest(small_abstract(tiny_mesh()))
            assert [damage.name for damage in damaged] == ["00000002"]
            assert path.name in damaged[0].reason
            assert restored is not None
            assert restored.metadata.step == 1
            path.write_bytes(before)
        assert_same_bits(restored.state, states[1])


@pytest.mark.parametrize("harm", ["truncated", "deleted", "state deleted", "no metadata"])
def test_torn_checkpoints_are_named_and_passed_over(tmp_path: Path, harm: str) -> None:
    save_steps(tmp_path, 1, 2)
    folder = tmp_path / "checkpoints" / "00000002"
    victim = max(files_of(tmp_path, 2), key=lambda path: path.stat().st_size)
    match harm:
        case "truncated":
            os.truncate(victim, victim.stat().st_size // 2)
        case "deleted":
            victim.unlink()
        case "state deleted":
            (folder / "state").rename(tmp_path / "elsewhere")
        case "no metadata":
            (folder / "metadata.json").unlink()
    with open_checkpoints(tmp_path) as checkpoints:
        restored, damaged = checkpoints.restore_latest(small_abstract(tiny_mesh()))
    assert restored is not None
    assert restored.metadata.step == 1
    said = {"truncated": "bytes", "deleted": "missing", "state deleted": "missing", "no metadata": "cut off"}[harm]
    assert said in damaged[0].reason


def test_wrong_values_behind_right_files_are_found(tmp_path: Path) -> None:
    # as if memory or the reader had erred: the files are as written, the arrays are not
    save_steps(tmp_path, 1)
    path = tmp_path / "checkpoints" / "00000001" / "metadata.json"
    with open_checkpoints(tmp_path) as checkpoints:
        tree = json.loads(path.read_text())
        tree.pop("digest")
        tree["arrays"]["tuned.query"]["checksum"][0] ^= 1
        path.write_text(Metadata(**tree).to_json())
        restored, damaged = checkpoints.restore_latest(small_abstract(tiny_mesh()))
    assert restored is None
    assert damaged[0].reason == "array 'tuned.query' does not match its checksum"


def test_nothing_to_restore(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore_latest(small_abstract(tiny_mesh())) == (None, [])


def test_other_settings_or_contents_are_refused(tmp_path: Path) -> None:
    save_steps(tmp_path, 1)
    abstract = small_abstract(tiny_mesh())
    with (
        open_checkpoints(tmp_path, optimizer={"learning_rate": 0.5}, batch={"rows": 16}) as checkpoints,
        pytest.raises(InputError, match=r"batch.rows was 8 and is 16; optimizer.learning_rate was 0.01 and is 0.5"),
    ):
        checkpoints.restore_latest(abstract)
    with (
        open_checkpoints(tmp_path, fingerprints={**FINGERPRINTS, "store": "other"}) as checkpoints,
        pytest.raises(InputError, match="other contents of store"),
    ):
        checkpoints.restore_latest(abstract)
    with open_checkpoints(tmp_path, logging={"every_steps": 3}, mesh={"data": 4}) as checkpoints:
        assert checkpoints.restore_latest(abstract)[0] is not None


def test_newest_and_best_are_kept(tmp_path: Path) -> None:
    mesh = tiny_mesh()
    state = {step: small_state(mesh, step) for step in range(1, 6)}
    with open_checkpoints(tmp_path, checkpoint={"keep": 2}) as checkpoints:
        for step in range(1, 6):
            checkpoints.save(state[step], account(step, ("seen/mean", 0.5) if step == 2 else None))
        checkpoints.wait()
        assert checkpoints.steps() == [5, 4, 2]
        _, metadata, _ = checkpoints.restore_tuned("best", small_abstract(mesh).tuned)
        assert metadata.step == 2
        assert json.loads((tmp_path / "checkpoints" / "best.json").read_text())["value"] == 0.5
        # a run that was set back writes over what lies ahead of it
        checkpoints.save(state[3], account(3))
        checkpoints.wait()
        assert checkpoints.steps() == [3, 2]


def test_a_full_disk_is_told_in_one_sentence(tmp_path: Path, full_disk) -> None:
    checkpoints = open_checkpoints(tmp_path)
    state = small_state(tiny_mesh(), 1)
    sentence = r"checkpoints': cannot be written \(File too large\)"
    with full_disk(2000), pytest.raises(InputError, match=sentence), checkpoints:
        checkpoints.save(state, account(1))
    assert not list(tmp_path.rglob("metadata.json"))


def test_a_file_in_the_way_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    with (
        open_checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=r"cannot be written \((Not a directory|File exists)\)"),
    ):
        checkpoints.save(small_state(tiny_mesh(), 1), account(1))


def test_checksums_do_not_depend_on_the_mesh_and_find_every_bit() -> None:
    meshes = [tiny_mesh(), tiny_mesh(data=2, fsdp=2, tensor=2), tiny_mesh(fsdp=8)]
    found = []
    for mesh in meshes:
        tuned = small_tuned(mesh)
        found.append(np.asarray(array_checksums({name: tuned[name][...] for name in tuned}, mesh)))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])

    mesh = meshes[0]
    words = np.random.default_rng(0).integers(0, 2**32, 40, dtype=np.uint32)
    flipped = [words.copy() for _ in range(320)]
    for bit, copy in enumerate(flipped):
        copy[bit // 8] ^= np.uint32(1) << np.uint32(bit % 8 * 4)
    arrays = {str(i): jax.device_put(copy.view(np.float32)) for i, copy in enumerate([words, *flipped])}
    sums = jax.vmap(lambda x: array_checksums({"": x}, mesh)[0])(np.stack([np.asarray(a) for a in arrays.values()]))
    assert np.all(np.asarray(sums)[1:] != np.asarray(sums)[0])
