"""Summaries and translations: what is cleaned in the records, what is left out, and which way translations go."""

import re
from typing import Any

import pytest

from flan_jax.data.registry import HoldBack, TfdsSource, get_task, load_modules
from flan_jax.data.render.renderer import Renderer
from flan_jax.data.spec.fields import record_fields
from flan_jax.data.spec.schema import Skip
from flan_jax.data.spec.task import Fields
from flan_jax.tasks.flan2021 import summarization_news, summarization_other, translation

SUMMARIES = (
    "aeslc", "ag_news_subset", "cnn_dailymail", "gigaword", "multi_news", "newsroom", "opinion_abstracts_idebate",
    "opinion_abstracts_rotten_tomatoes", "samsum", "wiki_lingua_english_en", "xsum",
)  # fmt: skip
# task → languages in the direction of its name
TRANSLATIONS = {
    "para_crawl_enes": ("English", "Spanish"),
    "wmt14_enfr": ("English", "French"),
    "wmt16_translate_csen": ("Czech", "English"),
    "wmt16_translate_deen": ("German", "English"),
    "wmt16_translate_fien": ("Finnish", "English"),
    "wmt16_translate_roen": ("Romanian", "English"),
    "wmt16_translate_ruen": ("Russian", "English"),
    "wmt16_translate_tren": ("Turkish", "English"),
}
load_modules(())


def fields_for(task: str, **changes: Any) -> Fields | Skip:
    spec = get_task(task)
    (fields,) = record_fields(spec, {**(spec.sample or {}), **changes})
    return fields


def kept(task: str, **changes: Any) -> Fields:
    fields = fields_for(task, **changes)
    assert not isinstance(fields, Skip)
    return fields


@pytest.mark.parametrize("name", [*SUMMARIES, *TRANSLATIONS])
def test_each_task_has_ten_templates_at_most_three_inverted(name: str):
    spec = get_task(name)
    assert len({template.prompt for template in spec.templates}) == 10
    assert sum(template.inverted for template in spec.templates) <= 3
    assert spec.cluster == ("translation" if name in TRANSLATIONS else "summarization")
    assert spec.metrics == (
        ("bleu",) if name in TRANSLATIONS else ("accuracy",) if name == "ag_news_subset" else ("rouge_l",)
    )


def test_no_two_tasks_share_a_prompt():
    prompts = [template.prompt for name in [*SUMMARIES, *TRANSLATIONS] for template in get_task(name).templates]
    assert len(prompts) == len(set(prompts)) == 190


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_straight_templates_ask_for_the_second_language_and_inverted_ones_for_the_first(name: str):
    spec = get_task(name)
    source, target = TRANSLATIONS[name]
    assert spec.description.startswith(f"Translation from {source} to {target};")
    (fields,) = record_fields(spec, spec.sample or {})
    assert not isinstance(fields, Skip)
    codes = {language: code for code, language in translation.LANGUAGES.items()}
    for example in Renderer(spec, mode="instruction", options_shown=True, option_style="dash", seed=0).render_all(
        fields, example_id=0
    ):
        given, wanted = (target, source) if spec.templates[example.template_id].inverted else (source, target)
        assert fields[codes[given]] in example.messages[0].content
        assert example.target == fields[codes[wanted]]
        assert re.search(rf"\b{wanted}\b", example.messages[0].content)


def test_both_directions_and_three_sets_of_wordings_occur():
    assert {"English"} < {source for source, _ in TRANSLATIONS.values()}
    assert {"English"} < {target for _, target in TRANSLATIONS.values()}
    wordings = {get_task(name).templates[0].prompt.split("{")[0][:14] for name in TRANSLATIONS}
    assert len(wordings) == 3


def test_pairs_with_an_empty_sentence_are_left_out():
    assert kept("wmt14_enfr", en=" A\n word. ")["en"] == "A word."
    assert fields_for("wmt14_enfr", fr=" \n") == translation.NO_PAIR


def test_huge_sets_are_read_in_part_and_never_train_on_what_is_held_back():
    splits = get_task("para_crawl_enes").splits
    assert splits == {"train": "train[:200000]", "validation": "train[-2000:]"}
    for name in ("gigaword", "newsroom", "wmt14_enfr", "wmt16_translate_deen"):
        assert get_task(name).splits == {"train": "train[:200000]", "validation": "validation"}


def test_opinions_are_held_back_from_training():
    for name in ("opinion_abstracts_idebate", "opinion_abstracts_rotten_tomatoes"):
        source = get_task(name).source
        assert isinstance(source, HoldBack)
        assert isinstance(source.source, TfdsSource)
        assert source.share == 0.1


def test_gigaword_is_detokenized():
    for tokens, text in (
        ("the firms do n't -lrb- or can not -rrb- pay $ # million .", "the firms don't (or can not) pay $# million."),
        ("`` we 'll see , '' he said ; and `` so what ? ''", '"we\'ll see," he said; and "so what?"'),
        ("the dogs met in st. john 's -lsb- sic -rsb- : ok !", "the dogs met in st. john's [sic]: ok!"),
        ("said : `` no end", 'said: " no end'),
    ):
        assert summarization_news.detokenized(tokens) == text


@pytest.mark.parametrize("summary", ["UNK wins race", "mayor of <unk> resigns", "unk"])
def test_headlines_with_unknown_words_are_left_out(summary: str):
    assert fields_for("gigaword", summary=summary) == summarization_news.UNKNOWN_WORD
    assert kept("gigaword", summary="a drunk wins race")["answer"] == "a drunk wins race"


def test_multi_news_articles_are_parted_and_numbered():
    document = "One. \n \n Two. ||||| |||||Three. NEWLINE_CHAR NEWLINE_CHAR Four. |||||"
    fields = kept("multi_news", document=document, summary="– Five.")
    assert fields["articles"] == "Article 1:\nOne.\nTwo.\n\nArticle 2:\nThree.\nFour."
    assert fields["answer"] == "Five."
    assert fields_for("multi_news", document=" ||||| ") == summarization_news.NO_SUMMARY


def test_highlights_are_lines_with_joined_full_stops():
    assert kept("cnn_dailymail", highlights="One thing .\n\nAnother thing.\n")["answer"] == "One thing.\nAnother thing."
    assert fields_for("cnn_dailymail", article=" ") == summarization_news.NO_SUMMARY


def test_news_items_lose_what_is_left_of_html():
    for text, clean in {
        r"Wall Street\band of ultra-cynics": "Wall Street band of ultra-cynics",
        "the shipyard #39;s quot;new quot; deal of #36;60m": 'the shipyard\'s "new " deal of $60m',
        "AT&amp;T &lt;b&gt;sells&lt;/b&gt; more": "AT&T sells more",
        'See &lt;A HREF="http://x"&gt;this&lt;/A&gt;': "See this",
        "C# 39; is no entity, nor is #1 or insult;": "C# 39; is no entity, nor is #1 or insult;",
    }.items():
        assert summarization_news.unmarked(text) == clean
    fields = kept("ag_news_subset", label=3)
    assert fields["label"] == "Science and technology"
    assert get_task("ag_news_subset").options == ("World", "Sports", "Business", "Science and technology")


def test_opinions_become_lists_of_lines():
    reviews = {"key": [str(n) for n in range(15)], "value": [f"Review\n {n}." for n in range(15)]}
    fields = kept("opinion_abstracts_rotten_tomatoes", _critics=reviews)
    assert fields["reviews"].splitlines() == [f"- Review {n}." for n in range(summarization_other.MOST_REVIEWS)]
    empty = {"key": ["0"], "value": [" "]}
    assert fields_for("opinion_abstracts_rotten_tomatoes", _critics=empty) == summarization_news.NO_SUMMARY
    assert fields_for("opinion_abstracts_idebate", _argument_sentences=empty) == summarization_news.NO_SUMMARY


def test_chats_end_their_lines_as_others_do_and_an_empty_one_is_left_out():
    assert kept("samsum", dialogue="A: hi\r\nB: hello ")["dialogue"] == "A: hi\nB: hello"
    assert fields_for("samsum", dialogue="") == summarization_news.NO_SUMMARY
