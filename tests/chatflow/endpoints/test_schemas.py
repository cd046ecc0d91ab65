"""The schema and its page, for anybody who asks."""

from typing import Any

import pytest
import yaml
from django.test import Client
from django.test.utils import override_script_prefix
from drf_spectacular.generators import SchemaGenerator

from chatflow.endpoints import schemas

URL = "/api/schema/"


@pytest.fixture(autouse=True)
def _anew() -> None:
    schemas.made.cache_clear()


def test_it_works(anonymous: Client) -> None:
    answer = anonymous.get(URL)
    assert answer["Content-Type"] == "application/vnd.oai.openapi"
    assert answer["Content-Disposition"] == 'inline; filename="Chatflow.yaml"'
    assert "/ai-demo/chat/send" in yaml.safe_load(answer.content)["paths"]


def test_it_is_made_once(anonymous: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = SchemaGenerator.get_schema

    def counted(self: Any, **kwargs: Any) -> Any:
        made.append(kwargs)
        return make(self, **kwargs)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)
    for query in ("", "?format=yaml", "?version=1", "?lang=de"):
        assert anonymous.get(URL + query).status_code == 200
    assert len(made) == 1
    # Below a path it names another server.
    with override_script_prefix("/chat/"):
        below = [anonymous.get(URL) for _ in range(2)]
    assert b"url: /chat" in below[0].content
    assert len(made) == 2


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "DELETE"])
def test_the_page_takes_no_other_method(anonymous: Client, method: str) -> None:
    assert anonymous.generic(method, "/api/docs/").status_code == 405
    assert anonymous.get("/api/docs/").status_code == 200
    assert anonymous.get("/api/docs/?script=").status_code == 200


def test_patterns_are_what_is_accepted(anonymous: Client) -> None:
    shown = yaml.safe_load(anonymous.get(URL).content)["components"]["schemas"]
    fields = shown["Send"]["properties"]
    assert fields["workflow"]["pattern"] == r"^[^\u0000-\u001f\u007f-\u009f]*$"
    assert fields["session_id"]["pattern"] == r"^(?!\.\.?$)[^\u0000-\u001f\u007f-\u009f]*$"
    assert fields["async"]["default"] is False
