"""Users take turns, whatever they send, and however it comes to wait."""

import random
from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatflow.workflows import services, workflow
from chatflow.workflows.bells import get_bell
from chatflow.workflows.models import Job, Session, State
from chatflow.workflows.running.routing import hand_over
from chatflow.workflows.services import queue_position
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Outcome
from tests.conftest import make_user
from tests.workflows.chat import ME, Chat, claimed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]

KINDS = ("plain", "coroutine")


@pytest.fixture(autouse=True)
def _workflows() -> None:
    async def run(ctx: Any) -> str:
        return "done"

    for kind, function in zip(KINDS, (lambda ctx: "done", run), strict=True):
        workflow(kind)(function)
        workflow(f"{kind}_elsewhere", queue="elsewhere")(function)


def send(user: User, count: int = 1, *, name: str = "plain", **options: Any) -> list[Job]:
    """Send so many messages of a user, each in a session of its own."""
    first = Session.objects.filter(user=user).count()
    chats = [Chat(user, str(number)) for number in range(first, first + count)]
    return [chat.send(workflow=name, **options) for chat in chats]


def take(count: int, *queues: str, is_async: bool = False) -> list[str]:
    """Claim and end so many jobs; return their users' names."""
    names = []
    for _ in range(count):
        job = lifecycle.claim(queues, ME, is_async=is_async)
        assert job is not None
        names.append(job.user.username)
        lifecycle.end(job, Outcome(State.COMPLETED))
    return names


def test_one_job_does_not_wait_for_many_of_another_user(alice: User, bob: User) -> None:
    send(alice, 50)
    take(7)
    [job] = send(bob)

    assert queue_position(job) == 2
    assert take(4) == ["alice", "bob", "alice", "alice"]


def test_users_with_many_jobs_take_turns(alice: User, bob: User) -> None:
    send(alice, 6)
    take(2)
    send(bob, 3)

    assert take(7) == ["alice", "bob", "alice", "bob", "alice", "bob", "alice"]


def test_who_sends_one_after_the_other_takes_turns_too(alice: User, bob: User) -> None:
    send(alice, 4)
    order: list[str] = []
    for _ in range(4):
        send(bob)
        order += take(2)

    assert order == ["alice", "bob"] * 4


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("refusable", [False, True])
def test_nobody_waits_for_more_than_one_job_of_another_for_each_of_their_own(
    seed: int, refusable: bool
) -> None:
    """Whichever way they are stored, and however sends and claims come."""
    chance = random.Random(seed)
    users = [make_user(name) for name in ("ann", "ben", "cem", "dan")]
    options: dict[str, Any] = {"before_commit": lambda job: None} if refusable else {}
    waiting: list[Job] = []
    # Of each waiting job: how many more of another user's may come before it.
    patience: dict[int, Counter[int]] = {}
    for _ in range(40):
        if chance.random() < 0.5:
            user = chance.choice(users)
            in_front = sum(job.user_id == user.pk for job in waiting)
            sent = send(user, chance.choice((1, 1, 1, 8)), **options)
            for number, job in enumerate(sent, in_front + 1):
                others = {other.pk: number for other in users if other != user}
                patience[job.pk] = Counter(others)
            waiting += sent
        for _ in range(min(len(waiting), chance.randrange(4))):
            job = claimed()
            waiting.remove(job)
            for other in waiting:
                if other.user_id != job.user_id:
                    patience[other.pk][job.user_id] -= 1
                    assert patience[other.pk][job.user_id] >= 0
            lifecycle.end(job, Outcome(State.COMPLETED))


def test_a_job_that_its_session_bars_lets_nobody_in_front(
    alice: User, bob: User, charlie: User
) -> None:
    chat = Chat(alice, "busy")
    chat.send(workflow="plain")
    running = claimed()
    chat.send(workflow="plain")
    send(charlie, 12)
    take(8)
    send(bob, 8)
    send(alice, 2)

    assert Counter(take(6)) == {"alice": 2, "bob": 2, "charlie": 2}
    # It has waited long enough.
    lifecycle.end(running, Outcome(State.COMPLETED))
    assert take(1) == ["alice"]


def test_all_that_wait_are_barred(alice: User, bob: User) -> None:
    chat = Chat(alice, "busy")
    for _ in range(6):
        chat.send(workflow="plain")
    take(2)
    running = claimed()
    [*_, last] = send(bob, 3)

    assert last.turn == 3 + 2
    lifecycle.end(running, Outcome(State.COMPLETED))
    assert take(4) == ["alice", "bob", "alice", "bob"]


@pytest.mark.parametrize("delay", [0, 60])
def test_a_job_that_is_given_back_goes_first_and_lets_nobody_in_front(
    alice: User, bob: User, charlie: User, delay: float
) -> None:
    send(alice)
    given_back = claimed()
    send(charlie, 8)
    take(4)
    lifecycle.give_back(given_back, delay=delay)
    send(bob, 4)
    send(alice)

    first = [] if delay else ["alice"]
    assert take(5 + len(first)) == [*first, "charlie", "bob", "alice", "charlie", "bob"]


def test_a_job_that_is_handed_over_takes_its_turn_there(alice: User, bob: User) -> None:
    send(bob, 3, name="plain_elsewhere")
    send(alice, 2)
    [other, routed] = [claimed(), claimed()]
    assert (other.user, routed.user) == (bob, alice)
    lifecycle.end(other, Outcome(State.COMPLETED))
    hand_over(routed, "plain_elsewhere")

    assert take(3, "elsewhere") == ["bob", "alice", "bob"]


def test_a_job_that_is_handed_over_in_its_own_queue_has_had_its_turn(
    alice: User, bob: User
) -> None:
    send(alice)
    routed = claimed()
    send(bob, 2)
    workflow("another")(lambda ctx: "done")
    hand_over(routed, "another")

    assert take(3) == ["alice", "bob", "bob"]


def test_priority_goes_before_turns(alice: User, bob: User) -> None:
    workflow("urgent", priority=5)(lambda ctx: "done")
    send(alice, 2)
    send(bob, 2, name="urgent")

    assert take(4) == ["bob", "bob", "alice", "alice"]


def test_a_queue_that_was_empty_is_served_beside_the_others(alice: User, bob: User) -> None:
    send(alice, 8)
    take(4)
    send(bob, 4, name="plain_elsewhere")

    assert take(6) == ["alice", "bob", "alice", "bob", "alice", "bob"]


def test_a_queue_that_nobody_serves_lets_nobody_in_front(alice: User, bob: User) -> None:
    send(alice, 2, name="plain_elsewhere")
    send(alice, 8)
    take(4, "default")
    send(bob, 4)

    assert take(6, "default") == ["alice", "bob", "alice", "bob", "alice", "bob"]


def test_kinds_are_claimed_apart(alice: User, bob: User) -> None:
    send(alice, 3)
    take(1)
    send(bob, 2, name="coroutine")

    assert lifecycle.claim(("elsewhere",), ME, is_async=True) is None
    assert take(2, is_async=True) == ["bob", "bob"]
    assert lifecycle.claim((), ME, is_async=True) is None
    assert take(2, "default") == ["alice", "alice"]


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_of_a_job(alice: User, name: str) -> None:
    """It is that of its workflow, however it comes to run."""
    kind = name == "coroutine"
    [job] = send(alice, name=name)
    assert (job.is_async, job.topic) == (kind, "async_jobs" if kind else "jobs")
    lifecycle.end(claimed(), Outcome(State.FAILED))
    assert services.retry(job).is_async is kind
    claimed()

    send(alice, name="plain")
    other = claimed()
    hand_over(other, name)
    assert Job.objects.get(pk=other.pk).is_async is kind


def test_the_next_job_of_the_session_rings_for_its_kind(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    chat.send(workflow="plain")
    taken = claimed()
    for name in KINDS:
        chat.send(workflow=name)
    monkeypatch.setattr(get_bell(), "ring", lambda topic, key: rung.append(topic))
    for _ in KINDS:
        lifecycle.end(taken, Outcome(State.COMPLETED))
        taken = claimed()

    for_workers = [topic for topic in rung if topic not in ("events", "sessions")]
    assert for_workers == ["jobs", "async_jobs"]


@pytest.mark.sqlite
def test_each_statement_goes_by_its_index(alice: User) -> None:
    send(alice, 2)
    with CaptureQueriesContext(connection) as captured:
        send(alice)
        take(1)
        take(1, "default")
        lifecycle.seconds_to_next((), is_async=False)
    plans = []
    with connection.cursor() as cursor:
        for query in captured:
            if "turn" in query["sql"] or "available_at > created_at" in query["sql"]:
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                plans.append(" ".join(row[3] for row in cursor.fetchall()))
    found = " ".join(plans)

    for index in ("job_next_in_queue", "job_next_of_all", "job_turns", "job_delayed"):
        assert f"INDEX {index}" in found, found
    assert "TEMP B-TREE" not in found, found
