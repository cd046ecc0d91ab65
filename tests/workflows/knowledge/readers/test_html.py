import pytest

from chatflow.workflows.knowledge.excerpts import MARKS
from chatflow.workflows.knowledge.readers import Section, Unreadable, read
from chatflow.workflows.knowledge.readers.html import Html
from tests.workflows.knowledge.readers.contract import ReaderContract

PAGE = """<!doctype html><title>No</title><style>p {color: red}</style><script>alert(1)</script>
<p>First&nbsp;<b>wor</b>ds &amp; more.</p>
<h1>Deploy</h1><p>How<br>to.</p><h2>ngi<i>nx</i></h2><pre>a
  b</pre><ul><li>one<li>two</ul><template>no</template>"""


class TestHtml(ReaderContract):
    reader = Html()
    # A browser would show something too.
    refused = []

    def document(self, text: str) -> bytes:
        return f"<!doctype html><title>No</title><p>{text}</p>".encode()

    def test_scripts_and_styles_are_left_out(self) -> None:
        assert self.read(PAGE.encode()) == [
            Section((), "First words & more."),
            Section(("Deploy",), "How\nto."),
            Section(("Deploy", "nginx"), "a\n b\n\none\ntwo"),
        ]

    def test_the_encoding_that_it_names(self) -> None:
        page = '<meta charset="iso-8859-1"><p>Grüße'.encode("iso-8859-1")
        assert self.read(page) == [Section((), "Grüße")]

    def test_a_page_that_is_nested_too_deep(self) -> None:
        with pytest.raises(Unreadable, match="nested"):
            read(b"<div>" * 100_000, self.reader.kind)

    def test_marks_that_are_spelled_out(self) -> None:
        first, last = (f"&#{ord(mark)};" for mark in MARKS)
        assert self.read(f"<h1>{first}A{last}</h1>{first}words{last}".encode()) == [
            Section(("A",), "words")
        ]

    def test_many_sections_are_bounded_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("chatflow.workflows.knowledge.readers.base.MOST_TEXT", 100)
        with pytest.raises(Unreadable, match="more than 100 characters"):
            read(b"<h1>A</h1>some words" * 20, self.reader.kind)
