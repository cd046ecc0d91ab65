"""A conversation is deleted while it works: nothing stays, and nobody takes it for an answer."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.exceptions import ChatflowError, Fenced, FileNotFound
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Attachment
from chatflow.workflows.models import Event, Job, Message, Session, State, Step
from chatflow.workflows.running import runner
from chatflow.workflows.store import lifecycle
from tests.workflows.chat import ME, Chat, at_once, beside, claimed, run_waiting

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unkept")]


@pytest.fixture(autouse=True)
def _flows() -> None:
    workflow("echo")(lambda ctx: f"Echo: {ctx.message}")


def nothing_left() -> bool:
    return not any(kind.objects.exists() for kind in (Session, Job, Message, Step, Event))


def test_it_works(chat: Chat, bob: User) -> None:
    chat.say("one", workflow="echo")
    chat.send("two", workflow="echo")
    kept = Chat(bob, chat.key).say("mine", workflow="echo")

    assert services.delete_session(Session.objects.get(user=chat.user)) == 2

    assert list(Job.objects.all()) == [kept]
    assert Session.objects.get().user == bob
    assert Message.objects.count() == 2


def test_a_worker_whose_job_is_deleted_writes_nothing(chat: Chat) -> None:
    went_on = []

    def work(ctx: Context) -> str:
        ctx.step("Before", int)
        services.delete_session(ctx.session)
        went_on.append("a while")
        ctx.step("After", went_on.append, "too far")
        return "Done"

    workflow("w")(work)
    chat.send(workflow="w")
    runner.run(claimed(), interruptible=False)

    assert went_on == ["a while"]
    assert nothing_left()


@pytest.mark.parametrize("when", ["before it starts", "when it ends"])
def test_a_job_that_is_deleted_under_its_worker(chat: Chat, when: str) -> None:
    job = chat.send("hello", workflow="echo")
    running = claimed()
    services.delete_session(job.session)

    if when == "before it starts":
        runner.run(running, interruptible=False)
    else:
        with pytest.raises(Fenced):
            lifecycle.end(running, lifecycle.Outcome(State.COMPLETED, response="Done"))

    assert nothing_left()
    assert lifecycle.reap_worker(ME.id)


def test_messages_and_deletions_at_once(chat: Chat) -> None:
    """Each message is stored whole or not at all, and nobody meets an error of the database's."""
    for _ in range(5):
        chat.say("first", workflow="echo")

        def race(number: int) -> str:
            if number % 2:
                return chat.send(f"message {number}", workflow="echo").public_id
            session = Session.objects.filter(user=chat.user, key=chat.key).first()
            return str(session and services.delete_session(session))

        results = at_once(4, race)
        assert not [error for error in results if isinstance(error, BaseException)]
        run_waiting()
        assert not Job.objects.active().exists()
        session = Session.objects.filter(user=chat.user).first()
        left = session.messages.count() if session else 0
        assert left == 2 * Job.objects.count()


@pytest.mark.parametrize("verb", [services.cancel, services.retry])
def test_a_verb_for_what_was_deleted_meanwhile(chat: Chat, verb: object) -> None:
    job = chat.say("hello", workflow="echo")
    services.delete_session(job.session)

    assert callable(verb)
    with pytest.raises((Job.DoesNotExist, ChatflowError)):
        verb(job)


@pytest.mark.postgresql  # SQLite has one writer.
def test_feedback_at_that_moment(chat: Chat) -> None:
    job = chat.say("hello", workflow="echo")
    with beside("workflows_job", lambda: services.give_feedback(job, value="up")) as results:
        services.delete_session(job.session)

    assert isinstance(results[0], Job.DoesNotExist)
    assert nothing_left()


@pytest.mark.postgresql
def test_one_of_its_documents_is_sent_elsewhere_at_that_moment(chat: Chat) -> None:
    session = services.open_session(chat.user, chat.key)
    document, _ = store(b"words", "text/plain", owner=chat.user, session_id=session.pk)
    other = Chat(chat.user, "other")

    def send() -> Any:
        return other.send("Look", workflow="echo", sent_files=[str(document.pk)])

    with beside("knowledge_document", send) as results:
        services.delete_session(session)

    assert isinstance(results[0], FileNotFound)
    assert not Attachment.objects.exists()
