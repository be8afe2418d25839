"""Templates: placeholders parsed once, braces and percent signs in data safe, errors that name the place."""

import pytest

from flan_jax.data.spec.template import FieldError, literal, parse
from flan_jax.errors import InputError


def test_values_are_inserted_as_they_are():
    pattern = parse("Is {a} 100% {{sure}} of {b}?{a}", "here")
    assert pattern.fields == ("a", "b", "a")
    assert pattern.fill({"a": "{b} %s", "b": 3}) == "Is {b} %s 100% {sure} of 3?{b} %s"


@pytest.mark.parametrize("text", ["{a", "a}", "{}", "{0}", "{a.b}", "{a[0]}", "{a!r}", "{a:>3}", "{a b}"])
def test_malformed_placeholders_are_refused_by_place(text: str):
    with pytest.raises(InputError, match="task 'x', template 3"):
        parse(text, "task 'x', template 3")


@pytest.mark.parametrize(("value", "found"), [(None, "nothing"), (["x"], "a list"), (b"x", "a bytes"), ({}, "a dict")])
def test_a_field_that_is_no_text_is_refused(value: object, found: str):
    with pytest.raises(FieldError, match=f"'a' holds {found}"):
        parse("{a}", "here").fill({"a": value})


def test_a_missing_field_is_refused():
    with pytest.raises(FieldError, match="needs field 'a', which is missing"):
        parse("{a}", "here").fill({})


@pytest.mark.parametrize(
    ("text", "shown", "hidden"),
    [
        ("{q}", "{q}\n\n{options}", "{q}"),
        ("{q}\n{options}\nAnswer:", "{q}\n{options}\nAnswer:", "{q}\nAnswer:"),
        ("{options}\n{q}", "{options}\n{q}", "\n{q}"),
        ("A {{x}} {options}", "A {{x}} {options}", "A {{x}}"),
    ],
)
def test_options_are_placed_and_taken_out(text: str, shown: str, hidden: str):
    pattern = parse(text, "here")
    assert pattern.with_options() == parse(shown, "here")
    assert pattern.without_options() == parse(hidden, "here")


def test_literal_text_has_no_placeholders():
    assert (literal("[{a}] ") + parse("{a}", "here")).fill({"a": 1}) == "[{a}] 1"
