from tests.workflows.knowledge.readers.contract import ReaderContract
from workflows.knowledge.readers import Section
from workflows.knowledge.readers.text import Text


class TestText(ReaderContract):
    reader = Text()

    def document(self, text: str) -> bytes:
        return text.encode()

    def test_invisible_characters(self) -> None:
        assert self.read(b"\xef\xbb\xbfone\r\ntwo\0\x07") == [Section((), "one\ntwo")]
