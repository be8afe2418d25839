"""The mixtures that come with this project, by name."""

from __future__ import annotations

from flan_jax.data.registry import MixtureSpec, add_mixture

STARTER = {
    "closed_book_facts": ("capital_city", "continent", "chemical_element"),
    "inference": ("kind_inference", "order_inference"),
    "translation": ("country_translation", "date_translation"),
    "arithmetic": ("word_problem",),
    "number_words": ("digits_to_words", "words_to_digits"),
    "sentiment": ("product_review", "visit_report"),
    "words": ("plural_noun", "reversed_list", "initials", "spelling"),
    "structure_to_text": ("person_profile", "weather_report", "restaurant_note"),
    "categories": ("word_category", "odd_one_out", "question_type"),
    "comparison": ("larger_number", "heavier_thing"),
    "dates": ("iso_date", "weekday_shift"),
}

# one or two a cluster: half the cost of an evaluation
SMALL = (
    "capital_city",
    "continent",
    "order_inference",
    "date_translation",
    "word_problem",
    "digits_to_words",
    "visit_report",
    "reversed_list",
    "person_profile",
    "word_category",
    "question_type",
    "heavier_thing",
    "iso_date",
)

add_mixture(
    MixtureSpec(
        name="starter",
        tasks=tuple(task for tasks in STARTER.values() for task in tasks),
        description="Every bundled task: short prompts and answers of eleven clusters, made from facts and grammars.",
    )
)

add_mixture(
    MixtureSpec(
        name="starter_small",
        tasks=SMALL,
        description="Thirteen of the bundled tasks, at least one of each of the eleven clusters.",
    )
)
