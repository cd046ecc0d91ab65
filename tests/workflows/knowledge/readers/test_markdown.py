from chatflow.workflows.knowledge.excerpts import MARKS
from chatflow.workflows.knowledge.readers import Section
from chatflow.workflows.knowledge.readers.markdown import Markdown
from tests.workflows.knowledge.readers.contract import ReaderContract

PAGE = """
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


class TestMarkdown(ReaderContract):
    reader = Markdown()
    refused = ["not text", "Latin-1", "UTF-16", "half a character", "a surrogate", "noise"]

    def document(self, text: str) -> bytes:
        return text.encode()

    def test_headings(self) -> None:
        assert self.read(PAGE.encode()) == [
            Section((), "First words."),
            Section(("Deploy",), "How to.\n\n```bash\n# not a heading\nmake demo\n```"),
            Section(("Deploy", "nginx"), "Buffering *off*."),
            Section(("Operate",), "> # quoted\nLook."),
        ]

    def test_the_marks_of_a_search_stay_outside_of_headings(self) -> None:
        assert self.read("words".join(MARKS).join(["# ", "\ntext"]).encode()) == [
            Section(("words",), "text")
        ]
