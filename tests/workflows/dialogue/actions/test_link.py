import pytest

from chatflow.workflows.dialogue.actions.link import Link
from chatflow.workflows.exceptions import InvalidAction
from tests.workflows.dialogue.actions.contract import ActionContract


class TestLink(ActionContract):
    type = Link
    action = {"type": "link", "label": "Open", "url": "/invoices/1/"}
    public = {"label": "Open", "url": "/invoices/1/"}
    turn = None
    wrong = [{"url": None}, {"url": 5}]

    @pytest.mark.parametrize(
        "url",
        [
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "java\tscript:alert(1)",
            " javascript:alert(1)",
            "data:text/html,x",
            "//evil.example/",
            "/\\evil.example/",
            "\\\\evil.example/",
            "https://",
            "http:/evil",
            "https://[",
            "ftp://example.com/",
            "invoices/1",
            "/a b",
            "",
        ],
    )
    def test_it_goes_to_the_web_or_stays_here(self, url: str) -> None:
        with pytest.raises(InvalidAction, match="url"):
            self.offered(url=url)

    @pytest.mark.parametrize(
        "url", ["/", "/a?b=1#c", "https://example.com/x", "http://127.0.0.1:8000"]
    )
    def test_good_addresses(self, url: str) -> None:
        assert self.offered(url=url).public["url"] == url
