"""What the demo checkpoint can say: its words, a grammar that makes sentences of them, and texts for the codec.

Everything is drawn from a ``random.Random``, so a seed names a text.
"""

from __future__ import annotations

import random
import re
from functools import cache

FIXED = (
    "My name is David, and this is Oscar.",
    "Hello! This is how I sound when somebody types a sentence and lets me read it.",
    "The train to the coast leaves at nine, and I have kept you a seat.",
    "Shall we walk, or wait for the bus?",
)
"""What the page and the samples of a training say; always among the words."""

_UNITS = "one two three four five six seven eight nine"
_LISTS = {
    "name": "Anna Ben David Emma Frank Grace Henry Julia Kevin Laura Martin Nora Oscar Peter Rosa Sam Tina Tom",
    "unit": _UNITS,
    "digit": f"zero {_UNITS}",
    "small": f"{_UNITS} ten eleven twelve",
    "teen": "thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
    "tens": "twenty thirty forty fifty sixty seventy eighty ninety",
    "ordinal": "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth",
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "month": "January February March April May June July August September October November December",
    "colour": "red blue green yellow black white brown orange grey pink",
    "thing": "house car book table door window bus garden kitchen letter picture phone computer camera coat dog cat "
    "bird tree flower apple cake glass bottle ship bridge market school station hotel office seat room key box",
    "things": "books letters apples flowers birds dogs cats trees cars friends children people minutes days hours "
    "tickets pictures euros dollars",
    "quality": "big small old new quiet warm cold beautiful dark bright long short heavy happy empty clean strange famous "
    "good nice",
    "verb": "open close find bring take clean paint sell buy watch move keep see need like want",
    "go": "go walk drive travel run come",
    "time": "today|tomorrow|tonight|this morning|next week|every day|in the evening|in the afternoon|now|later|soon",
    "place": "at home|in the city|near the river|in the garden|at the station|by the sea|in the kitchen|"
    "next to the school|on the island|behind the house|under the bridge|in front of the hotel",
    "to": "to the market|to the station|to the sea|home|to the city|to school|to the mountains|to the coast|to work",
    "town": "London Paris Berlin Rome Madrid",
    "greeting": "Good morning|Good evening|Good night|Hello|Welcome|Thank you|Goodbye",
    "feeling": "happy tired hungry ready late sorry glad busy",
    "weather": "sunny cloudy cold warm windy",
    "drink": "coffee tea water milk juice",
    "person": "mother father sister brother friend teacher",
}
_CHOICES = {name: text.split("|" if "|" in text else None) for name, text in _LISTS.items()}

_TEMPLATES = (
    "{greeting}, {name}.", "{greeting}! My name is {name}.", "My name is {name}, and this is {name2}.",
    "The {colour} {thing} is {quality}.", "The {thing} is {quality} and {quality2}.", "I have {number} {things}.",
    "We have {number} {colour} {things}.", "It is {clock} {time}.", "On {day} we {go} {to}.",
    "Please {verb} the {colour} {thing}.", "Can you {verb} the {thing} for {name}?", "{name} and {name2} {go} {to} {time}.",
    "Where is the {quality} {thing}?", "I am {feeling} {time}.", "Are you {feeling}, {name}?",
    "There are {number} {things} {place}.", "The {thing} {place} is {colour}.", "Today is {day}, the {date} of {month}.",
    "It was {weather} {place} in {month}.", "I want to {verb} a {quality} {thing}.", "Do you want to {go} {to} with me?",
    "{name} will {verb} the {thing} {time}.", "We will {go} {to} at {clock}.", "The train to {town} leaves at {clock}.",
    "My {thing} is {quality}, but your {thing2} is {quality2}.", "You can {verb} it {place}.",
    "She gave me {number} {things} and a {colour} {thing}.", "He lives {place} with his {person}.", "Call me at {digits}.",
    "I like your {colour} {thing}, {name}.", "No, I do not have a {thing}.", "Yes, the {thing} is {place}.",
    "How are you {time}, {name}?", "I am fine, thank you.", "What time is it? It is {clock}.",
    "I would like a {drink}, please.",
    "The {drink} is {weather2}.", "Her {person} was born in {month}.", "Your room number is {number}.",
    "That is {number} {money}, please.", "See you {time}, {name}!", "The {ordinal} {thing} is {colour}.",
    "My {person} and I {go} {to} every {day}.", "Is this your {thing}, {name}?", "They were {place} on {day}.",
    "We are in {town} now.", "Count with me: {digits}.", "The bus to {town} comes in {number} minutes.",
    "What is your name?", "Who is {place}?", "It is not {colour}, it is {colour2}.", "How much is the {colour} {thing}?",
    "Thank you for the {thing}, {name}.", "Let me read it to you {time}.", "You have {number} new letters.",
)  # fmt: skip


def sentence(rng: random.Random) -> str:
    """A sentence of the grammar."""
    if rng.random() < 0.01:
        return rng.choice(FIXED)
    values = {name: rng.choice(choices) for name, choices in _CHOICES.items()}
    for name in ("name", "thing", "quality", "colour"):
        values[f"{name}2"] = rng.choice([other for other in _CHOICES[name] if other != values[name]])
    values |= {
        "number": number(rng),
        "clock": clock(rng),
        "date": date(rng),
        "digits": " ".join(rng.choice(_CHOICES["digit"]) for _ in range(rng.randint(3, 5))),
        "money": rng.choice(["euros", "dollars"]),
        "weather2": rng.choice(["cold", "warm", "good"]),
    }
    text = rng.choice(_TEMPLATES).format(**values)
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    return text[0].upper() + text[1:]


def number(rng: random.Random) -> str:
    """A number from two to a few thousand, as words; small ones more often."""
    ten = rng.choice(_CHOICES["tens"])
    below_hundred = [
        rng.choice(_CHOICES["small"][1:]),
        rng.choice(_CHOICES["teen"]),
        ten,
        f"{ten} {rng.choice(_CHOICES['unit'])}",
    ]
    value = rng.choice(below_hundred)
    kind = rng.random()
    if kind < 0.15:
        return f"{rng.choice(_CHOICES['unit'])} hundred and {value}"
    return f"{rng.choice(_CHOICES['unit'])} thousand" if kind < 0.2 else value


def clock(rng: random.Random) -> str:
    """A time of day."""
    hour = rng.choice(_CHOICES["small"])
    return rng.choice(
        [hour, f"{hour} o'clock", f"{hour} thirty", f"{hour} fifteen", f"half past {hour}", f"quarter to {hour}"]
    )


def date(rng: random.Random) -> str:
    """The ordinal of a day of a month."""
    plain = _CHOICES["ordinal"]
    return rng.choice([*plain, f"twenty {rng.choice(plain[:9])}"])


@cache
def words() -> tuple[str, ...]:
    """All words of the scope, in lower case, sorted. Derived from the grammar, so that the two cannot drift apart."""
    literal = [re.sub(r"\{\w+\}", " ", template) for template in _TEMPLATES]
    extra = "an half past quarter to o'clock hundred thousand and of with I you he she we they"
    found = words_of(" ".join([*FIXED, *literal, *(c for choices in _CHOICES.values() for c in choices), extra]))
    return tuple(sorted(set(found)))


_PROPER = frozenset(c for name in ("name", "day", "month", "town") for c in _CHOICES[name]) | {"I"}


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; an apostrophe belongs to its word."""
    return [text[start:end].lower() for start, end in word_spans(text)]


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where in the text each word stands: first character, and the one after the last."""
    return [match.span() for match in re.finditer(r"[A-Za-z]+(?:'[A-Za-z]+)*", text)]


def salad(rng: random.Random, num_words: int) -> str:
    """Words of the scope in random order: nothing but the text tells what comes next."""
    proper = {word.lower(): word for word in _PROPER}
    drawn = [proper.get(word, word) for word in rng.choices(words(), k=num_words)]
    marks = ["," if rng.random() < 0.15 else "" for _ in drawn[:-1]] + [rng.choice("..?!")]
    text = " ".join(word + mark for word, mark in zip(drawn, marks, strict=True))
    return text[0].upper() + text[1:]


_ONSETS, _NUCLEI, _CODAS = (
    line.split()
    for line in (
        "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sc sh sk sl sm sn sp st str sw t th tr tw v w wh "
        "y z",
        "a a e e i o u ai ay ea ee ie oa oo ou ow oi au ar er or ir a i",
        "b ck d f g l ll m n nd ng nk nt p r rd rk rn s sh sk ss st t th v x ft lt mp pt ch dge ve",
    )
)


def invented_word(rng: random.Random) -> str:
    """A word that sounds English: every sound and most of their neighbourhoods come up."""
    syllables = [rng.choice(_ONSETS) + rng.choice(_NUCLEI) for _ in range(rng.choice([1, 1, 2, 2, 3]))]
    return "".join(syllables) + (rng.choice(_CODAS) if rng.random() < 0.8 else "")


def open_sentence(rng: random.Random) -> str:
    """A sentence for the codec, which must pass on sounds beyond those of the scope."""
    drawn = [invented_word(rng) if rng.random() < 0.6 else rng.choice(words()) for _ in range(rng.randint(5, 10))]
    text = " ".join(word + ("," if rng.random() < 0.1 else "") for word in drawn).rstrip(",") + rng.choice("..?")
    return text[0].upper() + text[1:]
