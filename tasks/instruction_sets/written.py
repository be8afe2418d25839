"""Instructions and answers that people wrote: Dolly, OpenAssistant."""

from __future__ import annotations

from flan_jax.data.registry import HubSource, add_task, task_in_form, trees

add_task(
    task_in_form(
        "dolly",
        HubSource("databricks/databricks-dolly-15k"),
        name="dolly",
        cluster="instruction_following",
        schema={"instruction": "text", "context": "text", "response": "text"},
        metrics=("rouge_l",),
        dataset_name="Dolly 15k",
        sample={
            "instruction": "Which two rivers meet at the town?",
            "context": "The town of Alderbrook lies where the small river Ash flows into the wider Brenn. "
            "Its mill, now a museum, was powered by the Ash until 1954.",
            "response": "The Ash and the Brenn.",
            "category": "closed_qa",
        },
        license="CC-BY-SA-3.0",
        citation=(
            "Conover, Hayes, Mathur, Xie, Wan, Shah, Ghodsi, Wendell, Zaharia, Xin (2023), Free Dolly: Introducing the "
            "World's First Truly Open Instruction-Tuned LLM"
        ),
        description="15,000 instructions with answers in eight categories, written by the staff of one company.",
    )
)

add_task(
    task_in_form(
        "oasst",
        trees(HubSource("OpenAssistant/oasst1")),
        name="oasst1",
        cluster="dialogue",
        schema={"prompt.role": "text", "prompt.text": "text", "prompt.replies": "list"},
        metrics=("rouge_l",),
        dataset_name="OpenAssistant",
        sample={
            "tree_state": "ready_for_export",
            "prompt": {
                "message_id": "m1",
                "parent_id": None,
                "role": "prompter",
                "text": "My basil keeps dying on the window sill. What am I doing wrong?",
                "lang": "en",
                "deleted": False,
                "review_result": True,
                "review_count": 3,
                "rank": None,
                "replies": [
                    {
                        "message_id": "m2",
                        "parent_id": "m1",
                        "role": "assistant",
                        "text": "Most often it is too much water or a draught. Let the top of the soil dry before you "
                        "water again, and keep the pot away from an open window.",
                        "lang": "en",
                        "deleted": False,
                        "review_result": True,
                        "review_count": 3,
                        "rank": 0,
                        "replies": [],
                    },
                    {
                        "message_id": "m3",
                        "parent_id": "m1",
                        "role": "assistant",
                        "text": "Buy a new one.",
                        "lang": "en",
                        "deleted": False,
                        "review_result": True,
                        "review_count": 3,
                        "rank": 1,
                        "replies": [],
                    },
                ],
            },
        },
        license="Apache-2.0",
        citation=(
            "Köpf, Kilcher, von Rütte, Anagnostidis, Tam, Stevens et al. (2023), OpenAssistant Conversations - "
            "Democratizing Large Language Model Alignment, arXiv:2304.07327"
        ),
        description="Conversations of volunteers in 35 languages, the best-ranked reply of each question followed.",
    )
)
