"""Running the command line in this process, as the shell would see it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from flan_jax import errors
from flan_jax.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


class CommandLine:
    """`command("train", "toy_llama", …)` gives exit code, output and error text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, *arguments: object) -> Outcome:
        self._monkeypatch.setattr("sys.argv", ["flan-jax", *map(str, arguments)])
        self._capfd.readouterr()
        try:
            main()
            code = errors.EXIT_DONE
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else int(e.code is not None)
        captured = self._capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    def refused(self, *arguments: object) -> str:
        """The one sentence with which bad input is refused."""
        outcome = self(*arguments)
        assert outcome.code == errors.EXIT_BAD_INPUT, outcome
        lines = outcome.err.strip().splitlines()
        assert len(lines) == 1, outcome.err
        assert lines[0].startswith("error: "), outcome.err
        assert "Traceback" not in outcome.err + outcome.out
        return lines[0]
