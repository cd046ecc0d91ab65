from chatflow.workflows.knowledge.readers import Section
from chatflow.workflows.knowledge.readers.pdf import Pdf
from tests.workflows.knowledge.pdf import pdf
from tests.workflows.knowledge.readers.contract import HOSTILE, ReaderContract


class TestPdf(ReaderContract):
    reader = Pdf()
    refused = list(HOSTILE)

    def document(self, text: str) -> bytes:
        return pdf(text)

    def test_pages(self) -> None:
        assert self.read(pdf("Hello world", "Second page")) == [
            Section(("Page 1",), "Hello world"),
            Section(("Page 2",), "Second page"),
        ]
