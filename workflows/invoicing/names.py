"""Which known name did somebody mean? Names compare without case, punctuation and plural."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from workflows.invoicing.drafts import Known, Matches

if TYPE_CHECKING:
    from pluralizer import Pluralizer

# Below this two names are different: "Jon Smith" and "John Smith" score 95, "Acme" and "Acne" 75.
SIMILAR = 75.0
MAX_CHOICES = 5


@cache
def _nouns() -> "Pluralizer":
    # Its rules take 40 ms to compile, which not every process needs.
    from pluralizer import Pluralizer

    return Pluralizer()  # type: ignore[no-untyped-call]


@lru_cache(maxsize=10_000)
def singular(word: str) -> str:
    """Guess the singular of an English noun; a short word ("gas") is taken as it is."""
    return _nouns().singular(word) if len(word) > 3 else word


def product_name(typed: str) -> str:
    """Name a new product after the typed text: "desk lamps" becomes "Desk lamp"."""
    head, of, rest = typed.partition(" of ")
    before, space, noun = head.rpartition(" ")
    name = before + space + singular(noun) + of + rest
    return name[:1].upper() + name[1:] if name == name.lower() else name


def match(name: str, known: Sequence[Known], *, plurals: bool = False) -> Matches:
    """Return the one of *known* that *name* means, or else similar ones, the best first.

    Args:
        plurals: "Desk Lamps" is the "desk lamp". Where both are known, spelling decides.
    """
    wanted, keys = _key(name, plurals), [_key(one.name, plurals) for one in known]
    same = [one for one, key in zip(known, keys, strict=True) if key == wanted]
    spelled = [one for one in same if one.name.casefold().split() == name.casefold().split()]
    if len(spelled or same) == 1:
        return Matches(exact=(spelled or same)[0])
    # Not every process that starts needs it.
    from rapidfuzz import fuzz, process

    def similarity(left: str, right: str, **_: Any) -> float:
        # "Acme" has all words of "Acme Trading" that it could have.
        return max(fuzz.ratio(left, right), 0.9 * fuzz.token_set_ratio(left, right))

    ranked = process.extract(
        wanted, keys, scorer=similarity, score_cutoff=SIMILAR, limit=MAX_CHOICES
    )
    return Matches(similar=[known[index] for _, _, index in ranked])


def _key(name: str, plurals: bool) -> str:
    words = re.findall(r"[^\W_]+", name.casefold())
    return " ".join(map(singular, words) if plurals else words)
