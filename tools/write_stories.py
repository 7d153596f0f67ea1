#!/usr/bin/env python3
"""Write short children's stories from a grammar and word lists of our own.

The stories are the whole training text of the embedded model, so nothing in
them comes from a third party: every sentence below was written for this
script. A story is made in three steps:

1. A plot is drawn. Its set-up draws the cast and the props (who, where, which
   object, which trouble) and stores them as named slots.
2. The plot's beats are filled in, one sentence variant per beat. A variant may
   hold ``{slot}`` references and nested ``[this|that]`` choices.
3. The raw text is polished: a/an, capitals, spaces.

Because every later sentence refers to the same slots, the name, the pronouns
and the object of the first sentence are those of the last one. That is what a
small model has to learn, so the text never breaks the rule.

The same seed always gives the same stories.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from dataclasses import dataclass
from typing import Callable, Iterator, Sequence

END_OF_STORY = "<|endoftext|>"

# --------------------------------------------------------------------------
# Word lists
# --------------------------------------------------------------------------

HE_NAMES = (
    "Tom Ben Max Sam Leo Finn Jack Otto Hugo Felix Bruno Pip Toby Milo Theo "
    "Oscar Gus Ned David Tim Rory Adam Oliver Luke Noah Henry Paul Peter George"
).split()

SHE_NAMES = (
    "Lily Mia Anna Ella Rosa Nora Ivy Daisy Poppy Ruby Clara Hazel Luna Maya "
    "Tess Molly Bella Alice Penny Tilly June Greta Lucy Emma Sophie Kate Zoe Sarah "
    "Eva"
).split()

CHILDREN = ("boy", "girl")
SMALL_KINDS = ("mouse", "frog", "snail", "beetle", "sparrow", "mole")
MIDDLE_KINDS = (
    "fox",
    "rabbit",
    "hedgehog",
    "squirrel",
    "badger",
    "otter",
    "duck",
    "owl",
    "cat",
    "dog",
    "goat",
    "lamb",
    "turtle",
    "hen",
    "pig",
    "beaver",
    "crow",
    "puppy",
    "kitten",
    "pony",
    "donkey",
)
BIG_KINDS = ("bear", "wolf", "lion", "elephant", "dragon", "giant", "moose")
ROYAL_KINDS = ("prince", "princess", "knight")
HERO_KINDS = MIDDLE_KINDS + SMALL_KINDS + ("bear", "dragon", "robot") + ROYAL_KINDS + CHILDREN * 3
HELPER_KINDS = MIDDLE_KINDS + SMALL_KINDS + ("bear",) + CHILDREN
WALKING_KINDS = (
    (
        "fox",
        "rabbit",
        "hedgehog",
        "squirrel",
        "badger",
        "cat",
        "dog",
        "goat",
        "lamb",
        "pig",
        "puppy",
        "kitten",
        "mouse",
        "bear",
    )
    + ROYAL_KINDS
    + CHILDREN * 3
)

GOOD_TRAITS = (
    "kind",
    "curious",
    "gentle",
    "cheerful",
    "clever",
    "friendly",
    "happy",
    "quiet",
    "merry",
    "careful",
    "playful",
)
SIZES = ("little", "small", "young")
HELPER_TRAITS = (
    "kind",
    "wise",
    "friendly",
    "clever",
    "gentle",
    "old",
    "cheerful",
    "helpful",
    "calm",
)

HOMES = (
    "in a small house by the river",
    "under an old oak tree",
    "at the edge of the forest",
    "on top of a green hill",
    "near a quiet lake",
    "in a village by the sea",
    "in a little red cottage",
    "behind the old mill",
    "in a quiet village",
    "deep in the forest",
    "in a cozy house by the road",
    "beside a tall stone bridge",
    "on a small farm",
    "at the end of a long lane",
    "in a sunny valley",
    "in a town between two hills",
    "on a little island",
    "next to the old windmill",
    "in a warm house with a blue door",
    "at the foot of a mountain",
    "near a field of yellow flowers",
    "in a garden full of roses",
    "in a tall castle",
)

HOBBIES = (
    "to sing in the rain",
    "to count the clouds",
    "to look for round stones",
    "to watch the birds",
    "to dance in the kitchen",
    "to read by the window",
    "to jump over puddles",
    "to pick flowers",
    "to tell funny stories",
    "to draw pictures in the sand",
    "to listen to the wind",
    "to roll down the hill",
    "to play by the stream",
    "to look at the stars",
    "to drink warm milk",
    "to climb the old tree",
)

COLORS = (
    "red",
    "blue",
    "green",
    "yellow",
    "golden",
    "silver",
    "purple",
    "white",
    "brown",
    "orange",
    "pink",
    "black",
)
DEAR_THINGS = (
    "ball",
    "kite",
    "hat",
    "scarf",
    "drum",
    "bell",
    "button",
    "ring",
    "book",
    "flute",
    "whistle",
    "bag",
    "boat",
    "spoon",
    "cup",
    "feather",
    "shell",
    "marble",
    "ribbon",
    "teddy bear",
)
TOYS = ("ball", "kite", "drum", "wagon", "boat", "swing", "top", "sled", "puppet")
WALKS = (
    "in the forest",
    "by the river",
    "in the meadow",
    "on the hill",
    "near the lake",
    "along the beach",
    "in the garden",
    "by the old bridge",
    "near the market",
    "on the path",
    "in the field",
    "behind the barn",
)
SHAREABLE_FOODS = (
    "a basket of apples",
    "a jar of honey",
    "a warm pie",
    "a bag of nuts",
    "a loaf of bread",
    "a bowl of berries",
    "a chocolate cake",
    "a plate of cookies",
    "a big cheese",
    "a basket of plums",
    "a pot of soup",
    "a stack of pancakes",
)
WEATHERS = (
    "sunny",
    "bright",
    "cloudy",
    "windy",
    "warm",
    "cool",
    "quiet",
    "fine",
    "misty",
    "rainy",
)
WINTER_WEATHERS = ("cold", "snowy", "frosty", "white")

# --------------------------------------------------------------------------
# Story: the slots of one story and the way templates are filled
# --------------------------------------------------------------------------

CHOICE = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{([a-z_.]+)\}")
ARTICLE = re.compile(r"\b([Aa]) (?=(\w+))")
SENTENCE_START = re.compile(r"((?:^|[.!] )\"?|[.]\" |[.!?] \")([a-z])")

PRONOUNS = {
    "he": {"he": "he", "him": "him", "his": "his"},
    "she": {"he": "she", "him": "her", "his": "her"},
}
KIND_GENDERS = {"boy": "he", "girl": "she", "prince": "he", "princess": "she", "hen": "she"}


class Story:
    """Slots of one story: who, where and what, fixed once they are drawn."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.slots: dict[str, str] = {}
        self.used: set[str] = set()

    def choose(self, options: Sequence):
        return options[self.rng.randrange(len(options))]

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def set(self, **values: str) -> None:
        """Store slots, expanded now so that a later use repeats the same words."""
        for key, value in values.items():
            self.slots[key] = self.expand(value)

    def unused(self, options: Sequence[str]) -> str:
        """Draw an option no other character of this story has."""
        free = [option for option in options if option not in self.used]
        choice = self.choose(free)
        self.used.add(choice)
        return choice

    def cast(self, role: str, kinds: Sequence[str], traits: Sequence[str]) -> None:
        """Give a role a kind, a name, pronouns and an adjective, all consistent."""
        kind = self.unused(kinds)
        gender = KIND_GENDERS.get(kind) or self.choose(("he", "she"))
        name = self.unused(HE_NAMES if gender == "he" else SHE_NAMES)
        adjective = self.choose(traits)
        if role == "h" and self.chance(0.5):
            adjective = self.choose(SIZES) if self.chance(0.6) else f"{adjective} little"
        slots = self.slots
        slots[role] = name
        slots[f"{role}.kind"] = kind
        slots[f"{role}.adj"] = adjective
        slots[f"{role}.a"] = f"a {adjective} {kind} named {name}"
        slots[f"{role}.full"] = f"little {name}" if kind in CHILDREN else f"{name} the {kind}"
        slots[f"{role}.the"] = f"the little {kind}" if kind in CHILDREN else f"the {kind}"
        slots[f"{role}.intro"] = f"a {kind} named {name}" if kind in CHILDREN else f"{name} the {kind}"
        for key, word in PRONOUNS[gender].items():
            slots[f"{role}.{key}"] = word

    def set_things(self, **values: str) -> None:
        """Store "a warm pie" as {food} and, for every later mention, "the warm pie" as {the.food}."""
        for key, value in values.items():
            self.set(**{key: value})
            first_word, rest = self.slots[key].split(" ", 1)
            assert first_word in ("a", "an"), value
            self.slots[f"the.{key}"] = f"the {rest}"

    def expand(self, template: str) -> str:
        """Resolve choices and slots until none is left, innermost choice first."""
        while True:
            text = CHOICE.sub(lambda m: self.choose(m.group(1).split("|")), template)
            text = SLOT.sub(lambda m: self.slots[m.group(1)], text)
            if text == template:
                return text
            template = text


def article(match: re.Match) -> str:
    """Make "an" of "a" by the sound of the next word, which may come from a slot."""
    word = match.group(2).lower()
    vowel = word[0] in "aeiou" and not word.startswith(("uni", "use", "one"))
    vowel = vowel or word.startswith(("hour", "honest"))
    return f"{match.group(1)}{'n' if vowel else ''} "


def polish(text: str) -> str:
    """Turn a filled-in template into clean text."""
    text = re.sub(r" +", " ", text).strip()
    text = ARTICLE.sub(article, text)
    return SENTENCE_START.sub(lambda m: m.group(1) + m.group(2).upper(), text)


# --------------------------------------------------------------------------
# Openings
# --------------------------------------------------------------------------

LIVED_OPENINGS = (
    "Once upon a time[,|] there was a {h.adj} {h.kind} [named|called] {h}. {h.he} lived {home}.",
    "Once upon a time[,|] there was a {h.adj} {h.kind} named {h} who lived {home}.",
    "Once upon a time, a {h.adj} {h.kind} [named|called] {h} lived {home}.",
    "Once upon a time, {home}, there lived a {h.adj} {h.kind} named {h}.",
    "There was once a {h.adj} {h.kind} [named|called] {h} who lived {home}.",
    "There was once a {h.adj} {h.kind} [named|called] {h}. {h.he} lived {home}.",
    "There once was a {h.adj} {h.kind} named {h} who lived {home}.",
    "Once there was a {h.adj} {h.kind} named {h}. {h.he} lived {home}.",
    "Long ago, a {h.adj} {h.kind} named {h} lived {home}.",
    "{home}, there lived a {h.adj} {h.kind} [named|called] {h}.",
    "{home} lived a {h.adj} {h.kind} named {h}.",
    "{h} was a {h.adj} {h.kind} who lived {home}.",
    "Not so long ago, a {h.adj} {h.kind} named {h} lived {home}.",
    "A {h.adj} {h.kind} named {h} lived {home}.",
)

HOBBY_LINES = (
    "{h.he} [loved|liked] {hobby}.",
    "Every day, {h.he} [loved|liked] {hobby}.",
    "What {h.he} liked best was {hobby}.",
    "Everyone knew that {h} loved {hobby}.",
)

TIME_OPENINGS = (
    "One [{weather} |]morning, a {h.adj} {h.kind} named {h} {stirs}.",
    "One [{weather} |]day, a {h.adj} {h.kind} named {h} {stirs}.",
    "One [{weather} |][morning|day|afternoon], {h.intro} {stirs}.",
    "It was a {weather} [morning|day]. A {h.adj} {h.kind} named {h} {stirs}.",
    "Early one morning, a {h.adj} {h.kind} named {h} {stirs}.",
    "On a {weather} [morning|day|afternoon], a {h.adj} {h.kind} named {h} {stirs}.",
)

STIRS = (
    "[went out|set out] for a walk",
    "woke up and looked outside",
    "sat by the window",
    "came out to play",
    "was walking down the road",
    "was playing outside",
    "opened the door and smiled at the sky",
    "was sitting under a tree",
    "ran outside to feel the [sun|wind|air]",
)

LATER_DAYS = (
    "One [{weather} |][morning|day|afternoon]",
    "One day",
    "One morning",
    "On a {weather} day",
    "Then one day",
    "One {weather} day",
)
SAME_DAYS = ("Soon", "Before long", "A little later", "That day", "Not long after")


def opening(story: Story) -> str:
    """First sentences. They also fix how the plot's first event is dated."""
    story.set(home=story.choose(HOMES), stirs=story.choose(STIRS))
    if story.chance(0.72):
        story.set(day=story.choose(LATER_DAYS))
        text = story.choose(LIVED_OPENINGS)
        if story.chance(0.4):
            story.set(hobby=story.choose(HOBBIES))
            text += " " + story.choose(HOBBY_LINES)
    else:
        story.set(day=story.choose(SAME_DAYS))
        text = story.choose(TIME_OPENINGS)
    return story.expand(text)


# --------------------------------------------------------------------------
# Plots
# --------------------------------------------------------------------------

Beat = Sequence[str]
Paragraph = Sequence[Beat]


@dataclass(frozen=True)
class Plot:
    """A set-up, the paragraphs of beats after the opening, and how often it is drawn."""

    name: str
    set_up: Callable[[Story], None]
    paragraphs: Sequence[Paragraph]
    weight: float = 1.0


PLOTS: list[Plot] = []


def plot(name: str, paragraphs: Sequence[Paragraph], weight: float = 1.0):
    """Register the decorated set-up function as a plot."""

    def register(set_up: Callable[[Story], None]) -> Callable[[Story], None]:
        PLOTS.append(Plot(name, set_up, paragraphs, weight))
        return set_up

    return register


def usual_cast(story: Story, heroes=HERO_KINDS, helpers=HELPER_KINDS) -> None:
    """A hero and a helper of another kind with another name."""
    story.cast("h", heroes, GOOD_TRAITS)
    story.cast("f", helpers, HELPER_TRAITS)


THANKS = (
    '"Thank you, {h}!" [said|cried] {f}.',
    '"You saved the day, {h}!" said {f}.',
    '"Thank you so much," said {f}. "You are a true friend."',
    '{f} hugged {h}. "Thank you," {f.he} said.',
    '"How can I ever thank you?" asked {f}. "Just be my friend," said {h}.',
    "{f} [laughed|smiled] with joy and thanked {h} again and again.",
)

HAPPY_TOGETHER = (
    "They walked home together, singing all the way.",
    "They laughed and laughed, and the sun went down behind the hills.",
    "That evening they sat together and drank warm tea.",
    "From that day on, {h} and {f} were the best of friends.",
    "After that, {h} and {f} met every day.",
    "They danced until the stars came out.",
)

# ---- a found object helps later ------------------------------------------

# (object, trouble of the friend, cry of the friend, how the object helps)
TOOLS = (
    (
        "[long|strong] rope",
        "had fallen into a deep hole",
        "I cannot climb out",
        "{h} tied one end of the rope to a tree and let the other end down. {f} held on tight, and {h} pulled {f.him} up",
    ),
    (
        "[little|old] lantern",
        "was lost in a dark cave",
        "It is so dark in here",
        "{h} lit the lantern and walked into the cave. The light shone on the walls, and {f} could see the way out",
    ),
    (
        "[big|striped] umbrella",
        "was sitting in the rain, trying to keep a nest of baby birds dry",
        "The birds are getting wet",
        "{h} opened the umbrella and held it over the nest. Not one more drop of rain fell on the baby birds",
    ),
    (
        "[little|shiny] bell",
        "was lost in the thick fog",
        "I cannot see the path",
        "{h} rang the bell again and again. {f} followed the sound of the bell until {f.he} was safe",
    ),
    (
        "[soft|warm] blanket",
        "was sitting in the cold wind and shaking",
        "I am so cold",
        "{h} put the blanket around {f}. Soon {f.he} was warm and stopped shaking",
    ),
    (
        "[big|round] basket",
        "had dropped all {f.his} apples on the road",
        "I cannot carry them all",
        "{h} put the apples into the basket, one by one. Then they carried the basket together",
    ),
    (
        "[tall|old] ladder",
        "was stuck on top of a roof",
        "I cannot get down",
        "{h} put the ladder against the wall and held it still. {f} came down, step by step",
    ),
    (
        "[long|strong] stick",
        "was stuck in the mud",
        "I am sinking",
        "{h} held out the stick. {f} took hold of it, and {h} pulled {f.him} out of the mud",
    ),
    (
        "[little|rusty] key",
        "was locked inside the garden",
        "The gate is shut and I cannot open it",
        "{h} put the key into the lock and turned it. Click! The gate opened, and {f} ran out",
    ),
    (
        "[old|small] bucket",
        "was looking at {f.his} dry garden",
        "My flowers need water",
        "{h} filled the bucket at the well and watered every plant. Soon the flowers lifted their heads",
    ),
    (
        "[good|small] shovel",
        "could not open {f.his} door, because the wind had blown sand against it",
        "I am stuck inside",
        "{h} took the shovel and dug and dug until the door was free. Out came {f}",
    ),
    (
        "[soft|white] feather",
        "was sitting by the water with a crab holding on to {f.his} toe",
        "It will not let go",
        "{h} tickled the crab with the feather. The crab laughed so much that it let go",
    ),
    (
        "[long|blue] ribbon",
        "was holding a broken bag",
        "All my nuts are falling out",
        "{h} tied the bag shut with the ribbon. Not one more nut fell out",
    ),
    (
        "[small|strong] net",
        "was running after a toy boat that was floating away",
        "My boat is leaving without me",
        "{h} reached out with the net and caught the boat before it was gone",
    ),
    (
        "[shiny|round] button",
        "was shaking in a coat that would not close",
        "I lost my button and the wind is cold",
        "{h} sewed the button on the coat. It was just the right size, and the coat closed at last",
    ),
    (
        "[big|flat] board",
        "could not cross the stream",
        "The bridge is gone and I want to go home",
        "{h} laid the board across the water. {f} walked over it, one careful step at a time",
    ),
)


PLAIN_REACTIONS = (
    '"What a nice thing," said {h}. {h.he} took it along.',
    '"What can I do with this?" {h.he} wondered. {h.he} took it along anyway.',
    '"Maybe I will need it one day," said {h}, and {h.he} took it along.',
    '"Nobody wants you? Then you can come with me," said {h} to the {thing}.',
)
PLAIN_MORALS = (
    "{h} kept the {thing} for the rest of {h.his} days.",
    "And {h} learned that even a simple {thing} can be a treasure.",
    "And {h} always kept the {thing} close by, because you never know when a friend may need help.",
    '"What a good thing that I kept the {thing}," thought {h}. Small things can be a big help.',
    "That night, {h} put the {thing} by the door, ready for the next adventure.",
)
CROW_REACTIONS = (
    '"Who needs an old thing like that?" laughed a crow. But {h} kept it.',
    '"Leave it there," said a passing crow. But {h} did not listen and took it along.',
    'A crow laughed at {h.him}. "What do you want with a {thing}?" But {h} took it along.',
)
CROW_MORALS = (
    "And the crow? The crow never laughed at a {thing} again.",
    '"I was wrong," said the crow. "A {thing} is a fine thing to have."',
    'The crow had seen it all. "I want a {thing} too," said the crow.',
)


@plot(
    "found_object",
    (
        (
            (
                "{day}, {h} found a {tool} {walk}.",
                "{day}, {h} was walking {walk} when {h.he} saw a {tool} in the grass.",
                "{day}, {walk}, {h} found a {tool} that no one wanted.",
                "{day}, {h} saw something {walk}. It was a {tool}!",
            ),
            ("{reaction}",),
        ),
        (
            (
                "A little later, {h} heard a cry.",
                "Then {h} heard someone call for help.",
                "Not far away, someone was crying.",
                "On the way home, {h} heard a sad voice.",
                "Suddenly, {h} heard someone shout.",
            ),
            (
                "It was {f.a}. {f.he} {trouble}.",
                "{h} ran to look. It was {f.a}, who {trouble}.",
                "There was {f.a}. {f.he} {trouble}.",
            ),
            (
                '"Help! {cry}!" [cried|said|called] {f}.',
                '"Oh dear! {cry}!" [cried|said] {f}.',
                '"Please help me," said {f}. "{cry}."',
            ),
            (
                "{h} thought about it. Then {h.he} remembered the {thing}.",
                '"Wait!" said {h}. "I have just the thing: my {thing}!"',
                '"Do not worry," said {h}. "I have a {thing}."',
                "{h} looked at the {thing} and had an idea.",
            ),
            ("{fix}.",),
        ),
        (
            THANKS,
            HAPPY_TOGETHER + ("They walked home together, and {h} carried the {thing}.",),
            ("{moral}",),
        ),
    ),
    weight=3.0,
)
def found_object(story: Story) -> None:
    usual_cast(story)
    tool, trouble, cry, fix = story.choose(TOOLS)
    story.set(tool=tool, trouble=trouble, cry=cry, fix=fix, walk=story.choose(WALKS))
    story.set(thing=story.slots["tool"].split(" ", 1)[1])
    crow = story.chance(0.4)
    story.set(
        reaction=story.choose(CROW_REACTIONS if crow else PLAIN_REACTIONS),
        moral=story.choose(CROW_MORALS if crow else PLAIN_MORALS),
    )


# ---- a lost thing --------------------------------------------------------

HIDING_PLACES = (
    "under the bed",
    "inside an old boot",
    "in a nest high in the tree",
    "behind the flower pot",
    "under a pile of leaves",
    "in the tall grass",
    "behind the big stone",
    "under the kitchen table",
    "in the hen house",
    "at the bottom of the basket",
    "on the roof of the barn",
    "between two roots",
)
SEARCH_PLACES = (
    "under the table",
    "behind the door",
    "in the garden",
    "by the well",
    "under the bridge",
    "in the barn",
    "along the fence",
    "behind the curtain",
    "in the cupboard",
    "near the pond",
)


@plot(
    "lost_thing",
    (
        (
            (
                "{h.he} had a {color} {thing} and took it everywhere.",
                "{h.he} had a {color} {thing}. It was a gift from {h.his} grandmother.",
                "The thing {h.he} loved most was a {color} {thing}.",
                "{h} owned a {color} {thing} and was very proud of it.",
            ),
            (
                "{day}, the {thing} was gone!",
                "{day}, {h} could not find the {thing} anywhere.",
                "{day}, {h} looked for the {thing}, but it was not there!",
            ),
            (
                '"Where is my {thing}?" [cried|asked] {h}.',
                '"Oh no! My {thing} is gone!" cried {h}.',
                '"I have lost my {thing}," said {h}, and a tear ran down {h.his} face.',
            ),
        ),
        (
            (
                "{h} looked {search} and {searchb}, but it was not there.",
                "{h.he} looked {search}. No {thing}. {h.he} looked {searchb}. No {thing}.",
                "First {h.he} searched {search}. Then {h.he} searched {searchb}. There was no {thing}.",
            ),
            (
                'Then {f.a} came by. "Why are you so sad?" {f.he} asked.',
                '{f.full} saw {h} and stopped. "What is wrong?" {f.he} asked.',
                '{h} met {f.a}. "You look sad," said {f}.',
            ),
            (
                '"I lost my {color} {thing}," said {h}. "Let us look together," said {f}.',
                '"My {thing} is gone," said {h}. "Four eyes see more than two," said {f}.',
                '"I cannot find my {thing}," said {h}. "Then I will help you," said {f}.',
            ),
            (
                "So they looked and looked. At last {f} looked {hiding}.",
                "They searched high and low. Then {f} saw something {color} {hiding}.",
                "They looked all day long. When the sun was low, they looked {hiding}.",
            ),
            (
                '"Here it is!" [cried|called] {f}. It was the {color} {thing}!',
                "There was the {color} {thing}, safe and sound!",
                'And there it was! "My {thing}!" [cried|shouted] {h}.',
            ),
        ),
        (
            (
                '{h} jumped for joy. "Thank you, {f}!"',
                "{h} hugged {f} and danced around.",
                '"Thank you, {f}," said {h}. "I would never have found it alone."',
            ),
            HAPPY_TOGETHER + ("That night, {h} slept with the {thing} beside {h.him}.",),
            (
                "{h} learned that it is good to ask for help.",
                "From then on, {h} always put the {thing} back in its place.",
                "And {h} knew that a good friend is worth more than any {thing}.",
                "The {thing} was dear to {h}, but now {f} was even dearer.",
                "When you lose something, a friend can help you find it.",
            ),
        ),
    ),
    weight=1.5,
)
def lost_thing(story: Story) -> None:
    usual_cast(story)
    search = story.rng.sample(SEARCH_PLACES, 2)
    story.set(
        color=story.choose(COLORS),
        thing=story.choose(DEAR_THINGS),
        search=search[0],
        searchb=search[1],
        hiding=story.choose(HIDING_PLACES),
    )


# ---- sharing -------------------------------------------------------------


@plot(
    "sharing",
    (
        (
            (
                "{day}, {h}'s grandmother gave {h.him} {food}.",
                "{day}, {h} got {food} from {h.his} mother.",
                "{day}, {h} came home from the market with {food}.",
            ),
            (
                '"It is all mine," said {h}. {h.he} wanted to eat it alone.',
                'It smelled so good! "I will not share it with anyone," said {h}.',
                '{h} hid {the.food} behind a tree. "This is only for me," {h.he} said.',
            ),
        ),
        (
            (
                "Then {f.a} came along. {f.he} looked tired and hungry.",
                "Just then, {f.full} came by. {f.he} had not eaten all day.",
                "Soon {f.a} walked past. {f.his} stomach made a loud noise.",
            ),
            (
                '"May I have a little?" asked {f}. "No," said {h}. "It is mine."',
                '"That smells good," said {f}. "Go away," said {h}.',
                '"Could you share with me?" asked {f}. {h} shook {h.his} head.',
            ),
            (
                "{f} walked away slowly, with {f.his} head down.",
                "{f} said nothing and sat down far away.",
                "{f} was sad and turned to go.",
            ),
            (
                "{h} took a bite, but it did not taste good anymore.",
                "{h} began to eat, but {h.he} felt lonely and sad.",
                "{h} looked at {the.food}. Eating alone was no fun at all.",
            ),
            (
                '"Wait, {f}!" called {h}. "Come back. Let us share."',
                '{h} ran after {f}. "I am sorry," {h.he} said. "Please eat with me."',
                '"I was wrong," thought {h}, and {h.he} called {f} back.',
            ),
        ),
        (
            (
                "They sat down {walk} and ate together.",
                "{h} shared {the.food} with {f}, and they both ate.",
                "So they ate together, bite by bite, and told each other stories.",
            ),
            (
                '"This is the best meal of my life," said {f}.',
                "Now it tasted better than ever.",
                "They laughed so much that the birds came to see.",
            ),
            HAPPY_TOGETHER,
            (
                "{h} learned that food tastes best when you share it.",
                "After that, {h} always shared what {h.he} had.",
                "And {h} knew that sharing makes a small meal big.",
                "A shared meal is a happy meal, and {h} never forgot it.",
            ),
        ),
    ),
)
def sharing(story: Story) -> None:
    usual_cast(story)
    story.set_things(food=story.choose(SHAREABLE_FOODS))
    story.set(walk=story.choose(WALKS))


# ---- afraid --------------------------------------------------------------

# (fear, the test, advice of the helper, what happens when the hero tries)
FEARS = (
    (
        "the dark",
        "the candle went out, and {h.his} little sister began to cry in the next room",
        "[Look up at the stars|Sing a song] when it is dark",
        "{h} took a deep breath and walked through the dark room. {h.he} found {h.his} sister and held her tight",
    ),
    (
        "thunder",
        "a big storm came over the hills, and a small lamb was alone in the field",
        "Count slowly to ten after each flash",
        "{h} counted to ten and ran out into the field. {h.he} brought the lamb safely home",
    ),
    (
        "deep water",
        "a baby duck was caught in the reeds in the middle of the pond",
        "Breathe slowly and take one small step",
        "{h} took one small step and then another. The water was cold, but {h.he} reached the baby duck and set it free",
    ),
    (
        "high places",
        "a tiny bird fell out of its nest, and the nest was at the top of a tree",
        "Look up and not down",
        "{h} looked up and climbed from branch to branch. {h.he} put the tiny bird back into its nest",
    ),
    (
        "the forest",
        "a friend got sick, and the only doctor lived on the other side of the forest",
        "Whistle a tune while you walk",
        "{h} whistled a tune and walked between the tall trees. {h.he} found the doctor and brought her back",
    ),
    (
        "loud noises",
        "a door fell shut in the wind, and a kitten was trapped in the noisy mill",
        "Put your heart before your ears",
        "{h} walked past the loud wheels, one step at a time. {h.he} found the kitten and carried it out",
    ),
    (
        "strangers",
        "an old traveler knocked at the door and asked the way to the village",
        "Smile first and then say hello",
        '{h} opened the door and smiled. "Hello," {h.he} said, and {h.he} showed the traveler the way',
    ),
    (
        "singing in front of others",
        "the village had a party, and the singer could not come",
        "Look at one friend and sing only for that friend",
        "{h} stood up, looked at {f} and began to sing. Everyone listened, and then everyone clapped",
    ),
)


@plot(
    "afraid",
    (
        (
            (
                "{h} was not afraid of many things, but {h.he} was afraid of {fear}.",
                "There was only one problem. {h} was afraid of {fear}.",
                "{h} had a secret. {h.he} was very afraid of {fear}.",
            ),
            (
                "{day}, {h} told {f.a} about it.",
                "{day}, {h.he} met {f.a} and told {f.him} the secret.",
                "{day}, {h} asked {f.a} for help.",
            ),
            (
                '"Everyone is afraid of something," said {f}. "{advice}."',
                '"I used to be afraid too," said {f}. "{advice}. That helps."',
                '{f} smiled. "{advice}," {f.he} said. "Then you will be brave."',
            ),
        ),
        (
            ("That very night, {test}.", "The next day, {test}.", "A few days later, {test}."),
            (
                '{h}\'s legs shook. "I am too scared," {h.he} thought.',
                '"Oh no," said {h}. {h.his} heart beat fast.',
                "{h} wanted to run away and hide.",
            ),
            (
                "Then {h.he} remembered the words of {f}.",
                "But then {h.he} thought of what {f} had said.",
                '"What did {f} tell me?" thought {h}. And {h.he} remembered.',
            ),
            ("{brave}.",),
        ),
        (
            (
                '"You did it!" [said|cried] {f}. "I knew you could."',
                '"I am so proud of you," said {f}.',
                '"How brave you are, {h}!" said {f}.',
            ),
            (
                '"I was still scared," said {h}, "but I did it anyway."',
                "{h} smiled from ear to ear.",
                "{h} felt tall and strong.",
            ),
            (
                "From that day on, {h} was not so afraid of {fear} anymore.",
                "And {h} learned that being brave means trying, even when you are scared.",
                "To be brave is to be afraid and to go on, and now {h} knew it.",
                "After that, {fear} did not seem so bad to {h}.",
            ),
        ),
    ),
)
def afraid(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS)
    fear, test, advice, brave = story.choose(FEARS)
    story.set(fear=fear, test=test, advice=advice, brave=brave)


# ---- lost on the way home ------------------------------------------------

GUIDES = (
    ("a bright star", "The star shone right above {h.his} house", "the star"),
    ("the smoke of a chimney", "The smoke rose from {h.his} own house", "the smoke"),
    ("a little stream", "The stream ran all the way to {h.his} house", "the stream"),
    ("the sound of a bell", "The bell rang in {h.his} own village", "the bell"),
    ("a row of white stones", "The stones led straight to {h.his} door", "the stones"),
    ("a tiny light", "The light came from {h.his} own window", "the light"),
)


@plot(
    "lost_way",
    (
        (
            (
                "{day}, {h} went far away to pick {picked}.",
                "{day}, {h} went into the forest to look for {picked}.",
                "{day}, {h.his} mother asked {h.him} to bring home some {picked}.",
            ),
            (
                '"Do not go too far," said {h.his} mother.',
                "{h.he} took a basket and walked and walked.",
                "The basket was soon full of {picked}.",
            ),
            (
                "But then [thick fog came down|it began to snow|a storm came up|the sun went down], and {h} could not see the path.",
                "When {h.he} turned around, all the trees looked the same. {h} was lost.",
            ),
        ),
        (
            (
                '"Where is my home?" cried {h}.',
                '"I am lost," {h} whispered, and {h.he} held the basket tight.',
                "{h} sat down on a log and cried.",
            ),
            (
                'Then a soft voice said, "Who is crying there?" It was {f.a}.',
                "Just then, {f.a} came out from behind a tree.",
                '"Do not cry," said a voice. It was {f.a}.',
            ),
            (
                '"I cannot find my way home," said {h}. {h.he} gave {f} some {picked}.',
                "{h} told {f.him} everything and shared the {picked} with {f.him}.",
                '"I am lost and I want to go home," said {h}.',
            ),
            (
                '"Look over there," said {f}. "Do you see {guide}?"',
                '"When I am lost, I follow {guide}," said {f}.',
                '"Be quiet for a moment," said {f}. Then they both noticed {guide}.',
            ),
            (
                "Together they followed {guideshort} through the trees. {leads}.",
                "Step by step, they followed {guideshort}. {leads}!",
            ),
        ),
        (
            (
                "{h.his} mother ran out and hugged {h.him}.",
                '"There you are!" cried {h.his} mother.',
                "{h.his} mother was waiting at the door.",
            ),
            (
                "She made a warm pie from the {picked}, and {f} got the biggest piece.",
                '"Thank you for bringing {h} home," she said to {f}, and they ate the {picked} together.',
                "They all sat by the fire and ate the {picked}.",
            ),
            (
                "{h} never went so far alone again.",
                "And {h} learned to stay calm and look around when {h.he} was lost.",
                "From that day on, {h} and {f} always walked through the forest together.",
                "When you are lost, stay calm and ask for help. {h} never forgot that.",
            ),
        ),
    ),
)
def lost_way(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS, helpers=MIDDLE_KINDS + SMALL_KINDS)
    guide, leads, short = story.choose(GUIDES)
    story.set(
        guide=guide, leads=leads, guideshort=short, picked="[berries|apples|nuts|plums|mushrooms|cherries]"
    )


# ---- making a present ----------------------------------------------------

# (present, work, what goes wrong, how the helper repairs it)
PRESENTS = (
    (
        "kite",
        "cut the paper and tied the sticks",
        "the kite fell down again and again",
        "{f} brought a long {color} ribbon, and they tied it on as a tail",
        "The kite flew up to the clouds",
    ),
    (
        "boat",
        "cut the wood and made a little sail",
        "the boat filled with water and sank",
        "{f} closed the hole with wax from a {color} candle",
        "The boat sailed across the pond",
    ),
    (
        "cake",
        "mixed the flour, the eggs and the milk",
        "the cake tasted like paper",
        "{f} brought a {color} jar of honey, and they baked the cake again",
        "The cake was sweet and soft",
    ),
    (
        "drum",
        "found a round box and two sticks",
        "the drum made no sound at all",
        "{f} brought a {color} cloth and pulled it tight over the box",
        "The drum went boom, boom, boom",
    ),
    (
        "scarf",
        "sat by the fire and knitted all day",
        "the wool was not enough, and the scarf was too short",
        "{f} brought a ball of {color} wool, and they knitted the other half",
        "The scarf was long and warm",
    ),
    (
        "lantern",
        "folded the paper into a lantern",
        "the lantern would not shine",
        "{f} brought a little {color} candle and put it inside",
        "The lantern shone like a star",
    ),
    (
        "cart",
        "nailed the boards together",
        "one wheel broke, and the cart fell over",
        "{f} brought a big {color} plate, and it made a perfect wheel",
        "The cart rolled down the road",
    ),
    (
        "picture",
        "painted a house and a garden",
        "the rain ran over it, and the colors were gone",
        "{f} brought {color} paint, and they painted it again",
        "The picture was full of light",
    ),
    (
        "swing",
        "cut a strong board for the seat",
        "the old rope broke",
        "{f} brought a strong {color} rope, and they hung the swing from the oak tree",
        "The swing went up, up, up",
    ),
)


@plot(
    "present",
    (
        (
            (
                "{day}, {h} remembered that it was {g}'s birthday. {g} was {h.his} [best friend|sister|brother|cousin].",
                "It was almost {g}'s birthday, and {h} wanted to give {g} something special.",
            ),
            (
                '"I will make a {present}," said {h}.',
                '"I know!" said {h}. "I will make a {present}."',
                "{h} thought for a long time. Then {h.he} decided to make a {present}.",
            ),
        ),
        (
            (
                "{h} {work}. But something went wrong: {wrong}.",
                "All day long, {h} worked. {h.he} {work}. But {wrong}.",
                "So {h} {work}. It looked nice, but {wrong}.",
            ),
            (
                '"It is no good," sighed {h}. "I will never finish it."',
                '{h} wanted to cry. "What should I do now?"',
                '"Now I have no present at all," said {h}.',
            ),
            (
                "Then {f.a} came by and looked at the {present}.",
                "{f.full} heard this and came in.",
                "Just then, {f.a} knocked at the door.",
            ),
            (
                '"Do not give up," said {f}. "We can fix it."',
                '"That is not so bad," said {f}. "Let me help."',
                '"I have an idea," said {f}. "Wait here."',
            ),
            ("{repair}. {works}!", "{repair}. They tried it out. {works}!"),
        ),
        (
            (
                "When {g} saw the {present}, {g.he} jumped for joy.",
                '{g} opened the box and smiled. "A {present}! Just for me?"',
                "The next day, they gave the {present} to {g}.",
            ),
            (
                '"This is the best {present} in the world," said {g}.',
                '"Did you make it all alone?" asked {g}. "No," said {h}. "{f} helped me."',
                '"{f} and I made it together," said {h}.',
            ),
            (
                "They played with {g} until evening.",
                "Then they all had a big party.",
                "They sang a birthday song, and everyone was happy.",
            ),
            (
                "And {h} learned that when something goes wrong, you can try again.",
                "{h} learned that two friends can fix almost anything.",
                "A gift made with love is the best gift of all.",
                "And that is how {h}, {f} and {g} became the best of friends.",
            ),
        ),
    ),
)
def present(story: Story) -> None:
    usual_cast(story)
    story.cast("g", HELPER_KINDS, HELPER_TRAITS)
    thing, work, wrong, repair, works = story.choose(PRESENTS)
    story.set(color=story.choose(COLORS))
    story.set(present=thing, work=work, wrong=wrong, repair=repair, works=works)


# ---- the scary stranger --------------------------------------------------

RUMORS = (
    ("eats everything that moves", "baked tiny apple cakes"),
    ("growls all night", "only snored when {f.he} slept"),
    ("breaks the trees", "only cut dry wood for the fire"),
    ("hates all visitors", "had set the table for two every day"),
    ("has a hundred sharp teeth", "had only one tooth, and it hurt"),
    ("steals the moon", "painted pictures of the moon every night"),
    ("scares little children", "told the funniest stories in the world"),
    ("hides a monster in the cellar", "kept a tiny kitten in a basket"),
)


@plot(
    "stranger",
    (
        (
            (
                "{day}, a big {f.kind} moved into the house {place}. Everyone was afraid.",
                "{day}, {h} heard about a big {f.kind} who lived alone {place}.",
                "A big {f.kind} lived alone {place}, and nobody ever went there.",
            ),
            (
                '"Stay away," people said. "That {f.kind} {rumor}!"',
                '"They say the {f.kind} {rumor}," whispered the neighbors.',
                '"The {f.kind} {rumor}," said the crow. "Never go there."',
            ),
            (
                'But {h} was curious. "Has anyone ever talked to the {f.kind}?" {h.he} asked. Nobody had.',
                '{h} thought about it. "Maybe the {f.kind} is lonely," {h.he} said.',
            ),
        ),
        (
            (
                "So {h} took {food} and went to the house.",
                "The next day, {h} packed {food} and knocked at the door.",
                "{h} put on {h.his} [hat|coat|scarf], took {food} and walked to the house.",
            ),
            (
                "The door opened with a creak. There stood the {f.kind}.",
                'Knock, knock, knock. A deep voice said, "Who is there?"',
                "{h}'s heart beat fast when the door opened.",
            ),
            (
                '"Good day," said {h}. "I brought {food}."',
                '"Hello," said {h} in a small voice. "I brought you {food}."',
            ),
            (
                'The {f.kind} smiled a shy smile. "For me? Nobody ever visits me. My name is {f}."',
                '"You are my first guest," said the {f.kind}. "I am {f}. Please come in."',
            ),
            (
                "And soon {h} saw the truth: {f} {truth}.",
                "{h} looked around and laughed, because {f} {truth}.",
            ),
        ),
        (
            (
                "They ate together and talked all afternoon.",
                "They sat by the fire and shared {the.food}.",
                "{h} and {f} drank tea and became friends.",
            ),
            (
                "The next day, {h} told everyone the truth.",
                "{h} took {f} to the village, and everyone said hello.",
                '"You were all wrong," {h} told the neighbors. "{f} is kind."',
            ),
            (
                "Soon {f} had many friends, but {h} was always the first.",
                "After that, nobody was afraid of {f} anymore.",
                "The neighbors were sorry, and they brought {f} flowers.",
            ),
            (
                "Do not believe every story you hear. Go and see for yourself.",
                "And {h} learned that big and scary can also be kind.",
                "{h} was glad that {h.he} had knocked at the door.",
            ),
        ),
    ),
)
def stranger(story: Story) -> None:
    usual_cast(story, heroes=MIDDLE_KINDS + SMALL_KINDS + CHILDREN * 3, helpers=BIG_KINDS)
    rumor, truth = story.choose(RUMORS)
    story.set_things(food=story.choose(SHAREABLE_FOODS))
    story.set(
        rumor=rumor,
        truth=truth,
        place="[on the hill|by the lake|in the dark wood|near the old bridge|behind the mountain]",
    )


# ---- the race ------------------------------------------------------------

RACES = (
    ("a big race around the lake", "ran"),
    ("a boat race on the river", "rowed"),
    ("a sled race down the hill", "slid"),
    ("a race to the old windmill", "ran"),
    ("a race through the forest", "ran"),
    ("a race to the top of the hill", "climbed"),
)


@plot(
    "race",
    (
        (
            (
                "{day}, there was {race}. The prize was a {color} {thing}.",
                "{day}, everyone came together for {race}. The winner would get a {color} {thing}.",
            ),
            (
                '"I want to win that {thing}," said {h}.',
                "{h} dreamed of the {color} {thing}. {h.he} practiced every day.",
                '"You are too slow," people told {h}. But {h.he} wanted to try.',
            ),
        ),
        (
            (
                '"Ready, set, go!" {h} {ran} as fast as {h.he} could.',
                "The race began. {h} {ran} faster and faster.",
                "At the start, {h} was last, but then {h.he} {ran} past one after another.",
            ),
            (
                "Soon {h} was in front. Then {h.he} heard a cry. {f.full} had [hurt {f.his} foot|fallen down|hit a stone].",
                "{h} was almost there when {h.he} saw {f.a}. {f.he} had [hurt {f.his} foot|fallen down|hit a stone].",
            ),
            (
                '"Go on," said {f}. "You can win!"',
                '"Help me, please," said {f}.',
                "The others just went past {f.him}.",
            ),
            (
                '{h} thought of the {thing}. But then {h.he} stopped. "A friend is more important than a prize," {h.he} said.',
                "{h} looked at the finish. Then {h.he} looked at {f}, and {h.he} turned back.",
                '"I cannot leave you here," said {h}, and {h.he} went back to help.',
            ),
            (
                "{h} helped {f} up, and slowly they reached the finish together. They were the very last.",
                "{f} leaned on {h}, and step by step they came to the finish. Everyone else was already there.",
            ),
        ),
        (
            (
                "But everyone clapped for them.",
                "Then something strange happened. Everyone began to cheer.",
                "It was quiet for a moment. Then all the people cheered.",
            ),
            (
                'The winner came to {h} and gave {h.him} the {color} {thing}. "You have won something greater," {w}.',
                '"The {thing} belongs to you," said the winner. "You have the biggest heart."',
                'The old judge smiled. "The {thing} goes to {h}," he said, "because {h.he} was kind."',
            ),
            (
                "{h} and {f} shared the {thing} and took turns with it.",
                "{h} gave the {thing} to {f}, and {f} laughed with joy.",
                '"It is our {thing} now," {h} said to {f}.',
            ),
            (
                "It is good to win, but it is better to be kind.",
                "And {h} learned that a kind heart wins every race.",
                "Winning is not everything, and {h} knew that now.",
                "{h} had lost the race and found a friend.",
            ),
        ),
    ),
)
def race(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS + ("turtle",), helpers=WALKING_KINDS)
    contest, ran = story.choose(RACES)
    story.set(
        race=contest,
        ran=ran,
        color=story.choose(COLORS),
        thing=story.choose(TOYS),
        w="[the winner said|said the winner]",
    )


# ---- telling the truth ---------------------------------------------------

BREAKABLES = ("cup", "pot", "vase", "clock", "plate", "lamp", "window", "teapot", "mirror", "bowl")
ELDERS = (
    ("grandmother", "she", "her"),
    ("grandfather", "he", "him"),
    ("mother", "she", "her"),
    ("father", "he", "him"),
    ("aunt", "she", "her"),
    ("uncle", "he", "him"),
)


@plot(
    "truth",
    (
        (
            (
                "{h.his} {elder} had a beautiful {color} {thing} and loved it very much.",
                "In the house there was a {color} {thing}. It belonged to {h.his} {elder}.",
            ),
            (
                "{day}, {h} was [playing with a ball|dancing|running around] inside. Crash! The {thing} broke.",
                "{day}, {h} jumped too high and hit the {thing}. Crash! It broke into pieces.",
                "{day}, {h} wanted to look at the {thing}. It slipped and fell. Crash!",
            ),
        ),
        (
            (
                '"Oh no!" whispered {h}. {h.he} hid the pieces under the bed.',
                "{h} was afraid. {h.he} put the pieces in a box and hid it.",
                "{h} quickly hid the pieces behind the door.",
            ),
            (
                '"Where is my {thing}?" asked {h.his} {elder}. "I do not know," said {h}.',
                'Soon {h.his} {elder} came in. "Have you seen my {thing}?" {h} said, "No."',
            ),
            (
                "But {h} felt bad. {h.he} could not eat, and {h.he} could not sleep.",
                "That night, {h}'s heart was heavy like a stone.",
                "{h} lay in bed and thought about the {thing}.",
            ),
            (
                '{h.he} asked {f.a} what to do. "Tell the truth," said {f}. "It is hard, but it helps."',
                '{f.full} saw that {h} was sad. "The truth is better than a lie," said {f}.',
            ),
            (
                'So {h} took the pieces and went to {h.his} {elder}. "I broke the {thing}," {h.he} said. "I am sorry."',
                'The next morning, {h} brought the pieces. "It was me," {h.he} said. "I am so sorry."',
            ),
        ),
        (
            (
                '{h.his} {elder} was quiet. Then {e.he} smiled. "Thank you for telling the truth," {e.he} said.',
                '"I am sad about the {thing}," said {h.his} {elder}, "but I am proud of you."',
                '{h.his} {elder} hugged {h.him}. "A {thing} can be fixed," {e.he} said.',
            ),
            (
                "Together they glued the {thing}. You could still see the lines, but they were beautiful.",
                "They put the pieces together again with glue, and {f} helped.",
                "They sat down and glued the {thing}, piece by piece.",
            ),
            (
                "{h} felt as light as a feather.",
                "That night, {h} slept well.",
                "{h} smiled for the first time that day.",
            ),
            (
                "And {h} learned that it is always best to tell the truth.",
                "From that day on, {h} always told the truth.",
                "The {thing} was not perfect anymore, but {h} loved it even more.",
                "A lie is heavy, but the truth makes you light.",
            ),
        ),
    ),
)
def truth(story: Story) -> None:
    usual_cast(story)
    elder, he, him = story.choose(ELDERS)
    story.slots.update({"elder": elder, "e.he": he, "e.him": him})
    story.set(color=story.choose(COLORS), thing=story.choose(BREAKABLES))


# ---- a small one pays back -----------------------------------------------

# (small animal, where it was trapped, how it was freed, later trouble, how it helps)
REPAYMENTS = (
    (
        "bee",
        "in a puddle",
        "held out a leaf, and {f} climbed on it",
        "{h} got lost in the tall grass",
        "{f} flew above the grass and showed {h.him} the way home",
    ),
    (
        "ant",
        "under a heavy stone",
        "lifted the stone",
        "{h} got {h.his} foot stuck under a log",
        "{f} came with a thousand other ants, and they lifted the log",
    ),
    (
        "mouse",
        "in a jar",
        "turned the jar over",
        "{h} was caught in a net",
        "{f} bit through the net with {f.his} sharp little teeth",
    ),
    (
        "spider",
        "in the rain",
        "made a roof out of a leaf",
        "{h}'s coat got a big hole",
        "{f} closed the hole with the finest thread",
    ),
    (
        "bluebird",
        "in a bush with thorns",
        "opened the branches one by one",
        "{h} fell into a deep hole",
        "{f} flew to the village and brought help with a long rope",
    ),
    (
        "frog",
        "in a dry well",
        "let down a bucket",
        "{h} dropped {h.his} ring into the lake",
        "{f} dived to the bottom and brought the ring back",
    ),
    (
        "firefly",
        "in a spider's web",
        "broke the web",
        "{h} was alone in the dark forest",
        "{f} lit up the path, all the way home",
    ),
    (
        "butterfly",
        "behind a closed window",
        "opened the window",
        "{h} could not find the last flower for {h.his} garden party",
        "{f} showed {h.him} a field full of flowers",
    ),
    (
        "mole",
        "in a muddy ditch",
        "reached down and pulled {f.him} out",
        "{h}'s door was blocked by the snow",
        "{f} dug a tunnel to the door and let {h.him} out",
    ),
)


@plot(
    "small_helper",
    (
        (
            (
                '{day}, {h} heard a tiny voice. "Help!" It was a little {f.kind}, trapped {trap}.',
                "{day}, {h} was walking {walk} and saw a little {f.kind}. {f.he} was trapped {trap}.",
            ),
            (
                '"Please help me," said the {f.kind}. "My name is {f}."',
                '"I am {f}," said the {f.kind}. "Please set me free."',
            ),
            (
                "{h} was in a hurry, but {h.he} stopped. {h.he} {free}.",
                '"Of course," said {h}. {h.he} {free}.',
                "{h} did not think twice. {h.he} {free}.",
            ),
            (
                '"Thank you, {h}," said {f}. "One day I will help you too."',
                '"One day I will pay you back," said {f}.',
            ),
            (
                '{h} laughed. "You? You are so small!"',
                '{h} smiled. "How could such a small friend help me?"',
                '"That is very nice of you," said {h}, but {h.he} did not believe it.',
            ),
        ),
        (
            (
                "A few days later, {later}.",
                "Not long after, {later}.",
                "Then winter came, and then spring. One day, {later}.",
            ),
            (
                '"Oh no! What should I do?" [cried|said] {h}.',
                '"Can anybody help me?" called {h}.',
                "{h} called for help, but nobody came.",
            ),
            (
                'Then {h.he} heard a tiny voice. "I am here!" It was {f}!',
                'Suddenly, there was {f}! "Now it is my turn," said the little {f.kind}.',
            ),
            ("{repay}.",),
        ),
        (
            (
                '"You really helped me," said {h}. "Thank you, {f}."',
                '{h} could not believe it. "Thank you, my small friend!" {h.he} said.',
                '"I was wrong to laugh," said {h}. "You are small, but you are a great helper."',
            ),
            (
                '"You helped me first," said {f}.',
                '"Friends help each other," said {f}.',
                '{f} smiled. "I told you so."',
            ),
            (
                "From that day on, {h} and {f} were the best of friends.",
                "After that, {h} and {f} met every day.",
            ),
            (
                "And {h} learned that no friend is too small to help.",
                "A good deed always comes back.",
                "Even the smallest friend can be a great help.",
                "{h} never laughed at anyone small again.",
            ),
        ),
    ),
    weight=1.3,
)
def small_helper(story: Story) -> None:
    kind, trap, free, later, repay = story.choose(REPAYMENTS)
    story.cast("f", (kind,), HELPER_TRAITS)
    story.cast("h", WALKING_KINDS, GOOD_TRAITS)
    story.set(trap=trap, free=free, later=later, repay=repay, walk=story.choose(WALKS))


# ---- the seed ------------------------------------------------------------

PLANTS = (
    ("sunflower", "tall as a house, with a golden face"),
    ("pumpkin", "round and orange, as big as a cart"),
    ("apple tree", "green and strong, with one red apple"),
    ("rose", "red and soft, with a sweet smell"),
    ("bean plant", "long and green, and it climbed up to the roof"),
    ("strawberry plant", "small and green, with sweet red berries"),
    ("blue flower", "bright and blue like the sky"),
)


@plot(
    "seed",
    (
        (
            (
                "{day}, {h} found a tiny [brown|black|white] seed {walk}.",
                "{day}, {f.a} gave {h} a tiny seed.",
            ),
            (
                '"What will it be?" {h.he} asked. {h.he} put the seed into the ground behind {h.his} house.',
                "{h} dug a small hole, put the seed inside and covered it with earth.",
            ),
            (
                "{h.he} watered it and waited. Nothing happened.",
                "The next morning, {h} ran out to look. There was nothing.",
            ),
        ),
        (
            (
                "{h} watered the seed every day. Still there was nothing to see.",
                "A week passed, and nothing grew.",
                "Every morning, {h} looked, and every morning there was only brown earth.",
            ),
            (
                '"This seed is no good," said {h}. "I will dig it up."',
                '"It will never grow," sighed {h}.',
                '{h} kicked a stone. "I am tired of waiting," {h.he} said.',
            ),
            (
                '"Wait," said {f.full}. "Good things need time."',
                '{f.full} smiled. "Be patient," {f.he} said. "The seed is sleeping. It needs time."',
            ),
            (
                "So {h} waited. {h.he} sang to the seed and kept the weeds away.",
                "So {h} watered the seed again and told it stories.",
            ),
            (
                "Then, after a night of warm rain, a tiny green leaf came out of the ground!",
                "And one morning, there was a little green leaf!",
            ),
            ("It grew and grew, day after day.", "Day by day, it grew a little more."),
        ),
        (
            (
                "By the end of the summer, it was a {plant}, {look}.",
                "At last it was a beautiful {plant}, {look}.",
            ),
            (
                '"Look, {f}!" cried {h}. "The tiny seed is a {plant} now!"',
                "{h} danced around the {plant}, and {f} danced too.",
                '"You were right, {f}," said {h}.',
            ),
            (
                "Everyone came to see the {plant}.",
                "In the evening, {h} and {f} sat beside the {plant} and watched the sun go down.",
            ),
            (
                "And {h} learned that good things take time.",
                "{h} learned to be patient, and next spring {h.he} planted ten more seeds.",
                "With patience and care, a tiny seed can become something great.",
            ),
        ),
    ),
)
def seed(story: Story) -> None:
    usual_cast(story)
    plant, look = story.choose(PLANTS)
    story.set(plant=plant, look=look, walk=story.choose(WALKS))


# ---- the wish ------------------------------------------------------------

WISH_GIVERS = (
    ("a golden fish", "caught in the reeds", "fish"),
    ("a falling star", "stuck in a tree", "star"),
    ("a tiny fairy", "caught in a web", "fairy"),
    ("a snow white bird", "caught in the thorns", "bird"),
)
OWN_WISHES = (
    "a new {color} coat",
    "a house full of toys",
    "a {color} bike",
    "a big {color} boat",
    "a mountain of cake",
    "a {color} crown",
)
NEEDS = (
    ("had lost {f.his} voice and could not sing", "{f} could sing again", "give {f} {f.his} voice back"),
    ("had hurt {f.his} leg and could not walk", "{f} could run and jump again", "make {f} well again"),
    ("had no home, because the storm broke it", "{f} had a warm little house", "give {f} a home"),
    ("was old and could not see anymore", "{f} could see the flowers and the sky again", "let {f} see again"),
    (
        "missed {f.his} family far across the sea",
        "{f}'s whole family came down the road",
        "bring {f}'s family here",
    ),
)


@plot(
    "wish",
    (
        (
            (
                "{h.he} dreamed of {wish}.",
                "More than anything, {h.he} wanted {wish}.",
            ),
            (
                "{day}, {h} found {giver}, {caught}. {h} gently set it free.",
                "{day}, {h} saw {giver}. It was {caught}, and {h} helped it.",
            ),
            (
                '"Thank you," said the {g}. "You have one wish. Think well."',
                '"You are kind," said the {g}. "I will give you one wish."',
            ),
        ),
        (
            (
                '"One wish!" thought {h}. "I could have {wish}!"',
                "{h} jumped for joy. Now {h.he} could have {wish}!",
            ),
            (
                "On the way home, {h} met {f.a}. {f.he} {need}.",
                "Just then, {h} saw {f.full}, who {need}.",
            ),
            ("{f} tried to smile, but {f.his} eyes were sad.", "A tear ran down {f}'s face."),
            ("{h} thought about {wish}. Then {h.he} looked at {f}.", "{h} was quiet for a long time."),
            (
                '"I know my wish," said {h}. "Please {help}."',
                '{h} closed {h.his} eyes. "I wish for something else," {h.he} said. "Please {help}."',
            ),
            ("There was a bright light, and {result}!", "The {g} shone like the sun, and then {result}!"),
        ),
        (
            (
                '"You gave your wish to me?" asked {f}. "Yes," said {h}, "and I am glad."',
                '{f} laughed and cried at the same time. "Thank you, {h}!"',
            ),
            (
                "{h} did not get {wish}, but {h.he} had never been so happy.",
                "{h} went home without {wish}, but with a warm heart.",
            ),
            ("From that day on, {h} and {f} were the best of friends.", "High above, the {g} was smiling."),
            (
                "The best wish is a wish for a friend.",
                "And {h} learned that giving feels better than getting.",
                "To make others happy is the greatest gift.",
            ),
        ),
    ),
)
def wish(story: Story) -> None:
    usual_cast(story)
    giver, caught, short = story.choose(WISH_GIVERS)
    need, result, help_text = story.choose(NEEDS)
    story.set(color=story.choose(COLORS))
    story.set(
        giver=giver,
        caught=caught,
        g=short,
        need=need,
        result=result,
        help=help_text,
        wish=story.choose(OWN_WISHES),
    )


# ---- learning something --------------------------------------------------

SKILLS = (
    ("swim", "sank like a stone", "swam across the pond", "Move your legs like a frog"),
    (
        "ride a bike",
        "fell into the grass",
        "rode all the way down the lane",
        "Look ahead and not at your feet",
    ),
    ("whistle", "made only a puff of air", "whistled a whole song", "Make your lips round like a cherry"),
    (
        "skate on the ice",
        "slipped and fell down",
        "made a big round on the ice",
        "Bend your knees and go slowly",
    ),
    ("play the flute", "made a terrible noise", "played a sweet song", "Blow as softly as the wind"),
    (
        "dance",
        "stepped on {h.his} own feet",
        "danced around the room",
        "Listen to the music and count to three",
    ),
    (
        "bake bread",
        "burned the bread until it was black",
        "baked a golden loaf of bread",
        "Let the dough rest and watch the fire",
    ),
    ("juggle", "dropped every ball", "juggled three balls at once", "Begin with only one ball"),
    (
        "climb the old tree",
        "slid back down",
        "sat on the highest branch",
        "Hold on tight and go branch by branch",
    ),
    (
        "paint a horse",
        "painted something like a potato",
        "painted a beautiful horse",
        "Look at a real horse first",
    ),
)


@plot(
    "skill",
    (
        (
            (
                "{h.he} wanted to learn to {skill}.",
                "More than anything, {h} wanted to learn how to {skill}.",
                "{h} had a dream. {h.he} wanted to {skill}.",
            ),
            (
                "{day}, {h.he} tried it for the first time. But {h.he} {fail}.",
                "{day}, {h} tried and tried, but {h.he} {fail}.",
            ),
            (
                '"Ha ha!" laughed [the crows|a passing goose|the other children]. {h} felt [sad|small|bad].',
                '"I will never learn it," said {h}.',
                '{h} sat down and sighed. "It is too hard for me."',
            ),
        ),
        (
            (
                '{f.a} was watching. "I {fail_f} when I was young," {f.he} said.',
                'Then {f.a} sat down beside {h.him}. "It was hard for me too," {f.he} said.',
                '{f.full} came closer. "Nobody can do it the first time," {f.he} said.',
            ),
            (
                '"{tip}. And do not give up."',
                '"Here is my secret: {tip_low}."',
                '"{tip}," {f} went on, "and try once more."',
            ),
            (
                "So {h} tried again. {h.he} {fail}, but {h.he} stood up and smiled.",
                "{h} tried a second time and {fail}. {h.he} tried a third time.",
            ),
            (
                "Every day {h} practiced, and every day it went a little better.",
                "{h} practiced in the morning, and {h.he} practiced in the evening.",
            ),
            ("And then, one day, {h} {success}!", "And at last, {h} {success}!"),
        ),
        (
            (
                '"I did it!" [shouted|cried] {h}. "{f}, did you see that?"',
                '"Look at me, {f}!" shouted {h}.',
            ),
            (
                '"I knew you could do it," said {f}.',
                "{f} clapped and laughed.",
                '"You did not give up," said {f}. "That is why."',
            ),
            (
                "Now nobody laughed anymore.",
                "Everyone who saw it clapped.",
                "They had a little party to celebrate.",
            ),
            (
                "And {h} learned that you can do hard things if you keep trying.",
                "Practice and patience make hard things easy.",
                "Later, {h} taught the little ones how to {skill}.",
                '{h} never said "I can\'t" again. {h.he} said "I can\'t do it yet."',
            ),
        ),
    ),
    weight=1.2,
)
def skill(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS)
    skill_text, fail, success, tip = story.choose(SKILLS)
    story.set(skill=skill_text, fail=fail, success=success, tip=tip)
    story.slots["tip_low"] = tip[0].lower() + tip[1:]
    story.slots["fail_f"] = story.slots["fail"].replace(story.slots["h.his"] + " own", "my own")


# ---- a quarrel -----------------------------------------------------------


@plot(
    "quarrel",
    (
        (
            (
                "{h}'s best friend was {f.a}. They did everything together.",
                "{h} had a friend, {f.a}. They played every day.",
            ),
            ("{day}, they found a {color} {toy} {walk}.", "{day}, they saw a {color} {toy} lying {walk}."),
            (
                '"I saw it first!" said {h}. "No, I did!" said {f}.',
                '"It is mine!" cried {h}. "No, mine!" cried {f}.',
            ),
        ),
        (
            (
                "They pulled and pulled. Crack! The {toy} broke in two.",
                "{h} pulled on one side and {f} pulled on the other. Crack! The {toy} broke.",
            ),
            (
                '"Now look what you did!" they both shouted, and they went home angry.',
                "They were so angry that they did not speak to each other.",
            ),
            (
                "{h} sat at home with one half of the {toy}. It was very quiet.",
                "The next day, {h} wanted to play, but playing alone was no fun.",
            ),
            (
                '"I miss {f}," {h.he} thought. "A {toy} is only a {toy}."',
                '"What is a {toy} without a friend?" thought {h}.',
            ),
            (
                "So {h} took {h.his} half and some glue and went to find {f}. Halfway there, {h.he} met {f}, who had the other half!",
                "{h} opened the door to go to {f}. But {f} was already standing there with the other half of the {toy}!",
            ),
        ),
        (
            (
                '"I am sorry," said {h}. "I am sorry too," said {f}.',
                '"I was wrong," said {h}. "So was I," said {f}.',
            ),
            (
                "Together they glued the {toy}. It was not perfect, but it worked.",
                "They put the two halves together and painted the {toy} again.",
            ),
            (
                "Then they took turns, first {f}, then {h}.",
                '"You go first," said {h}. "No, you," said {f}, and they laughed.',
            ),
            (
                "And {h} learned that a friend is worth more than a {toy}.",
                "It is better to share a {toy} than to lose a friend.",
                "They never fought over a {toy} again.",
            ),
        ),
    ),
)
def quarrel(story: Story) -> None:
    usual_cast(story)
    story.set(color=story.choose(COLORS), toy=story.choose(TOYS), walk=story.choose(WALKS))


# ---- a noise in the night ------------------------------------------------

NOISES = (
    (
        "Tap, tap, tap",
        "a ghost",
        "a branch that the wind blew against the window",
        "tied the branch back with a string",
    ),
    (
        "Scratch, scratch",
        "a wolf",
        "{f.a}, who wanted to come in from the rain",
        "opened the door and let {f.him} in",
    ),
    ("Boo, boo, boo", "a monster", "{f.a}, who had a cold", "made {f.him} a cup of hot tea"),
    ("Crunch, crunch", "a dragon", "{f.a}, who was eating a carrot", "sat down and shared the carrots"),
    (
        "Drip, drip, drip",
        "a sea monster",
        "water that fell from the roof into a pot",
        "put a cloth into the pot, and it was quiet",
    ),
    (
        "Bump, bump, bump",
        "a giant",
        "{f.a}, who was hopping in the dark to find {f.his} shoe",
        "helped {f.him} find the shoe",
    ),
    ("Hoo, hoo", "a ghost", "{f.a}, who could not sleep", "told {f.him} a story until {f.he} fell asleep"),
)


@plot(
    "noise",
    (
        (
            (
                "One night, {h} woke up. {noise}! What was that?",
                "One dark night, {h} heard a strange noise. {noise}!",
                "That night, {h} lay in bed. {noise}! There was a noise.",
            ),
            (
                '"It must be {fear}!" thought {h}, and {h.he} pulled the blanket over {h.his} head.',
                '"Is it {fear}?" whispered {h}. {h.he} was scared.',
            ),
            ("{noise}! There it was again, even louder.", "Then it was quiet. And then again: {noise}!"),
        ),
        (
            (
                '{h} thought about it. "If I do not look, I will never know," {h.he} said.',
                '"I cannot sleep like this," said {h}. "I have to look."',
            ),
            (
                "{h.he} took a {color} [candle|lantern|lamp] and walked slowly to the door.",
                "{h.he} lit a {color} [candle|lamp|lantern] and tiptoed across the room.",
            ),
            (
                "{h.his} heart beat fast. {h.he} looked outside.",
                "One step. Two steps. Three steps. Then {h.he} looked.",
            ),
            (
                "And what did {h.he} see? It was not {fear} at all. It was only {real}!",
                "There was no {fear_bare}! It was just {real}.",
            ),
        ),
        (
            (
                "{h} laughed out loud. {h.he} {act}.",
                '"And that made me so afraid!" laughed {h}. {h.he} {act}.',
            ),
            (
                "Then {h.he} went back to bed and slept until morning.",
                "After that, the night was quiet and full of stars.",
            ),
            (
                "And {h} learned that most scary things are small when you look at them.",
                "In the light, most scary things are not scary at all.",
                "The next time {h} heard a noise, {h.he} just smiled and went to look.",
                '"Next time I will look first," thought {h}, "and be scared later."',
            ),
        ),
    ),
)
def noise(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS, helpers=MIDDLE_KINDS + ("mouse", "frog", "mole"))
    sound, fear, real, act = story.choose(NOISES)
    story.set(noise=sound, fear=fear, real=real, act=act, color=story.choose(COLORS))
    story.slots["fear_bare"] = fear.split(" ", 1)[1]


# ---- too much of a good thing --------------------------------------------

TREATS = (
    ("honey", "a bee tree"),
    ("berries", "a bush full of berries"),
    ("plums", "a tree full of plums"),
    ("cookies", "a big jar of cookies"),
    ("cheese", "a room full of cheese"),
    ("cherries", "a tree full of cherries"),
    ("nuts", "a hollow tree full of nuts"),
    ("cake", "a table full of cake"),
)


# (what happens to the greedy one, how the helper makes it good)
GREEDY_TROUBLES = (
    (
        "Then {h} wanted to go home, but {h.he} could not fit through the gate!",
        "{f} pushed and pulled. It took all day, but at last {h} was free.",
    ),
    (
        "On the way home, {h} got stuck between two trees.",
        "{f} pulled on one side and pushed on the other. Pop! {h} was free.",
    ),
    (
        'Then {h.his} stomach began to hurt. "Ow, ow, ow!" cried {h}.',
        "{f} did not laugh. {f.he} made some tea and stayed with {h} all day.",
    ),
    (
        "Then {h} rolled down the hill like a ball and could not stand up.",
        "{f} ran down the hill and helped {h} up. It was not easy.",
    ),
)


@plot(
    "too_much",
    (
        (
            ("{h} loved {treat} more than anything.", "{h}'s favorite food was {treat}."),
            (
                '{day}, {h} and {f.full} found {source}. "[Look at that|What luck|Hooray]!" cried {h}.',
                "{day}, {h} followed a sweet smell and found {source}. {f.full} was there too.",
            ),
            (
                '"Let us take a little and leave some for the others," said {f}.',
                '"Take only what you need," said {f}.',
            ),
        ),
        (
            (
                "But {h} did not listen. {h.he} ate and ate and ate.",
                '"No, I want it all!" said {h}, and {h.he} ate and ate.',
            ),
            (
                "{h.his} stomach grew bigger and bigger, until {h.he} looked like a ball.",
                "Soon there was nothing left, and {h} was as round as a pumpkin.",
            ),
            ("{bad}",),
            ('"Help me, {f}!" called {h}.', '"Oh, {f}, I should have listened to you," said {h}.'),
            ("{cured}",),
        ),
        (
            (
                '"I am sorry," said {h}. "I ate it all, and you had nothing."',
                '"Thank you," said {h}. "I was greedy, and you were kind."',
            ),
            (
                "The next time they found {treat}, {h} took just a little and gave the rest to {f}.",
                "The next day, {h} brought {f} a basket of {treat} to say sorry.",
            ),
            ('"Now it tastes even better," said {h}.', '{f} smiled. "Enough is enough," {f.he} said.'),
            (
                "And {h} learned not to be greedy.",
                "Too much of a good thing is not good anymore.",
                "A little is often enough, and {h} never forgot that.",
            ),
        ),
    ),
)
def too_much(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS, helpers=MIDDLE_KINDS)
    treat, source = story.choose(TREATS)
    bad, cured = story.choose(GREEDY_TROUBLES)
    story.set(treat=treat, source=source, bad=bad, cured=cured)


# ---- the moon and other things you cannot catch --------------------------

DREAMS = (
    (
        "the moon",
        "It lay in the pond, round and silver",
        "put a bucket into the pond",
        "the moon was back in the sky",
        "water",
        "looked into the bucket at night, the moon was there",
    ),
    (
        "the rainbow",
        "It stood behind the hill with all its colors",
        "ran to the hill with a bag",
        "the rainbow was gone",
        "air",
        "hung a wet glass in the window, a tiny rainbow came in every morning",
    ),
    (
        "a cloud",
        "It sat on top of the mountain like a sheep",
        "climbed up with a big basket",
        "the cloud was gone",
        "cold air",
        "made tea, a little cloud came out of the cup every time",
    ),
    (
        "the wind",
        "It danced in the trees and played with the leaves",
        "held a sack open on the hill",
        "the wind was gone",
        "air",
        "flew a kite, the wind came to play",
    ),
    (
        "a star",
        "It was shining above the old barn",
        "climbed up to the roof with a net",
        "the star was still far away",
        "night air",
        "lit a small lamp, it shone like a star",
    ),
    (
        "the sunlight",
        "It lay on the floor, warm and golden",
        "closed it in a box",
        "the sunlight was outside again",
        "dark air",
        "opened the curtain, the sunlight came in",
    ),
)


@plot(
    "catch_dream",
    (
        (
            (
                "{h} had a big dream. {h.he} wanted to catch {dream}.",
                '"I want to have {dream} for my own," said {h}.',
            ),
            ("{day}, {h.he} saw it. {where}.", "{day}, {h} looked up, and there was {dream}. {where}."),
            ('"I will catch it!" {h.he} said.', '"Now or never!" thought {h}.'),
        ),
        (
            (
                "So {h} {attempt}. But when {h.he} looked inside, there was only {inside}, and {gone}.",
                "{h} {attempt}. {h.he} was so happy! But then {h.he} saw that there was only {inside}, and {gone}.",
            ),
            (
                "{h} tried it a second time. It did not work.",
                "{h.he} tried again and again, but it did not help.",
            ),
            (
                '{h} sat down and cried. "I will never catch {dream}."',
                '"It does not like me," said {h} with a sigh.',
            ),
            (
                '{f.a} heard {h.him}. "You cannot own {dream}," said {f}. "It belongs to everyone."',
                '{f.full} sat down next to {h.him}. "Some things cannot be caught," said {f}. "But they can visit you."',
            ),
            (
                '"Come, I will show you something," said {f}, and {f.he} told {h} a secret.',
                "Then {f} whispered something, and {h}'s eyes grew wide.",
            ),
        ),
        (
            ("And it was true. When {h} {trick}.", "They went home and tried it. When {h} {trick}."),
            ('"It came to visit me!" cried {h}.', '"Look, {f}! It is here!" laughed {h}.'),
            ("{h} and {f} sat and watched it for a long time.", "They smiled and were very quiet."),
            (
                "The most beautiful things belong to everyone.",
                "And {h} learned that you do not have to own a thing to love it.",
                "{h} did not need to catch {dream} anymore. It was enough to look.",
            ),
        ),
    ),
)
def catch_dream(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS)
    dream, where, attempt, gone, inside, trick = story.choose(DREAMS)
    story.set(dream=dream, where=where, attempt=attempt, gone=gone, inside=inside, trick=trick)


# ---- the workers of the village ------------------------------------------

# (role, work, trouble, what is needed, how it ends)
ROLES = (
    (
        "baker",
        "baked fresh bread for the whole village",
        "there was no flour left",
        "flour",
        "the smell of warm bread filled the street",
    ),
    (
        "mail carrier",
        "brought letters to every house",
        "the wheel of the mail cart broke",
        "a new wheel",
        "every letter arrived on time",
    ),
    (
        "gardener",
        "took care of all the flowers in the village",
        "it had not rained for weeks, and the flowers were thirsty",
        "water",
        "the flowers opened one after another",
    ),
    (
        "tailor",
        "made coats for everyone",
        "there was no thread left",
        "thread",
        "the last coat was finished before the first snow",
    ),
    (
        "fisherman",
        "caught fish for the market",
        "the net had a big hole",
        "a new net",
        "the net was full of silver fish",
    ),
    (
        "teacher",
        "taught the children to read",
        "the roof of the school leaked",
        "new boards for the roof",
        "the school was dry and full of songs",
    ),
    (
        "clockmaker",
        "kept the tall village clock running",
        "the clock stopped",
        "a tiny screw",
        "the clock said tick, tock, tick, tock",
    ),
    (
        "lamplighter",
        "lit all the lamps in the evening",
        "there was no oil left",
        "oil",
        "all the lamps shone in the dark",
    ),
    (
        "farmer",
        "grew corn and carrots for the village",
        "the cart was stuck in the mud",
        "a strong rope",
        "the cart rolled out of the mud",
    ),
    (
        "musician",
        "played music in the village square",
        "the strings of the fiddle broke",
        "new strings",
        "the music was so sweet that everyone danced",
    ),
)


@plot(
    "worker",
    (
        (
            (
                "{h} was the {role} of the village. Every day, {h.he} {work}.",
                "{h} worked as a {role} and {work}.",
            ),
            (
                '{h.he} never asked for much. "A smile is enough," {h.he} always said.',
                '{h.he} was kind to everyone. "I work for a smile," {h.he} liked to say.',
            ),
            ("But {dayl}, {trouble}.", "Then, {dayl}, something bad happened: {trouble}."),
        ),
        (
            (
                '"What should I do now?" said {h}. "I need {need}, and I have no money."',
                '"Without {need}, I cannot work," said {h}, and {h.he} sat down on the steps.',
            ),
            (
                '{f.full} came by and saw {h}. "Why do you look so sad?" {f.he} asked.',
                "{f.a} heard this and went to tell the others.",
            ),
            (
                '"{h} has helped all of us," {f} told everyone. "Now we will help {h}."',
                '{f} knocked at every door. "{h} needs our help," {f.he} said.',
            ),
            (
                "And they all came. One brought {need}, one brought tools, and one brought warm soup.",
                "Soon the whole village was there. They brought {need} and worked until evening.",
            ),
        ),
        (
            ("The next morning, {good}.", "Soon {good}.", "And before the day was over, {good}."),
            (
                '"How can I thank you all?" asked {h}. "A smile is enough," said {f}.',
                '"Thank you, my friends," said {h} with tears in {h.his} eyes.',
            ),
            ("That evening, they all danced in the street.", "{h} and {f} drank tea together and laughed."),
            (
                "If you help others, others will help you.",
                "And {h} knew that {h.he} would never be alone.",
                "Kindness always finds its way back.",
            ),
        ),
    ),
    weight=1.2,
)
def worker(story: Story) -> None:
    usual_cast(story)
    role, work, trouble, need, good = story.choose(ROLES)
    story.set(
        role=role,
        work=work,
        trouble=trouble,
        need=need,
        good=good,
        dayl="[one day|one morning|one {weather} day]",
    )


# ---- a friend is ill -----------------------------------------------------

CURES = (
    (
        "honey",
        "in the hollow tree of the bees",
        '"Sing us a song," said the bees, "and you may have some." So {h} sang',
    ),
    (
        "a sweet orange",
        "on the other side of the river",
        "The river was wide. {h} jumped from stone to stone",
    ),
    ("mint leaves", "on top of the hill", "The path was steep and full of stones. {h} climbed and climbed"),
    (
        "warm soup",
        "in the kitchen of the big inn",
        '"Wash the dishes first," said the cook. So {h} washed a hundred dishes',
    ),
    (
        "a red flower",
        "in the garden of the giant",
        '"Who is there?" asked the giant. {h} bowed and said please, and the giant smiled',
    ),
    (
        "fresh milk",
        "behind the mill, where the cow lived",
        '"Scratch my back first," said the cow. So {h} scratched her back',
    ),
)


@plot(
    "ill_friend",
    (
        (
            (
                "{day}, {h} wanted to play with {h.his} friend {f.full}. But {f} was sick in bed.",
                "{day}, {h} heard that {h.his} friend {f.full} was sick.",
            ),
            (
                '"I feel so weak," said {f}. "Only {cure} can help me."',
                '"The doctor says I need {cure}," {f} whispered.',
            ),
            (
                '"I will bring it to you," said {h}. "I promise."',
                '"Then I will find it," said {h}, and {h.he} ran off.',
            ),
        ),
        (
            (
                "{h} knew where to find {cure}: {source}.",
                "An owl told {h.him} where to find {cure}: {source}.",
            ),
            (
                "It was a long way. It began to rain, but {h} went on.",
                "The wind blew hard, but {h} did not stop.",
                "{h.his} feet hurt, but {h.he} thought of {f} and went on.",
            ),
            ("{task}.",),
            (
                "At last {h} had {cure}! {h.he} held it tight and ran all the way back.",
                "And so {h.he} got {cure}. {h} thought of {f} and hurried back.",
            ),
        ),
        (
            (
                '"This is for you," said {h}, and {h.he} gave {f} {cure}. {f} smiled a little smile.',
                "{h} gave {f} {cure}, and {f}'s eyes began to shine.",
            ),
            (
                "The next morning, {f} felt better.",
                "After three days, {f} was well again.",
                "Soon {f} could get out of bed.",
            ),
            (
                '"You went so far for me," said {f}. "You would do the same for me," said {h}.',
                '"You kept your promise," said {f}. "Of course," said {h}. "You are my friend."',
            ),
            (
                "Then they played outside until the sun went down.",
                "A friend in need is a friend indeed.",
                "And {h} learned that love makes a long way short.",
                "True friends keep their promises.",
            ),
        ),
    ),
)
def ill_friend(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS)
    cure, source, task = story.choose(CURES)
    story.set(cure=cure, source=source, task=task)


# ---- winter --------------------------------------------------------------


@plot(
    "winter",
    (
        (
            (
                "All summer, {h} [sat in the sun|danced in the grass|slept under a tree], while {f.full} gathered {food}. {h} played the {color} {toy} all day long.",
                "In autumn, {f.a} gathered {food} every day, but {h} just played the {color} {toy}.",
            ),
            (
                '"Come and help me," said {f}. "Winter is coming."',
                '"Should you not get ready for winter?" asked {f}.',
            ),
            ('"Winter is far away," laughed {h}.', '"Tomorrow," said {h}. "Today I want to play my {toy}."'),
        ),
        (
            (
                "But soon the snow came. It covered everything.",
                "One morning, the whole world was white and cold.",
            ),
            (
                "{h} had nothing to eat and was [so cold|very hungry].",
                "{h} looked in the cupboard. It was empty.",
            ),
            (
                "{h.he} walked through the deep snow and knocked at {f}'s door.",
                "At last {h} went to the house of {f}.",
            ),
            (
                '"You were right," said {h}. "I was foolish."',
                '"I have no food," said {h} in a small voice. "I should have listened."',
            ),
            (
                '{f} looked at {h.him} for a moment. Then {f.he} opened the door. "Come in," {f.he} said. "There is enough for two."',
                '"Come in and get warm," said {f}, and {f.he} shared the {food}.',
            ),
        ),
        (
            (
                "All winter long, {h} played the {color} {toy} for {f}, and the cold days were short.",
                "In the evenings, {h} played songs on the {color} {toy}, and {f} smiled by the fire.",
            ),
            (
                "When spring came, {h} was the first to start working.",
                "The next summer, {h} and {f} gathered {food} together.",
            ),
            (
                '"First we work, then we play," said {h}.',
                "{f} taught {h} how to work, and {h} taught {f} how to play.",
            ),
            (
                "And {h} learned to think of tomorrow.",
                "From that day on, {h} always got ready in time.",
                "Both work and play are good, but there is a time for each.",
            ),
        ),
    ),
)
def winter(story: Story) -> None:
    usual_cast(story)
    story.set(
        food="[nuts|corn|berries|apples|seeds]",
        color=story.choose(COLORS),
        toy="[flute|drum|fiddle|horn]",
        weather=story.choose(WINTER_WEATHERS),
    )


# ---- nobody to play with -------------------------------------------------


@plot(
    "lonely",
    (
        (
            (
                "{h} had just moved to a new house and had no friends yet.",
                "{h} was often alone. {h.he} wished for a friend.",
            ),
            (
                '{day}, {h.he} wrote on a piece of paper: "Please come and play with me." {h.he} {sent}.',
                '{day}, {h} had an idea. {h.he} wrote a letter that said, "Do you want to be my friend?" Then {h.he} {sent}.',
            ),
        ),
        (
            ("{h} waited all day. Nobody came.", "{h.he} waited and waited by the window, but no one came."),
            (
                '"Nobody wants to be my friend," thought {h}.',
                '"Maybe nobody found it," said {h}, and {h.he} was sad.',
            ),
            (
                "The letter went far. {journey}, and there {f.a} found it.",
                "But the letter was on its way. {journey}. At last it came to {f.a}.",
            ),
            (
                '{f} read it twice. "I have no friend either!" {f.he} said, and {f.he} set out at once.',
                '"Somebody needs a friend," said {f}. "And so do I!" {f.he} began to walk.',
            ),
        ),
        (
            (
                'The next day, there was a knock at the door. "Hello," said {f}. "I got your letter."',
                'Three days later, {h} heard a voice. "Are you {h}? I am {f}. I found your letter!"',
            ),
            (
                "{h} could not believe it. {h.he} laughed and danced around.",
                '"You came!" cried {h}. "You really came!"',
            ),
            (
                "They played with a {color} {toy} until it was dark.",
                "They shared {food} and talked for hours.",
                "{h} baked a cake, and they ate it all.",
            ),
            (
                "And {h} kept the letter forever, because it had brought {h.him} a friend.",
                "{h} was never lonely again.",
                "Sometimes a friend is only one letter away.",
                "And {h} learned that somewhere there is a friend for everyone.",
            ),
        ),
    ),
)
def lonely(story: Story) -> None:
    usual_cast(story)
    sent, journey = story.choose(
        (
            (
                "put it in a bottle and threw it into the river",
                "The river carried the bottle past fields and hills",
            ),
            ("tied it to a balloon and let it go", "The wind carried the balloon over the hills"),
            (
                "folded it into a paper boat and put it on the stream",
                "The stream carried the paper boat around many bends",
            ),
            ("gave it to a passing bird", "The bird flew over the forest and dropped the letter"),
        )
    )
    story.set(
        sent=sent,
        journey=journey,
        color=story.choose(COLORS),
        toy=story.choose(TOYS),
        food=story.choose(SHAREABLE_FOODS),
    )


# ---- a chain of trades ---------------------------------------------------

TRADES = (
    "a red apple",
    "a ball of wool",
    "a small bell",
    "a jar of honey",
    "a straw hat",
    "a wooden spoon",
    "a piece of cheese",
    "a pretty shell",
    "a blue feather",
    "a sharp pencil",
    "a warm sock",
    "a bag of seeds",
)


@plot(
    "trade",
    (
        (
            (
                "{h}'s {elder} wanted {goal} for her birthday, but {h} had only {first}.",
                "{h} wanted to bring {h.his} {elder} {goal}, but all {h.he} had was {first}.",
            ),
            (
                "{day}, {h.he} took {the.first} and set out.",
                "{day}, {h} put {the.first} into {h.his} bag and went to the market.",
            ),
        ),
        (
            (
                'First {h} met {f.a}. "I have been looking for {first} all day!" said {f}.',
                'On the road, {h} met {f.a}. "Oh, I need {first}!" said {f}.',
            ),
            (
                "So {h} gave {f} {the.first}, and {f} gave {h} {second}.",
                '"Take it," said {h}. "Then take {second} from me," said {f}.',
            ),
            (
                'Then {h} came to {g.a}. "I wish I had {second}," {g.he} said with a sigh.',
                'Next, {h} met {g.a}. {g.he} looked at {the.second}. "That is what I need!" {g.he} said.',
            ),
            (
                "{h} gave {g.him} {the.second} with a smile.",
                '"Here, it is yours," said {h}.',
            ),
            (
                '"You are so kind," said {g}. "I have something for you." And what was it? It was {goal}!',
                "{g} was so happy that {g.he} gave {h} {goal}!",
            ),
        ),
        (
            ("{h} ran home as fast as {h.he} could.", "{h} thanked {g} and danced all the way home."),
            (
                '"{goal}!" cried {h.his} {elder}. "How did you get it?"',
                "When {h.his} {elder} saw {the.goal}, she cheered.",
            ),
            (
                '"I gave {the.first} to {f} and {the.second} to {g}," said {h}.',
                '"I only had {first}," said {h}, "but I met good people."',
            ),
            (
                "If you give with a smile, good things come back to you.",
                "And {h} learned that even small things can make others happy.",
                "A kind heart can turn a little into a lot.",
            ),
        ),
    ),
)
def trade(story: Story) -> None:
    usual_cast(story)
    story.cast("g", HELPER_KINDS, HELPER_TRAITS)
    first, second = story.rng.sample(TRADES, 2)
    story.set(elder="[mother|grandmother|sister|aunt]")
    story.set_things(
        first=first,
        second=second,
        goal="[a music box|a rose bush|a soft pillow|a silver ring|a tea set|a yellow bird]",
    )


# ---- finding the owner ---------------------------------------------------


@plot(
    "owner",
    (
        (
            ("{day}, {h} found a {color} {thing} {walk}.", "{day}, {h} saw a {color} {thing} lying {walk}."),
            (
                'It was the most beautiful {thing} {h.he} had ever seen. "I want to keep it," thought {h}.',
                '"What a lovely {thing}!" said {h}. "But whose is it?"',
            ),
            (
                'But then {h.he} thought, "Someone must be sad without it."',
                '"Someone has lost it," {h.he} thought. "I must find out who."',
            ),
        ),
        (
            (
                '{h} asked {g.full}. "Is this your {thing}?" "No," said {g}, "mine is {colorb}."',
                'First {h} went to {g.full}. "It is not mine," said {g}. "My {thing} is {colorb}."',
            ),
            (
                "{h} asked at every house, but nobody knew the {thing}.",
                "{h.he} walked up and down the road with the {thing}.",
            ),
            (
                '"Just keep it," said {g}. But {h} did not give up.',
                "It was getting late, but {h} did not want to give up.",
            ),
            (
                "Then {h.he} saw {f.a}, who was sitting on a stone and crying.",
                "At last {h} heard someone crying. It was {f.a}.",
            ),
            (
                '"I lost my {color} {thing}," said {f}. "My [father|mother|grandmother] gave it to me."',
                '"My {color} {thing} is gone," said {f}. "I looked everywhere."',
            ),
            ('"Is it this one?" asked {h}.', "{h} smiled and held up the {thing}."),
        ),
        (
            (
                '"My {thing}!" cried {f}. "You found it!"',
                '{f} stopped crying and laughed. "Yes! That is my {thing}!"',
            ),
            (
                '"You could have kept it," said {f}. "It was not mine," said {h}.',
                '"You are very honest," said {f}. "Thank you, {h}."',
            ),
            (
                "{f} let {h} play with the {thing} all afternoon.",
                "The next day, {f} brought {h} {food} to say thank you.",
                "From that day on, {h} and {f} were the best of friends.",
            ),
            (
                "And {h} learned that it feels good to be honest.",
                "{h} went home without the {thing}, but with a new friend.",
                "What you give back makes you richer than what you keep.",
            ),
        ),
    ),
    weight=1.2,
)
def owner(story: Story) -> None:
    usual_cast(story)
    story.cast("g", HELPER_KINDS, HELPER_TRAITS)
    color, colorb = story.rng.sample(COLORS, 2)
    story.set(
        color=color,
        colorb=colorb,
        thing=story.choose(DEAR_THINGS),
        walk=story.choose(WALKS),
        food=story.choose(SHAREABLE_FOODS),
    )


# ---- the echo ------------------------------------------------------------


@plot(
    "echo",
    (
        (
            (
                '{day}, {h} came to a {valley}. "Hello!" {h.he} called. "Hello!" a voice called back.',
                '{day}, {h} stood in front of a {valley}. "Who are you?" {h.he} shouted. "Who are you?" said a voice.',
            ),
            (
                '{h} could not see anyone. "Stop that!" shouted {h}. "Stop that!" said the voice.',
                '"Go away!" cried {h}. "Go away!" cried the voice.',
            ),
            (
                '"You are silly!" shouted {h}. "You are silly!" said the voice.',
                '"I do not like you!" said {h}. "I do not like you!" said the voice.',
            ),
        ),
        (
            (
                "{h} ran away and was very [angry|sad].",
                "{h} was so [angry|sad] that {h.he} went straight home.",
            ),
            (
                "{h.he} met {f.a} and told {f.him} everything.",
                'On the way, {h.he} met {f.a}. "There is someone rude in the {valley}," said {h}.',
            ),
            (
                '{f} smiled. "Go back," {f.he} said, "and say something kind."',
                '"Did you try to be nice?" asked {f}. "Try it and listen."',
            ),
            (
                'So {h} went back to the {valley}. "I am sorry!" {h.he} called. "I am sorry!" said the voice.',
                'So the two of them went back. "You are nice!" {h} called into the {valley}. "You are nice!" said the voice.',
            ),
            ('"Let us be friends!" called {h}. "Let us be friends!" said the voice.',),
        ),
        (
            (
                "{h} laughed, and the {valley} laughed too.",
                '{f} laughed. "It is your own voice," {f.he} said. "It is an echo."',
            ),
            HAPPY_TOGETHER,
            (
                "If you are kind to the world, the world is kind to you.",
                "And {h} learned that kind words come back.",
                "What you call into the {valley} comes back to you.",
            ),
        ),
    ),
    weight=0.7,
)
def echo(story: Story) -> None:
    usual_cast(story)
    story.set(valley="[deep valley|dark cave|high mountain|old well]")


# ---- the egg -------------------------------------------------------------


@plot(
    "egg",
    (
        (
            (
                "{day}, {h} found a {color} egg {walk}. It was all alone and very cold.",
                "{day}, {h} saw something round {walk}. It was a {color} egg!",
            ),
            (
                '"Where is your mother?" asked {h}. But an egg cannot answer.',
                "{h} looked around, but there was no nest.",
            ),
            (
                "{h} put the egg into {h.his} {warm} to keep it warm.",
                "So {h.he} wrapped the egg in {h.his} {warm} and carried it home.",
            ),
        ),
        (
            (
                "For three days and three nights, {h} sat beside the egg.",
                "{h} sang to the egg every evening and told it stories.",
            ),
            (
                '"It is only an egg," said {f.full}. "It is somebody," said {h}.',
                '{f.full} brought some hay. "This will keep it warm," {f.he} said.',
            ),
            (
                "Then, one morning: crack! Out came a tiny {chick}.",
                "Then the egg began to move. Crack, crack! A tiny {chick} looked out.",
            ),
            (
                '"Mama?" said the {chick}. {h} laughed. "No, but I will help you find her."',
                'The {chick} looked at {h} and said, "Peep!"',
            ),
            (
                "{h} and {f} took the {chick} {place}. And there the mother {chick} was, looking for her egg.",
                'They walked with the {chick} {place}. A mother {chick} was crying there. "I lost my egg in the storm!" she said.',
            ),
        ),
        (
            (
                '"Is this your little one?" asked {h}. The mother {chick} cried for joy.',
                "When she saw the little {chick}, she opened her wings wide.",
            ),
            (
                '"You kept my child warm," she said to {h}. "I will never forget it."',
                '"Thank you for your {warm} and your warm heart," she said.',
            ),
            (
                "Every spring, the {chick} came back to visit {h}.",
                "The {chick} visited {h} and {f} every day.",
                "{h} was a little sad to say goodbye, but the {chick} came back often.",
            ),
            (
                "And {h} learned that even a small {color} egg can hold a friend.",
                "To care for someone small is a big thing.",
                "Love keeps us warm, and {h} knew it.",
            ),
        ),
    ),
)
def egg(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS, helpers=WALKING_KINDS)
    story.set(
        color=story.choose(COLORS),
        walk=story.choose(WALKS),
        warm="[hat|scarf|coat|blanket]",
        chick="[duck|owl|goose|swan|dragon]",
        place="[to the lake|to the river|to the edge of the forest|up the hill]",
    )


# ---- being different -----------------------------------------------------

# (what is different, what the others say, the trouble, how the difference helps)
DIFFERENCES = (
    (
        "a very loud voice",
        "Be quiet, {h}",
        "thick fog came down, and the boats on the lake could not find the shore",
        "{h} stood on the shore and called as loud as {h.he} could. The boats followed the sound of {h.his} voice",
    ),
    (
        "very big feet",
        "Look at those feet",
        "the snow was so deep that nobody could get to the village",
        "{h} walked through the snow with {h.his} big feet and made a path for everyone",
    ),
    (
        "a very long nose",
        "What a funny nose",
        "the ring of {f} fell into a narrow hole",
        "{h} put {h.his} long nose into the hole and pulled out the ring",
    ),
    (
        "very big ears",
        "Look at those ears",
        "a little child was lost in the forest",
        "{h} listened with {h.his} big ears and heard the child far away. They found it under a tree",
    ),
    (
        "a spot that glowed in the dark",
        "You look like a lamp",
        "all the candles went out in the storm",
        "{h}'s spot shone in the dark, and everyone found the way to the cellar",
    ),
    (
        "a very slow way of walking",
        "Hurry up, {h}",
        "everyone ran past a tiny kitten that was stuck in the mud",
        "{h} came slowly down the road and was the only one who saw the kitten. {h.he} pulled it out",
    ),
    (
        "very short legs",
        "You are too small",
        "the key of the school fell under the floor",
        "{h} crawled under the floor with {h.his} short legs and came back with the key",
    ),
)


@plot(
    "different",
    (
        (
            (
                "{h} was different from the others. {h.he} had {difference}.",
                "{h} had {difference}, and {h.he} did not like it.",
            ),
            ('"{tease}!" the others said, and they laughed.', '"{tease}!" laughed the others every day.'),
            (
                '{h} often sat alone {walk}. "I wish I were like the others," {h.he} said.',
                'At night, {h} cried a little. "Why am I different?" {h.he} asked the moon.',
            ),
            (
                'Only {f.full} was kind to {h.him}. "I like you the way you are," said {f}.',
                'Only {f.full} did not laugh. "Different is good," said {f}.',
            ),
        ),
        (
            ("{day}, {trouble}.", "Then, one day, {trouble}."),
            ('"What should we do?" everyone cried.', "Nobody knew what to do.", '"Who can help?" asked {f}.'),
            (
                '"I think I can help," said {h} in a small voice.',
                '{h} stepped forward. "Let me try," {h.he} said.',
            ),
            ("{helped}.",),
        ),
        (
            (
                "Everyone cheered for {h}.",
                'The others looked at the ground. "We are sorry that we laughed," they said.',
            ),
            (
                '"What a good thing that you have {difference}!" said {f}.',
                '"Nobody else could have done it," said {f}.',
            ),
            (
                "From that day on, nobody laughed at {h} anymore.",
                "{h} smiled. For the first time, {h.he} was glad to be different.",
            ),
            (
                "What makes you different can make you great.",
                "And {h} learned to like {h.his} own way of being.",
                "Everyone is good at something, and that is how it should be.",
            ),
        ),
    ),
)
def different(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS)
    difference, tease, trouble, helped = story.choose(DIFFERENCES)
    story.set(difference=difference, tease=tease, trouble=trouble, helped=helped, walk=story.choose(WALKS))


# ---- the treasure --------------------------------------------------------

TREASURES = (
    ("a little tree full of golden apples", "They ate some apples and planted the seeds at home"),
    ("a box full of old toys", "They played with the toys and gave one to every child in the village"),
    ("a spring with the clearest water", "They drank the cool water and told everyone about it"),
    ("a book full of stories", "They read the stories to each other until it was dark"),
    ("an old piano", "They played a song, and the whole forest listened"),
    (
        'a box with a mirror and a note. The note said, "Look inside and you will see the treasure"',
        "They looked into the mirror and saw two good friends",
    ),
)


@plot(
    "treasure",
    (
        (
            (
                "{day}, {h} found an old map in {found}. There was a red cross on it.",
                "{day}, {h} opened {found} and found an old map.",
            ),
            (
                '"A treasure map!" cried {h}. {h.he} ran to {h.his} friend {f.full}.',
                '{h} showed the map to {f.a}. "It must be a treasure!" said {f}.',
            ),
            (
                '"Let us find it together," they said.',
                '"Will you come with me?" asked {h}. "Of course," said {f}.',
            ),
        ),
        (
            (
                "First they had to cross {cross}. {f} was scared, but {h} held on to {f.him}.",
                "They came to {cross}. {h} was scared, but {f} went first and helped {h.him}.",
            ),
            (
                'Then they climbed a steep hill. "I am tired," said {h}. "Just a little more," said {f}.',
                "Then it began to rain, and they waited under a big tree and shared {the.food}.",
            ),
            (
                'The map said, "Ten steps from the old {mark}." They counted together. "One, two, three..."',
                "At last they saw the old {mark} from the map. They counted ten steps.",
            ),
            (
                "And there, behind the leaves, was {treasure}.",
                "They looked and looked. And what did they find? It was {treasure}.",
            ),
        ),
        (
            (
                '"There is no gold," said {h}, "but this is better."',
                "{h} and {f} looked at each other and laughed.",
            ),
            ("{used}.",),
            (
                "They took the map home and hung it on the wall.",
                '"What a day!" said {f} on the way home.',
                "{h} kept the map and drew a little heart on it.",
            ),
            (
                "The best treasure is a friend who goes with you.",
                "And {h} learned that the way was as good as the treasure.",
                "Not every treasure is made of gold.",
            ),
        ),
    ),
)
def treasure(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS, helpers=WALKING_KINDS)
    what, used = story.choose(TREASURES)
    story.set_things(food=story.choose(SHAREABLE_FOODS))
    story.set(
        treasure=what,
        used=used,
        found="[an old bottle|a wooden box|a dusty book|the pocket of an old coat]",
        cross="[a narrow bridge|a cold stream|a dark tunnel|a field of tall grass]",
        mark="[oak tree|stone|well|tower]",
    )


# ---- pulling together ----------------------------------------------------


@plot(
    "together",
    (
        (
            (
                "{day}, a big {heavy} lay across the only road to the village. Nobody could pass.",
                "{day}, {h} saw that a big {heavy} had fallen on the road.",
            ),
            (
                '"I will move the {heavy}," said {h}. {h.he} pushed and pushed, but it did not move.',
                "{h} wanted to move it. {h.he} pulled and pulled, but the {heavy} did not move.",
            ),
        ),
        (
            (
                'Then {f.a} came along. "Let me help," said {f}. They pushed together. It did not move.',
                '{f.full} came by. "I am strong," {f.he} said. They both pulled, but the {heavy} did not move.',
            ),
            (
                "Next came {g.a}. Now there were three of them. The {heavy} moved a little.",
                "{g.full} saw them and came to help. Three of them pushed, and the {heavy} moved a tiny bit.",
            ),
            (
                '"It is too heavy," said {f}. "We need more help."',
                '"We cannot do it," said {g}. "Wait," said {h}, "we need just one more."',
            ),
            (
                'Then a tiny {tiny} spoke. "May I help?" {g} laughed. "You? You are too small!"',
                '"I can help," said a tiny {tiny}. "You are so little," said {f}.',
            ),
            (
                '"Everyone can help," said {h}. They all counted, "One, two, three!"',
                '"Please help us," said {h} to the {tiny}. "Ready? One, two, three!"',
            ),
            (
                "They pushed with all their might. The {heavy} rolled off the road!",
                "And with a loud bump, the {heavy} rolled into the grass!",
            ),
        ),
        (
            (
                '"Hooray!" they all shouted.',
                "{h}, {f} and {g} danced on the road, and the {tiny} danced too.",
            ),
            (
                '"It was the {tiny} who did it," laughed {f}.',
                '"I am sorry that I laughed," said {g} to the {tiny}.',
                '"See?" said the {tiny}. "I told you."',
            ),
            (
                "Then they all sat down and shared {food}.",
                "In the evening, they told the story to everyone in the village.",
            ),
            (
                "And {h} learned that together we can do what no one can do alone.",
                "Everyone counts, even the smallest.",
                "Many small ones are as strong as one giant.",
            ),
        ),
    ),
)
def together(story: Story) -> None:
    usual_cast(story)
    story.cast("g", HELPER_KINDS, HELPER_TRAITS)
    story.set(
        heavy="[stone|tree|log|pumpkin|snowball]",
        tiny="[ant|ladybug|bee|caterpillar]",
        food=story.choose(SHAREABLE_FOODS),
    )


# ---- the picnic ----------------------------------------------------------


@plot(
    "picnic",
    (
        (
            (
                "{day}, {h} invited {f.a} and {g.a} to a picnic {walk}.",
                "{day}, {h} planned a picnic {walk} with {f.a} and {g.a}.",
            ),
            (
                "{h} brought {food}, {f} brought a {color} blanket, and {g} brought a {toy}.",
                "{f} carried a {color} blanket, {g} carried a {toy}, and {h} carried {food}.",
            ),
            ('"This will be the best day ever," said {h}.', '"I cannot wait," said {g}.'),
        ),
        (
            ("But as soon as they sat down, {bad}.", "They had just sat down when {bad}."),
            ('"Oh no! Our picnic!" cried {h}.', '"Everything is spoiled," said {h} with a sigh.'),
            (
                '"Quick, take the {color} blanket!" said {f}. They held it over their heads and ran {shelter}.',
                "{f} had an idea. They put the {color} blanket over their heads and ran {shelter}.",
            ),
            (
                "There it was warm and dry. They put the blanket on the floor, and {h} shared {the.food} with them.",
                "Inside it was cozy. {f} laid the blanket on the floor, and they ate {the.food} there.",
            ),
            (
                "{g} played with the {toy} and made everyone laugh.",
                "Then {g} showed them a game with the {toy}.",
            ),
        ),
        (
            (
                "When they looked outside, the sun was shining, and there was a rainbow.",
                "Outside it was loud and wet, but inside they laughed and sang.",
            ),
            (
                '"That was better than a picnic {walk}," said {g}.',
                '"I am glad that this happened," said {h}.',
            ),
            ('"Let us do it again tomorrow," said {f}.', "They stayed until the stars came out."),
            (
                "And {h} learned that a bad start can have a good end.",
                "With good friends, every place is a good place.",
                "You cannot change the weather, but you can still have fun.",
            ),
        ),
    ),
    weight=0.8,
)
def picnic(story: Story) -> None:
    usual_cast(story)
    story.cast("g", HELPER_KINDS, HELPER_TRAITS)
    story.set_things(
        food=story.choose(
            ("a basket of apples", "a warm pie", "a chocolate cake", "a loaf of bread", "a big cheese")
        )
    )
    story.set(
        color=story.choose(COLORS),
        toy="[ball|drum|puppet|flute|top]",
        walk=story.choose(WALKS),
        bad="[it began to rain|a big storm came up|it began to hail]",
        shelter="[to an old barn|into a dry cave|into a hollow tree|to the old mill]",
    )


# ---- the sleepless night -------------------------------------------------

LULLABIES = (
    (
        "count the stars in the window",
        "One, two, three... By the time {h.he} got to twenty, {h.he} was asleep",
    ),
    ("listen to the river", "The river said hush, hush, hush, and soon {h} was asleep"),
    (
        "think of all the good things of the day",
        "{h} thought of the sun, the flowers and {f}. Before {h.he} came to the end, {h.he} was asleep",
    ),
    (
        "sing a very quiet song",
        "{h} sang more and more quietly, and in the middle of the song {h.he} fell asleep",
    ),
    ("breathe like the sea, in and out", "{h} breathed in and out, in and out, and then {h.he} was asleep"),
)


@plot(
    "sleepless",
    (
        (
            (
                "One night, {h} could not sleep. {h.he} turned to the left. {h.he} turned to the right.",
                "It was late, but {h} could not sleep at all.",
            ),
            (
                "{h.he} drank some [water|milk], but it did not help.",
                "{h.he} closed {h.his} eyes, but they opened again.",
                "{h.he} hugged {h.his} {color} {thing}, but it did not help.",
            ),
            (
                "So {h} put on a coat and went out into the moonlight.",
                "At last {h.he} got up and went outside.",
            ),
        ),
        (
            (
                'There {h.he} met {g.a}. "Why are you awake?" asked {g}. "I cannot sleep," said {h}.',
                '{g.full} was awake too. "What are you doing here?" asked {g}. "I cannot sleep," said {h}.',
            ),
            (
                '"I always {wrong}," said {g}. {h} tried it. It was fun, but now {h.he} was more awake than before.',
                '"You must {wrong}," said {g}. {h} did it, but then {h.he} was wide awake.',
            ),
            ("Then {h} came to {f.a}, who was looking at the moon.", "A little later, {h.he} met {f.a}."),
            (
                '"When I cannot sleep, I {right}," said {f} softly.',
                '"Go home, lie down and {right}," {f} whispered.',
            ),
        ),
        (
            ("{h} thanked {f.him}, went home and lay down.", "So {h} went back to bed and tried it."),
            ("{asleep}.",),
            (
                "{h.he} dreamed of {f} and the moon.",
                "In the morning, {h} felt fresh and happy.",
                "The moon looked in through the window and smiled.",
            ),
            (
                "And from then on, {h} was never afraid of a long night.",
                "A quiet heart sleeps well.",
                "The next evening, {h} told {g} about it, and {g} slept well too.",
            ),
        ),
    ),
    weight=0.8,
)
def sleepless(story: Story) -> None:
    usual_cast(story, heroes=WALKING_KINDS, helpers=MIDDLE_KINDS + SMALL_KINDS)
    story.cast("g", MIDDLE_KINDS + SMALL_KINDS, HELPER_TRAITS)
    right, asleep = story.choose(LULLABIES)
    story.set(
        color=story.choose(COLORS),
        thing="[teddy bear|blanket|pillow|doll]",
        right=right,
        asleep=asleep,
        wrong="[jump up and down ten times|run around the house|dance in the kitchen|eat a big piece of cake]",
    )


# --------------------------------------------------------------------------
# Writing
# --------------------------------------------------------------------------


def draw_plot(rng: random.Random) -> Plot:
    return rng.choices(PLOTS, weights=[entry.weight for entry in PLOTS])[0]


def name_or_kind(story: Story, template: str, first: bool) -> str:
    """Now and then "The fox" for "Pip", and always at the start of a paragraph.

    Without a space before it a name is another token than the same name inside
    the text, and a small model cannot know that the two belong together.
    """
    role = template[1:2]
    if template.startswith(("{h} ", "{f} ")) and (first or (role == "h" and story.chance(0.12))):
        return f"{{{role}.the}}{template[3:]}"
    return template


def write_paragraph(story: Story, beats: Paragraph, opening_text: str) -> str:
    """Fill in the beats; only a paragraph without an opening may leave out names."""
    sentences = [opening_text] if opening_text else []
    for beat in beats:
        template = story.choose(beat)
        if not opening_text:
            template = name_or_kind(story, template, first=not sentences)
        sentences.append(polish(story.expand(template)))
    return " ".join(sentences)


def write_story(rng: random.Random) -> str:
    """One complete story: opening and three paragraphs, separated by empty lines."""
    story = Story(rng)
    story.set(weather=story.choose(WEATHERS))
    chosen = draw_plot(rng)
    chosen.set_up(story)
    first = polish(opening(story))
    paragraphs = [
        write_paragraph(story, beats, "" if number else first)
        for number, beats in enumerate(chosen.paragraphs)
    ]
    return "\n\n".join(paragraphs)


def write_stories(count: int, seed: int) -> Iterator[str]:
    """Yield `count` stories, always the same ones for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        yield write_story(rng)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10, help="number of stories")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers")
    parser.add_argument("--out", default="-", help="output file, - for the terminal")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    out = sys.stdout if arguments.out == "-" else open(arguments.out, "w", encoding="utf-8")
    with out:
        for text in write_stories(arguments.count, arguments.seed):
            out.write(f"{text}\n{END_OF_STORY}\n")


if __name__ == "__main__":
    main()
