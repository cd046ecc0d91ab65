"""The questions that a database's full-text index answers, each at a bounded cost."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

# Chunks that are counted and ranked; a word that more of them have says little.
CAP = 2000
# A word, and its synonyms.
Group = Sequence[str]


class FullText(ABC):
    """A full-text index of the chunks.

    Words are as ``words_of()`` returns them; the index itself finds their stems.
    ``audiences`` is who is asking: chunks of other audiences are not there.
    """

    # The database may have pgvector beside it. See vectors.py.
    may_have_pgvector = False

    @abstractmethod
    def counts(self, words: Sequence[str], audiences: Sequence[str]) -> dict[str, int]:
        """Return in how many chunks each word is, CAP at most."""

    @abstractmethod
    def best(
        self,
        groups: Sequence[Group],
        audiences: Sequence[str],
        limit: int,
        *,
        every: bool = False,
        also: Sequence[Group] = (),
    ) -> list[int]:
        """Return the chunks that fit best, by the database's own rank.

        CAP of those that are about the words are looked at, and CAP of all that have them: however
        many have a word in passing, they don't hide the one that is about it.

        Args:
            groups: a chunk must have a word of one group, or a word that begins with one.
            audiences: who is asking.
            limit: how many chunks.
            every: a chunk must have a word of every group.
            also: a chunk that has a word of these is better, but they find none.
        """
