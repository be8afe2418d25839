"""A store at an address: written there, copied once to a cache, checked, and given up when nothing comes."""

import time
from pathlib import Path

import pytest

fsspec = pytest.importorskip("fsspec", reason="needs the extra 'gcs'")

from made_tasks import ENCODER, made_config  # noqa: E402

from flan_jax.config_file import parse_config  # noqa: E402
from flan_jax.data.prepare.prepare import prepare  # noqa: E402
from flan_jax.data.registry.resolve import resolve_run  # noqa: E402
from flan_jax.data.store.folders import new_folder  # noqa: E402
from flan_jax.data.store.manifest import Manifest, describe_file, is_finished, write_manifest  # noqa: E402
from flan_jax.data.store.root import Root, open_root  # noqa: E402
from flan_jax.errors import InputError  # noqa: E402


def write_folder(directory, text="questions"):
    with new_folder(directory) as folder:
        (folder / "evaluation.jsonl").write_text(text)
        file = describe_file(folder / "evaluation.jsonl", 1)
        write_manifest(folder, Manifest("evaluation", {}, "content", (file,), 1, 1, 5))


@pytest.fixture
def address(request):
    memory = fsspec.filesystem("memory")
    name = f"memory://{request.node.name}"
    yield name
    if memory.exists(name):
        memory.rm(name, recursive=True)


def published(tmp_path, address):
    maker = Root(tmp_path / "maker", address, 10)
    write_folder(maker.folder(Path("task/validation")))
    maker.publish(Path("task/validation"))
    return Path("task/validation")


def test_a_published_folder_is_copied_once(tmp_path, address):
    path = published(tmp_path, address)
    host = Root(tmp_path / "host", address, 10)
    directory = host.folder(path)
    assert (directory / "evaluation.jsonl").read_text() == "questions"
    assert is_finished(directory)
    copied = (directory / "evaluation.jsonl").stat().st_ino
    assert host.folder(path) == directory
    assert (directory / "evaluation.jsonl").stat().st_ino == copied

    write_folder(tmp_path / "maker" / path, "other questions")
    Root(tmp_path / "maker", address, 10).publish(path)
    assert (host.folder(path) / "evaluation.jsonl").read_text() == "other questions"


def test_what_is_stored_is_told_without_copying_it(tmp_path, address):
    root = Root(tmp_path / "host", address, 10)
    assert root.stored(Path("task/validation")) is None
    path = published(tmp_path, address)
    manifest = root.stored(path)
    assert manifest == Root(tmp_path / "maker", None, 10).stored(path)
    assert manifest is not None
    assert not (tmp_path / "host").exists()
    root.withdraw(path)
    root.withdraw(path)
    assert root.stored(path) is None
    assert not is_finished(root.folder(path))


def test_a_folder_is_missing_while_it_is_replaced(tmp_path, address, monkeypatch):
    path = published(tmp_path, address)
    maker = Root(tmp_path / "maker", address, 10)
    found = []
    put = Root.put
    monkeypatch.setattr(Root, "put", lambda *words: (found.append(maker.stored(path)), put(*words)))
    maker.publish(path)
    assert found == [None, None]
    assert maker.stored(path) is not None


def test_a_store_that_was_not_copied_whole_is_copied_by_the_next_call(tmp_path, address):
    config = made_config(tmp_path, store=address, cache_dir=str(tmp_path / "cache"))
    report = prepare(config, ENCODER, resolve_run(config))
    path = Path(report.folders[0].task, "train")
    root = open_root(config)
    manifest = root.stored(path)
    root.withdraw(path)  # as if the process had been killed before the manifest
    assert prepare(config, ENCODER, resolve_run(config)).num_built == 0
    assert root.stored(path) == manifest


def test_a_folder_that_is_not_there_stays_missing(tmp_path, address):
    assert not is_finished(Root(tmp_path / "host", address, 10).folder(Path("task/train")))


def test_a_damaged_remote_file_is_named_and_leaves_nothing(tmp_path, address):
    path = published(tmp_path, address)
    with fsspec.open(f"{address}/{path}/evaluation.jsonl", "wb") as file:
        file.write(b"question")
    host = Root(tmp_path / "host", address, 10)
    with pytest.raises(InputError, match=r"what was copied is damaged: .*'evaluation.jsonl' has 8 bytes"):
        host.folder(path)
    assert not is_finished(tmp_path / "host" / path)


def test_a_network_that_does_not_answer_is_given_up(tmp_path, address, monkeypatch):
    path = published(tmp_path, address)
    memory = type(fsspec.filesystem("memory"))
    monkeypatch.setattr(memory, "_open", lambda *_, **__: time.sleep(5))
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"no answer for 0.2 s; check network"):
        Root(tmp_path / "host", address, 0.2).folder(path)
    assert time.monotonic() - begin < 3


def test_the_config_says_where(tmp_path):
    def root(**data):
        return open_root(parse_config({"run": {"dir": "runs/x"}, "data": data}, "test"))

    assert str(root().local) == "runs/x/store"
    remote = root(store="gs://bucket/store/", cache_dir=str(tmp_path))
    assert remote.address == "gs://bucket/store"
    assert remote.local.parent == tmp_path
    with pytest.raises(InputError, match="unknown kind of address"):
        root(store="nowhere://x", cache_dir=str(tmp_path)).folder(Path("task/train"))
