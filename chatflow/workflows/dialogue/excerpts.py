"""Short pieces of texts: a title of the first words, and the place where words stand."""

import unicodedata

# Characters before the first word that was found, and of the whole excerpt.
BEFORE = 40
LENGTH = 160


def cut(text: str, length: int) -> str:
    """Return the beginning of *text* in one line, cut at a word.

    Args:
        text: any text.
        length: characters at most.
    """
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    whole, _, _ = line[:length].rpartition(" ")
    # In a language without spaces it may be cut anywhere.
    kept = whole if len(whole) > length // 2 else line[: length - 1]
    return f"{kept[: length - 1]}…"


def fold(text: str) -> str:
    """Return *text* as it is compared: without regard to case, width and composition."""
    return unicodedata.normalize("NFKC", text).casefold()


def find_words(text: str, query: str) -> str:
    """Return the place where *text* has all the words of *query*; empty if it hasn't.

    A word is found inside longer ones too: so it is in languages that are written without spaces.
    """
    folded = fold(text)
    words = fold(query).split()
    if not words or not all(word in folded for word in words):
        return ""
    # Folding may change the length; the place is near enough, as long as it is in the text.
    start = max(0, min(folded.index(words[0]), len(text) - LENGTH + BEFORE) - BEFORE)
    place = cut(text[start : start + LENGTH + 1], LENGTH)
    return f"…{place}" if start else place
