"""The words of a model's answer, as they come: without its reasoning, in whole characters."""

import re

# Models put their reasoning between these. Some begin with the second, as the first one stands in
# the prompt.
TAG = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
BACKTICKS = re.compile("`+")
FENCE = "```"
PART_OF_TAG = re.compile(r"<(/?(t(h(i(n(k(i(n(g)?)?)?)?)?)?)?)?)?$", re.IGNORECASE)
HALF_CHARACTER = re.compile("[\ud800-\udbff]$")


class Words:
    """Takes an answer piece by piece.

    Attributes:
        text: the words of the answer so far.
        reasoning: the words that are none of it.
        withdrawn: how many times they turned out to be reasoning, and were taken back.
    """

    def __init__(self) -> None:
        self.text = self.reasoning = ""
        self.withdrawn = 0
        self._held = ""
        # What follows an opening tag in the middle of the answer, which may be a mention: reasoning
        # if it is closed, else words of the answer.
        self._aside = ""
        self._is_reasoning = False
        self._has_reasoned = False

    def take(self, piece: str) -> str:
        """Return the next words of the answer; the piece may end in the middle of one."""
        return self._read(self._held + piece, is_last=False)

    def close(self) -> str:
        """Return the last words of the answer."""
        return self._read(self._held, is_last=True)

    def _read(self, piece: str, *, is_last: bool) -> str:
        piece, self._held = (piece, "") if is_last else _hold_back(piece)
        piece = _join_halves(piece)
        before = len(self.text)
        withdrawn = self.withdrawn
        start = 0
        for tag in TAG.finditer(piece):
            self._add(piece[start : tag.start()])
            start = tag.end()
            self._pass_tag(tag[0], closes=bool(tag[1]))
        self._add(piece[start:])
        if is_last:
            self.text, self._aside = self.text + self._aside, ""
        return self.text if self.withdrawn > withdrawn else self.text[before:]

    def _add(self, words: str) -> None:
        if self._aside:
            self._aside += words
            return
        if self._is_reasoning:
            self.reasoning += words
            return
        if self._has_reasoned and not self.text:
            words = words.lstrip()
        self.text += words

    def _pass_tag(self, tag: str, *, closes: bool) -> None:
        if self._is_mention():
            self._add(tag)
        elif closes:
            self._close()
        elif self._aside:
            self._add(tag)
        elif self.text.strip() and not self._is_reasoning:
            self._aside = tag
        else:
            self._is_reasoning = True

    def _is_mention(self) -> bool:
        """Say whether the tag that comes now stands in code."""
        hidden = self._aside or (self.reasoning if self._is_reasoning else "")
        # A backtick that has lost its way must not cost the answer.
        return _is_in_code(hidden or self.text) and (not hidden or hidden.endswith("`"))

    def _close(self) -> None:
        if self._aside:
            self.reasoning += TAG.sub("", self._aside)
        elif not self._is_reasoning and not self._has_reasoned:
            # All that came before it was reasoning.
            self.withdrawn += bool(self.text)
            self.reasoning, self.text = self.text, ""
        self._aside = ""
        self._is_reasoning, self._has_reasoned = False, True


def _is_in_code(words: str) -> bool:
    """Say whether code has begun in the last line of *words*, and has not ended."""
    if words.endswith(FENCE):
        return words.count(FENCE) % 2 == 1
    line = words.rpartition("\n")[2].replace(FENCE, "")
    return len(BACKTICKS.findall(line)) % 2 == 1


def _join_halves(text: str) -> str:
    """Put the two halves of a character, as JSON escapes them, together."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _hold_back(piece: str) -> tuple[str, str]:
    """Split off the end of *piece* that can't be read without the next piece."""
    part = PART_OF_TAG.search(piece) or HALF_CHARACTER.search(piece)
    return (piece[: part.start()], piece[part.start() :]) if part else (piece, "")
