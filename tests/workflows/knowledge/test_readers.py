"""From bytes to sections, whatever the bytes are."""

import pytest

from tests.workflows.knowledge.pdf import pdf
from workflows.knowledge.models import Kind
from workflows.knowledge.readers import Section, Unreadable, kind_of, read

MARKDOWN = """
First words.

# Deploy
How to.

```bash
# not a heading
make demo
```

nginx
-----
Buffering *off*.

# Operate
> # quoted
Look.
"""
HTML = """<!doctype html><title>No</title><style>p {color: red}</style><script>alert(1)</script>
<p>First&nbsp;<b>wor</b>ds &amp; more.</p>
<h1>Deploy</h1><p>How<br>to.</p><h2>ngi<i>nx</i></h2><pre>a
  b</pre><ul><li>one<li>two</ul><template>no</template>"""


def test_markdown_with_headings() -> None:
    assert read(MARKDOWN.encode(), Kind.MARKDOWN) == [
        Section((), "First words."),
        Section(("Deploy",), "How to.\n\n```bash\n# not a heading\nmake demo\n```"),
        Section(("Deploy", "nginx"), "Buffering *off*."),
        Section(("Operate",), "> # quoted\nLook."),
    ]


def test_html_without_scripts_and_styles() -> None:
    assert read(HTML.encode(), Kind.HTML) == [
        Section((), "First words & more."),
        Section(("Deploy",), "How\nto."),
        Section(("Deploy", "nginx"), "a\n b\n\none\ntwo"),
    ]


def test_html_in_the_encoding_that_it_names() -> None:
    page = '<meta charset="iso-8859-1"><p>Grüße'.encode("iso-8859-1")
    assert read(page, Kind.HTML) == [Section((), "Grüße")]


def test_text() -> None:
    assert read(b"\xef\xbb\xbfone\r\ntwo\0\x07", Kind.TEXT) == [Section((), "one\ntwo")]


def test_pdf_by_pages() -> None:
    assert read(pdf("Hello world", "Second page"), Kind.PDF) == [
        Section(("Page 1",), "Hello world"),
        Section(("Page 2",), "Second page"),
    ]


@pytest.mark.parametrize("kind", Kind.values)
@pytest.mark.parametrize("content", [b"", b" \n\t", b"\xff\xfe\xfa\0\x01", b"%PDF-1.4\n%%EOF"])
def test_what_is_broken_or_empty_is_said_to_be(content: bytes, kind: str) -> None:
    if content.startswith(b"%PDF") and kind != Kind.PDF:
        assert read(content, kind)
        return
    if content.startswith(b"\xff") and kind == Kind.HTML:
        # A browser would show something too.
        return
    with pytest.raises(Unreadable):
        read(content, kind)


@pytest.mark.parametrize("cut", [10, 100, 300, 500])
def test_a_pdf_that_was_cut_off(cut: int) -> None:
    try:
        read(pdf("Hello world")[:cut], Kind.PDF)
    except Unreadable:
        pass


def test_a_page_that_is_nested_too_deep() -> None:
    with pytest.raises(Unreadable, match="nested"):
        read(b"<div>" * 100_000, Kind.HTML)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.MD", Kind.MARKDOWN), ("b/c.html", Kind.HTML), ("x.pdf", Kind.PDF), ("y.docx", None)],
)
def test_kinds_by_name(name: str, kind: Kind | None) -> None:
    assert kind_of(name) == kind
