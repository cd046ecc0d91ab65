"""Words: those of a document and those of a question made alike, however either spells them.

Only the index and the comparison see them; what is shown and cited is the text itself.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from chatflow.workflows.knowledge.stopwords import STOP_WORDS

# Characters of a word that are looked at, and words of a question.
WORD_LENGTH = 50
MOST_WORDS = 32
# How much longer a text may get by being taken apart: U+FDFA stands for eighteen letters.
MOST_GROWTH = 4
# How often a text says what it is about.
OFTEN = 3

# The scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Chinese and Japanese.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
)
RUN = re.compile(rf"[{UNSPACED}]+|[^{UNSPACED}]+")
# Where a line ends inside of a word.
HYPHEN = re.compile(r"(?<=[^\W_])[-\u2010\u00ad]\n[^\S\n]*(?=[^\W_])")
WRAP = re.compile(rf"(?<=[{UNSPACED}])\n[^\S\n]*(?=[{UNSPACED}])")
# Stands for such a hyphen: the line may have parted a word, or ended at a hyphen of the word's own.
JOINT = "\x1a"
ZERO_WIDTH_SPACE = "\u200b"


@cache
def _stemmer() -> Any:
    # It brings thirty languages along, and is needed where there are documents.
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return what *word* shares with its other forms, in English; numbers have none."""
    if not word.isalpha():
        return word
    return str(_stemmer().stemWord(word))


def words(text: str, *, singly: bool = False) -> Iterator[str]:
    """Yield the words of *text*, in order.

    Where a script has no spaces, these are any two characters that stand together.

    Args:
        text: as anybody may write it.
        singly: such characters also come one by one, as those of a document do: then it is found
            by any of them.
    """
    for found in _normalised(text).split():
        if JOINT in found:
            for part in (found.replace(JOINT, ""), *found.split(JOINT)):
                yield from _runs(part, singly)
        elif found.isascii():
            yield found[:WORD_LENGTH]
        else:
            yield from _runs(found, singly)


def _runs(word: str, singly: bool) -> Iterator[str]:
    """Yield the parts of *word* that are of one kind of script, the unspaced ones in pairs."""
    for run in RUN.findall(word):
        if not is_unspaced(run):
            yield run[:WORD_LENGTH]
            continue
        if singly or len(run) == 1:
            yield from run
        yield from (run[at : at + 2] for at in range(len(run) - 1))


def is_unspaced(word: str) -> bool:
    """Whether the script of *word* puts no spaces between words."""
    return re.match(rf"[{UNSPACED}]", word) is not None


def words_of(question: str) -> list[str]:
    """Return the words of *question* that say what it is about, each once."""
    telling = [
        word
        for word in words(question)
        if word not in STOP_WORDS and (len(word) > 1 or is_unspaced(word))
    ]
    return list({stem(word): word for word in reversed(telling)}.values())[::-1][:MOST_WORDS]


def terms(text: str) -> list[str]:
    """Return the stems of a document's words, as the index has them."""
    return [stem(word) for word in words(text, singly=True)]


def indexed(head: str, text: str) -> tuple[str, str]:
    """Return what the index is to see of a text.

    Args:
        head: its title, its headings, the name of its file.
        text: the text itself.

    Returns:
        The terms that tell what it is about, each once: those of its head, and those that it has
        often. And all terms of the text, in order.
    """
    own = terms(text)
    often = [term for term, number in Counter(own).items() if number >= OFTEN]
    about = [term for term in dict.fromkeys(terms(head) + often) if term not in STOP_WORDS]
    return " ".join(about), " ".join(own)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each word of *text* stands, as it is written there."""
    shape = "".join(" " if SIGNS[ord(sign)] == " " else "x" for sign in text)
    for place in re.finditer("x+", shape):
        yield place.span()


def _normalised(text: str) -> str:
    joined = WRAP.sub("", HYPHEN.sub(JOINT, text))
    if joined.isascii():
        return joined.lower().translate(SIGNS)
    folded = unicodedata.normalize("NFKD", joined)[: MOST_GROWTH * len(joined)].casefold()
    return unicodedata.normalize("NFKC", folded.translate(SIGNS))


class _Signs(dict[int, str | None]):
    """What becomes of each character, found out when it is first met; None is nothing at all."""

    def __missing__(self, code: int) -> str | None:
        self[code] = kept = _kept(chr(code))
        return kept


def _kept(sign: str) -> str | None:
    category = unicodedata.category(sign)
    if category[0] in "LN" or sign == JOINT:
        return sign
    if category[0] == "M":
        return None if _may_be_left_out(sign) else sign
    # Soft hyphens, joiners and directions of writing part no words.
    return None if category == "Cf" and sign != ZERO_WIDTH_SPACE else " "


def _may_be_left_out(mark: str) -> bool:
    """Whether people leave a mark out: an accent, a vowel point of Hebrew or Arabic, an emoji's.

    The others, such as those of Indic scripts, of Thai and of kana, make another letter.
    """
    place = unicodedata.combining(mark)
    variation = "\ufe00" <= mark <= "\ufe0f" or mark >= "\U000e0100"
    return 10 <= place <= 36 or place >= 200 or variation or unicodedata.category(mark) == "Me"


SIGNS = _Signs()
