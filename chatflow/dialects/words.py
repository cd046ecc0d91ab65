"""A text that an encoder puts together as it comes."""


class Words:
    """A text that grows; it costs what is added only."""

    __slots__ = ("_length", "_pieces")

    def __init__(self, text: str = "") -> None:
        self._pieces = [text] if text else []
        self._length = len(text)

    def __len__(self) -> int:
        return self._length

    def add(self, words: str) -> None:
        """Let it go on with *words*."""
        self._pieces.append(words)
        self._length += len(words)

    @property
    def text(self) -> str:
        """The whole of it."""
        if len(self._pieces) != 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0]
