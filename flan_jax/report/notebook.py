"""Progress as a bar in a notebook: Rich's bar as HTML, which IPython puts in the place of the one before.

Rich shows live bars in notebooks through ipywidgets alone, which many servers do not have; what IPython itself can do
is enough for a bar.
"""

from __future__ import annotations

import io
from types import TracebackType

from rich.console import Console

from flan_jax.report.progress import ProgressReport

_REDRAW_INTERVAL_S = 0.25
_WIDTH = 100  # characters
_PAGE = '<pre style="margin: 0; white-space: pre">{code}</pre>'


class NotebookReport(ProgressReport):
    """Progress of one piece of work, below the cell that does it."""

    def __init__(self, what: str, total: int, /, *, done: int = 0, passing: bool = False) -> None:
        """Starts at `done` of `total`, as `ProgressReport`."""
        from IPython import display  # late: there in every notebook, and needed nowhere else

        self._ipython = display
        canvas = Console(
            file=io.StringIO(), record=True, width=_WIDTH, force_terminal=True, color_system="truecolor",
            force_jupyter=False,
        )  # fmt: skip
        super().__init__(what, total, console=canvas, done=done, passing=passing)
        self._last_drawn = self._clock()

    def __enter__(self) -> NotebookReport:
        cell = self._ipython.display(self._drawing(), display_id=True)
        assert cell is not None, "IPython gives a handle to what has an id"
        self._cell = cell
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cell.update(self._ipython.HTML("") if self._passing else self._drawing())

    def __call__(self, units: int = 1, note: str | None = None, /) -> None:
        """Counts finished units, as `ProgressReport`; drawn a few times a second."""
        super().__call__(units, note)
        if self._clock() - self._last_drawn >= _REDRAW_INTERVAL_S:
            self._last_drawn = self._clock()
            self._cell.update(self._drawing())

    def _drawing(self) -> object:
        assert self._bar is not None, "the canvas is a terminal to Rich"
        self._console.print(self._bar.get_renderable())
        return self._ipython.HTML(self._console.export_html(inline_styles=True, code_format=_PAGE))
