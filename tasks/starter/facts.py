"""Closed-book facts: capitals, continents and chemical elements. The answer is nowhere in the prompt."""

from __future__ import annotations

import random
from collections.abc import Iterator

from flan_jax.data.registry import TaskSpec, Template, add_task

from .stock import Record, split_source, words
from .world import COUNTRY_LINES, countries, regions

CLUSTER = "closed_book_facts"

ELEMENTS = words("""
    hydrogen H helium He lithium Li beryllium Be boron B carbon C nitrogen N oxygen O fluorine F neon Ne sodium Na
    magnesium Mg aluminium Al silicon Si phosphorus P sulfur S chlorine Cl argon Ar potassium K calcium Ca scandium Sc
    titanium Ti vanadium V chromium Cr manganese Mn iron Fe cobalt Co nickel Ni copper Cu zinc Zn gallium Ga
    germanium Ge arsenic As selenium Se bromine Br krypton Kr rubidium Rb strontium Sr yttrium Y zirconium Zr niobium Nb
    molybdenum Mo technetium Tc ruthenium Ru rhodium Rh palladium Pd silver Ag cadmium Cd indium In tin Sn antimony Sb
    tellurium Te iodine I xenon Xe caesium Cs barium Ba lanthanum La cerium Ce praseodymium Pr neodymium Nd
    promethium Pm samarium Sm europium Eu gadolinium Gd terbium Tb dysprosium Dy holmium Ho erbium Er thulium Tm
    ytterbium Yb lutetium Lu hafnium Hf tantalum Ta tungsten W rhenium Re osmium Os iridium Ir platinum Pt gold Au
    mercury Hg thallium Tl lead Pb bismuth Bi polonium Po astatine At radon Rn francium Fr radium Ra actinium Ac
    thorium Th protactinium Pa uranium U neptunium Np plutonium Pu americium Am curium Cm berkelium Bk californium Cf
    einsteinium Es fermium Fm mendelevium Md nobelium No lawrencium Lr rutherfordium Rf dubnium Db seaborgium Sg
    bohrium Bh hassium Hs meitnerium Mt darmstadtium Ds roentgenium Rg copernicium Cn nihonium Nh flerovium Fl
    moscovium Mc livermorium Lv tennessine Ts oganesson Og
""")
NAMES, SYMBOLS = ELEMENTS[0::2], ELEMENTS[1::2]


def capital_records() -> Iterator[Record]:
    """A record a country, state or territory."""
    for country in countries():
        yield {"place": country.name, "answer": country.capital}
    for place, capital in regions():
        yield {"place": place, "answer": capital}


def continent_records() -> Iterator[Record]:
    """Two records a country: itself and its capital."""
    for country in countries():
        yield {"country": country.code, "place": country.name, "answer": country.continent}
        if country.capital not in country.name:
            yield {"country": country.code, "place": country.capital, "answer": country.continent}


def element_records() -> Iterator[Record]:
    """Three records an element: its symbol from its name, its name from its symbol and from its number."""
    for index, (name, symbol) in enumerate(zip(NAMES, SYMBOLS, strict=True)):
        number = index + 1
        stream = random.Random(f"chemical_element {name}")
        others = stream.sample([other for other in range(len(NAMES)) if other != index], 3)
        shown = sorted([index, *others])
        symbols = [SYMBOLS[i] for i in shown]
        names = [NAMES[i] for i in shown]
        for asked, answer, choices in (
            (f"the chemical symbol of {name}", symbol, symbols),
            (f"the element with the symbol {symbol}", name, names),
            (f"the element with atomic number {number}", name, names),
        ):
            yield {"element": name, "asked": asked, "answer": answer, "choices": choices}


add_task(
    TaskSpec(
        name="capital_city",
        cluster=CLUSTER,
        source=split_source("capital_city", capital_records, together="place", version="1"),
        templates=(
            Template("What is the capital of {place}?"),
            Template("Name the capital of {place}."),
            Template("Capital of {place}:"),
            Template("Which city is the capital of {place}? Give only its name."),
            Template("A traveller wants to see the capital of {place}. Where should she go?"),
            Template("Geography quiz: the seat of government of {place} is in which city?"),
            Template("Fill in the city. The capital of {place} is ..."),
            Template("Place: {place}\nCapital:"),
            Template("{answer} is the capital of which country, state or territory?", "{place}", inverted=True),
            Template("Which place is governed from {answer}?", "{place}", inverted=True),
        ),
        inputs="{place}",
        metrics=("exact_match", "token_f1"),
        dataset_name="capital city",
        version="1",
        license="Apache-2.0",
        citation="Facts of our own table, tasks/starter/world.py.",
        description="The capital of a country, state or territory, from memory.",
    )
)

add_task(
    TaskSpec(
        name="continent",
        cluster=CLUSTER,
        source=split_source("continent", continent_records, together="country", version="1"),
        templates=(
            Template("On which continent is {place}?"),
            Template("Which continent does {place} belong to?"),
            Template("Name the continent where you find {place}."),
            Template("{place} is a place in ..."),
            Template("Someone is flying to {place}. To which continent is that?"),
            Template("Sort this place by continent: {place}"),
            Template("In an atlas with a chapter for each continent, which chapter shows {place}?"),
            Template("Place: {place}\nContinent:"),
            Template("Choose the continent of {place}."),
            Template("Name a country or a capital in {answer}.", "{place}", inverted=True),
        ),
        inputs="{place}",
        options=tuple(COUNTRY_LINES),
        dataset_name="continent",
        version="1",
        license="Apache-2.0",
        citation="Regions: United Nations Statistics Division, M49 standard; table: tasks/starter/world.py.",
        description="The continent of a country or of its capital; both are in the same split.",
    )
)

add_task(
    TaskSpec(
        name="chemical_element",
        cluster=CLUSTER,
        source=split_source("chemical_element", element_records, together="element", version="1"),
        templates=(
            Template("What is {asked}?"),
            Template("Chemistry question: what is {asked}?"),
            Template("Look for {asked} in the periodic table. What do you find?"),
            Template("Name {asked}."),
            Template("Recall {asked}."),
            Template("A pupil has to write down {asked}. What is right?"),
            Template("From memory, give {asked}."),
            Template("Tell me {asked}."),
            Template("Wanted: {asked}"),
            Template(
                "In a quiz on the periodic table, the right answer was '{answer}'. What was asked for?",
                "{asked}",
                inverted=True,
            ),
        ),
        inputs="{asked}",
        options="choices",
        dataset_name="chemical element",
        version="1",
        license="Apache-2.0",
        citation="Names, symbols and numbers: IUPAC periodic table of the elements, 2022.",
        description="Symbol, name or atomic number of an element, one of four; an element is in one split only.",
    )
)
