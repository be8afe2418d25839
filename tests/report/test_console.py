import numpy as np
from rich.console import Console

from flan_jax.data.plan.shares import MixtureReport, SideFill, TaskShare
from flan_jax.report.console import ParameterLine, ScoreLine, fill_lines, parameter_table, score_table, share_table
from flan_jax.report.tokens import row_view


def plain(*things, width: int = 100) -> str:
    """What a console without colour shows, right-hand blanks stripped."""
    console = Console(width=width, no_color=True, force_terminal=False)
    with console.capture() as captured:
        for thing in things:
            console.print(thing)
    return "\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines())


LINES = [
    ScoreLine("mean of 1 seen", 0, "", 25, 72.0, 40.0, (20.0, 44.0)),
    ScoreLine("nli", 1, "", 25, 72.0, 40.0, (20.0, 44.0)),
    ScoreLine("[red]odd[/] name", 2, "accuracy", 25, 72.0, 40.0, (20.04, 44.0)),
    ScoreLine("mean of 2 held out", 0, "", 50, 40.0, None, None),
    ScoreLine("facts", 1, "", 50, 40.0, None, None),
    ScoreLine("worse", 2, "exact_match", 25, 30.0, 42.5, (-20.0, -4.0)),
    ScoreLine("new", 2, "token_f1", 25, 50.0, None, None),
]


def test_table_of_changes():
    assert plain(score_table(LINES, title="before and after"), width=80) == TABLE_OF_CHANGES


TABLE_OF_CHANGES = """\
before and after

 task                metric       examples  before  after  change  95% interval
 ──────────────────────────────────────────────────────────────────────────────
 mean of 1 seen                         25    40.0   72.0   +32.0   +20.0…+44.0
   nli                                  25    40.0   72.0   +32.0   +20.0…+44.0
     [red]odd[/]     accuracy           25    40.0   72.0   +32.0   +20.0…+44.0
 name

 mean of 2 held out                     50           40.0
   facts                                50           40.0
     worse           exact_match        25    42.5   30.0   -12.5    -20.0…-4.0
     new             token_f1           25           50.0
"""


def test_table_of_scores_alone_has_no_change():
    text = plain(score_table(LINES[-1:], title="t"))
    assert "score" in text
    assert "change" not in text
    assert "interval" not in text


def test_shares_add_up_and_fill_is_told_for_both_sides():
    shares = (TaskShare("a", 3000, 0.75, 0.7501, 0.6, 0.5, 1.5), TaskShare("b", 1000, 0.25, 0.2499, 0.4, 0.5, 0.25))
    sides = (SideFill("inputs", 512, 0.33, 176), SideFill("targets", 128, 0.99, 128))
    report = MixtureReport(shares, sides, num_batches=64, num_rows=512, num_examples=9000, lower_bound_rows=508)
    text = plain(share_table(report, title="shares"), fill_lines(report))
    assert "all tasks      4,000     100.00%   100.00%     100.00%          100.00%" in text
    assert "a              3,000      75.00%    75.01%      60.00%           50.00%     1.50" in text
    assert "inputs: 33.00% of 512 positions a row filled; a length of 176 would fit as well" in text
    assert text.endswith("targets: 99.00% of 128 positions a row filled")


def test_parameters_are_counted():
    lines = [
        ParameterLine("embedding.table", (10, 4), "bfloat16", "tensor, fsdp", False),
        ParameterLine("blocks.query.lora_a", (2, 4, 5), "float32", "—", True),
    ]
    text = plain(parameter_table(lines, title="parameters"))
    assert "2 × 4 × 5" in text
    assert "80 numbers" in text
    assert "40 (50.00%)" in text


def test_packed_row_reads_without_colour():
    pieces = ["pad", "<s>", "Is", " it", "\n", "yes", "</s>"]
    batch = {
        "inputs": np.array([[1, 2, 3, 4, 5, 1, 2, 0]]),
        "targets": np.array([[2, 3, 4, 5, 6, 2, 5, 0]]),
        "weights": np.array([[0, 0, 0, 1, 1, 0, 0.5, 0]], np.float32),
        "segments": np.array([[1, 1, 1, 1, 1, 2, 2, 0]]),
        "positions": np.array([[0, 1, 2, 3, 4, 0, 1, 0]]),
        "tasks": np.array([[1, 1, 1, 1, 1, 0, 0, -1]]),
    }
    assert plain(row_view(batch, 0, task_names=("nli", "facts"), token=pieces.__getitem__)) == PACKED_ROW


PACKED_ROW = """\
segment 1 · facts · 6 tokens, 2 with loss
<s> Is ␣it ⏎ ‹yes› ‹</s>›

segment 2 · nli · 3 tokens, 1 with loss
<s> Is ‹yes›0.5

7 of 8 positions filled"""


def test_packed_pair_shows_both_sides():
    pieces = ["pad", "</s>", "hot", "cold"]
    batch = {
        "encoder_inputs": np.array([[2, 1, 3, 1]]),
        "encoder_segments": np.array([[1, 1, 2, 2]]),
        "decoder_inputs": np.array([[0, 3, 0, 0]]),
        "targets": np.array([[3, 1, 2, 0]]),
        "weights": np.array([[1, 1, 1, 0]], np.float32),
        "decoder_segments": np.array([[1, 1, 2, 0]]),
        "tasks": np.array([[0, 0, 0, -1]]),
    }
    text = plain(row_view(batch, 0, task_names=("opposites",), token=pieces.__getitem__))
    assert "segment 1 · opposites · 2 tokens read, 2 to say, 2 with loss\nhot </s>  ⇒  ‹cold› ‹</s>›" in text
    assert "segment 2 · opposites · 2 tokens read, 1 to say, 1 with loss\ncold </s>  ⇒  ‹hot›" in text
