"""Categories: what kind of thing a word names, which word does not belong, and what a question asks for."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, cycled, distinct, split_source

CLUSTER = "categories"
CITATION = "Words and sentences of our own choice, tasks/starter/categories.py."

CATEGORIES = {
    "animal": """
        antelope badger bat bear beaver bee bison camel cat cheetah cow crocodile deer dog dolphin donkey eagle elephant
        falcon fox frog giraffe goat goose gorilla hamster hedgehog horse kangaroo koala lion lizard lynx mole monkey
        moose mouse otter owl panda parrot penguin pig rabbit raccoon rat
    """,
    "plant": """
        acacia aloe azalea bamboo beech birch cactus carnation cedar clover cypress daffodil daisy dandelion elm fern
        fir geranium heather hibiscus holly hyacinth ivy jasmine juniper lavender lilac lily magnolia maple marigold
        moss nettle oak orchid palm pansy peony petunia pine poplar poppy reed rose spruce sunflower
    """,
    "food": """
        bacon bagel bread butter cake cereal cheese chocolate cookie cracker croissant custard doughnut fudge ham
        hamburger honey jam jelly ketchup lasagna marmalade mayonnaise muffin mustard noodles omelette pancake pasta
        pastry pie pizza porridge pretzel pudding salad salami sandwich sausage soup spaghetti steak stew sushi toast
        waffle yogurt
    """,
    "tool": """
        anvil axe brush chainsaw chisel clamp crowbar drill file grinder hacksaw hammer handsaw hatchet hoe jigsaw
        ladder lathe mallet nailgun pickaxe pitchfork pliers plunger pulley rake ratchet sander sandpaper saw
        scissors screwdriver scythe shears shovel sickle sledgehammer spade spanner stapler toolbox trowel tweezers vise
        wheelbarrow wrench
    """,
    "clothing": """
        apron belt blazer blouse boots bra cap cardigan cloak coat dress dungarees gloves gown hat hoodie jacket jeans
        jumper kilt kimono leggings mittens necktie overalls pajamas pants parka poncho robe sandals sari scarf shawl
        shirt shoes shorts skirt slippers socks stockings suit sweater sweatshirt tights trousers tunic vest
    """,
    "vehicle": """
        airplane airship ambulance barge bicycle bulldozer bus canoe car carriage cart catamaran excavator ferry glider
        gondola helicopter hovercraft jeep jet kayak limousine locomotive lorry minibus moped motorboat motorcycle
        pickup raft rickshaw rowboat sailboat scooter ship sled snowmobile submarine tank taxi tractor train tram
        tricycle trolley truck van yacht
    """,
}
WORDS = {category: words.split() for category, words in CATEGORIES.items()}

# one event can be asked for its place, its time or its reason: there the first words alone tell
EVENTS = (
    "the fair begin", "the ship sink", "the twins meet", "the train stop", "the circus open", "the king die",
    "the team win", "the boat vanish", "the fire start", "the actor marry", "the tower fall", "the band split up",
    "the parade end", "the plane land", "the poet move", "the dam break",
)  # fmt: skip
DEEDS = (
    "painted the old mill", "won the race", "wrote this letter", "found the lost key", "built the boat",
    "sang at the fair", "invented the machine", "broke the window", "baked the cake", "led the parade",
    "stole the ring", "saved the cat", "founded the school", "climbed the tower", "drew the map", "told the story",
)  # fmt: skip
AMOUNTS = (
    "bridges cross the river", "children came to the fair", "coins were found", "ships sank that night",
    "eggs are in the nest", "islands are inhabited", "players are on the field", "windows were broken",
    "trains leave each day", "books did she write", "languages does he speak", "teams took part", "rooms are empty",
    "horses were sold", "towers are still standing", "letters were lost",
)  # fmt: skip
# what is asked for: ways to begin, and ways to go on
QUESTIONS = {
    "person": (("Who", "Which woman", "Which artist", "Which of the pupils"), DEEDS),
    "place": (("Where did", "In which town did", "In what country did", "At what spot did"), EVENTS),
    "time": (("When did", "In which year did", "On what day did", "In which month did"), EVENTS),
    "number": (("How many", "What number of", "About how many", "Exactly how many"), AMOUNTS),
    "reason": (("Why did", "For what reason did", "Because of what did", "What made"), EVENTS),
}


def category_records() -> Iterator[Record]:
    """A record a word."""
    for category, words in WORDS.items():
        for word in words:
            yield {"word": word, "answer": category}


def odd_one_out_records() -> Iterable[Record]:
    """Three words of one category and one of another."""

    def draw(stream: random.Random) -> Record:
        common, other = stream.sample(list(WORDS), 2)
        odd = stream.choice(WORDS[other])
        words = stream.sample([*stream.sample(WORDS[common], 3), odd], 4)
        return {"words": words, "list": ", ".join(words), "answer": odd, "key": " ".join(sorted(words))}

    return distinct("odd_one_out", 480, draw, by="key")


def question_records() -> Iterable[Record]:
    """Questions of five kinds, equally many of each."""
    label = cycled("question_type labels", tuple(QUESTIONS))

    def draw(stream: random.Random) -> Record:
        answer = label()
        beginnings, ends = QUESTIONS[answer]
        return {"question": f"{stream.choice(beginnings)} {stream.choice(ends)}?", "answer": answer}

    # of the 320 there are: five kinds, four beginnings, sixteen ends
    return distinct("question_type", 300, draw, by="question")


add_task(
    TaskSpec(
        name="word_category",
        cluster=CLUSTER,
        source=split_source("word_category", category_records, together="word", version="1"),
        templates=(
            Template("What kind of thing is a word like '{word}'?"),
            Template("To which category does '{word}' belong?"),
            Template("Word: {word}\nCategory:"),
            Template("Classify this word: {word}"),
            Template("In a picture dictionary, on which page would you find '{word}'?"),
            Template("Sort the word into its box: {word}"),
            Template("Choose the group that fits '{word}' best."),
            Template("Think of what '{word}' means. What sort of thing is that?"),
            Template("Name something that belongs to the category '{answer}'.", "{word}", inverted=True),
            Template("Give me one word for this box: {answer}", "{word}", inverted=True),
        ),
        inputs="{word}",
        options=tuple(CATEGORIES),
        dataset_name="word category",
        version="1",
        license="Apache-2.0",
        citation=CITATION,
        description="Whether a word names an animal, a plant, food, a tool, clothing or a vehicle.",
    )
)

add_task(
    TaskSpec(
        name="odd_one_out",
        cluster=CLUSTER,
        source=split_source("odd_one_out", odd_one_out_records, together="key", version="1"),
        templates=(
            Template("Which word does not belong with the others? {list}"),
            Template("Find the odd one out: {list}"),
            Template("Three of these are of a kind. Which is not?\n{list}"),
            Template("{list}\nWhich is the stranger among these words?"),
            Template("One word does not fit: {list}. Which?"),
            Template("Cross out the word that is of another kind. {list}"),
            Template("Words: {list}\nOdd one out:"),
            Template("Name the word that breaks the pattern: {list}"),
            Template("Of {list}, which is the exception?"),
            Template("Make a list of four words in which only '{answer}' is of another kind.", "{list}", inverted=True),
        ),
        inputs="{list}",
        options="words",
        dataset_name="odd one out",
        version="1",
        license="Apache-2.0",
        citation=CITATION,
        description="The one of four words that is of another category than the rest.",
    )
)

add_task(
    TaskSpec(
        name="question_type",
        cluster=CLUSTER,
        source=split_source("question_type", question_records, together="question", version="1"),
        templates=(
            Template("What does this question ask for? {question}"),
            Template("{question}\nWhat type of answer is expected?"),
            Template("Question: {question}\nAnswer type:"),
            Template("Do not answer, only say what is asked for: {question}"),
            Template("Someone wants to know: {question} What kind of thing must the answer name?"),
            Template("Classify the question. {question}"),
            Template("The answer to '{question}' would be a ..."),
            Template("Sort this question by the kind of its answer: {question}"),
            Template("If you could answer it, what would you give? {question}"),
            Template("Write a question whose answer is a {answer}.", "{question}", inverted=True),
        ),
        inputs="{question}",
        options=tuple(QUESTIONS),
        dataset_name="question type",
        version="1",
        license="Apache-2.0",
        citation=CITATION,
        description="Whether a question asks for a person, a place, a time, a number or a reason.",
    )
)
