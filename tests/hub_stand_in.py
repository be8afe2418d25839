"""A Hugging Face hub on this machine: the part of its HTTP interface that a download of a model uses.

Source: https://huggingface.co/docs/hub/api and the requests of huggingface_hub 2.4, of which each is answered as the
hub does: revisions and trees as JSON, files with ETag, X-Repo-Commit and ranges, refusals with X-Error-Code.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "hf_stand_in"
_ROUTE = re.compile(r"/(?P<api>api/models/)?(?P<repo>[^/]+/[^/]+)(?:/(?P<what>revision|tree|resolve)/(?P<rest>.+))?")


def commit_of(files: Mapping[str, bytes]) -> str:
    """Forty hexadecimal digits that follow from the content."""
    digest = hashlib.sha1()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + files[name])
    return digest.hexdigest()


@dataclass
class Repository:
    """Files by commit, commits by branch, and who may read them."""

    branches: dict[str, Mapping[str, bytes]]
    needs_token: bool = False
    is_gated: bool = False

    def files(self, revision: str) -> tuple[str, Mapping[str, bytes]] | None:
        """The commit of a branch or of its own name, and its files."""
        commits = {commit_of(files): files for files in self.branches.values()}
        commit = commit_of(self.branches[revision]) if revision in self.branches else revision
        return (commit, commits[commit]) if commit in commits else None


@dataclass
class Hub:
    """What is on the hub, how it fails, and what it was asked for."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)  # file → how often its transfer is cut off half-way
    asked: list[str] = field(default_factory=list)  # "GET path", "GET path from byte"
    url: str = ""

    def downloads(self) -> set[str]:
        """The files that were fetched."""
        return {
            line.split()[1].partition("/resolve/")[2].partition("/")[2] for line in self.asked if "/resolve/" in line
        }


def folder_files(folder: Path) -> dict[str, bytes]:
    """The files of a folder, as a repository has them."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def environment(hub: Hub, home: Path, **more: str) -> dict[str, str]:
    """The environment of a process that uses this hub and a cache of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "JAX_PLATFORMS": "cpu"} | more


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, answering on this machine."""

    class Handler(_Handler):
        stand_in = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def _route(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/") and not path.startswith("/api/models/"):
            return self._refuse(404, "NotFound")  # the library asks for more than models; nothing here answers that
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        if self.command == "GET":
            self.stand_in.asked.append(f"GET {path}" + (f" from {start}" if start else ""))
        match = _ROUTE.fullmatch(path)
        assert match is not None, f"a request that the hub does not know: {path}"
        repository = self.stand_in.repositories.get(match["repo"])
        has_token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository is None:
            return self._refuse(404, "RepoNotFound")
        if repository.needs_token and not has_token:
            return self._refuse(401, "RepoNotFound")
        revision, _, name = (match["rest"] or "main").partition("/")
        commit_files = repository.files(revision)
        if commit_files is None:
            return self._refuse(404, "RevisionNotFound")
        commit, files = commit_files
        if match["what"] == "tree":
            return self._json(
                [
                    {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for name, content in files.items()
                ]
            )
        if match["what"] != "resolve":
            siblings = [{"rfilename": name} for name in files]
            return self._json({"id": match["repo"], "sha": commit, "siblings": siblings, "private": False, "tags": []})
        if repository.is_gated and not has_token:
            return self._refuse(403, "GatedRepo")
        if name not in files:
            return self._refuse(404, "EntryNotFound")
        return self._file(name, files[name], commit, start)

    def _file(self, name: str, content: bytes, commit: str, start: int) -> None:
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.stand_in.cuts.get(name, 0) > 0:
            self.stand_in.cuts[name] -= 1
            self.wfile.write(content[start : len(content) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def _json(self, tree: object) -> None:
        body = json.dumps(tree).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
