"""Which known name did somebody mean? Compares names as people do: no case, plural or "Ltd"."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from typing import TypeVar

# Below this two names are different; "Jon Smith" and "John Smith" score 0.95, "Acme" and "Acne"
# just as much as this.
SIMILAR = 0.75
# One name has all words of the other: "Acme" and "Acme Trading".
CONTAINED = 0.9
MAX_CHOICES = 5

LEGAL_FORMS = {
    *("ag", "bv", "co", "company", "corp", "corporation", "gmbh", "inc", "incorporated", "kg"),
    *("limited", "llc", "llp", "ltd", "nv", "ohg", "oy", "plc", "pty", "sa", "sarl", "se", "srl"),
}
IRREGULAR = {
    "mice": "mouse",
    "people": "person",
    "men": "man",
    "women": "woman",
    "children": "child",
    "feet": "foot",
    "knives": "knife",
    "shelves": "shelf",
}

T = TypeVar("T")
Key = Callable[[str], str]


def words(text: str) -> list[str]:
    """Split into lower-case words, without punctuation."""
    return re.findall(r"[^\W_]+", text.casefold())


def without_accents(text: str) -> str:
    """Return "Muller" for "Müller". Only for similarity: other scripts mean something by marks."""
    return "".join(
        char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char)
    )


def singular(word: str) -> str:
    """Guess the singular of an English noun; what doesn't look like a plural stays as it is."""
    lower = word.casefold()
    if lower in IRREGULAR:
        return IRREGULAR[lower]
    if len(word) < 4 or not lower.endswith("s") or lower.endswith(("ss", "us", "is")):
        return word
    if lower.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if lower.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    return word[:-1]


def customer_key(name: str) -> str:
    """Reduce a customer's name to what is compared."""
    return " ".join(words(name))


def customer_core(name: str) -> str:
    """Reduce a customer's name further: "Acme Ltd." and "ACME Corp" are both "acme"."""
    parts = words(name)
    return " ".join([part for part in parts if part not in LEGAL_FORMS] or parts)


def product_key(name: str) -> str:
    """Reduce a product's name to what is compared: "Desk Lamps" is "desk lamp"."""
    return " ".join(singular(part) for part in words(name))


def product_name(typed: str) -> str:
    """Name a new product after what was typed: "desk lamps" becomes "Desk lamp"."""
    before, of, after = typed.partition(" of ")
    head = before.split()
    if not head:
        return typed
    head[-1] = singular(head[-1])
    name = " ".join(head) + of + after
    return name[0].upper() + name[1:] if name == name.lower() else name


def similarity(left: str, right: str) -> float:
    """Score two keys from 0 to 1."""
    if left == right:
        return 1.0
    left_words, right_words = set(left.split()), set(right.split())
    if left_words and right_words and (left_words <= right_words or right_words <= left_words):
        # The fewer words are left over, the better.
        return CONTAINED + 0.1 * min(len(left), len(right)) / max(len(left), len(right))
    matcher = SequenceMatcher(None, left, right)
    # The quick ratios are upper bounds, and far cheaper.
    if matcher.real_quick_ratio() < SIMILAR or matcher.quick_ratio() < SIMILAR:
        return 0.0
    return matcher.ratio()


def rank(wanted: str, known: Iterable[T], name_of: Callable[[T], str], key: Key) -> list[T]:
    """Return those of *known* that are similar to *wanted*, the best first, at most five."""
    wanted_key = without_accents(key(wanted))
    scored = [(similarity(wanted_key, without_accents(key(name_of(item)))), item) for item in known]
    best = sorted((pair for pair in scored if pair[0] >= SIMILAR), key=lambda pair: -pair[0])
    return [item for _, item in best[:MAX_CHOICES]]


def exact(wanted: str, known: Iterable[T], name_of: Callable[[T], str], key: Key) -> T | None:
    """Return the one of *known* that *wanted* names; None when there is none, or more than one.

    Case and spaces never matter. What else *key* ignores matters only where nothing is closer.
    """
    plain, wanted_key = " ".join(wanted.casefold().split()), key(wanted)
    matches = []
    for item in known:
        name = name_of(item)
        if " ".join(name.casefold().split()) == plain:
            return item
        if key(name) == wanted_key:
            matches.append(item)
    return matches[0] if len(matches) == 1 else None
