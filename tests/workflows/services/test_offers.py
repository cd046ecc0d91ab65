"""Using an offered action: in its session, by its user, once."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pydantic import BaseModel

from chatflow.workflows import Context, registry, services, workflow
from chatflow.workflows.exceptions import (
    ActionExpired,
    ActionNotFound,
    ActionUsed,
    IdempotencyConflict,
    InvalidForm,
    SessionBusy,
)
from chatflow.workflows.models import ActionUse, Job, Message, Session, State
from chatflow.workflows.services import offers
from chatflow.workflows.services.offers import act, used
from tests.workflows.chat import Chat, at_once, run_waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


class Payment(BaseModel):
    amount: int
    note: str = ""


ACTIONS: list[dict[str, Any]] = [
    {"type": "button", "label": "Pay", "workflow": "pay", "input": {"invoice": 7}},
    {"type": "quick_reply", "label": "Another", "message": "say it again"},
    {"type": "link", "label": "Open", "url": "/"},
    {
        "type": "form",
        "label": "Pay a part",
        "workflow": "pay",
        "input": {"invoice": 7},
        "schema": Payment,
    },
    {"type": "confirm", "label": "Cancel", "prompt": "Really?", "workflow": "pay", "input": {}},
]


@pytest.fixture
def offered(chat: Chat) -> Job:
    """A job of Alice's that has offered a button, a quick reply, a link, a form and a confirm."""

    def pay(ctx: Context) -> str:
        return f"{ctx.message}: {ctx.input}"

    workflow("pay")(pay)
    workflow("again", triggers=["again"])(lambda ctx: f"Again {ctx.input}")
    return chat.begin(lambda ctx: ctx.reply("Done", actions=ACTIONS))


@pytest.fixture
def ids(offered: Job) -> list[str]:
    return [action["id"] for action in offered.actions]


def use(user: User, action_id: str, **options: Any) -> Job:
    """Use an action and run the job that it started."""
    job = act(user, "s", action_id, **options).job
    run_waiting()
    job.refresh_from_db()
    return job


def test_it_works(alice: User, offered: Job, ids: list[str]) -> None:
    job = use(alice, ids[0])

    assert (job.workflow, job.state, job.response) == (
        "pay",
        State.COMPLETED,
        "Pay: {'invoice': 7}",
    )
    assert (job.input, job.session) == ({"invoice": 7}, offered.session)
    assert list(Message.objects.filter(job=job).values_list("role", "content")) == [
        ("user", "Pay"),
        ("assistant", "Pay: {'invoice': 7}"),
    ]
    assert used([offered]) == {ids[0]}


def test_a_quick_reply_sends_its_message(alice: User, ids: list[str]) -> None:
    job = use(alice, ids[1])

    assert (job.text, job.workflow, job.response) == ("say it again", "again", "Again {}")


def test_a_form_brings_its_data(alice: User, ids: list[str]) -> None:
    job = use(alice, ids[3], data={"amount": 5, "note": "half\0"})

    assert job.input == {"amount": 5, "note": "half\N{REPLACEMENT CHARACTER}", "invoice": 7}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (None, "amount"),
        ({}, "amount"),
        ({"amount": "5"}, "amount"),
        ({"amount": 5, "invoice": 8}, "invoice"),
    ],
)
def test_a_form_is_checked_and_stays_usable(
    alice: User, ids: list[str], data: Any, field: str
) -> None:
    with pytest.raises(InvalidForm) as refused:
        act(alice, "s", ids[3], data=data)

    assert list(refused.value.errors) == [field]
    assert use(alice, ids[3], data={"amount": 5}).state == State.COMPLETED


def test_only_a_form_takes_data(alice: User, ids: list[str]) -> None:
    """A client can't give a button an input of its own."""
    with pytest.raises(InvalidForm):
        act(alice, "s", ids[0], data={"invoice": 8})


def test_a_link_is_not_run(alice: User, ids: list[str]) -> None:
    with pytest.raises(InvalidForm):
        act(alice, "s", ids[2])


def test_a_label_is_no_word_that_cancels(chat: Chat, alice: User, ids: list[str]) -> None:
    workflow("ask")(lambda ctx: ctx.ask("Name?"))
    chat.say(workflow="ask")
    job = use(alice, ids[4])

    assert (job.workflow, job.response) == ("pay", "Cancel: {}")


def test_once(alice: User, ids: list[str]) -> None:
    use(alice, ids[0])
    with pytest.raises(ActionUsed):
        act(alice, "s", ids[0])

    assert Job.objects.filter(workflow="pay").count() == 1


def test_once_even_if_it_fails(alice: User, ids: list[str]) -> None:
    def fail(ctx: Context) -> str:
        raise RuntimeError

    registry._workflows.pop("pay")
    workflow("pay")(fail)
    assert use(alice, ids[0]).state == State.FAILED
    with pytest.raises(ActionUsed):
        act(alice, "s", ids[0])


def test_the_same_key_is_a_replay(alice: User, ids: list[str]) -> None:
    first = use(alice, ids[0], idempotency_key="k", body_hash="a")
    again = act(alice, "s", ids[0], idempotency_key="k", body_hash="a")

    assert (again.job, again.replayed) == (first, True)
    with pytest.raises(IdempotencyConflict):
        act(alice, "s", ids[0], idempotency_key="k", body_hash="b")


@pytest.mark.parametrize("action_id", ["", "action_" + "0" * 32, "x\0", '"', "action_%"])
def test_an_unknown_one(alice: User, ids: list[str], action_id: str) -> None:
    with pytest.raises(ActionNotFound):
        act(alice, "s", action_id)


def test_only_where_it_was_offered(alice: User, bob: User, ids: list[str]) -> None:
    Chat(alice, "other").send("hello")
    Chat(bob).send("hello")
    for user, session in ((alice, "other"), (alice, "\0"), (bob, "s")):
        with pytest.raises(ActionNotFound):
            act(user, session, ids[0])

    assert use(alice, ids[0]).state == State.COMPLETED


def test_an_expired_one(alice: User, offered: Job, ids: list[str]) -> None:
    assert offered.offers is not None
    offered.offers[ids[0]]["expires_at"] = (timezone.now() - timedelta(seconds=1)).isoformat()
    offered.save()
    with pytest.raises(ActionExpired):
        act(alice, "s", ids[0])

    assert not ActionUse.objects.exists()
    assert not Job.objects.filter(workflow="pay").exists()


@pytest.mark.django_db(transaction=True)
def test_a_busy_session_leaves_it_usable(chat: Chat, alice: User, ids: list[str]) -> None:
    chat.send("hello")
    with pytest.raises(SessionBusy):
        act(alice, "s", ids[0], on_busy="reject")
    run_waiting()

    assert use(alice, ids[0]).state == State.COMPLETED


@pytest.mark.django_db(transaction=True)
def test_a_sync_one_that_did_not_get_its_turn(chat: Chat, alice: User, ids: list[str]) -> None:
    chat.send("hello")
    job = act(alice, "s", ids[0], mode="sync").job
    with pytest.raises(SessionBusy):
        services.run_inline(job, wait=0)
    run_waiting()

    assert use(alice, ids[0]).state == State.COMPLETED


def test_a_later_turn_still_has_the_input(chat: Chat, alice: User) -> None:
    workflow("pay")(lambda ctx: f"{ctx.ask('How?')}: {ctx.input}")
    offered = chat.begin(lambda ctx: ctx.reply("Done", actions=ACTIONS[:1]))
    use(alice, offered.actions[0]["id"])

    assert chat.say("in cash").response == "in cash: {'invoice': 7}"


def test_pruning_takes_the_use_along(alice: User, offered: Job, ids: list[str]) -> None:
    job = use(alice, ids[0])
    job.delete()
    assert used([offered]) == {ids[0]}
    offered.delete()
    assert not ActionUse.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_one_that_is_deleted_at_that_moment(
    alice: User, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = offers._find

    def find_and_delete(*args: Any) -> Any:
        found = find(*args)
        services.delete_session(Session.objects.get())
        return found

    monkeypatch.setattr(offers, "_find", find_and_delete)
    with pytest.raises(ActionNotFound):
        act(alice, "s", ids[0])

    assert not Session.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_once_at_the_same_moment(alice: User, ids: list[str]) -> None:
    outcomes = at_once(4, lambda _: act(alice, "s", ids[0]))

    assert sorted(type(each).__name__ for each in outcomes) == ["ActionUsed"] * 3 + ["Started"]
    assert Job.objects.filter(workflow="pay").count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_key_at_the_same_moment(alice: User, ids: list[str]) -> None:
    outcomes = at_once(3, lambda _: act(alice, "s", ids[0], idempotency_key="k"))

    assert len({each.job.pk for each in outcomes}) == 1
    assert sorted(each.replayed for each in outcomes) == [False, True, True]
