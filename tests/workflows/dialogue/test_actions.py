"""What a workflow may offer, and how it is checked."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pydantic import BaseModel

from tests.workflows.chat import Chat
from workflows import workflow
from workflows.dialogue import actions
from workflows.dialogue.forms import schema_of
from workflows.exceptions import InvalidAction
from workflows.models import Message, State


class Payment(BaseModel):
    amount: int


@pytest.fixture(autouse=True)
def pay() -> None:
    workflow("pay")(lambda ctx: f"Paid {ctx.input}.")


LINK = {"type": "link", "label": "Open", "url": "/invoices/1/"}
REPLY = {"type": "quick_reply", "label": "Another", "message": "create invoice"}
BUTTON = {"type": "button", "label": "Pay", "workflow": "pay", "input": {"invoice": 7}}
CONFIRM = {**BUTTON, "type": "confirm", "prompt": "Really?"}
FORM = {**BUTTON, "type": "form", "schema": Payment}


def test_it_works() -> None:
    offered = actions.offer([LINK, REPLY, BUTTON, CONFIRM, FORM])
    ids = [each.public["id"] for each in offered]

    assert all(actions.ID.fullmatch(each) for each in ids)
    assert len(set(ids)) == 5
    assert [each.id for each in offered] == ids
    public = [{k: v for k, v in each.public.items() if k != "id"} for each in offered]
    assert public == [
        LINK,
        REPLY,
        {"type": "button", "label": "Pay"},
        {"type": "confirm", "label": "Pay", "prompt": "Really?"},
        {"type": "form", "label": "Pay", "schema": schema_of(Payment)},
    ]
    assert (offered[2].full["workflow"], offered[2].full["input"]) == ("pay", {"invoice": 7})


def test_the_time_of_an_action() -> None:
    (offered,) = actions.offer([{**BUTTON, "expires_in": 60}])
    left = datetime.fromisoformat(offered.public["expires_at"]) - timezone.now()

    assert timedelta(seconds=50) < left <= timedelta(seconds=60)
    assert "expires_in" not in offered.public
    assert not actions.has_expired(offered.public)
    assert actions.has_expired({"expires_at": timezone.now().isoformat()})
    assert not actions.has_expired(LINK)


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
def test_a_link_goes_to_the_web_or_stays_here(url: str) -> None:
    with pytest.raises(InvalidAction, match="url"):
        actions.offer([{**LINK, "url": url}])


@pytest.mark.parametrize("url", ["/", "/a?b=1#c", "https://example.com/x", "http://127.0.0.1:8000"])
def test_good_links(url: str) -> None:
    assert actions.offer([{**LINK, "url": url}])[0].public["url"] == url


@pytest.mark.parametrize(
    ("action", "wrong"),
    [
        ({"label": "Again"}, "type"),
        ({"type": "bomb", "label": "Again"}, "bomb"),
        ({"type": "link", "label": "Open"}, "url: Field required"),
        ({**LINK, "lable": "x"}, "lable: Extra"),
        ({**LINK, "label": " "}, "label"),
        ({**LINK, "label": 5}, "label"),
        ({**REPLY, "message": ""}, "message"),
        ({**REPLY, "message": "x" * 4001}, "message"),
        ({**BUTTON, "workflow": "nobody"}, "no workflow called 'nobody'"),
        ({**BUTTON, "input": [1]}, "input"),
        ({**BUTTON, "input": {"a": object()}}, "input"),
        ({**BUTTON, "expires_in": 0}, "expires_in"),
        ({**BUTTON, "expires_in": 1e300}, "expires_in"),
        ({**BUTTON, "id": "action_mine"}, "id"),
        ({**CONFIRM, "prompt": None}, "prompt"),
        ({**FORM, "schema": {"type": "string"}}, "schema"),
        ("Open", "valid dictionary"),
    ],
)
def test_a_wrong_one_is_named(action: Any, wrong: str) -> None:
    with pytest.raises(InvalidAction) as refused:
        actions.offer([LINK, action])

    assert str(refused.value).startswith("Action 2, ")
    assert wrong in str(refused.value)


@pytest.mark.django_db
@pytest.mark.usefixtures("unkept")
class TestAnAnswer:
    def test_clients_are_not_told_what_a_button_does(self, chat: Chat) -> None:
        job = chat.begin(lambda ctx: ctx.reply("Done", actions=[BUTTON]))
        shown = [{"type": "button", "label": "Pay", "id": job.actions[0]["id"]}]

        assert job.actions == shown
        assert job.events.get(type="completed").data["actions"] == shown
        assert Message.objects.get(role="assistant").actions == shown
        assert job.offers is not None
        assert job.offers[shown[0]["id"]]["input"] == {"invoice": 7}

    def test_a_wrong_action_fails_the_workflow(self, chat: Chat) -> None:
        job = chat.begin(lambda ctx: ctx.reply("Done", actions=[{"label": "Pay"}]))

        assert (job.state, job.code) == (State.FAILED, "invalid_action")
        assert "Action 1, {'label': 'Pay'}" in job.traceback
        assert "Pay" not in job.error

    def test_actions_false_offers_nothing(self, chat: Chat) -> None:
        workflow("w")(lambda ctx: ctx.reply("Done", actions=[BUTTON]))
        job = chat.say(workflow="w", options={"actions": False})

        assert (job.actions, job.offers) == ([], None)
