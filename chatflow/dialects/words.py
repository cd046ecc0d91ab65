"""A text that an encoder puts together as it comes."""


class Words:
    """A text that grows; it costs what is added only.

    One is kept for each open stream, so it is kept as bytes: pieces would take ten times as many.
    """

    __slots__ = ("_bytes", "_length")

    def __init__(self, text: str = "") -> None:
        self._bytes = bytearray(text.encode())
        self._length = len(text)

    def __len__(self) -> int:
        return self._length

    def add(self, words: str) -> None:
        """Let it go on with *words*."""
        self._bytes += words.encode()
        self._length += len(words)

    @property
    def text(self) -> str:
        """The whole of it."""
        return self._bytes.decode()
