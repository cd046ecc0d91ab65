"""GET chat/stream, through the whole ASGI application."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from chatflow.access.tokens import make_token
from chatflow.asgi import application
from chatflow.dialects.seed import Seed
from chatflow.serving import front
from chatflow.streams import of_job, of_user
from chatflow.streams.of_user import Cursor
from chatflow.wire import sse
from chatflow.workflows import services
from chatflow.workflows.models import DeletedSession, Event, Job, Session, State
from chatflow.workflows.running.routing import hand_over
from chatflow.workflows.services import conversations
from chatflow.workflows.services.conversations import Changes
from chatflow.workflows.store.changes import CURSOR_KEPT, SLACK, forget_deleted
from chatflow.workflows.store.events import append
from chatflow.workflows.store.lifecycle import Outcome, end
from chatflow.workflows.streaming.listeners import listeners
from tests.chatflow.exchange import Exchange
from tests.chatflow.threads import close_streams
from tests.conftest import Bearer
from tests.workflows.chat import claimed

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/ai-demo/chat/stream"
Frames = AsyncIterator[dict[str, Any]]


@pytest_asyncio.fixture(autouse=True)
async def listening() -> AsyncIterator[None]:
    """Stop what the streams of this test's event loop have started."""
    listeners.closing = False
    yield
    await close_streams()


@pytest.fixture
def watch(alice: User, bearer: Bearer) -> Callable[..., Exchange]:
    headers = bearer(alice)

    def watch(cursor: str = "", **more: str) -> Exchange:
        resumed = {"Last-Event-ID": cursor} if cursor else {}
        return Exchange(application, PATH, headers={**headers, **resumed, **more})

    return watch


def send(user: User, key: str = "a", text: str = "hello") -> Job:
    return services.start(user, text, session_key=key, workflow="echo").job


def begin(job: Job) -> Job:
    """Put the job into the hands of a worker that does nothing by itself."""
    Job.objects.filter(pk=job.pk).update(
        state="processing", attempt=1, lease_until=timezone.now() + timedelta(minutes=1)
    )
    job.refresh_from_db()
    return job


def finish(job: Job) -> None:
    end(job, Outcome(State.COMPLETED, response="Done."))


def work(job: Job, words: int = 3) -> None:
    begin(job)
    for number in range(words):
        append(job.pk, 1, "delta", data={"delta": f"{number} "})
    job.refresh_from_db()
    finish(job)


async def until(frames: Frames, done: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Return the next frames up to the one that is *done*."""
    taken = []
    async for frame in frames:
        taken.append(frame)
        if done(frame["data"]):
            return taken
    raise AssertionError(f"The stream ended after {taken}.")


def is_session(**fields: Any) -> Callable[[dict[str, Any]], bool]:
    return lambda data: (
        data.get("type") == "session" and all(data[name] == value for name, value in fields.items())
    )


def seqs(frames: list[dict[str, Any]], job: Job) -> list[int]:
    return [f["data"]["seq"] for f in frames if f["data"].get("job_id") == job.public_id]


async def test_a_turn_from_its_beginning_to_its_end(
    alice: User, watch: Callable[..., Exchange]
) -> None:
    async with watch() as exchange:
        frames = exchange.frames()
        first = await anext(frames)
        assert first["data"]["type"] == "connected"
        assert "id" not in first
        job = await sync_to_async(send)(alice)
        (told,) = await until(frames, is_session(session_id="a"))
        assert told["data"]["title"] == "hello"
        assert told["data"]["active_job"]["job_id"] == job.public_id
        await sync_to_async(work)(job)
        taken = [told, *await until(frames, is_session(last_state="completed"))]
        while len(seqs(taken, job)) < 4:
            taken.append(await anext(frames))
    assert seqs(taken, job) == [1, 2, 3, 4]
    assert taken[-1]["data"]["type"] in ("session", "completed")
    ended = next(f["data"] for f in reversed(taken) if f["data"]["type"] == "session")
    assert ended["unread"] is True
    assert ended["active_job"] is None
    assert all(frame["id"] for frame in taken)


async def test_it_goes_on_exactly_from_every_frame(
    alice: User, watch: Callable[..., Exchange]
) -> None:
    """The job's frames up to any frame, and those of a stream that begins there, are the log."""
    running, later = await sync_to_async(send)(alice), None
    async with watch() as exchange:
        frames = exchange.frames()
        await anext(frames)
        await sync_to_async(begin)(running)
        await sync_to_async(append)(running.pk, 1, "delta", data={"delta": "words"})
        taken = await until(frames, lambda data: data.get("seq") == 1)
        later = await sync_to_async(send)(alice, "b")
        taken += await until(frames, is_session(session_id="b"))
        await sync_to_async(append)(running.pk, 1, "delta", data={"delta": "more"})
        taken += await until(frames, lambda data: data.get("seq") == 2)
    await sync_to_async(running.refresh_from_db)()
    await sync_to_async(finish)(running)
    await sync_to_async(work)(later)

    for place, frame in enumerate(taken):
        async with watch(frame["id"]) as exchange:
            frames = exchange.frames()
            rest: list[dict[str, Any]] = []
            await anext(frames)
            while seqs(rest, running)[-1:] != [3]:
                rest.append(await anext(frames))
            before = seqs(taken[: place + 1], running)
            assert before + seqs(rest, running) == [1, 2, 3]
            if str(frame["id"]).count(":") == 2:
                while seqs(rest, later)[-1:] != [4]:
                    rest.append(await anext(frames))
                assert seqs(rest, later) == [1, 2, 3, 4]


async def test_a_job_that_came_and_went_in_between_is_told_by_its_session(
    alice: User, watch: Callable[..., Exchange]
) -> None:
    async with watch() as exchange:
        cursor = (await anext(exchange.frames()))["data"]["cursor"]
    job = await sync_to_async(send)(alice)
    await sync_to_async(work)(job)
    async with watch(cursor) as exchange:
        frames = exchange.frames()
        await anext(frames)
        (told,) = await until(frames, is_session(session_id="a"))
    assert told["data"]["last_job_id"] == job.public_id
    assert told["data"]["last_state"] == "completed"


@asynccontextmanager
async def late_commit(write: Callable[[], None]) -> AsyncIterator[None]:
    """Have *write* done in another thread's transaction, which commits at the end."""
    written, may_commit = threading.Event(), threading.Event()

    def run() -> None:
        with transaction.atomic():
            write()
            written.set()
            assert may_commit.wait(10)
        connection.close()

    writing = asyncio.ensure_future(asyncio.to_thread(run))
    assert await asyncio.to_thread(written.wait, 10)
    yield
    may_commit.set()
    await writing


async def test_a_commit_that_comes_late_is_not_missed(
    alice: User, watch: Callable[..., Exchange]
) -> None:
    """It has a lower number than a change that was told before it."""
    if connection.vendor != "postgresql":
        pytest.skip("only on postgresql: elsewhere one writes at a time")
    await sync_to_async(send)(alice, "late")

    def rename() -> None:
        session = Session.objects.get(user=alice, key="late")
        services.change_session(session, title="Late")

    async with watch() as exchange:
        frames = exchange.frames()
        await anext(frames)
        async with late_commit(rename):
            await sync_to_async(send)(alice, "early")
            cursor = (await until(frames, is_session(session_id="early")))[-1]["id"]
        await until(frames, is_session(session_id="late", title="Late"))
    async with watch(cursor) as exchange:
        frames = exchange.frames()
        await anext(frames)
        await until(frames, is_session(session_id="late", title="Late"))


async def test_a_deleted_conversation_is_told_until_it_is_forgotten(
    alice: User, watch: Callable[..., Exchange]
) -> None:
    await sync_to_async(send)(alice)
    async with watch() as exchange:
        frames = exchange.frames()
        cursor = (await anext(frames))["data"]["cursor"]
        session = await sync_to_async(Session.objects.get)(key="a")
        await sync_to_async(services.delete_session)(session)
        await until(frames, lambda data: data == {"type": "deleted", "session_id": "a"})
    async with watch(cursor) as exchange:
        frames = exchange.frames()
        await anext(frames)
        await until(frames, lambda data: data == {"type": "deleted", "session_id": "a"})
    ages = CURSOR_KEPT + 2 * SLACK
    await sync_to_async(DeletedSession.objects.update)(deleted_at=timezone.now() - ages)
    await sync_to_async(forget_deleted)()
    assert await DeletedSession.objects.acount() == 0
    old = Cursor.read(cursor)
    old = Cursor(old.at - int(CURSOR_KEPT.total_seconds()) - 1, old.changed, old.seqs)
    async with watch(str(old)) as exchange:
        frames = exchange.frames()
        await anext(frames)
        assert (await anext(frames))["data"] == {"type": "reset"}


async def test_a_cursor_names_only_so_many_jobs(
    alice: User, watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others join from their first event as these end, also when a client comes back."""
    monkeypatch.setattr(of_user, "MOST_JOBS", 2)
    jobs = [await sync_to_async(send)(alice, f"{number}") for number in range(4)]
    async with watch() as exchange:
        frames = exchange.frames()
        cursor = (await anext(frames))["data"]["cursor"]
        assert cursor.count(":") == 2
        await sync_to_async(work)(jobs[2])
        await sync_to_async(work)(jobs[0])
        taken = await until(frames, lambda data: data.get("job_id") == jobs[2].public_id)
        while seqs(taken, jobs[2])[-1] < 4:
            taken.append(await anext(frames))
    assert seqs(taken, jobs[0]) == seqs(taken, jobs[2]) == [1, 2, 3, 4]
    assert all(frame["id"].count(":") <= 2 for frame in taken)
    assert taken[-1]["id"].count(":") == 2

    async with watch(cursor) as exchange:
        frames = exchange.frames()
        await anext(frames)
        await sync_to_async(work)(jobs[1])
        await sync_to_async(work)(jobs[3])
        taken = []
        # Whose last event is told first is open.
        while any(seqs(taken, job)[-1:] != [4] for job in (jobs[1], jobs[3])):
            taken.append(await anext(frames))
    assert [seqs(taken, job) for job in jobs] == [[1, 2, 3, 4], [1, 2, 3, 4], [], [1, 2, 3, 4]]


def test_the_longest_cursor_passes_through_proxies() -> None:
    seqs = {f"workflow_{number:032x}": 10**9 - 1 for number in range(of_user.MOST_JOBS)}
    longest = Cursor(10**12 - 1, 10**18 - 1, seqs)
    assert len(str(longest)) < 7000
    assert Cursor.read(str(longest)) == longest


async def test_it_tells_the_places_in_the_queue(
    alice: User, bob: User, watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "LOOK_AGAIN", 0.05)
    first = await sync_to_async(send)(bob)
    jobs = [await sync_to_async(send)(alice, key) for key in "ab"]
    async with watch() as exchange:
        frames = exchange.frames()
        await anext(frames)
        told = [await anext(frames) for _ in jobs]
        assert [frame["data"]["queue_position"] for frame in told] == [2, 3]
        assert [frame["data"]["job_id"] for frame in told] == [job.public_id for job in jobs]
        assert all("id" not in frame for frame in told)
        await sync_to_async(services.cancel)(first)
        told = [await anext(frames) for _ in jobs]
        assert [frame["data"]["queue_position"] for frame in told] == [1, 2]
        # Of one that runs nothing more is told.
        await sync_to_async(begin)(jobs[0])
        await sync_to_async(append)(jobs[0].pk, 1, "delta", data={"delta": "words"})
        (*_, place) = await until(frames, lambda data: data.get("type") == "queued")
        assert place["data"]["job_id"] == jobs[1].public_id


async def test_two_streams_are_told_the_same(alice: User, watch: Callable[..., Exchange]) -> None:
    async with watch() as one, watch() as two:
        frames = [one.frames(), two.frames()]
        for each in frames:
            await anext(each)
        job = await sync_to_async(send)(alice)
        await sync_to_async(work)(job)
        for each in frames:
            taken = await until(each, lambda data: data.get("status") == "completed")
            assert seqs(taken, job) == [1, 2, 3, 4]


async def test_nobody_is_told_of_others(
    alice: User, bob: User, watch: Callable[..., Exchange]
) -> None:
    async with watch() as exchange:
        frames = exchange.frames()
        await anext(frames)
        await sync_to_async(send)(bob, "secret")
        await sync_to_async(send)(alice, "own")
        (told,) = await until(frames, is_session(session_id="own"))
    assert told["data"]["session_id"] == "own"


async def test_many_conversations(alice: User, watch: Callable[..., Exchange]) -> None:
    async with watch() as exchange:
        cursor = (await anext(exchange.frames()))["data"]["cursor"]

    def send_many() -> None:
        for number in range(30):
            finish(begin(send(alice, f"{number}")))

    await sync_to_async(send_many)()
    async with watch(cursor) as exchange:
        frames = exchange.frames()
        await anext(frames)
        told = [await anext(frames) for _ in range(30)]
    assert [frame["data"]["session_id"] for frame in told] == [str(n) for n in range(30)]
    assert {frame["id"].split(".")[1] for frame in told[:-1]} == {cursor.split(".")[1]}


async def test_many_conversations_come_in_slices(
    alice: User, watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversations, "SLICE", 4)
    most: list[int] = []
    look = conversations.look

    def counted(*args: Any) -> Changes:
        found = look(*args)
        most.append(len(found.changed))
        return found

    monkeypatch.setattr(conversations, "look", counted)
    async with watch() as exchange:
        cursor = (await anext(exchange.frames()))["data"]["cursor"]

    def send_many() -> list[Job]:
        return [send(alice, f"{number}") for number in range(10)]

    jobs = await sync_to_async(send_many)()
    async with watch(cursor) as exchange:
        frames = exchange.frames()
        await anext(frames)
        told = [await anext(frames) for _ in jobs]
        assert [frame["data"]["session_id"] for frame in told] == [str(n) for n in range(10)]
        await sync_to_async(work)(jobs[7])
        taken = await until(frames, lambda data: data.get("status") == "completed")
        assert seqs(taken, jobs[7]) == [1, 2, 3, 4]
    assert max(most) == 4


async def test_a_long_stream_remembers_few_jobs(
    alice: User, watch: Callable[..., Exchange]
) -> None:
    async with watch() as exchange:
        frames = exchange.frames()
        await anext(frames)
        (found,) = of_job.open_streams
        assert isinstance(found, of_user.UserStream)
        for _ in range(8):
            job = await sync_to_async(send)(alice)
            await sync_to_async(work)(job)
            taken: list[dict[str, Any]] = []
            while seqs(taken, job)[-1:] != [4]:
                taken.append(await anext(frames))
            # Its last change is told too.
            ended = is_session(last_job_id=job.public_id, last_state="completed")
            if not any(ended(frame["data"]) for frame in taken):
                taken += await until(frames, ended)
            assert seqs(taken, job) == [1, 2, 3, 4]
        assert len(found._over) <= 3
        assert found._newest > job.pk - 4


async def test_a_job_that_commits_late_is_not_missed(
    alice: User, watch: Callable[..., Exchange]
) -> None:
    """It has ended by then, and has a lower key than jobs that were told before it."""
    if connection.vendor != "postgresql":
        pytest.skip("only on postgresql: elsewhere one writes at a time")
    late: list[Job] = []

    def send_late() -> None:
        late.append(send(alice, "late"))
        work(late[0])

    async with watch() as exchange:
        frames = exchange.frames()
        await anext(frames)
        async with late_commit(send_late):
            for key in "abc":
                job = await sync_to_async(send)(alice, key)
                assert job.pk > late[0].pk
                await sync_to_async(work)(job)
                await until(frames, is_session(session_id=key, last_state="completed"))
        taken: list[dict[str, Any]] = []
        while seqs(taken, late[0])[-1:] != [4]:
            taken.append(await anext(frames))
        assert seqs(taken, late[0]) == [1, 2, 3, 4]


async def test_a_revoked_token_ends_it(
    alice: User, watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "LOOK_AGAIN", 0.1)
    async with watch() as exchange:
        await anext(exchange.frames())
        assert len(of_job.open_streams) == 1
        await sync_to_async(lambda: alice.chatflow_tokens.all().delete())()
        await asyncio.wait_for(exchange.task, 10)
        assert not exchange.complete


async def test_a_client_that_takes_nothing_is_dropped(
    alice: User, watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_job, "SEND_TIMEOUT", 0.05)
    exchange = watch()

    async def stall(message: Any) -> None:
        if b'"session"' in message.get("body", b""):
            await asyncio.Event().wait()

    exchange.on_send = stall
    async with exchange:
        await anext(exchange.frames())
        await sync_to_async(send)(alice)
        await asyncio.wait_for(exchange.task, 10)
    assert len(of_job.open_streams) == 0


@pytest.mark.parametrize("cursor", ["x", "1", "1.2.3", "1.2.aaaa:1", "9" * 5000])
async def test_a_bad_cursor(watch: Callable[..., Exchange], cursor: str) -> None:
    async with watch(cursor) as exchange:
        assert await exchange.start() == 400


async def test_it_is_not_for_strangers(alice: User) -> None:
    async with Exchange(application, PATH) as exchange:
        assert await exchange.start() == 401


def test_a_cursor_is_read_as_it_is_written() -> None:
    cursor = Cursor(5, 7, {"workflow_" + "0f" * 16: 3})
    assert Cursor.read(str(cursor)) == cursor
    assert of_user.renumbered([b"id: 3\ndata: {}\n\n"], "x") == b"id: x\ndata: {}\n\n"


class Doubled(Seed):
    """A dialect that announces each event in a frame before its own."""

    def frames(self, event: Event) -> list[bytes]:
        announced = {"about": event.seq, "job_id": self.job_id}
        return [sse.frame(announced, event_id=event.seq), *super().frames(event)]


async def test_a_client_goes_on_between_the_frames_of_an_event(
    alice: User, watch: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets all frames of the event again: their cursor comes with the last one."""
    monkeypatch.setattr(front, "get_dialect", lambda name: Doubled)
    async with watch() as exchange:
        frames = exchange.frames()
        await anext(frames)
        job = await sync_to_async(send)(alice)
        await sync_to_async(work)(job, words=1)
        taken = await until(frames, lambda data: data.get("seq") == 2)
    # What the client's last `id` is when it has the first frame of the second event, but no more.
    announced = next(place for place, frame in enumerate(taken) if frame["data"].get("about") == 2)
    assert "id" not in taken[announced]
    cursor = [frame["id"] for frame in taken[:announced] if "id" in frame][-1]
    async with watch(cursor) as exchange:
        frames = exchange.frames()
        told = await until(frames, lambda data: data.get("seq") == 2)
    of_job = [frame["data"] for frame in told if frame["data"].get("job_id") == job.public_id]
    assert [data.get("about") or data["seq"] for data in of_job] == [2, 2]


async def test_a_token_for_one_workflow_sees_its_jobs_and_no_conversation(alice: User) -> None:
    _, token = await sync_to_async(make_token)(alice, name="one", workflow="echo")
    other = await sync_to_async(
        lambda: services.start(alice, "hi", session_key="b", workflow="ask").job
    )()
    headers = {"Authorization": f"Bearer {token}"}
    async with Exchange(application, PATH, headers=headers) as exchange:
        frames = exchange.frames()
        await anext(frames)
        await sync_to_async(work)(other)
        job = await sync_to_async(send)(alice)
        await sync_to_async(work)(job)
        told = [await anext(frames) for _ in range(4)]
    assert seqs(told, job) == [1, 2, 3, 4]


async def test_a_user_goes_with_what_is_kept_of_their_conversations(alice: User) -> None:
    await sync_to_async(send)(alice)
    await sync_to_async(lambda: services.delete_session(Session.objects.get()))()
    assert await DeletedSession.objects.acount() == 1
    await alice.adelete()
    assert await DeletedSession.objects.acount() == 0


def change_hands(job: Job) -> None:
    """Let *job* be handed over to ``ask``, and end there."""
    hand_over(job, "ask")
    again = claimed()
    append(again.pk, again.attempt, "delta", data={"delta": "secret"})
    again.refresh_from_db()
    finish(again)


async def of_one_workflow(user: User, workflow: str) -> Exchange:
    _, token = await sync_to_async(make_token)(user, name=workflow, workflow=workflow)
    return Exchange(application, PATH, headers={"Authorization": f"Bearer {token}"})


async def test_a_job_that_is_handed_over_is_the_other_workflows_alone(alice: User) -> None:
    from_one, to_another = [await of_one_workflow(alice, name) for name in ("echo", "ask")]
    async with from_one as one, to_another as another:
        mine, theirs = one.frames(), another.frames()
        for each in (mine, theirs):
            await anext(each)
        await sync_to_async(send)(alice)
        job = await sync_to_async(claimed)()
        await sync_to_async(append)(job.pk, 1, "delta", data={"delta": "mine"})
        assert seqs([await anext(mine), await anext(mine)], job) == [1, 2]
        await sync_to_async(change_hands)(job)
        told = await until(theirs, lambda data: data.get("status") == "completed")
        assert seqs(told, job) == [1, 2, 3, 4, 5]
        next_job = await sync_to_async(send)(alice, "b")
        await sync_to_async(work)(next_job)
        told = await until(mine, lambda data: data.get("status") == "completed")
        assert seqs(told, next_job) == [1, 2, 3, 4]
        assert seqs(told, job) == []


async def test_a_job_that_ends_as_it_waits_for_the_other_workflow(alice: User) -> None:
    async with await of_one_workflow(alice, "echo") as exchange:
        frames = exchange.frames()
        await anext(frames)
        await sync_to_async(send)(alice)
        job = await sync_to_async(claimed)()
        await sync_to_async(append)(job.pk, 1, "delta", data={"delta": "mine"})
        assert seqs([await anext(frames), await anext(frames)], job) == [1, 2]
        await sync_to_async(hand_over)(job, "ask")
        await sync_to_async(services.cancel)(job)
        next_job = await sync_to_async(send)(alice, "b")
        await sync_to_async(work)(next_job)
        told = await until(frames, lambda data: data.get("status") == "completed")
        assert seqs(told, job) == []


async def test_a_job_that_is_routed_again_as_it_begins(alice: User) -> None:
    """The first event of the attempt was told before."""
    async with await of_one_workflow(alice, "echo") as exchange:
        frames = exchange.frames()
        await anext(frames)
        await sync_to_async(send)(alice)
        job = await sync_to_async(claimed)()
        assert seqs([await anext(frames)], job) == [1]
        await Job.objects.filter(pk=job.pk).aupdate(workflow="ask")
        await sync_to_async(append)(job.pk, 1, "delta", data={"delta": "secret"})
        await sync_to_async(end)(job, Outcome(State.FAILED))
        next_job = await sync_to_async(send)(alice, "b")
        await sync_to_async(work)(next_job)
        told = await until(frames, lambda data: data.get("status") == "completed")
        assert seqs(told, job) == []
