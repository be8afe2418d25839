"""Filling the registry: this project's tasks, installed packages, and the user's modules."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from flan_jax.data.spec.own_code import own_code
from flan_jax.errors import InputError

OWN_PACKAGE = "flan_jax.tasks"
ENTRY_POINTS = "flan_jax.tasks"
_loaded: set[str] = set()
_files: dict[str, str] = {}  # name of each module that was imported from a path → the path


def load_modules(modules: Iterable[str]) -> None:
    """Imports the user's task modules: a path of a .py file or of a package folder, or a dotted module name.

    Raises:
        InputError: a module is not found or is no valid Python.
    """
    _load_own()
    for module in modules:
        path = Path(module).expanduser()
        if module.endswith(".py") or path.is_dir():
            _import_path(module, path)
        else:
            _import_name(module, f"data.modules '{module}'")


def _load_own() -> None:
    if OWN_PACKAGE in _loaded:
        return
    # marked first: a task file may ask for another task while it is being loaded
    _loaded.add(OWN_PACKAGE)
    _import_name(OWN_PACKAGE, OWN_PACKAGE)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _import_name(entry.value.partition(":")[0], f"entry point '{entry.name}' of '{ENTRY_POINTS}'")


def _import_name(name: str, where: str) -> None:
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise InputError(
            f"{where}: no such file or module; give the path of a .py file or of a package, or a module name"
        )
    with _refusing(where, name):
        module_spec = importlib.util.find_spec(name)
        if name not in sys.modules and module_spec is not None and module_spec.origin in _loaded:
            return  # by its path, already
        package = importlib.import_module(name)
        if package.__file__ is not None:
            _loaded.add(str(Path(package.__file__).resolve()))  # the same file by its path is not loaded again
        for module in pkgutil.walk_packages(getattr(package, "__path__", []), f"{name}."):
            importlib.import_module(module.name)


@contextlib.contextmanager
def _refusing(where: str, name: str) -> Iterator[None]:
    """Tells in one sentence what a module's import raises; a module that failed is imported anew the next time.

    Raises:
        InputError: it is no valid Python, or its code raised.
    """
    try:
        with own_code(f"{where}: its import fails"):
            try:
                yield
            except SyntaxError as e:
                file = "" if e.filename is None else f", file '{e.filename}'"
                line = "" if e.lineno is None else f" line {e.lineno}"
                raise InputError(f"{where}{file}{line}: no valid Python ({e.msg}); correct it") from e
    except InputError:
        sys.modules.pop(name, None)
        raise


def loaded_files() -> dict[str, str]:
    """Name of each module that was imported from a path → that path, for another process to `load_as`."""
    return dict(_files)


def load_as(files: Mapping[str, str]) -> None:
    """Imports modules from these paths under the names that they have in another process.

    Raises:
        InputError: a file is gone or is no valid Python.
    """
    for name, path in files.items():
        _import_path(path, Path(path), name)


def _import_path(module: str, path: Path, name: str = "") -> None:
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"data.modules '{module}': no such file; give the path of a .py file or of a package folder")
    key = str(file.resolve())
    if key in _loaded:
        return
    # a source of Python records is known by this name in the store, so it hangs on the file's own name alone
    name = name or f"flan_jax_user_{path.stem}"
    name += "" if name not in sys.modules else f"_{len(_loaded)}"
    module_spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(path)] if path.is_dir() else None
    )
    assert module_spec is not None, f"no import spec for {file}"
    assert module_spec.loader is not None, f"no loader for {file}"
    loaded = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = loaded
    with _refusing(f"data.modules '{module}'", name):
        module_spec.loader.exec_module(loaded)
        for inner in pkgutil.walk_packages(getattr(loaded, "__path__", []), f"{name}."):
            importlib.import_module(inner.name)
    _loaded.add(key)
    _files[name] = str(path.resolve())
