"""Text without any marks."""

from workflows.knowledge.readers.base import Section, decoded


def read(content: bytes) -> list[Section]:
    return [Section((), decoded(content).strip())]
