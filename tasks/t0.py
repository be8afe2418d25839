"""T0: the prompted data sets of its training mixture, one task a prompt (Sanh et al., 2022, arXiv 2110.08207).

The records come from the P3 collection as finished prompts, so there is one template, and the bare input is the prompt.
`data.sources` takes a local file for a task; where that file holds the records of several prompts (field `template`),
those of the task's own are read. All prompts of a file at once are `p3:PATH`.

A data set that FLAN 2021 has as well stands in FLAN's cluster, whatever the prompt asks of it: who holds that cluster
out has none of its texts in training. The others stand in T0's own clusters.
"""

from __future__ import annotations

from flan_jax.data.registry import (
    ClusterSpec,
    HubSource,
    TaskSpec,
    add_cluster,
    add_task,
    prompted,
    task_in_form,
)

HUB = "bigscience/P3"
MAX_EXAMPLES = 20_000  # of a prompt in Flan 2022: Longpre et al., arXiv 2301.13688, appendix
SCHEMA = {"inputs_pretokenized": "text", "targets_pretokenized": "text"}
CITATION = (
    "Sanh, Webson, Raffel, Bach, Sutawika, Alyafeai et al. (2022), Multitask Prompted Training Enables Zero-Shot Task "
    "Generalization, arXiv:2110.08207; the data set's own authors"
)

DUORC = (
    "answer_question build_story_around_qa decide_worth_it extract_answer generate_question "
    "generate_question_by_answer movie_director question_answering title_generation"
)
ADVERSARIAL_QA = "answer_the_following_q based_on generate_question question_context_answer tell_what_it_is"

# cluster → data set → its prompts; the name of a task is t0_DATASET_PROMPT, and DATASET_PROMPT is P3's configuration
PROMPTS = {
    "paraphrase": {
        "glue_mrpc": ("equivalent generate_paraphrase generate_sentence paraphrase replace same_thing want_to_know"),
        "glue_qqp": "answer duplicate duplicate_or_not meaning quora same_thing",
        "paws_labeled_final": (
            "Concatenation Concatenation_no_label Meaning Meaning_no_label PAWS_ANLI_GPT3 PAWS_ANLI_GPT3_no_label "
            "Rewrite Rewrite_no_label context_question context_question_no_label paraphrase_task "
            "task_description_no_label"
        ),
    },
    "summarization": {
        "ag_news": (
            "classify classify_question_first classify_with_choices classify_with_choices_question_first recommend "
            "which_section which_section_choices"
        ),
        "cnn_dailymail_3.0.0": (
            "2_or_3_sentences generate_story news_card_view news_stock news_summary spice_up_story sum_in_brief "
            "tldr_summary write_an_outline"
        ),
        "gigaword": (
            "TLDR first_sentence_title generate_summary_for_this in_a_nutshell make_a_title reverse_writing "
            "write_a_title_for_this_sentence write_an_article write_its_sentence"
        ),
        "multi_news": ("distill expand_reverse_task_ summarize summary_scenario synthesize what_are_the_key_points"),
        "samsum": (
            "Generate_a_summary_for_this_dialogue Given_the_above_dialogue_write_a_summary "
            "Sum_up_the_following_dialogue Summarize_ Summarize_this_dialogue_ To_sum_up_this_dialog "
            "Write_a_dialogue_that_match_this_summary"
        ),
        "xsum": (
            "DOC_boils_down_to_simple_idea_that DOC_given_above_write_one_sentence "
            "DOC_how_would_you_rephrase_few_words DOC_tldr DOC_write_summary_of_above article_DOC_summary "
            "college_roommate_asked_DOC_so_I_recap read_below_DOC_write_abstract summarize_DOC "
            "summarize_this_DOC_summary"
        ),
    },
    "structure_to_text": {
        "common_gen": (
            "Example_prompt Given_concepts_type_1 Given_concepts_type_2 Put_together "
            "choice_in_concept_centric_sentence_generation random_task_template_prompt sentence_to_concepts "
            "topic_to_sentence topics_from_the_sentence"
        ),
        "wiki_bio": "comprehension guess_person key_content what_content who",
    },
    "sentiment": {
        "amazon_polarity": (
            "Is_this_product_review_positive Is_this_review Is_this_review_negative User_recommend_this_product "
            "convey_negative_or_positive_sentiment flattering_or_not negative_or_positive_tone user_satisfied "
            "would_you_buy"
        ),
        "app_reviews": "categorize_rating_using_review convert_to_rating convert_to_star_rating generate_review",
        "imdb": (
            "Movie_Expressed_Sentiment Movie_Expressed_Sentiment_2 Negation_template_for_positive_and_negative "
            "Reviewer_Enjoyment Reviewer_Enjoyment_Yes_No Reviewer_Expressed_Sentiment "
            "Reviewer_Opinion_bad_good_choices Reviewer_Sentiment_Feeling Sentiment_with_choices_ "
            "Text_Expressed_Sentiment Writer_Expressed_Sentiment"
        ),
        "rotten_tomatoes": (
            "Movie_Expressed_Sentiment Movie_Expressed_Sentiment_2 Reviewer_Enjoyment Reviewer_Enjoyment_Yes_No "
            "Reviewer_Expressed_Sentiment Reviewer_Opinion_bad_good_choices Reviewer_Sentiment_Feeling "
            "Sentiment_with_choices_ Text_Expressed_Sentiment Writer_Expressed_Sentiment"
        ),
        "yelp_review_full": ("based_on_that format_rating format_score format_star on_a_scale so_i_would this_place"),
    },
    "question_classification": {
        "trec": (
            "fine_grained_open fine_grained_open_context_first pick_the_best_descriptor trec1 trec2 "
            "what_category_best_describe which_category_best_describes"
        ),
    },
    "topic_classification": {
        "dbpedia_14": (
            "given_a_choice_of_categories_ given_a_list_of_category_what_does_the_title_belong_to "
            "given_list_what_category_does_the_paragraph_belong_to pick_one_category_for_the_following_text"
        ),
    },
    "read_comp_and_common_sense": {
        "cosmos_qa": (
            "context_answer_to_question context_description_question_answer_id "
            "context_description_question_answer_text context_description_question_text "
            "context_question_description_answer_id context_question_description_answer_text "
            "context_question_description_text description_context_question_answer_id "
            "description_context_question_answer_text description_context_question_text no_prompt_id no_prompt_text "
            "only_question_answer"
        ),
    },
    "multiple_choice_qa": {
        "commonsense_qa": (
            "answer_given_question_without_options answer_to_question most_suitable_answer question_answering "
            "question_to_answer_index"
        ),
        "dream": (
            "answer_to_dialogue baseline generate_first_utterance generate_last_utterance "
            "read_the_following_conversation_and_answer_the_question"
        ),
        "qasc": (
            "is_correct_1 is_correct_2 qa_with_combined_facts_1 qa_with_separated_facts_1 qa_with_separated_facts_2 "
            "qa_with_separated_facts_3 qa_with_separated_facts_4 qa_with_separated_facts_5"
        ),
        "quarel": "choose_between do_not_use heres_a_story logic_test testing_students",
        "quartz": (
            "answer_question_based_on answer_question_below given_the_fact_answer_the_q having_read_above_passage "
            "paragraph_question_plain_concat read_passage_below_choose use_info_from_paragraph_question "
            "use_info_from_question_paragraph"
        ),
        "sciq": (
            "Direct_Question Direct_Question_Closed_Book_ Multiple_Choice Multiple_Choice_Closed_Book_ "
            "Multiple_Choice_Question_First"
        ),
        "social_i_qa": (
            "Check_if_a_random_answer_is_valid_or_not Generate_answer Generate_the_question_from_the_answer "
            "I_was_wondering Show_choices_and_generate_answer Show_choices_and_generate_index"
        ),
        "wiki_hop_original": (
            "choose_best_object_affirmative_1 choose_best_object_affirmative_2 choose_best_object_affirmative_3 "
            "choose_best_object_interrogative_1 choose_best_object_interrogative_2 explain_relation generate_object "
            "generate_subject generate_subject_and_object"
        ),
        "wiqa": (
            "does_the_supposed_perturbation_have_an_effect effect_with_label_answer effect_with_string_answer "
            "what_is_the_final_step_of_the_following_process what_is_the_missing_first_step "
            "what_might_be_the_first_step_of_the_process what_might_be_the_last_step_of_the_process "
            "which_of_the_following_is_the_supposed_perturbation"
        ),
    },
    "extractive_qa": {
        "adversarial_qa_dbert": ADVERSARIAL_QA,
        "adversarial_qa_dbidaf": ADVERSARIAL_QA,
        "adversarial_qa_droberta": ADVERSARIAL_QA,
        "duorc_ParaphraseRC": DUORC,
        "duorc_SelfRC": DUORC,
        "quoref": (
            "Answer_Friend_Question Answer_Question_Given_Context Answer_Test Context_Contains_Answer Find_Answer "
            "Found_Context_Online Given_Context_Answer_Question Guess_Answer Guess_Title_For_Context Read_And_Extract_ "
            "What_Is_The_Answer"
        ),
        "ropes": (
            "background_new_situation_answer background_situation_middle given_background_situation "
            "new_situation_background_answer plain_background_situation plain_bottom_hint plain_no_background "
            "prompt_beginning prompt_bottom_hint_beginning prompt_bottom_no_hint prompt_mix read_background_situation"
        ),
    },
    "open_domain_qa": {
        "kilt_tasks_hotpotqa": "combining_facts complex_question final_exam formulate straighforward_qa",
        "wiki_qa": (
            "Decide_good_answer Direct_Answer_to_Question Generate_Question_from_Topic Is_This_True_ Jeopardy_style "
            "Topic_Prediction_Answer_Only Topic_Prediction_Question_Only Topic_Prediction_Question_and_Answer_Pair "
            "automatic_system exercise found_on_google"
        ),
    },
}
WRITING = ("cnn_dailymail", "gigaword", "multi_news", "samsum", "xsum", "common_gen", "wiki_bio")
ANSWERING = ("extractive_qa", "open_domain_qa")

WRITTEN_SAMPLE = {
    "inputs_pretokenized": "Sum up in one sentence what they agreed on.\n\nKim: The hedge is too high for me.\n"
    "Lee: I will cut it on Saturday if you lend me your ladder.\nKim: Deal.\n",
    "targets_pretokenized": "Lee will cut the hedge on Saturday with the ladder that Kim lends.",
}
ANSWERED_SAMPLE = {
    "inputs_pretokenized": "The mill stood idle from 1954 until the village bought it in 1981.\n\nWho owns the mill "
    "today?\n",
    "targets_pretokenized": "the village",
}
CHOSEN_SAMPLE = {
    "inputs_pretokenized": "Which word fits the note better?\n\nThe soup was cold and nobody came to take our order.\n",
    "targets_pretokenized": "disappointed",
    "answer_choices": ["delighted", "disappointed"],
}

add_cluster(ClusterSpec("extractive_qa", title="Extractive question answering", kin=("reading_comprehension",)))
add_cluster(
    ClusterSpec(
        "multiple_choice_qa",
        title="Multiple-choice question answering",
        kin=("common_sense", "read_comp_and_common_sense"),
    )
)
add_cluster(ClusterSpec("topic_classification", title="Topic classification"))


def prompt_task(cluster: str, config: str) -> TaskSpec:
    """The task of one of P3's configurations."""
    # files with several prompts name them with underscores for the dots of a version
    source = prompted(HubSource(HUB, config), config.replace(".", "_"))
    is_writing = config.startswith(WRITING)
    if is_writing:
        sample = WRITTEN_SAMPLE
    else:
        sample = ANSWERED_SAMPLE if cluster in ANSWERING else CHOSEN_SAMPLE
    return task_in_form(
        "p3",
        source,
        name=f"t0_{config}",
        cluster=cluster,
        schema=SCHEMA,
        options="choices",
        metrics=("rouge_l",) if is_writing else ("exact_match", "token_f1"),
        max_examples=MAX_EXAMPLES,
        sample=sample,
        license="Apache-2.0 for the prompts; the data set's own for its texts",
        citation=CITATION,
        description=f"Prompted records of {config} of P3.",
    )


for _cluster, _datasets in PROMPTS.items():
    for _dataset, _prompts in _datasets.items():
        for _prompt in _prompts.split():
            add_task(prompt_task(_cluster, f"{_dataset}_{_prompt}"))
