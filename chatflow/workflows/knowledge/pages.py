"""Where documents are shown: the engine itself knows no addresses, and is told."""

from collections.abc import Callable
from contextlib import suppress
from uuid import UUID


class Pages:
    """Finds the page of a document."""

    def __init__(self) -> None:
        self._find: Callable[[UUID], str] = lambda key: ""

    def are_found_by(self, find: Callable[[UUID], str]) -> None:
        """Let *find* tell from now on at which path of this site a document is shown.

        Args:
            find: called with the document's key; gives an empty text where none is shown.
        """
        self._find = find

    def load(self) -> None:
        """Load what finding a page needs, which else the first search does."""
        # Of what is wrong there those tell who need it.
        with suppress(Exception):
            self.find(UUID(int=0))

    def find(self, key: UUID) -> str:
        """Return the path, on this site, of the page that shows a document; empty without one."""
        return self._find(key)


pages = Pages()
