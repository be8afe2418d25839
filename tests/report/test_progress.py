"""Progress: a bar on a terminal and in a notebook, lines in a log, and nothing where nobody looks."""

import contextlib
import io
import os
import pty
import subprocess
import sys

import pytest
from rich.console import Console

from flan_jax.report.progress import ProgressReport, chosen_display, duration, hidden, named_numbers


def test_lines_where_there_is_no_terminal():
    now = [0.0]
    console = Console(file=io.StringIO(), width=60, force_terminal=False)
    with ProgressReport("train", 1000, console=console, done=200, clock=lambda: now[0]) as progress:
        for _ in range(8):
            now[0] += 15
            progress(100, named_numbers({"loss": 2.3456, "tokens/s": 12345.6}))
    text = console.file.getvalue()
    assert text.splitlines() == [
        "train 400/1,000  loss 2.35  tokens/s 12,346  1 min 30 s left",
        "train 600/1,000  loss 2.35  tokens/s 12,346  1 min 00 s left",
        "train 800/1,000  loss 2.35  tokens/s 12,346  30 s left",
        "train 1,000/1,000  loss 2.35  tokens/s 12,346  took 2 min 00 s",
    ]


def test_bar_on_a_terminal():
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    with ProgressReport("evaluate", 10, console=console) as progress:
        progress(4)
        progress(6, "loss 0.5")
    text = console.file.getvalue()
    assert "10/10" in text
    assert "loss 0.5" in text


def test_no_line_for_work_that_was_done_before():
    console = Console(file=io.StringIO(), force_terminal=False)
    with ProgressReport("train", 10, console=console, done=10):
        pass
    assert console.file.getvalue() == ""


def test_durations_read_like_speech():
    assert [duration(s) for s in (0.4, 59.4, 59.6, 3599, 3600, 7500)] == [
        *("0 s", "59 s", "1 min 00 s", "59 min 59 s", "1 h 00 min", "2 h 05 min")
    ]


def test_passing_work_leaves_no_line():
    now = [0.0]
    console = Console(file=io.StringIO(), width=90, force_terminal=False)
    with ProgressReport("prepare", 4, console=console, passing=True, clock=lambda: now[0]) as progress:
        progress(1, "words [train]  200 examples")
        now[0] += 21
        progress(1)
        now[0] += 21
        progress(2)
    assert console.file.getvalue().splitlines() == ["prepare 2/4  words [train]  200 examples"]


def test_progress_is_shown_where_it_can_be_seen():
    def own(what, total, /, *, done=0, passing=False):
        return contextlib.nullcontext(lambda units=1, note=None, /: None)

    assert chosen_display(None) is hidden
    assert chosen_display("auto") is hidden  # standard error is a pipe here
    assert chosen_display(own) is own


def test_bars_are_on_standard_error_where_that_is_a_terminal():
    program = """
from flan_jax.report.progress import chosen_display
with chosen_display("auto")("train", 3) as advance:
    advance(3, "loss 2.5")
print("result")
"""
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.stdout == "result\n"
    assert "3/3" in shown
    assert "loss 2.5" in shown


def test_a_bar_in_a_notebook_is_drawn_in_one_place():
    interactiveshell = pytest.importorskip("IPython.core.interactiveshell")
    displaypub = pytest.importorskip("IPython.core.displaypub")
    from flan_jax.report.notebook import NotebookReport

    shell = interactiveshell.InteractiveShell.instance()
    shell.display_pub = drawn = displaypub.CapturingDisplayPublisher()
    try:
        for passing in (False, True):
            with NotebookReport("train", 4, done=1, passing=passing) as progress:
                progress(3, "loss 2.5 <b>")
    finally:
        interactiveshell.InteractiveShell.clear_instance()
    pages = [output["data"]["text/html"] for output in drawn.outputs]
    places = [output["transient"]["display_id"] for output in drawn.outputs]
    assert [output.get("update", False) for output in drawn.outputs] == [False, True, False, True]
    assert places[0] == places[1] != places[2] == places[3]
    assert "1/4" in pages[0]
    assert "4/4" in pages[1]
    assert "loss 2.5 &lt;b&gt;" in pages[1]
    assert pages[3] == ""
