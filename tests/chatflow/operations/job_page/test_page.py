"""A job's page: what stands on it, for whom, and how much it asks the database."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatflow.auth import authorize
from chatflow.operations.job_page import bars, copies, records
from chatflow.workflows import Context, services, workflow
from chatflow.workflows.ai.names import PROMPTED
from chatflow.workflows.models import Event, Job, Step
from chatflow.workflows.services import offers, on_behalf
from tests.openai_server import OpenAIServer, call, text
from tests.workflows.chat import Chat, claimed, events, run_waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept", "outcomes")]

Staff = Callable[..., Client]


def url_of(job: Job, part: str = "change", *more: object) -> str:
    return reverse(f"admin:chatflow_workflows_job_{part}", args=(job.pk, *more))


def page(client: Client, job: Job, **query: str) -> str:
    response = client.get(url_of(job), query)
    assert response.status_code == 200
    return response.content.decode()


def bars_of(client: Client, job: Job, **query: str) -> list[bars.Shown]:
    shown: list[bars.Shown] = client.get(url_of(job), query).context["bars"]
    return shown


@pytest.fixture
def reader(staff: Staff) -> Client:
    """A member of the staff who may look at all of a job, and read, but do nothing."""
    return staff("view_job", "view_step", "view_event", "view_message", "read_texts")


def test_it_works(reader: Client, chat: Chat) -> None:
    job = chat.say("hello there", workflow="echo")
    shown = page(reader, job)
    for words in ("hello there", "Echo for alice", "Done", "Attempt 1", "Listening"):
        assert words in shown
    assert 'alt="False"' not in shown
    assert [bar.label for bar in bars_of(reader, job)] == [
        "Waiting in the queue",
        "Attempt 1",
        "Listening",
    ]


def test_a_bar_opens_to_what_was_recorded(reader: Client, chat: Chat) -> None:
    def search(query: str) -> list[str]:
        return [query.upper()]

    def talk(ctx: Context) -> str:
        """Show words, take a long step."""
        ctx.step("Long", lambda: "<b>" * bars.ALL)
        return ctx.step("Search", search, "pens")[0]

    job = chat.begin(talk)
    long, search_ = bars_of(reader, job)[-2:]

    assert [(text.title, json.loads(text.text), text.more) for text in search_.texts] == [
        ("Output", ["PENS"], False)
    ]
    assert long.texts[0].more
    whole = reader.get(url_of(job, "step", long.step))
    assert json.loads(whole.content) == "<b>" * bars.ALL
    assert whole.headers["Content-Type"].startswith("text/plain")
    assert "<b><b>" not in page(reader, job)


def test_calls_of_models_show_answer_tokens_and_the_input_of_tools(
    reader: Client, chat: Chat, server: OpenAIServer
) -> None:
    def weather(city: str) -> str:
        return f"Rain in {city}."

    def talk(ctx: Context) -> Any:
        return ctx.ai("How is it in Rome?", tools=[weather], instructions="Be brief.")

    server.script = [call("weather", city="Rome"), text("Take an umbrella.")]
    job = chat.begin(talk)
    around, asked, used, told = bars_of(reader, job)[2:]

    assert [bar.kind for bar in (around, asked, used, told)] == [
        "call",
        "request",
        "tool",
        "request",
    ]
    assert [(each.title, each.text) for each in told.texts] == [("Answer", "Take an umbrella.")]
    assert [(each.title, each.text) for each in asked.texts] == [
        ("Instructions", "Be brief."),
        ("Prompt", "How is it in Rome?"),
        ("Answer", 'weather({"city": "Rome"})'),
    ]
    assert dict(asked.facts)["Tools"] == "weather"
    assert [
        json.loads(each.text) if each.title == "Input" else each.text for each in used.texts
    ] == [
        {"city": "Rome"},
        "Rain in Rome.",
    ]
    assert {"Model", "Tokens", "Cost"} <= set(dict(told.facts))
    assert told.note == bars.ASKED_AGAIN
    # A test case does without, and rows of before have none.
    assert "Be brief." not in copies.as_case(job)
    for step in [each for each in job.steps.all() if each.usage is not None]:
        step.result = {k: value for k, value in (step.result or {}).items() if k != PROMPTED}
        step.save()
    assert bars_of(reader, job)[-1].note == bars.NO_PROMPT


def test_a_failure_shows_its_exception_in_red_and_escaped(reader: Client, chat: Chat) -> None:
    job = chat.say(workflow="crash")
    shown = page(reader, job)
    assert "RuntimeError: &lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>alert(1)" not in shown
    assert bars_of(reader, job)[-1].texts[-1].title == "Exception"


def test_without_the_permission_no_words_are_shown(staff: Staff, chat: Chat) -> None:
    viewer = staff("view_job", "view_step", "view_event", "view_message")
    chat.say("first secret", workflow="ask")
    job = chat.say("second secret")
    asking = Chat(chat.user, "third").say("third secret", workflow="ask")
    for each in (job, asking):
        shown = page(viewer, each)
        assert "secret" not in shown
        assert "What is your name?" not in shown
        assert "hidden" in shown
    crashed = chat.say(workflow="crash")
    assert "RuntimeError" not in page(viewer, crashed)
    for part in ("frames", "case"):
        assert viewer.get(url_of(job, part)).status_code == 403
    step = Step.objects.filter(job=job).first()
    assert step is not None
    assert viewer.get(url_of(job, "step", step.pk)).status_code == 403


def test_without_a_stream_s_words_there_is_no_link_to_it(
    staff: Staff, reader: Client, chat: Chat
) -> None:
    job = chat.send(workflow="echo")
    assert "token=" in page(reader, job)
    assert "token=" not in page(staff("view_job", "view_event"), job)
    run_waiting()
    assert "token=" not in page(reader, job)


def test_the_link_to_the_stream_is_for_this_job_and_for_minutes(
    reader: Client, chat: Chat, rf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = chat.send(workflow="echo")
    link = reader.get(url_of(job)).context["stream"]
    grant = authorize(rf.get(link), job.public_id)

    assert grant.job == job
    assert grant.right.expires is not None
    assert timedelta(minutes=8) < grant.right.expires - timezone.now() < timedelta(minutes=11)


def test_a_strangers_page(staff: Staff, client: Client, chat: Chat) -> None:
    job = chat.say(workflow="echo")
    urls = [url_of(job), url_of(job, "frames"), url_of(job, "case"), url_of(job, "step", 1)]
    for url in urls:
        assert staff().get(url).status_code == 403
        assert client.get(url).status_code == 302
        assert staff("view_job").post(url).status_code in (403, 405)


def test_steps_and_events_have_permissions_of_their_own(staff: Staff, chat: Chat) -> None:
    job = chat.say(workflow="echo")
    assert [bar.kind for bar in bars_of(staff("view_job"), job)] == ["wait", "attempt"]
    listed = bars_of(staff("view_job", "view_event"), job)
    assert [bar.step for bar in listed if bar.kind == "step"] == [None]


def test_the_frames_are_read_piece_by_piece(
    reader: Client, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "FRAMES", 2)
    job = chat.say(workflow="echo")
    read: list[int] = []
    while True:
        answer = reader.get(url_of(job, "frames"), {"after": str(read[-1] if read else 0)}).json()
        if not answer["frames"]:
            break
        read += [frame["seq"] for frame in answer["frames"]]
    assert read == [event.seq for event in events(job)]
    assert reader.get(url_of(job, "frames"), {"after": "x"}).status_code == 404


def test_where_it_comes_from_and_what_came_of_it(reader: Client, chat: Chat, bob: User) -> None:
    @workflow("offer")
    def offer(ctx: Context) -> Any:
        return ctx.reply("?", actions=[{"type": "button", "label": "Go", "workflow": "fail"}])

    offering = chat.say(workflow="offer")
    (action,) = offering.offers or {}
    failed = offers.act(chat.user, "s", action).job
    run_waiting()
    retried = services.retry(failed)
    run_waiting()
    failed.refresh_from_db()
    other = on_behalf.send_again(failed, "else", by=bob)

    def lineage(job: Job) -> list[tuple[str, Job]]:
        found = reader.get(url_of(job)).context["lineage"]
        return [(one.how, one.job) for one in (*found.before, *found.after)]

    assert lineage(offering) == [("Begun by its action", failed)]
    assert lineage(failed) == [
        ("Offered the action", offering),
        ("Retried as", retried),
        ("Sent in its place", other),
    ]
    assert lineage(retried) == [("Offered the action", offering), ("Is retried here", failed)]
    assert failed.public_id in page(reader, other)


def test_the_conversation_shows_who_answered_for_the_user(
    reader: Client, chat: Chat, bob: User
) -> None:
    asking = chat.say(workflow="ask")
    job = on_behalf.answer(asking, "Ann", by=bob)
    shown = page(reader, job)
    assert "(Answered by bob.)" in shown
    assert "sent by <strong>bob</strong>" in shown


def test_a_send_can_be_copied_as_curl(reader: Client, chat: Chat) -> None:
    job = chat.say("it's <b>", workflow="echo", options={"memory": False})
    curl = reader.get(url_of(job)).context["curl"]
    assert "Authorization: Bearer YOUR_TOKEN" in curl
    body = re.search(r"-d '(.*)'$", curl, re.DOTALL)
    assert body is not None
    assert json.loads(body[1].replace("'\"'\"'", "'")) == {
        "message": "it's <b>",
        "session_id": "s",
        "async": True,
        "workflow": "echo",
        "memory": False,
    }


def test_a_job_can_be_kept_as_a_test_case(reader: Client, chat: Chat) -> None:
    job = chat.say("my secret", workflow="echo")
    response = reader.get(url_of(job, "case"))
    case = json.loads(response.content)
    assert (case["workflow"], case["message"]) == ("echo", "[redacted]")
    assert [step["name"] for step in case["record"]] == ["Listening"]
    assert f"{job}.json" in response.headers["Content-Disposition"]


def test_of_many_steps_and_events_the_latest_are_shown(
    reader: Client, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LOG", 3)
    monkeypatch.setattr(bars, "LISTED", 2)

    def many(ctx: Context) -> str:
        for number in range(5):
            ctx.step(f"Step {number}", int)
        return "Done"

    job = chat.begin(many)
    shown = page(reader, job)
    assert "The first 3 steps are left out" in shown
    assert f"(the latest 3 of {job.last_seq} events)" in shown
    assert [bar.label for bar in bars_of(reader, job)][2:] == ["Step 3", "Step 4"]
    assert len(bars_of(reader, job, all="1")) == 7
    assert "left out" not in page(reader, job, all="1")

    monkeypatch.setattr(records, "WHOLE_LOG", 4)
    first = job.last_seq - 3
    assert f'href="?all=1&amp;before={first}"' in page(reader, job, all="1")
    earlier = page(reader, job, all="1", before=str(first))
    assert f"(4 of {job.last_seq} events, from no. {first - 4})" in earlier
    assert "Show the latest" in earlier


def test_a_long_job_takes_no_more_queries(reader: Client, chat: Chat) -> None:
    job = chat.send(workflow="echo")
    claimed()

    def count() -> int:
        # The first time some of Django's own caches are filled.
        page(reader, job)
        with CaptureQueriesContext(connection) as queries:
            page(reader, job)
        return len(queries)

    first = count()
    fields = {"job": job, "attempt": 1}
    for number in range(30):
        seq = 100 + 3 * number
        step = {"step": {"name": f"s{number}"}}
        for offset, (kind, data) in enumerate(
            (("step_started", step), ("step_finished", step), ("delta", {"delta": "x"}))
        ):
            Event.objects.create(seq=seq + offset, type=kind, progress=1, data=data, **fields)
        Step.objects.create(root=job, name=f"s{number}", occurrence=1, result=1, **fields)
    # What steps have returned is read where there are any.
    assert count() == first + 1
    assert first <= 25


def test_a_waiting_job_tells_its_place(reader: Client, chat: Chat, bob: User) -> None:
    Chat(bob, "other").send(workflow="echo")
    job = chat.send(workflow="echo")
    response = reader.get(url_of(job))
    assert ("Place in the queue", "2") in response.context["facts"]
    assert [bar.word for bar in response.context["bars"]] == ["waiting"]


def test_an_unknown_job_leads_to_the_list(boss: Client) -> None:
    assert boss.get("/admin/chatflow_workflows/job/99999/change/").status_code == 302
    for wrong in ("x", "9" * 40):
        assert boss.get(f"/admin/chatflow_workflows/job/{wrong}/frames/").status_code == 404


def test_the_list_of_jobs_still_opens(boss: Client, chat: Chat) -> None:
    Job.objects.filter(pk=chat.say(workflow="echo").pk).update(awaiting=None)
    assert boss.get(reverse("admin:chatflow_workflows_job_changelist")).status_code == 200
