"""A file on the web is fetched once, whole and checked, and then read like a local one."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flan_jax.data.sources import web as web_source
from flan_jax.data.sources.files import FileSource
from flan_jax.data.sources.web import WebFileSource, download
from flan_jax.errors import InputError

CONTENT = b"What is 1 + 1?\t2\tOne and one\\nmake two.\nWhat is 2 + 2?\t4\tTwo and two make four.\n"
HASH = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `rows.tsv`, a cut `short.tsv`, and nothing else; counts what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append(self.path)
        if not self.path.endswith((".tsv", ".tsv?raw")):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:40] if "short" in self.path else CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(web_source.CACHE_FOLDER, str(folder))
    return folder


def _source(address: str, sha256: str | None = None) -> WebFileSource:
    return WebFileSource(address, sha256=sha256, columns=("question", "answer", "rationale"), unescape=True)


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_fetched_once_and_read_as_a_local_one(server: Server, cache: Path, tmp_path: Path):
    source = _source(server.address("rows.tsv"), HASH)
    assert source.name == "web:rows.tsv"
    assert (source.has_split("train"), source.has_split("validation")) == (True, False)
    assert server.asked == []  # not before a record is asked for
    rows = list(source.records("train"))
    assert [row["answer"] for row in rows] == ["2", "4"]
    assert rows[0]["rationale"] == "One and one\nmake two."
    assert _files(cache) == ["rows.tsv"]

    local = tmp_path / "mine.tsv"
    local.write_bytes(CONTENT)
    assert list(source.local(str(local)).records("train")) == rows
    assert source.version == source.local(str(local)).version != FileSource(str(local)).version
    assert list(_source(server.address("rows.tsv"), HASH).records("train")) == rows
    assert server.asked == ["/data/rows.tsv"]


def test_two_addresses_with_one_file_name_do_not_meet(server: Server, cache: Path):
    first = download(server.address("rows.tsv"), cache)
    second = download(server.address("rows.tsv?raw"), cache)
    assert first.name == second.name == "rows.tsv"
    assert first != second


def test_what_is_not_the_file_is_refused_and_leaves_nothing(server: Server, cache: Path):
    with pytest.raises(InputError, match=f"hashes to {HASH}, expected 00"):
        list(_source(server.address("rows.tsv"), "00").records("train"))
    with pytest.raises(InputError, match=rf"sent 40 of {len(CONTENT)} bytes"):
        list(_source(server.address("short.tsv")).records("train"))
    with pytest.raises(InputError, match=r"cannot be fetched \(HTTP Error 404"):
        list(_source(server.address("missing")).records("train"))
    with pytest.raises(InputError, match="is no https:// address"):
        list(_source("ftp://example.org/rows.tsv").records("train"))
    assert _files(cache) == []


def test_a_kept_file_that_was_changed_is_refused(server: Server, cache: Path):
    path = download(server.address("rows.tsv"), cache, sha256=HASH)
    path.write_bytes(CONTENT + b"\n")
    with pytest.raises(InputError, match="delete it to fetch it again"):
        download(server.address("rows.tsv"), cache, sha256=HASH)


def test_a_folder_that_cannot_be_written_is_named(server: Server, cache: Path):
    cache.write_text("in the way")
    with pytest.raises(InputError, match=rf"cannot be written \(.*\); set {web_source.CACHE_FOLDER}"):
        download(server.address("rows.tsv"), cache)
