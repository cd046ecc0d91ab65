"""How much the words of a question say of its subject, in the language that it is asked in.

"Where" says nothing, and neither does any other language's word for it. The language is the one
whose stop words the question has most of: "die" and "war" are German only where the rest is.
English is left alone, for words_of() knows its stop words.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache

from chatflow.workflows.knowledge.stopwords import ASKING, STOP_WORDS
from chatflow.workflows.knowledge.words import is_unspaced, words

ENGLISH = "en"
# Made of a newspaper's words: "president" is one of them. Malay is known by Indonesian's.
LEFT_OUT = {"ms"}
# The share of its weight that a stop word keeps, for a list may name what somebody asks for.
STOP_WORD = 0.1
# What the word keeps that may be the one that asks, in a language without a list.
MAYBE_ASKING = 0.5


def shares(question: str, counts: Mapping[str, int]) -> dict[str, float]:
    """Return the share of its weight that each word keeps; those that keep all are left out.

    Args:
        question: as it was asked.
        counts: in how many chunks each of its words is, as words_of() returns them.
    """
    stopped = _stop_words(question)
    if stopped is None:
        return {}
    kept = {word: STOP_WORD for word in counts if word in stopped}
    nowhere = [word for word in counts if not counts[word]]
    if nowhere and not any(word in kept for word in nowhere):
        # Documents seldom ask: one of the words that they lack is likely the one that does.
        kept[nowhere[0]] = MAYBE_ASKING
    return kept


def _stop_words(question: str) -> set[str] | None:
    """Return those of *question*, by the lists that know most of them; None where it's English."""
    asked = set(words(question))
    found = {code: each.find(question, asked) for code, each in stop_words().items()}
    most = max(len(each) for each in found.values())
    if len(found[ENGLISH]) == most and (most or question.isascii()):
        return None
    return set().union(*(each for each in found.values() if len(each) == most))


class StopWords:
    """A language's stop words.

    Args:
        listed: as people write them.

    Attributes:
        unspaced: finds those of scripts without spaces.
    """

    def __init__(self, listed: Iterable[str]) -> None:
        unspaced = {each for each in listed if is_unspaced(each)}
        made = [list(words(each)) for each in set(listed) - unspaced]
        self._words = {each[0] for each in made if len(each) == 1}
        longest_first = sorted(unspaced, key=len, reverse=True)
        self.unspaced = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def find(self, question: str, asked: set[str]) -> set[str]:
        """Return those of the words *asked* that are stop words, or a part of one."""
        others = set(words(self.unspaced.sub(" ", question)))
        return asked & self._words | {word for word in asked - others if is_unspaced(word)}


@cache
def stop_words() -> dict[str, StopWords]:
    """Return the stop words of every language that is known, by its code."""
    # It reads all its lists when it is imported, and is needed where there are documents.
    import stopwordsiso

    codes = stopwordsiso.langs() - LEFT_OUT
    listed = {code: stopwordsiso.stopwords(code) | ASKING.get(code, set()) for code in codes}
    return {code: StopWords(each) for code, each in {**listed, ENGLISH: STOP_WORDS}.items()}
