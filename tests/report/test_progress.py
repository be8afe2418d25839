import io

from rich.console import Console

from flan_jax.report.progress import ProgressReport, duration, named_numbers


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
