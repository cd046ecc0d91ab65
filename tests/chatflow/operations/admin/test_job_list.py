"""The list of jobs: what it shows, to whom, and how jobs are found in it."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatflow.operations.admin import filters, job_list, walks
from chatflow.workflows import Context, services
from chatflow.workflows.models import Job, State
from tests.configure import configure
from tests.workflows.chat import Chat, claimed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept", "outcomes")]

JOBS = "/admin/chatflow_workflows/job/"


def page(client: Client, **query: Any) -> str:
    response = client.get(JOBS, query)
    assert response.status_code == 200
    return response.content.decode()


def found(client: Client, **query: Any) -> list[Job]:
    """Return the jobs of a list's page."""
    response = client.get(JOBS, query)
    assert response.status_code == 200
    return [row.job for row in response.context["jobs"].rows]


def words_of(text: str, job: Job) -> str:
    """Return the words of a job's row, in one line."""
    row = text.partition(f"/job/{job.pk}/change/")[2].partition("</tr>")[0]
    return " ".join(re.sub("<.*?>", " ", row.partition(">")[2]).split())


def test_it_works(boss: Client, chat: Chat, bob: User) -> None:
    done = chat.say("Where is my order?\nIt is late.", workflow="echo")
    failed = Chat(bob, "his").say(workflow="fail")
    asks = Chat(bob, "asks").say(workflow="ask")
    Job.objects.filter(pk=done.pk).update(
        usage={"input_tokens": 900, "output_tokens": 345, "cost_usd": 0.0123}, attempt=2
    )
    running = chat.send("Count.", workflow="echo")
    claimed()
    Job.objects.filter(pk=running.pk).update(progress=40)
    text = page(boss)
    for word in ("Where is my order? …", "Done", "alice", "1,245 tokens", "$0.0123", "2 attempts"):
        assert word in words_of(text, done)
    assert "The printer is on fire. …" in words_of(text, failed)
    assert words_of(text, asks).startswith("go Waiting for the user")
    assert "Running 40 % 40 %" in words_of(text, running)
    assert f'title="{timezone.localtime(done.created_at):%Y-%m-%d %H:%M:%S}' in text


def test_a_row_says_how_a_job_stands(boss: Client, chat: Chat, bob: User) -> None:
    stopping = chat.send(workflow="echo")
    claimed()
    services.cancel(stopping)
    delayed = Chat(bob).send(workflow="echo")
    Job.objects.filter(pk=delayed.pk).update(available_at=timezone.now() + timedelta(hours=1))
    text = page(boss)
    assert words_of(text, stopping).startswith("go Stopping")
    assert words_of(text, delayed).startswith("go Delayed")


def test_words_are_for_those_who_may_read_them(staff: Callable[..., Client], chat: Chat) -> None:
    """They are not found by others either: what is found gives them away."""
    failed = chat.say("my secret", workflow="fail")
    viewer = staff("view_job")
    text = page(viewer)
    assert "secret" not in text
    assert "printer" not in text
    assert words_of(text, failed).startswith("(hidden) fire Failed")
    assert found(viewer, q="secret") == []
    assert "permission to read texts" in page(viewer, q="secret")
    assert found(viewer, q=failed.public_id[:20]) == [failed]
    assert 'name="act"' not in text
    assert staff().get(JOBS).status_code == 403


def test_words_of_users_are_no_html(boss: Client, alice: User) -> None:
    job = Chat(alice, "<i>").say("<b>bold</b>", workflow="crash")
    assert "<b>bold" not in page(boss, q="<b>")
    assert found(boss, q="<b>") == [job]


def test_filters(boss: Client, chat: Chat, bob: User) -> None:
    done, failed = chat.say(workflow="echo"), chat.say(workflow="fail")
    forgotten = chat.say(workflow="fail")
    Job.objects.filter(pk=forgotten.pk).update(forgotten=True)
    Job.objects.filter(pk=done.pk).update(usage={"cost_usd": 0.5}, attempt=3)
    asks = Chat(bob, "asks").say(workflow="ask")
    answered = Chat(bob, "answered").say(workflow="ask")
    last = Chat(bob, "answered").say("Bob")
    waiting = chat.send(workflow="echo")
    services.give_feedback(done, value="up", comment="Just <so>.")
    expected: list[tuple[dict[str, Any], list[Job]]] = [
        ({"state": "completed"}, [last, answered, asks, done]),
        # As Django's own lists spell it.
        ({"state__exact": "queued"}, [waiting]),
        ({"state": ["failed", "queued"]}, [waiting, forgotten, failed]),
        ({"state": "asks"}, [asks]),
        ({"state": ["asks", "failed"]}, [asks, forgotten, failed]),
        ({"workflow": "fail"}, [forgotten, failed]),
        ({"workflow": "gone"}, []),
        ({"queue": "default", "workflow": "echo"}, [waiting, done]),
        ({"queue": "other"}, []),
        ({"failures": "1"}, [failed]),
        ({"feedback": "up"}, [done]),
        ({"feedback": "down"}, []),
        ({"user": "bob"}, [last, answered, asks]),
        ({"user": "bob", "state": "asks"}, [asks]),
        ({"user": "bo"}, []),
        ({"cost": "0.5"}, [done]),
        ({"cost": "0.51"}, []),
        ({"attempts": "2"}, [done]),
        ({"session__id__exact": str(asks.session_id)}, [asks]),
    ]
    for query, jobs in expected:
        assert found(boss, **query) == jobs, query
    assert "Did you mean bob or boss?" in page(boss, user="bo")


def test_what_is_no_filter_finds_nothing(boss: Client, chat: Chat) -> None:
    """It must not find all instead: something might be done with them."""
    chat.say(workflow="echo")
    for query in ({"state": "lost"}, {"cost": "much"}, {"since": "9999999"}, {"q": "\0"}):
        assert found(boss, **query) == []
        assert "Please correct the filters." in page(boss, **query)


@pytest.mark.parametrize("stretch", [1, walks.FIRST])
def test_dates(boss: Client, chat: Chat, monkeypatch: pytest.MonkeyPatch, stretch: int) -> None:
    """The keys follow the moments, so that no index is needed."""
    monkeypatch.setattr(walks, "SECONDS", 60.0)
    monkeypatch.setattr(walks, "FIRST", stretch)
    jobs = [chat.say(workflow="echo") for _ in range(4)]
    now = timezone.now()
    for days, job in zip((40, 10, 2, 0), jobs, strict=True):
        Job.objects.filter(pk=job.pk).update(created_at=now - timedelta(days=days))
    newest_first = jobs[::-1]
    assert found(boss, when="30d") == newest_first[:3]
    assert found(boss, when="7d") == newest_first[:2]
    assert found(boss, when="hour") == found(boss, when="today") == newest_first[:1]
    day = f"{timezone.localtime(now - timedelta(days=10)):%Y-%m-%d}"
    assert found(boss, since=day) == newest_first[:3]
    assert found(boss, until=day) == newest_first[2:]
    assert found(boss, since=day, until=day) == newest_first[2:3]


def test_search(boss: Client, chat: Chat, bob: User) -> None:
    mine = chat.say("buy fresh milk", workflow="echo")
    other = Chat(bob, "the-session").say("sell 100% of it", workflow="fail")
    expected = {
        mine.public_id: [mine],
        mine.public_id[:30]: [mine],
        mine.public_id.removeprefix("workflow_"): [mine],
        "workflow_": [other, mine],
        "bob": [other],
        "the-session": [other],
        " Milk ": [mine],
        "milk buy": [mine],
        "milk sell": [],
        "100%": [other],
        "printer": [other],
        "facade": [],
        " ": [other, mine],
    }
    for words, jobs in expected.items():
        assert found(boss, q=words) == jobs, words


def test_what_is_not_to_be_remembered_is_not_found(boss: Client, chat: Chat) -> None:
    kept = chat.send("my words", workflow="echo")
    chat.send("my words", workflow="echo", options={"memory": False})
    assert found(boss, q="my words") == [kept]


def test_a_list_goes_on_page_by_page(
    boss: Client, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_list, "PAGE", 2)
    jobs = [chat.say(workflow="echo") for _ in range(3)][::-1]
    chat.say(workflow="fail")
    for few in (filters.FEW, 0):
        # Found by keys that an index has, and by walking.
        monkeypatch.setattr(filters, "FEW", few)
        first = boss.get(JOBS, {"workflow": "echo", "user": "alice"}).context["jobs"]
        assert [row.job for row in first.rows] == jobs[:2]
        second = boss.get(f"{JOBS}?{first.older}").context["jobs"]
        assert [row.job for row in second.rows] == jobs[2:]
        assert second.older == ""
        assert "workflow=echo" in first.older


def test_a_list_says_how_far_it_looked(
    boss: Client, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing scans the whole table: what took its time is gone on with at the next page."""
    monkeypatch.setattr(walks, "FIRST", 2)
    monkeypatch.setattr(walks, "SECONDS", 0.0)
    old = chat.say("buy milk", workflow="echo")
    others = [chat.say(workflow="echo") for _ in range(3)]
    with CaptureQueriesContext(connection) as queries:
        first = boss.get(JOBS, {"q": "milk"})
    looked = [each["sql"] for each in queries if "workflows_job" in each["sql"]]
    assert all("LIMIT" in sql for sql in looked)
    assert first.context["jobs"].rows == []
    assert f"back to {timezone.localtime(others[1].created_at):%Y-%m-%d %H:%M:%S}" in (
        first.content.decode()
    )
    second = boss.get(f"{JOBS}?{first.context['jobs'].older}").context["jobs"]
    assert [row.job for row in second.rows] == [old]
    patient = boss.get(f"{JOBS}?{first.context['jobs'].patiently}").context["jobs"]
    assert [row.job for row in patient.rows] == [old]
    assert found(boss, q=old.public_id) == [old]


def test_more_rows_take_no_more_queries(boss: Client, chat: Chat, bob: User) -> None:
    def count() -> int:
        page(boss)
        with CaptureQueriesContext(connection) as queries:
            page(boss)
        return len(queries)

    chat.say(workflow="echo")
    first = count()
    for number in range(5):
        services.give_feedback(Chat(bob, f"s{number}").say(workflow="echo"), value="up")
    assert count() == first


def test_views_and_links_keep_the_filters(boss: Client, chat: Chat) -> None:
    chat.say(workflow="echo")
    text = page(boss, workflow="echo", state=["failed", "timeout"])
    assert (
        '<a href="?state=failed&amp;state=timeout&amp;workflow=echo" aria-current="true">' in text
    )
    assert '<a href="?workflow=echo">All</a>' in text
    for states, tab in ((["timeout"], ">Failed<"), (["queued", "processing"], None), ([], ">All<")):
        shown = page(boss, state=states)
        assert shown.count('aria-current="true"') == (tab is not None)
        assert tab is None or f'aria-current="true"{tab}' in shown
    link = f"http://testserver{JOBS}?workflow=echo&amp;state=failed&amp;state=timeout"
    assert set(link.split("?")[1].split("&amp;")) == set(
        re.search('readonly value="(.*?)"', text)[1].split("?")[1].split("&amp;")  # type: ignore[index]
    )


def test_organisations_have_a_column_where_there_are_any(
    boss: Client, alice: User, settings: Any
) -> None:
    for tenant in ("acme & co", "b", ""):
        services.start(alice, "x", session_key=f"of-{tenant}", workflow="echo", tenant=tenant)
    link = '<a href="?tenant=acme+%26+co">acme &amp; co</a>'
    assert link not in page(boss)
    configure(settings, TENANT="tests.chatflow.organisations.tenant_of")
    assert link in page(boss)
    assert [job.tenant for job in found(boss, tenant="acme & co")] == ["acme & co"]
    assert State.QUEUED in {job.state for job in found(boss, tenant="b")}


def test_an_exception_is_told_in_a_line(boss: Client, chat: Chat) -> None:
    """Its user is told the same of each; who looks at night is not."""

    def work(ctx: Context) -> None:
        raise ValueError("There is no zebra.")

    job = chat.begin(work)

    assert "ValueError: There is no zebra." in words_of(page(boss), job)
