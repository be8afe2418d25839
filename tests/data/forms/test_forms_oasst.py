"""OpenAssistant: which paths of a message tree become conversations, from trees and from flat rows."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flan_jax.config import DataConfig
from flan_jax.data.forms.forms import form_task
from flan_jax.data.forms.openassistant import TreeConversations
from flan_jax.data.registry.placed import with_settings
from flan_jax.data.render.examples import examples
from flan_jax.data.spec.fields import Dropped
from flan_jax.data.spec.schema import Skip

ALL = DataConfig(max_examples=10**9, validation_examples=10**9)


def message(name: str, *replies: dict[str, Any], role: str = "prompter", **more: Any) -> dict[str, Any]:
    standing = {"lang": "en", "deleted": False, "review_result": True, "review_count": 3, "rank": None}
    return {"message_id": name, "text": name, "role": role, **standing, **more, "replies": list(replies)}


def reply(name: str, *replies: dict[str, Any], **more: Any) -> dict[str, Any]:
    return message(name, *replies, role="assistant", **more)


def outcome(prompt: dict[str, Any], *, languages: tuple[str, ...] = (), **tree: Any) -> tuple[list[str], list[str]]:
    """(conversations as joined texts, reasons)."""
    found = TreeConversations(languages)({"prompt": prompt, **tree})
    talks = [" ".join(turn["content"] for turn in item["messages"]) for item in found if not isinstance(item, Skip)]
    return talks, [item.reason for item in found if isinstance(item, Skip)]


def test_best_replies_are_followed_and_every_question():
    tree = message(
        "q",
        reply("second", message("lost"), rank=1),
        reply("best", message("q1", reply("a1")), message("q2", reply("a2")), message("open"), rank=0),
    )
    talks, reasons = outcome(tree)
    assert talks == ["q best q1 a1", "q best q2 a2"]
    assert Counter(reasons) == {
        "reply that is not the best of its question": 1,
        "question without an answer": 1,
    }


def test_a_conversation_that_nobody_answers_ends_before_the_question():
    assert outcome(message("q", reply("a", message("open1"), message("open2"))))[0] == ["q a"]


@pytest.mark.parametrize(
    ("replies", "best"),
    [
        ([reply("x", rank=2), reply("y", rank=1)], "y"),
        ([reply("x", review_count=1), reply("y", review_count=5)], "y"),
        ([reply("x", review_count=5), reply("y", rank=3, review_count=0)], "y"),
        ([reply("x"), reply("y")], "x"),
        ([reply("x", rank=0, deleted=True), reply("y", rank=1)], "y"),
    ],
)
def test_which_reply_is_the_best(replies: list[dict[str, Any]], best: str):
    assert outcome(message("q", *replies))[0] == [f"q {best}"]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"deleted": True}, "deleted message"),
        ({"review_result": False}, "message that did not pass review"),
        ({"labels": {"spam": {"value": 0.75, "count": 4}}}, "message labelled as spam"),
        ({"labels": {"name": ["quality", "spam"], "value": [0.1, 0.0]}}, "message labelled as of low quality"),
        ({"labels": {"name": ["lang_mismatch"], "value": [1.0]}}, "message labelled as of another language"),
        ({"lang": "de"}, "message in a language that is not asked for"),
    ],
)
def test_messages_that_are_left_out_are_named(facts: dict[str, Any], reason: str):
    tree = message("q", reply("a", message("q1", reply("bad", **facts), reply("b"))))
    assert outcome(tree, languages=("en",)) == (["q a q1 b"], [reason])
    assert outcome(message("q", reply("a"), **facts), languages=("en",)) == ([], [reason])


def test_unreviewed_messages_and_good_labels_are_kept():
    kept = {"review_result": None, "labels": {"name": ["spam", "quality"], "value": [0.2, 0.9]}}
    assert outcome(message("q", reply("a", **kept)))[0] == ["q a"]


def test_trees_that_were_given_up_are_left_out():
    tree = message("q", reply("a"))
    assert outcome(tree, tree_state="aborted_low_grade")[1] == ["tree that was given up or halted by moderators"]
    assert outcome(tree, tree_state="ready_for_export")[0] == ["q a"]


def flat(node: dict[str, Any], parent: str | None = None) -> list[dict[str, Any]]:
    row = {key: value for key, value in node.items() if key != "replies"} | {"parent_id": parent}
    return [row, *(row for child in node["replies"] for row in flat(child, node["message_id"]))]


def test_the_three_published_forms_give_the_same_conversations(tmp_path: Path):
    trees = [message(f"q{n}", reply(f"a{n}", message(f"r{n}", reply(f"s{n}")))) for n in range(4)]
    rows = [row for tree in trees for row in flat(tree)]
    orphan = {**rows[1], "message_id": "o", "parent_id": "gone"}
    forms = {
        "trees": [{"message_tree_id": "1", "tree_state": "ready_for_export", "prompt": tree} for tree in trees],
        "messages": trees,
        "rows": rows,
        "shuffled": [*rows[::-1], orphan],
    }
    found = {}
    for name, records in forms.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        task = form_task("oasst", str(tmp_path / f"{name}.jsonl"))
        items = [item for split in ("train", "validation") for item in examples(task, split, ALL)]
        found[name] = sorted(
            " ".join(m.content for m in item.messages) for item in items if not isinstance(item, Dropped)
        )
        dropped = [item.reason for item in items if isinstance(item, Dropped)]
        assert dropped == (["message whose parent is missing"] if name == "shuffled" else [])
    assert found["trees"] == [f"q{n} a{n} r{n} s{n}" for n in range(4)]
    assert all(talks == found["trees"] for talks in found.values())


def test_languages_are_a_setting_that_the_store_knows(tmp_path: Path):
    trees = [message(f"q{n}", reply(f"a{n}", lang=lang), lang=lang) for n in range(6) for lang in ("de", "en")]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(tree) + "\n" for tree in trees))
    task = form_task("oasst", str(tmp_path / "x.jsonl"))
    german = with_settings(task, DataConfig(languages=("de",)))
    assert with_settings(task, DataConfig()) is task
    assert german.identity("1") != task.identity("1")
    items = [item for split in ("train", "validation") for item in examples(german, split, ALL)]
    assert Counter(item.reason if isinstance(item, Dropped) else "kept" for item in items) == {
        "message in a language that is not asked for": 6,
        "kept": 6,
    }
