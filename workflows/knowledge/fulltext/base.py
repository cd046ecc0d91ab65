"""The questions that a database's full-text index answers, each at a bounded cost."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

# Chunks that are counted and ranked; a word that more of them have says little.
CAP = 2000
# Put around each match; the readers let neither into a document.
MARKS = ("\ue000", "\ue001")

# A word, and its synonyms.
Group = Sequence[str]


class FullText(ABC):
    """A full-text index of the chunks.

    Words are in lower case, of letters and digits only; the index itself finds their stems.
    ``audiences`` is who is asking: chunks of other audiences are not there.
    """

    # The database may have pgvector beside it. See vectors.py.
    may_have_pgvector = False

    @abstractmethod
    def counts(self, words: Sequence[str], audiences: Sequence[str]) -> dict[str, int]:
        """Return in how many chunks each word is, CAP at most."""

    @abstractmethod
    def best(
        self, groups: Sequence[Group], audiences: Sequence[str], limit: int, *, every: bool = False
    ) -> list[int]:
        """Return the chunks that fit best, by the database's own rank; CAP at most are looked at.

        Args:
            groups: a chunk must have a word of one group, or a word that begins with one.
            audiences: who is asking.
            limit: how many chunks.
            every: a chunk must have a word of every group.
        """

    @abstractmethod
    def excerpts(self, chunks: Sequence[int], words: Sequence[str]) -> dict[int, str]:
        """Return the part of each chunk's text that has most of the words, MARKS around them."""
