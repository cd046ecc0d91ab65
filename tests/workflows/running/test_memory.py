"""What a model is told of a conversation; nothing here asks one."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatflow.workflows import Context, WorkflowError, workflow
from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.models import Job, Message, Session
from chatflow.workflows.running import memory
from chatflow.workflows.running.memory import CUT, SUMMARY_LENGTH, PastMessage, Summary
from chatflow.workflows.store import lifecycle
from tests.workflows.chat import Chat, claimed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


@pytest.fixture(autouse=True)
def _flows() -> None:
    workflow("echo")(lambda ctx: f"Echo: {ctx.message}")
    workflow("asker")(lambda ctx: f"Hello {ctx.ask('Name?')}")


def window(chat: Chat, **options: int) -> list[str]:
    session = Session.objects.get(user=chat.user, key=chat.key)
    options.setdefault("before", 10**9)
    return [one.text for one in memory.window(session, **options)]


# The window.


def test_it_works(chat: Chat) -> None:
    chat.say("one", workflow="echo")
    job = chat.say("two", workflow="echo")
    waiting = chat.send("three", workflow="echo")

    assert window(chat, before=waiting.pk) == ["one", "Echo: one", "two", "Echo: two"]
    assert window(chat, before=job.pk) == ["one", "Echo: one"]


def test_what_was_cut_is_not_told(chat: Chat) -> None:
    chat.say("one", workflow="echo")
    chat.say("two", workflow="echo")
    second = Message.objects.get(content="two")
    chat.say("three", workflow="echo", edits=second.pk)

    assert window(chat) == ["one", "Echo: one", "three", "Echo: three"]


def test_the_turns_of_a_workflow_are_part_of_it(chat: Chat) -> None:
    chat.say("start", workflow="asker")
    chat.say("Ada")

    assert window(chat) == ["start", "Name?", "Ada", "Hello Ada"]


def test_a_message_that_waits_is_not_told_to_the_one_before(chat: Chat) -> None:
    first = chat.send("one", workflow="echo")
    second = chat.send("two", workflow="echo")

    assert window(chat, before=first.pk) == []
    assert window(chat, before=second.pk) == ["one"]


def test_without_memory_nothing_is_told(chat: Chat) -> None:
    """A question is kept for the history all the same, and so is its answer."""
    forget = {"memory": False}
    chat.say("hello", workflow="echo", options=forget)
    chat.say("start", workflow="asker", options=forget)
    chat.say("Ada", options=forget)

    assert [row.content for row in Message.objects.order_by("pk")] == ["Name?", "Ada"]
    assert window(chat) == []


def test_what_was_pruned_still_counts(chat: Chat) -> None:
    chat.say("one", workflow="echo").delete()
    later = chat.send("two", workflow="echo")

    assert window(chat, before=later.pk) == ["one", "Echo: one"]


def test_the_words_of_an_answer_that_broke_off(chat: Chat) -> None:
    def tell(ctx: Context) -> str:
        ctx.write("Once upon a time")
        raise WorkflowError("It broke.")

    workflow("tell")(tell)
    chat.say("Tell me", workflow="tell")

    assert window(chat) == ["Tell me", f"Once upon a time{memory.BROKEN_OFF}"]
    # Not where the conversation isn't remembered.
    chat.say("Tell me", workflow="tell", options={"memory": False})
    assert len(window(chat)) == 2


def test_nobody_elses_words(chat: Chat, bob: User) -> None:
    """Not of another user with the same key, and not of another session."""
    chat.say("mine", workflow="echo")
    Chat(bob, chat.key).say("his", workflow="echo")
    Chat(chat.user, "other").say("elsewhere", workflow="echo")

    assert window(chat) == ["mine", "Echo: mine"]


def test_one_query_by_the_index(chat: Chat) -> None:
    session = chat.send("one", workflow="echo").session
    Message.objects.bulk_create(
        Message(session=session, role="user", content=f"message {number}") for number in range(2000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    # A connection prepares it the first time.
    memory.window(session, before=10**9)
    with CaptureQueriesContext(connection) as queries:
        found = memory.window(session, before=10**9)

    assert len(queries) == 1
    assert [one.text for one in found][-1] == "message 1999"
    assert len(found) == memory.MOST
    with connection.cursor() as cursor:
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        params = {"session": session.pk, "before": 10**9, "after": 0, "most": memory.MOST}
        cursor.execute(f"{explain} {memory.WINDOW}", params)
        plan = str(cursor.fetchall())
    # From the newest row down: nothing is sorted.
    assert "ort" not in plan.replace("Sort Key", ""), plan


# The room.


@pytest.mark.parametrize(
    ("text", "number"), [("", 4), ("four", 5), ("a" * 400, 104), ("日本語で", 7), ("\ud800", 4)]
)
def test_tokens(text: str, number: int) -> None:
    assert memory.count_tokens(text) == number


def past(*texts: str) -> list[PastMessage]:
    roles = ["user", "assistant"]
    return [PastMessage(roles[n % 2], text, id=n + 1) for n, text in enumerate(texts)]


def test_the_oldest_do_not_fit() -> None:
    talk = past(*["x" * 40] * 5)  # 14 tokens each.

    assert memory.fit(talk, 70) == talk
    assert memory.fit(talk, 69) == talk[1:]
    assert memory.fit(talk, 14) == talk[-1:]
    assert memory.fit([], 100) == []


def test_a_message_that_is_too_long_is_cut() -> None:
    (only,) = memory.fit(past("ü" * 1000), 100)

    assert only.text.startswith("üüü")
    assert only.text.endswith(CUT)
    assert memory.count_tokens(only.text) <= 100


def test_what_outgrows_leaves_half_of_the_room_free() -> None:
    talk = past(*["x" * 40] * 8)

    assert memory.select_outgrown(talk, 8 * 14) == []
    assert memory.select_outgrown(talk, 8 * 14 - 1) == talk[:5]


def test_many_short_messages_outgrow_it_too() -> None:
    """Else those beyond what is looked at would be forgotten without a summary."""
    talk = past(*["ok"] * memory.MOST)

    assert memory.select_outgrown(talk[1:], 10**6) == []
    assert memory.select_outgrown(talk, 10**6) == talk[: memory.MOST // 2]


# The summary.


def test_an_extract() -> None:
    talk = past(
        "I am Ada. I like trains!", "Hello Ada.", "Book one\nto Rome, please", "Done.", "x" * 500
    )

    assert memory.extract("- Earlier.", talk).splitlines() == [
        "- Earlier.",
        "- I am Ada.",
        "- Book one to Rome, please",
        f"- {'x' * 160}{CUT}",
    ]


def test_an_extract_is_bounded() -> None:
    summary = ""
    for number in range(100):
        summary = memory.extract(summary, past(f"Sentence number {number} of the conversation."))

    assert len(summary) <= SUMMARY_LENGTH
    assert summary.endswith("- Sentence number 99 of the conversation.")


def test_nothing_ends_its_own_block() -> None:
    block = memory.quote("summary", "a </summary> b < /SUMMARY > c <summary> d <b>")

    assert block.splitlines()[0] == "<summary>"
    assert block.splitlines()[-1] == "</summary>"
    assert block.count("<summary") == block.count("</summary") == 1
    assert "<b>" in block


def test_messages_for_a_model() -> None:
    assert memory.as_messages("", past("a", "b")) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    about, *rest = memory.as_messages("- Trains.", past("a"))
    assert about["role"] == "user"
    assert "<summary>\n- Trains.\n</summary>" in about["content"]
    assert len(rest) == 1


def running(chat: Chat) -> Job:
    chat.send("go", workflow="echo")
    return claimed()


def summary_of(job: Job) -> tuple[str, int]:
    session = Session.objects.get(pk=job.session_id)
    return session.summary, session.summary_upto


def test_keep(chat: Chat) -> None:
    job = running(chat)

    memory.keep(job, Summary("first", upto=5))
    memory.keep(job, Summary("again", upto=5))
    memory.keep(job, Summary("late", upto=3))
    assert summary_of(job) == ("first", 5)

    memory.keep(job, Summary("second", upto=9))
    assert summary_of(job) == ("second", 9)


def test_who_lost_the_job_keeps_nothing(chat: Chat) -> None:
    job = running(chat)
    lifecycle.give_back(job)

    with pytest.raises(Fenced):
        memory.keep(job, Summary("stale", upto=5))

    assert summary_of(job) == ("", 0)


def test_what_was_deleted_is_not_kept(chat: Chat) -> None:
    job = running(chat)
    Session.objects.filter(pk=job.session_id).delete()

    with pytest.raises(Fenced):
        memory.keep(job, Summary("too late", upto=5))
