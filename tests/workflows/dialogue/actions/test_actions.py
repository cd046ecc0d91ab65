"""What a workflow may offer, how it is checked, and a type that is added."""

from datetime import datetime, timedelta
from typing import Any, Literal

import pytest
from django.utils import timezone
from pydantic import BaseModel

from chatflow.workflows import clock, workflow
from chatflow.workflows.dialogue import actions
from chatflow.workflows.dialogue.actions import Offer, Turn
from chatflow.workflows.dialogue.actions.base import refuse
from chatflow.workflows.dialogue.forms import schema_of
from chatflow.workflows.exceptions import ActionNotFound, InvalidAction
from chatflow.workflows.models import Message, State
from tests.workflows.chat import Chat
from tests.workflows.dialogue.actions.contract import SECRET, ActionContract


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
    assert actions.has_expired({"expires_at": clock.now().isoformat()})
    assert not actions.has_expired(LINK)


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


class Appointment(Offer):
    """All that it costs to offer one more type."""

    type: Literal["appointment"]
    day: str
    calendar: str

    private = Offer.private | {"calendar"}

    def turn(self, data: dict[str, Any] | None = None) -> Turn:
        refuse(data)
        return Turn(f"On {self.day}", "pay", {"calendar": self.calendar})


class TestOneMore(ActionContract):
    type = Appointment
    action = {"type": "appointment", "label": "Monday", "day": "Monday", "calendar": SECRET}
    public = {"label": "Monday", "day": "Monday"}
    turn = Turn("On Monday", "pay", {"calendar": SECRET})
    wrong = [{"day": None}, {"day": 5}]

    @pytest.fixture(autouse=True)
    def _registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(actions, "TYPES", (*actions.TYPES, Appointment))


@pytest.mark.parametrize(
    ("stored", "turn"),
    [
        (
            {"label": "Again", "type": "quick_reply", "message": "hello", "id": "action_1"},
            Turn("hello"),
        ),
        (
            {
                "label": "Pay",
                "expires_in": 60.0,
                "workflow": "nobody",
                "input": {"invoice": 7},
                "type": "button",
                "id": "action_1",
                "expires_at": "2026-11-29T09:00:00Z",
            },
            Turn("Pay", "nobody", {"invoice": 7}),
        ),
        (
            {
                "label": "Pay",
                "workflow": "pay",
                "input": {},
                "type": "form",
                "schema": {"x-order": [], "type": "object", "properties": {}},
                "id": "action_1",
            },
            Turn("Pay", "pay", {}),
        ),
    ],
)
def test_what_databases_hold(stored: dict[str, Any], turn: Turn) -> None:
    """As it was stored before types had modules; a workflow may be gone by now."""
    assert actions.restore(stored).turn() == turn


def test_a_type_that_is_gone() -> None:
    with pytest.raises(ActionNotFound):
        actions.restore({"type": "appointment", "label": "Monday", "id": "action_1"})


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
