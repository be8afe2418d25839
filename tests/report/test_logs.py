import json
import math

import pytest

from flan_jax.errors import InputError
from flan_jax.report.logs import METRICS, JsonLines, TensorBoard, open_reporters, read_metrics


def write(directory, steps, *, resume_step) -> None:
    log = JsonLines(directory, resume_step=resume_step)
    for step in steps:
        log.log(step, {"train/loss": 1 / (1 + step)})
    log.close()


def test_resumed_run_tells_the_same_story(tmp_path):
    write(tmp_path / "whole", range(0, 60, 10), resume_step=None)
    write(tmp_path / "killed", range(0, 50, 10), resume_step=None)
    with (tmp_path / "killed" / METRICS).open("a") as file:
        file.write('{"step": 50, "train/lo')  # torn by the kill
    write(tmp_path / "killed", range(30, 60, 10), resume_step=20)
    assert (tmp_path / "killed" / METRICS).read_text() == (tmp_path / "whole" / METRICS).read_text()
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [METRICS]


def test_new_run_keeps_nothing(tmp_path):
    write(tmp_path, [0, 10], resume_step=None)
    write(tmp_path, [0], resume_step=None)
    assert [one["step"] for one in read_metrics(tmp_path)] == [0]


def test_lines_are_on_disk_at_once_and_strict_json(tmp_path):
    log = JsonLines(tmp_path, resume_step=None)
    log.log(1, {"a": math.nan, "b": math.inf, "c": 1})
    (line,) = (tmp_path / METRICS).read_text().splitlines()
    read = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert math.isnan(float(read["a"]))
    assert float(read["b"]) == math.inf
    log.close()


def test_torn_last_line_is_not_read(tmp_path):
    (tmp_path / METRICS).write_text('{"step": 1, "a": 2}\n{"step": 2, "a"')
    assert read_metrics(tmp_path) == [{"step": 1, "a": 2}]


@pytest.mark.parametrize("line", ["{", "[]", '{"a": 1}', '{"step": "x"}'])
def test_spoilt_line_is_named_and_nothing_is_lost(tmp_path, line):
    content = f'{{"step": 1, "a": 2}}\n{line}\n{{"step": 2, "a": 2}}\n'
    (tmp_path / METRICS).write_text(content)
    with pytest.raises(InputError, match="line 2: not valid"):
        JsonLines(tmp_path, resume_step=1)
    assert (tmp_path / METRICS).read_text() == content


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"'.*file/metrics\.jsonl': cannot be written"):
        JsonLines(tmp_path / "file", resume_step=None)


@pytest.mark.parametrize("kind", [JsonLines, TensorBoard])
def test_full_disk_is_named(tmp_path, kind, full_disk):
    log = kind(tmp_path, resume_step=None)
    metrics = {f"train/loss/{task}": 1.0 for task in range(20)}
    with full_disk(200), pytest.raises(InputError, match=r"cannot be written .*free space"):
        log.log(0, metrics)


def read_events(directory) -> list:
    """Events of every file, oldest first: 8 bytes of length, 4 of checksum, the event, 4 of checksum."""
    from tensorboardX.proto.event_pb2 import Event

    events = []
    for path in sorted((directory / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            events.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return events


def test_events_are_on_disk_at_once_and_a_resumed_run_hides_what_it_repeats(tmp_path):
    reporters = open_reporters(tmp_path, resume_step=20, tensorboard=True)
    reporters.log(30, {"train/loss": 2.5, "train/rate": 0.5})
    events = read_events(tmp_path)
    assert [(e.step, e.session_log.status) for e in events if e.HasField("session_log")] == [(21, 1)]
    values = [(e.step, one.tag, one.simple_value) for e in events for one in e.summary.value]
    assert values == [(30, "train/loss", 2.5), (30, "train/rate", 0.5)]
    reporters.close()
    assert read_metrics(tmp_path) == [{"step": 30, "train/loss": 2.5, "train/rate": 0.5}]
