"""Instruction sets, T0, Natural Instructions and dialogues: from files in their published forms to examples."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flan_jax.config import DataConfig
from flan_jax.data.registry import Skip, TaskSpec, get_task, task_names
from flan_jax.data.registry.resolve import resolve_mixture
from flan_jax.data.render.example import Example
from flan_jax.data.render.examples import examples, renderer_for
from flan_jax.data.spec.fields import Dropped, record_fields

DATA = Path(__file__).parents[3] / "shared" / "data"
INSTRUCTION_SETS = (
    "alpaca", "dolly", "evol_instruct", "gpt4_llm", "gpteacher", "oasst1", "openorca", "self_instruct",
    "self_instruct_seed", "sharegpt",
)  # fmt: skip
DIALOGUES = ("wiki_dialog", "qrecc", "task_master")
T0 = [name for name in task_names() if name.startswith("t0_")]


def local(name: str, path: Path, **data: Any) -> TaskSpec:
    """The task with a local file or folder in the place of its source."""
    return resolve_mixture(DataConfig(mixture=name, sources={name: str(path)}, **data)).specs[name]


def written(folder: Path, *records: Any) -> Path:
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def outcome(spec: TaskSpec, **data: Any) -> Counter[str]:
    """Examples of both splits by what became of them."""
    wide = DataConfig(**{"max_examples": 10**9, "validation_examples": 10**9, **data})
    items = [item for split in ("train", "validation") for item in examples(spec, split, wide)]
    return Counter(item.reason if isinstance(item, Dropped) else "kept" for item in items)


def of_sample(name: str, **changes: Any) -> list[Any]:
    spec = get_task(name)
    assert spec.sample is not None
    return record_fields(spec, {**spec.sample, **changes})


@pytest.mark.parametrize("name", INSTRUCTION_SETS)
def test_a_set_states_itself_and_reads_its_published_form_from_a_file(name: str, tmp_path: Path):
    spec = get_task(name)
    assert spec.cluster in ("instruction_following", "dialogue")
    assert all((spec.license, spec.citation, spec.description, spec.schema, spec.sample))
    path = written(tmp_path, *({**(spec.sample or {}), "number": n} for n in range(10)))
    read = local(name, path)

    def kept(split: str, **data: Any) -> list[Example]:
        return [item for item in examples(read, split, DataConfig(**data)) if isinstance(item, Example)]

    assert [len(kept(split)) for split in ("train", "validation")] == [9, 1]
    for mode in ("instruction", "name", "none"):
        example = kept("train", template_mode=mode)[0]
        assert example.target
        assert "<|endoftext|>" not in example.target


def test_openassistant_reads_the_hub_s_flat_rows(tmp_path: Path):
    def row(name: str, parent: str | None, role: str, **more: Any) -> dict[str, Any]:
        return {"message_id": name, "parent_id": parent, "text": name, "role": role, "lang": "en", **more}

    rows = []
    for tree in range(5):
        rows += [
            row(f"q{tree}", None, "prompter"),
            row(f"bad{tree}", f"q{tree}", "assistant", rank=1),
            row(f"good{tree}", f"q{tree}", "assistant", rank=0),
            row(f"ja{tree}", f"q{tree}", "assistant", rank=2, lang="ja"),
        ]
    path = written(tmp_path, *rows[::-1])
    better = "reply that is not the best of its question"
    assert outcome(local("oasst1", path)) == {"kept": 5, better: 10}
    english = local("oasst1", path, languages=("en",))
    assert outcome(english) == {"kept": 5, better: 5, "message in a language that is not asked for": 5}


REAL = [
    ("gpteacher", "gpteacher/codegen_600.json", {"kept": 600}),
    ("self_instruct_seed", "self_instruct/seed_tasks.jsonl", {"kept": 175}),
    ("sharegpt", "fastchat/dummy_conversation.json", {"kept": 500}),
    ("gpt4_llm", "llamafactory_demo/identity.json", {"kept": 91}),
    (
        "oasst1",
        "oasst/en_100_tree.jsonl",
        {"kept": 102, "reply that is not the best of its question": 297, "question without an answer": 57},
    ),
    ("t0_samsum_Summarize_", "t0_p3/t0_train_40_per_template.jsonl", {"kept": 40}),
    ("t0_cnn_dailymail_3.0.0_news_stock", "t0_p3/t0_train_40_per_template.jsonl", {"kept": 40}),
    ("natural_instructions", "natural_instructions", {"kept": 12_991}),
    ("natural_instructions_examples", "natural_instructions", {"kept": 12_991}),
]


@pytest.mark.parametrize(("name", "path", "expected"), REAL)
def test_real_files(name: str, path: str, expected: dict[str, int]):
    if not (DATA / path).exists():
        pytest.skip(f"real data set {path} is not at {DATA}")
    assert outcome(local(name, DATA / path)) == expected


def test_every_prompt_of_the_real_t0_file_has_its_task():
    path = DATA / "t0_p3" / "t0_train_40_per_template.jsonl"
    if not path.exists():
        pytest.skip(f"real data set {path.name} is not at {DATA}")
    with path.open() as stream:
        templates = {json.loads(line)["template"] for line in stream}
    assert {name.removeprefix("t0_").replace(".", "_") for name in T0} == templates


def test_t0_stands_in_flan_s_clusters_where_the_data_set_is_flan_s():
    assert len(T0) == 283
    expected = {
        "t0_glue_mrpc_equivalent": "paraphrase",
        "t0_samsum_Summarize_": "summarization",
        "t0_imdb_Reviewer_Enjoyment": "sentiment",
        "t0_trec_trec1": "question_classification",
        "t0_cosmos_qa_no_prompt_text": "read_comp_and_common_sense",
        "t0_common_gen_Put_together": "structure_to_text",
        "t0_quoref_Guess_Answer": "extractive_qa",
    }
    assert {name: get_task(name).cluster for name in expected} == expected


def test_holding_a_cluster_out_takes_t0_s_prompts_of_it_along():
    kept = resolve_mixture(DataConfig(mixture="t0_submix", hold_out=("reading_comprehension",))).specs
    bases = {name.partition("@")[0] for name in kept}
    assert not any(name.startswith(("t0_quoref", "t0_adversarial_qa")) for name in bases)
    assert "t0_dream_baseline" in bases


def test_t0_lists_the_choices_that_a_record_has():
    renderer = renderer_for(get_task("t0_imdb_Reviewer_Enjoyment"), DataConfig())

    def asked(**changes: Any) -> tuple[str, tuple[str, ...]]:
        [fields] = of_sample("t0_imdb_Reviewer_Enjoyment", **changes)
        example = renderer.render(fields, example_id=0, rendering=0)
        return example.messages[0].content, example.options

    prompt, options = asked()
    assert sorted(options) == ["delighted", "disappointed"]
    assert "- delighted" in prompt
    for choices in (None, [], ["disappointed"], ["glad", "sad"]):
        bare, none = asked(answer_choices=choices)
        assert none == ()
        assert bare == prompt.partition("\n\nOPTIONS")[0]


def test_natural_instructions_are_capped_by_task_and_evaluated_on_the_test_tasks(tmp_path: Path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "splits").mkdir()
    for name in ("long", "short", "test"):
        instances = [
            {"id": f"{n}", "input": f"{name} {n}", "output": ["x"]} for n in range(3 if name == "short" else 30)
        ]
        shown = [{"input": f"i{n}", "output": f"o{n}"} for n in range(3)] if name != "short" else []
        task = {"Definition": [f"Do {name}."], "Positive Examples": shown, "Instances": instances}
        (tmp_path / "tasks" / f"{name}.json").write_text(json.dumps(task))
    (tmp_path / "splits" / "train_tasks.txt").write_text("long\nshort\n")
    (tmp_path / "splits" / "test_tasks.txt").write_text("test\n")

    def asked(name: str, split: str) -> list[str]:
        spec = local(name, tmp_path)
        items = examples(spec, split, DataConfig(max_examples=5))
        return [item.messages[0].content for item in items if isinstance(item, Example)]

    trained = asked("natural_instructions", "train")
    assert Counter("Do long." in prompt for prompt in trained) == {True: 5, False: 3}
    assert all("Do test." in prompt for prompt in asked("natural_instructions", "validation"))
    for prompt in asked("natural_instructions_examples", "train"):
        assert "Do long." in prompt
        assert "Input: i0\nOutput: o0\n\nInput: i1\nOutput: o1" in prompt
        assert "i2" not in prompt
    assert of_sample("natural_instructions_examples", positive_examples=[]) == [Skip("task without positive examples")]


@pytest.mark.parametrize("name", ["natural_instructions", "natural_instructions_examples", *DIALOGUES])
def test_ten_templates_that_differ(name: str):
    for way in (name, f"{name}_inverted") if name in DIALOGUES else (name,):
        spec = get_task(way)
        assert len({template.prompt for template in spec.templates}) == 10
        assert not any(template.inverted for template in spec.templates)
        renderer = renderer_for(spec, DataConfig())
        for example in renderer.render_all(of_sample(way)[0], example_id=0):
            prompt = example.messages[0].content
            assert prompt == prompt.strip()
            assert "\n\n\n" not in prompt
            assert example.target not in prompt


def test_wikidialog_ends_before_its_last_sentence_of_the_passage():
    [fields] = of_sample("wiki_dialog")
    assert fields["turn"] == "The wood lasts under water."
    assert fields["dialogue"].splitlines()[0] == "Reader: Where do alders grow?"
    assert fields["dialogue"].splitlines()[-1] == "Reader: Is the wood of any use?"
    assert fields["dialogue"].splitlines()[1].startswith("Expert: Alders")
    open_end = {"utterances": ["q", "The wood lasts under water.", "and?"], "author_num": [4, 7, 4]}
    assert of_sample("wiki_dialog", **open_end)[0]["dialogue"] == "Reader: q"
    assert of_sample("wiki_dialog", sentences=[]) == [
        Skip("dialogue without a sentence of the passage after another turn")
    ]


def test_qrecc_s_turns_alternate_up_to_the_question():
    [fields] = of_sample("qrecc")
    assert [line.partition(":")[0] for line in fields["dialogue"].splitlines()] == ["User", "Assistant", "User"]
    assert fields["turn"] == "She also built two harbour walls and a railway bridge."
    assert of_sample("qrecc", Context=[])[0]["dialogue"] == "User: What else did she build?"
    assert of_sample("qrecc", Answer=" ") == [Skip("empty answer")]


def test_taskmaster_asks_for_each_turn_of_the_assistant():
    first, second = of_sample("task_master")
    assert first == {"dialogue": "Customer: Hi, I'd like to order a pizza.", "turn": "Sure. Which one would you like?"}
    assert second["dialogue"].endswith("\nCustomer: A large one with mushrooms. And extra cheese, please.")
    silent = [{"index": 0, "speaker": "ASSISTANT", "text": "Hello?"}, {"index": 1, "speaker": "USER", "text": " "}]
    assert of_sample("task_master", utterances=silent) == [Skip("dialogue in which the assistant answers nothing")]


@pytest.mark.parametrize("name", DIALOGUES)
def test_the_inversion_asks_for_the_dialogue(name: str):
    straight, inverted = of_sample(name)[-1], of_sample(f"{name}_inverted")[-1]
    assert straight == inverted
    example = renderer_for(get_task(f"{name}_inverted"), DataConfig()).render(inverted, example_id=0, rendering=0)
    assert example.target == straight["dialogue"]
    assert straight["turn"] in example.messages[0].content
