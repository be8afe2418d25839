"""`flan-jax contamination`, and `evaluate` on the subsets it writes: from records to the scores on clean questions."""

import itertools
import json
from pathlib import Path

import pytest

TASKS = """
from flan_jax.data.registry import FileSource, TaskSpec, Template, add_task

WORDING = "Please read what follows with great care and then give the one word that it comes down to in the end"
for name in ("one{mark}", "two{mark}"):
    add_task(TaskSpec(
        name=name, cluster=name,
        source=FileSource({{"train": f"{{name}}-train.jsonl", "validation": f"{{name}}-validation.jsonl"}}),
        templates=(Template(WORDING + ": {{question}}"),), inputs="{{question}}", metrics=("exact_match",),
    ))
"""
MARKS = itertools.count()  # names are registered once a process
FOLDER = Path("runs/toy_llama/contamination")
SUBSETS = f"evaluation.subsets={FOLDER / 'subsets.json'}"


def question(kind: str, number: int) -> str:
    return " ".join(f"{kind}{number}{letter}" for letter in "abcdefghij")


def write(path: str, questions: list[str]) -> None:
    lines = [json.dumps({"question": text, "answer": f"word{n % 5}"}) for n, text in enumerate(questions)]
    Path(path).write_text("\n".join(lines))


@pytest.fixture
def setting(command):
    """Two tasks; one trains, and holds questions 1 and 3 of the other's, and its own question 2: (names, words)."""
    mark = next(MARKS)
    one, two = f"one{mark}", f"two{mark}"
    Path("tasks.py").write_text(TASKS.format(mark=mark))
    leaked = [question("two", 1), f"well {question('two', 3)} then", question("own", 2)]
    write(f"{one}-train.jsonl", [question("train", n) for n in range(30)] + leaked + [question("train", 4)])
    write(f"{one}-validation.jsonl", [question("own", n) for n in range(4)])
    write(f"{two}-train.jsonl", [question("else", n) for n in range(4)])
    write(f"{two}-validation.jsonl", [question("two", n) for n in range(6)])
    words = ["toy_llama", "data.modules=[tasks.py]", f"data.mixture=[{one}]", f"evaluation.tasks=[{one}, {two}]"]
    return (one, two), words


def test_leaks_are_found_and_scored_apart(command, setting):
    (first, second), words = setting
    assert command("prepare", *words).code == 0
    outcome = command("contamination", *words)
    assert outcome.code == 0, outcome.err
    assert second in outcome.out
    report = json.loads((FOLDER / "report.json").read_text())
    own, other = report["evaluation"]
    # the wording of the template is in every training prompt, and makes nothing dirty
    assert (own["task"], own["num_examples"], own["num_dirty"]) == (first, 4, 1)
    assert (other["task"], other["num_examples"], other["num_dirty"]) == (second, 6, 2)
    assert other["sources"] == {first: 2}
    assert [entry["in"] for entry in other["seen"]] == [[first, 30], [first, 31]]
    assert report["training"][0]["num_same_question"] == 1
    subsets = json.loads((FOLDER / "subsets.json").read_text())
    assert subsets["tasks"][second] == {"clean": [0, 2, 4, 5], "dirty": [1, 3]}
    (group,) = [json.loads(line) for line in (FOLDER / "duplicates.jsonl").read_text().splitlines()]
    assert group["examples"] == {first: [4, 33]}

    outcome = command("evaluate", *words, SUBSETS, "evaluation.examples=6", "--checkpoint", "untuned")
    assert outcome.code == 0, outcome.err
    assert "All, clean and dirty questions" in outcome.out
    assert "fewer than 30 clean questions" in outcome.out
    (results,) = Path("runs/toy_llama/evaluations").glob("*/results.json")
    scores = {entry["task"]: entry for entry in json.loads(results.read_text())["subsets"]}
    assert (scores[second]["clean"]["count"], scores[second]["dirty"]["count"]) == (4, 2)
    assert scores[first]["clean"]["count"] == 3
    assert set(scores[second]["clean"]["scores"]) == {"exact_match"}


def test_subsets_of_another_store_are_refused_by_name(command, setting):
    (first, _), words = setting
    assert command("prepare", *words).code == 0
    assert command("contamination", *words).code == 0
    words.append("data.max_examples=20")
    assert command("prepare", *words).code == 0
    sentence = command.refused("evaluate", *words, SUBSETS, "--checkpoint", "untuned")
    assert f"made for another store: task '{first}' has other training examples now" in sentence
    (FOLDER / "subsets.json").write_text("[]")
    assert "not a subsets.json of format 1" in command.refused("evaluate", *words, SUBSETS)
    assert "cannot be read" in command.refused("evaluate", *words, "evaluation.subsets=nowhere.json")


def test_a_store_without_its_sources_is_refused_by_name(command, setting):
    (first, _), words = setting
    assert command("prepare", *words).code == 0
    Path(f"{first}-train.jsonl").unlink()
    sentence = command.refused("contamination", *words)
    assert f"task '{first}': overlap is measured on the records themselves" in sentence
    assert f"{first}-train.jsonl" in sentence
    assert not FOLDER.exists()


def test_an_unprepared_store_is_refused(command, setting):
    _, words = setting
    assert "run 'flan-jax prepare CONFIG'" in command.refused("contamination", *words)
    assert not FOLDER.exists()


def test_a_second_run_replaces_the_first_and_gives_the_same(command, setting):
    _, words = setting
    assert command("prepare", *words).code == 0
    written = []
    for _ in range(2):
        assert command("contamination", *words).code == 0
        written.append({path.name: path.read_bytes() for path in FOLDER.iterdir()})
    assert written[0] == written[1]
    assert [path.name for path in FOLDER.parent.iterdir() if "contamination" in path.name] == [FOLDER.name]


def test_a_folder_with_something_of_the_user_s_own_is_not_replaced(command, setting):
    _, words = setting
    assert command("prepare", *words).code == 0
    FOLDER.mkdir(parents=True)
    (FOLDER / "notes.txt").write_text("mine")
    assert "holds 'notes.txt', so it was not made here and nothing is replaced" in command.refused(
        "contamination", *words
    )
    assert (FOLDER / "notes.txt").read_text() == "mine"
