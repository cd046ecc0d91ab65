"""A reader that is added: all that it costs to read one more kind.

In a module of its own, as every reader is: the process that reads has neither Django nor tests.
"""

from chatflow.workflows.knowledge.readers import Reader, Section
from chatflow.workflows.knowledge.readers.base import decoded


class Table(Reader):
    kind = "text/csv"
    label = "Table"
    suffixes = (".csv",)
    media_types = ("text/csv",)

    def read(self, content: bytes) -> list[Section]:
        return [Section((), decoded(content).strip())]
