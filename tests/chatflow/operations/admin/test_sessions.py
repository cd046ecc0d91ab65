"""Conversations as an operator finds and reads them."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatflow.operations.admin import sessions
from chatflow.workflows import services
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.models import Job, Message, Session
from chatflow.workflows.store.events import append_words
from tests.chatflow.operations.admin.test_jobs import SESSIONS, page
from tests.workflows.chat import Chat, claimed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept", "outcomes")]

HOSTILE = "<script>alert(1)</script>\u202e"


def url_of(job: Job) -> str:
    return reverse("admin:chatflow_workflows_session_change", args=(job.session_id,))


def keys(client: Client, **query: str) -> list[str]:
    response = client.get(SESSIONS, query)
    assert response.status_code == 200
    return [session.key for session in response.context["cl"].result_list]


def test_the_list_of_sessions_tells_how_they_stand(boss: Client, chat: Chat, bob: User) -> None:
    liked, other = chat.say("my first words", workflow="echo"), chat.say(workflow="fail")
    services.give_feedback(liked, value="up")
    services.give_feedback(other, value="down")
    services.change_session(
        Chat(bob, "his").say(workflow="echo").session, title="Named", pinned=True
    )
    usage = {"requests": 1, "input_tokens": 1200, "output_tokens": 34}
    Job.objects.filter(pk__in=[liked.pk, other.pk]).update(usage=usage)

    rows = boss.get(SESSIONS).context["results"]
    his, mine = (re.sub("<.*?>", " ", "".join(row)).split() for row in rows)
    assert {"Named", "bob", "Done", "2"} <= set(his)
    assert {"my", "first", "words", "alice", "Failed", "up,", "down", "3", "2,468"} <= set(mine)


def test_one_that_runs_does_not_wait(boss: Client, chat: Chat) -> None:
    chat.send(workflow="echo")
    claimed()
    chat.send(workflow="echo")
    assert "pg-state--processing" in str(boss.get(SESSIONS).context["results"])


def test_the_list_of_sessions_counts_none_of_that(boss: Client, chat: Chat) -> None:
    """Only the rows of a page are looked at."""
    chat.say(workflow="echo")
    with CaptureQueriesContext(connection) as queries:
        page(boss, SESSIONS)
    looked = [query["sql"] for query in queries if "workflows_feedback" in query["sql"]]
    assert len(looked) == 1
    assert "LIMIT" in looked[0]


def test_sessions_are_found_by_key_and_by_user(boss: Client, chat: Chat, bob: User) -> None:
    chat.send(workflow="echo")
    Chat(bob, "the-session").send(workflow="echo")
    for words in ("the-sess", "bob"):
        assert keys(boss, q=words) == ["the-session"]


def test_filters(boss: Client, alice: User) -> None:
    for key, workflow in (
        ("done", "echo"),
        ("asks", "ask"),
        ("failed", "fail"),
        ("better", "fail"),
    ):
        Chat(alice, key).say(workflow=workflow)
    Chat(alice, "better").say(workflow="echo")
    Chat(alice, "queued").send(workflow="echo")
    services.change_session(Session.objects.get(key="done"), pinned=True)
    Session.objects.filter(key="done").update(created_at=timezone.now() - timedelta(days=3))

    assert keys(boss, now="running") == ["queued"]
    assert keys(boss, now="waiting") == ["asks"]
    assert keys(boss, now="failed") == ["failed"]
    assert keys(boss, pinned="1") == ["done"]
    assert keys(boss, days="1") == ["queued", "better", "failed", "asks"]
    assert "done" in keys(boss, days="7")
    assert len(keys(boss, days="x")) == 5


def test_a_session_s_page_shows_its_messages_and_their_jobs(boss: Client, chat: Chat) -> None:
    asked = chat.say(f"my words {HOSTILE}", workflow="ask")
    # In its figures, and beside the turn.
    assert page(boss, url_of(asked)).count("pg-state--asks") == 2
    job = chat.say("Ann")
    services.give_feedback(job, value="down", comment="Wrong <b>name</b>.")
    Job.objects.filter(pk=job.pk).update(usage={"input_tokens": 1000, "output_tokens": 1})
    Session.objects.update(summary="They said <i>hello</i>.", summary_upto=7)
    store(b"words", "text/plain", owner=chat.user, session_id=job.session_id, title="<u>T</u>")
    text = page(boss, url_of(job))

    for words in ("my words", "What is your name?", "Ann", "Hello Ann.", "\\u202e", "1,001 tokens"):
        assert words in text
    assert "pg-state--asks" not in text
    for words in ("Wrong &lt;b&gt;name", "They said &lt;i&gt;hello", "&lt;u&gt;T&lt;/u&gt;"):
        assert words in text
    assert "<script>alert(1)" not in text
    for each in (asked, job):
        assert reverse("admin:chatflow_workflows_job_change", args=(each.pk,)) in text


def test_what_is_under_way_is_shown(boss: Client, staff: Callable[..., Client], chat: Chat) -> None:
    running = chat.send("first", workflow="echo")
    append_words([(running.pk, claimed().attempt, "Said <b>so far")])
    chat.send("second", workflow="echo")
    Job.objects.filter(pk=running.pk).update(progress=40, progress_message="Half <b>way</b>")
    text = page(boss, url_of(running))

    assert "Said &lt;b&gt;so far" in text
    assert f'data-job="{running.pk}"' in text
    assert "stream/" in text
    for other in (staff("view_session"), staff("view_session", "view_event")):
        theirs = page(other, url_of(running))
        assert "so far" not in theirs
        assert 'data-stream=""' in theirs
    assert text.index("40 %: Half &lt;b&gt;way") < text.rindex("Waiting")
    assert "under way" not in text
    chat.send("third", workflow="echo", options={"memory": False})
    assert "Also under way" in page(boss, url_of(running))


def test_what_an_edit_replaced_is_folded(boss: Client, chat: Chat) -> None:
    job = chat.say("old words", workflow="echo")
    chat.say("new words", workflow="echo")
    Message.objects.filter(job=job).update(cut=True)
    _, _, text = page(boss, url_of(job)).partition('id="conversation"')

    fold = text.index("<details data-key")
    assert fold < text.index("old words") < text.index("</details>", fold) < text.index("new words")


def test_a_long_conversation_has_pages(
    boss: Client, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "PAGE", 2)
    for number in range(3):
        job = chat.say(f"number {number}", workflow="echo")

    def links(text: str) -> dict[str, str]:
        return {
            words: query for query, words in re.findall(r'<a href="(\?[ab]\w+=\d+)">(\w+)', text)
        }

    latest = page(boss, url_of(job))
    assert ("number 2" in latest, "number 1" in latest) == (True, False)
    assert links(latest).keys() == {"Older"}
    middle = page(boss, url_of(job) + links(latest)["Older"])
    assert ("number 2" in middle, "number 1" in middle) == (False, True)
    first = page(boss, url_of(job) + links(middle)["Older"])
    assert links(first).keys() == {"Newer"}
    assert links(page(boss, url_of(job) + links(first)["Newer"])) == links(middle)
    assert "Nothing was said" in page(boss, url_of(job), before="1")


def test_texts_are_hidden_from_who_may_not_read_them(
    staff: Callable[..., Client], chat: Chat
) -> None:
    job = chat.say("a secret", workflow="fail")
    services.give_feedback(job, value="down", comment="the comment")
    Session.objects.update(title="the title", summary="the summary")
    store(b"words", "text/plain", owner=chat.user, session_id=job.session_id, title="the document")
    secrets = ("a secret", "the comment", "the title", "the summary", "the document", "on fire")
    viewer = staff("view_session")
    for url in (SESSIONS, url_of(job)):
        text = page(viewer, url)
        assert "(hidden" in text
        assert not [words for words in secrets if words in text]
    assert "8 characters" in page(viewer, url_of(job))
    reader = page(staff("view_session", "read_texts"), url_of(job))
    assert all(words in reader for words in secrets)


def test_whoever_may_not_look_does_not_see_it(staff: Callable[..., Client], chat: Chat) -> None:
    url = url_of(chat.say(workflow="echo"))
    assert staff("view_job").get(url).status_code == 403
    assert staff("view_session").post(url).status_code == 403
    assert staff("view_session").get(f"{SESSIONS}99999/change/").status_code == 404
