"""Text without any marks."""

from chatflow.workflows.knowledge.readers.base import Reader, Section, decoded


class Text(Reader):
    kind = "text/plain"
    label = "Text"
    suffixes = (".txt", ".text")
    media_types = ("text/plain",)

    def read(self, content: bytes) -> list[Section]:
        return [Section((), decoded(content).strip())]
