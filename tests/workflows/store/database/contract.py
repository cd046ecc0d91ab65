"""The contract of every database: each of the engine's operations, once, whole and in order."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.models import Event, Job, Message, Session, State
from chatflow.workflows.services import queues
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.database import Database, Fault, get_database
from chatflow.workflows.store.events import append, append_words
from chatflow.workflows.store.lifecycle import Outcome
from chatflow.workflows.streaming.storage import EventRows, channel
from tests.workflows.chat import (
    Chat,
    assert_log_is_sound,
    claim,
    claimed,
    events,
    rolled_back,
    types,
)
from tests.workflows.faults import make_outage


def value(sql: str, params: dict[str, Any] | None = None) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sql}", params or {})
        return cursor.fetchone()[0]


class DatabaseContract:
    """Inherit it, and name the database; run it where that one is configured."""

    kind: type[Database]

    def test_it_is_the_configured_one(self) -> None:
        assert type(get_database()) is self.kind
        assert get_database() is get_database()

    def test_numbers_in_json(self) -> None:
        row = f"SELECT {get_database().json('given')} AS data"
        for key, number in (("a", 2.0), ("b", 0.5), ("c", None)):
            sql = f"{get_database().number('data', key)} FROM ({row}) row"
            assert value(sql, {"given": '{"a": 2, "b": 0.5}'}) == number

    # The engine's operations.

    def test_append_words(self, alice: User) -> None:
        jobs = [Chat(alice, key).send() for key in ("one", "two", "lost", "over")]
        jobs = [claimed() for _ in jobs]
        Job.objects.filter(pk=jobs[2].pk).update(attempt=2)
        lifecycle.end(jobs[3], Outcome(State.COMPLETED, response="Done."))

        given = [(job.pk, 1, words) for job, words in zip(jobs, "é\0%s", strict=True)]
        assert append_words(given) == {jobs[0].pk: 2, jobs[1].pk: 2}
        assert append_words(given[:1]) == {jobs[0].pk: 3}
        assert append_words([]) == {}
        assert [event.data for event in events(jobs[0])[1:]] == [{"delta": "é"}] * 2
        assert events(jobs[1])[1].data == {"delta": "\N{REPLACEMENT CHARACTER}"}
        assert [types(job)[1:] for job in jobs[2:]] == [[], ["completed"]]
        for job in jobs[:2]:
            last = events(job)[-1]
            assert_log_is_sound(job)
            assert (last.type, last.attempt, last.created_at) == ("delta", 1, job.updated_at)

    def test_store(self, chat: Chat) -> None:
        job = chat.send("hello")

        stored = Job.objects.get(pk=job.pk)
        message = Message.objects.get(job=job)
        assert (stored.state, stored.text, stored.attempt) == (State.QUEUED, "hello", 0)
        assert (message.role, message.content) == (Message.Role.USER, "hello")
        assert stored.session == message.session == Session.objects.get(user=chat.user)

    def test_store_both_or_neither(self, chat: Chat) -> None:
        with rolled_back():
            chat.send()

        assert (Job.objects.count(), Message.objects.count(), Session.objects.count()) == (0, 0, 0)

    def test_claim(self, chat: Chat) -> None:
        job = chat.send()
        behind = chat.send()

        taken = claimed()
        assert (taken.pk, taken.state, taken.attempt) == (job.pk, State.PROCESSING, 1)
        # It returns the row, as the ORM would read it.
        assert taken == (read := Job.objects.get(pk=job.pk))
        fields = [field.attname for field in Job._meta.concrete_fields]
        assert [getattr(taken, name) for name in fields] == [getattr(read, name) for name in fields]
        assert types(job) == [Event.Type.STARTED]
        # One job of a session at a time.
        assert claim() is None
        assert Job.objects.get(pk=behind.pk).state == State.QUEUED

    def test_append(self, chat: Chat) -> None:
        chat.send()
        job = claimed()

        assert append(job.pk, 1, Event.Type.DELTA, data={"delta": "é"}, progress=40) == 2
        assert append(job.pk, 1, Event.Type.PROGRESS, message="Half", progress=10) == 3
        with pytest.raises(Fenced):
            append(job.pk, 2, Event.Type.DELTA, data={"delta": "stale"})
        log = events(job)
        assert [(event.seq, event.data) for event in log[1:]] == [(2, {"delta": "é"}), (3, {})]
        # Progress never goes back.
        assert [event.progress for event in log] == [0, 40, 40]

    def test_end(self, chat: Chat) -> None:
        chat.send()
        taken = claimed()
        Job.objects.filter(pk=taken.pk).update(usage={"cost_usd": "0.01"})

        lifecycle.end(taken, Outcome(State.COMPLETED, response="Yes"))

        job = Job.objects.get(pk=taken.pk)
        terminal = events(job)[-1]
        assert (job.state, job.response, job.progress) == (State.COMPLETED, "Yes", 100)
        assert (terminal.type, terminal.seq) == (Event.Type.COMPLETED, job.last_seq)
        assert terminal.data["usage"] == {"cost_usd": "0.01"}
        assert Message.objects.filter(job=job, role=Message.Role.ASSISTANT).count() == 1
        with pytest.raises(Fenced):
            lifecycle.end(taken, Outcome(State.FAILED))

    def test_give_back(self, chat: Chat) -> None:
        chat.send()
        job = claimed()

        lifecycle.give_back(job, delay=60, failures=1)

        job.refresh_from_db()
        assert (job.state, job.failures, job.host, job.lease_until) == (State.QUEUED, 1, "", None)
        assert claim() is None
        assert 55 < (lifecycle.seconds_to_next((), is_async=job.is_async) or 0) <= 60
        with pytest.raises(Fenced):
            lifecycle.give_back(job)

    def test_renew(self, chat: Chat) -> None:
        chat.send()
        job = claimed()
        Job.objects.filter(pk=job.pk).update(lease_until=timezone.now(), cancel_code="cancelled")

        held = lifecycle.renew([(job.pk, 1), (job.pk, 2), (0, 1)])
        assert held == ({job.pk: "cancelled"}, frozenset())

        job.refresh_from_db()
        assert job.lease_until is not None
        assert job.lease_until > timezone.now() + timedelta(seconds=5)

    def test_events_after(self, chat: Chat) -> None:
        chat.send()
        job = claimed()
        append(job.pk, 1, Event.Type.DELTA, data={"delta": "a"})

        mine, nobodys = channel(job.pk), channel(0)
        found = EventRows().events_after([(mine, 0), (mine, 1), (mine, 2), (nobodys, 0)])

        seqs = {place: [event.seq for event in log] for place, log in found.items()}
        assert seqs == {(mine, 0): [1, 2], (mine, 1): [2]}
        assert EventRows().events_after([(mine, 2)]) == {}
        read = Event.objects.get(job=job, seq=2)
        [event] = found[mine, 1]
        assert (event.data, event.created_at) == (read.data, read.created_at)

    def test_moved(self, chat: Chat) -> None:
        chat.send()
        job = claimed()

        mine, nobodys = channel(job.pk), channel(0)
        assert EventRows().moved([(mine, 0), (nobodys, 3)]) == {mine: 1, nobodys: None}
        assert EventRows().moved([(mine, 1)]) == {}

    def test_sizes(self, chat: Chat) -> None:
        chat.send()
        chat.send()
        claimed()
        Job.objects.filter(state=State.QUEUED).update(
            available_at=timezone.now() - timedelta(seconds=90)
        )

        [size] = [size for size in queues.sizes() if size.queue == "default"]
        assert (size.waiting, size.delayed, size.running) == (1, 0, 1)
        # It waits for the other one, and not for a worker.
        assert size.oldest_waiting == 0
        Job.objects.filter(state=State.PROCESSING).delete()
        [size] = [size for size in queues.sizes() if size.queue == "default"]
        assert 89 < size.oldest_waiting < 120

    # The parts of these operations.

    def test_now(self) -> None:
        later = value(get_database().now(60))
        moment = later if isinstance(later, datetime) else datetime.fromisoformat(f"{later}+00:00")
        assert abs(moment - timezone.now() - timedelta(minutes=1)) < timedelta(seconds=10)

    def test_now_is_never_before_what_python_has_just_made(self, alice: User) -> None:
        """SQLite compares moments as texts, and its clock has milliseconds."""
        database, session = get_database(), Session.objects.create(user=alice, key="s")
        selected = f"updated_at <= {database.now()}, {database.seconds_since('updated_at')}"
        for _ in range(200):
            Session.objects.filter(pk=session.pk).update(updated_at=timezone.now())
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {selected} FROM workflows_session", {})
                past, seconds = cursor.fetchone()
            assert past
            # As exact as SQLite's julianday is.
            assert seconds > -0.0005

    def test_the_truth(self) -> None:
        database = get_database()
        assert value(f"CASE WHEN {database.true} THEN 1 ELSE 0 END") == 1
        assert value(f"CASE WHEN {database.false} THEN 1 ELSE 0 END") == 0
        assert value(f"{database.greatest}(1, 3, 2)") == 3

    def test_a_statement_that_fails_leaves_the_transaction_usable(self, alice: User) -> None:
        new = f"""
            INSERT INTO workflows_session (user_id, key, created_at, updated_at)
            VALUES (%(user)s, %(key)s, {get_database().now()}, {get_database().now()})
            RETURNING key
        """
        with transaction.atomic():
            assert get_database().fetch(new, {"user": alice.pk, "key": "s"}) == ("s",)
            with pytest.raises(IntegrityError), transaction.atomic():
                get_database().fetch(new, {"user": alice.pk, "key": "s"})
            assert get_database().fetch(new, {"user": alice.pk, "key": "t"}) == ("t",)
        assert Session.objects.count() == 2

    def test_a_refusal_is_nothing_else(self, alice: User) -> None:
        Session.objects.create(user=alice, key="s")
        with pytest.raises(IntegrityError) as refused, transaction.atomic():
            Session.objects.create(user=alice, key="s")

        assert get_database().fault(refused.value) is Fault.REFUSAL
        assert get_database().fault(ValueError("nothing of the database's")) is Fault.REFUSAL
        assert get_database().fault(DatabaseError("Django's own")) is Fault.REFUSAL

    def test_it_takes_writes(self) -> None:
        assert get_database().takes_writes() is True

    def test_an_outage_is_not_read_only(self) -> None:
        assert not get_database().refuses_writes(make_outage())
        assert not get_database().refuses_writes(DatabaseError("Django's own"))

    def test_it_is_not_replaced(self) -> None:
        connection.ensure_connection()
        own = connection.connection
        get_database().leave_replaced()
        assert connection.connection is own
