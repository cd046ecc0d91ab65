"""What operators do with jobs that wait, and with those that have ended."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from chatflow.workflows import bells, registry, workflow
from chatflow.workflows.exceptions import UnknownQueue
from chatflow.workflows.models import Job, State
from chatflow.workflows.services import queues
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle.turns import AHEAD
from tests.workflows.chat import ME, Chat, at_once, claimed

pytestmark = pytest.mark.usefixtures("unkept", "outcomes", "mail")


@pytest.fixture
def mail(outcomes: None) -> None:
    workflow("mail", queue="mail")(registry._workflows["echo"].function)


def next_in(queue: str) -> Job | None:
    return lifecycle.claim([queue], ME, is_async=False)


@pytest.mark.django_db
def test_a_moved_job_is_claimed_from_its_new_queue(chat: Chat) -> None:
    job = chat.send(workflow="echo")
    assert queues.move(job, "mail")
    assert not queues.move(Job.objects.get(pk=job.pk), "mail")
    assert next_in("default") is None
    assert next_in("mail") == job


@pytest.mark.django_db
def test_it_takes_a_turn_there(chat: Chat, bob: User) -> None:
    """As one that its user sends now: behind their own, between those of others."""
    his = [Chat(bob, f"his-{number}").send(workflow="mail") for number in range(3)]
    mine = [Chat(chat.user, f"mine-{number}").send(workflow="mail") for number in range(2)]
    moved = chat.send(workflow="echo")
    assert queues.move(moved, "mail")
    taken = [next_in("mail") for _ in range(6)]
    assert taken == [his[0], mine[0], his[1], mine[1], his[2], moved]


@pytest.mark.django_db
def test_one_that_was_given_back_stays_in_front(chat: Chat, bob: User) -> None:
    Chat(bob).send(workflow="mail")
    job = chat.send(workflow="echo")
    Job.objects.filter(pk=job.pk).update(turn=AHEAD)
    assert queues.move(job, "mail")
    assert next_in("mail") == job


@pytest.mark.django_db
def test_only_a_job_that_waits_is_moved_and_only_to_a_queue_that_is_known(chat: Chat) -> None:
    done, running = chat.say(workflow="echo"), chat.send(workflow="echo")
    claimed()
    inline = Chat(chat.user, "inline").send(workflow="echo")
    Job.objects.filter(pk=inline.pk).update(inline=True)
    for job in (done, running, inline):
        assert not queues.move(job, "mail")
        assert Job.objects.get(pk=job.pk).queue == "default"
    with pytest.raises(UnknownQueue):
        queues.move(chat.send(workflow="echo"), "nowhere")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("delayed", [False, True])
def test_it_rings_for_those_who_serve_the_new_queue(chat: Chat, delayed: bool) -> None:
    job = chat.send(workflow="echo")
    if delayed:
        later = timezone.now() + timedelta(hours=1)
        Job.objects.filter(pk=job.pk).update(available_at=later)
        job.refresh_from_db()
    rung, heard = threading.Event(), []

    def on_ring(topic: str, key: int | None) -> None:
        if key is not None or connection.vendor == "sqlite":
            heard.append(topic)
            rung.set()

    listener = bells.get_bell().listen(("jobs", "due"), on_ring)
    try:
        heard.clear()
        rung.clear()
        assert queues.move(job, "mail")
        assert rung.wait(10)
        assert ("due" if delayed else "jobs") in heard
    finally:
        listener.close()


@pytest.mark.django_db(transaction=True)
def test_a_claim_and_a_move_at_the_same_moment(chat: Chat) -> None:
    """One of them wins: the job runs in its old queue, or waits in the new one."""
    job = chat.send(workflow="echo")

    def either(number: int) -> Any:
        return queues.move(job, "mail") if number else next_in("default")

    taken, moved = at_once(2, either)
    job.refresh_from_db()
    assert (taken == job) != moved
    assert (job.state, job.queue) == (
        (State.QUEUED, "mail") if moved else (State.PROCESSING, "default")
    )


@pytest.mark.django_db
def test_delete_takes_conversations_as_a_whole(chat: Chat, bob: User) -> None:
    first, last = chat.say(workflow="ask"), chat.say("Ann")
    asks = Chat(bob, "asks").say(workflow="ask")
    waiting = Chat(bob, "waiting").send(workflow="echo")
    assert sorted(queues.delete([last.pk, asks.pk, waiting.pk])) == [first.pk, last.pk]
    assert set(Job.objects.all()) == {asks, waiting}
    assert queues.delete([last.pk]) == []


@pytest.mark.django_db(transaction=True)
def test_delete_leaves_what_somebody_has_locked(chat: Chat) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks no rows.")
    job = chat.say(workflow="echo")
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=job.pk)
        assert at_once(1, lambda number: queues.delete([job.pk])) == [[]]
    assert queues.delete([job.pk]) == [job.pk]
