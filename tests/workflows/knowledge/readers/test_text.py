from chatflow.workflows.knowledge.readers import Section
from chatflow.workflows.knowledge.readers.text import Text
from tests.workflows.knowledge.readers.contract import ReaderContract


class TestText(ReaderContract):
    reader = Text()
    refused = ["not text", "Latin-1", "UTF-16", "half a character", "a surrogate", "noise"]

    def document(self, text: str) -> bytes:
        return text.encode()

    def test_it_does_not_guess(self) -> None:
        assert self.read(b"%PDF-1.4\n%%EOF") == [Section((), "%PDF-1.4\n%%EOF")]

    def test_invisible_characters(self) -> None:
        assert self.read(b"\xef\xbb\xbfone\r\ntwo\0\x07") == [Section((), "one\ntwo")]
