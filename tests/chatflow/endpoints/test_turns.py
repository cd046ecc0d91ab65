"""What a conversation tells of its turns; feedback; and a message that is edited."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.models import Feedback, Job, Message, Session
from tests.chatflow.conftest import MakeJob

pytestmark = pytest.mark.django_db

HISTORY = "/ai-demo/chat/history/s"
SEND = "/ai-demo/chat/send"


def read(client: Client) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = client.get(HISTORY).json()["messages"]
    return messages


def words(client: Client) -> list[str]:
    return [message["content"] for message in read(client)]


def edit(client: Client, message_id: Any, text: str = "changed", **more: Any) -> Any:
    body = {"message": text, "session_id": "s", "edits": message_id, "workflow": "echo"}
    key = {"HTTP_IDEMPOTENCY_KEY": more.pop("key")} if "key" in more else {}
    return client.post(SEND, body | {"async": True} | more, content_type="application/json", **key)


def test_a_turn_tells_how_it_went(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    job = run(make_job(alice))
    said, answered = read(as_alice)
    assert "turn" not in said
    turn = answered["turn"]
    assert (turn["job_id"], turn["state"], turn["attempts"]) == (job.public_id, "completed", 1)
    (step,) = turn["steps"]
    assert (step["name"], step["state"]) == ("Listening", "finished")
    assert turn["duration_ms"] >= 0
    assert turn["queue_ms"] >= 0
    assert (turn["can_retry"], turn["feedback"], turn["cost"]) == (False, None, None)


def test_messages_stand_turn_by_turn(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    first, second = make_job(alice, "one"), make_job(alice, "two")
    run(first)
    run(second)
    assert words(as_alice) == ["one", "You said: one", "two", "You said: two"]


def test_a_failed_turn_can_be_retried_once(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    job = run(make_job(alice, workflow="crash"))
    (said,) = read(as_alice)
    assert (said["turn"]["code"], said["turn"]["can_retry"]) == ("workflow_failed", True)
    assert "secret detail" not in str(said)
    again = services.retry(Job.objects.get(pk=job.pk))
    (said,) = read(as_alice)
    assert (said["turn"]["job_id"], said["turn"]["retry_of"]) == (again.public_id, job.public_id)
    assert (said["turn"]["state"], said["turn"]["can_retry"]) == ("queued", False)


def test_words_and_steps_of_a_failure_are_shown(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    def breaks(ctx: Context) -> str:
        ctx.step("Reading", str)
        ctx.write("Once upon a")
        ctx.step("Thinking", lambda: 1 // 0)
        return "never"

    workflow("breaks")(breaks)
    run(make_job(alice, workflow="breaks"))
    said, answered = read(as_alice)
    assert "turn" not in said
    turn = answered["turn"]
    assert (turn["state"], turn["words"]) == ("failed", "Once upon a")
    steps = [(step["name"], step["state"]) for step in turn["steps"]]
    assert steps == [("Reading", "finished"), ("Thinking", "failed")]


def test_only_staff_is_told_of_the_admin(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any, settings: Any
) -> None:
    settings.DEBUG = True
    run(make_job(alice, workflow="crash"))
    assert not {"admin_url", "exception"} & read(as_alice)[0]["turn"].keys()
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    turn = read(as_alice)[0]["turn"]
    assert "secret detail" in turn["exception"]
    assert "/admin/chatflow_workflows/job/" in turn["admin_url"]
    settings.DEBUG = False
    assert "exception" not in read(as_alice)[0]["turn"]


def test_many_turns_cost_no_more_queries(
    as_alice: Client,
    alice: User,
    make_job: MakeJob,
    run: Any,
    django_assert_max_num_queries: Any,
) -> None:
    for _ in range(3):
        run(make_job(alice))
        run(make_job(alice, workflow="crash"))
    # Once in five minutes the token's use is noted too.
    read(as_alice)
    # The last one is for the steps that broke off.
    with django_assert_max_num_queries(9):
        read(as_alice)


def test_feedback_is_kept(as_alice: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    job = run(make_job(alice))
    url = f"/ai-demo/chat/feedback/{job.public_id}"
    given = {"value": "down", "comment": "Too short."}
    answer = as_alice.post(url, given, content_type="application/json")
    assert answer.json() == {"success": True, "feedback": given}
    assert read(as_alice)[1]["turn"]["feedback"] == given
    export = as_alice.get("/ai-demo/chat/session/s/export").json()
    assert export["jobs"][0]["feedback"] == given
    as_alice.post(url, {"value": "up"}, content_type="application/json")
    assert read(as_alice)[1]["turn"]["feedback"] == {"value": "up", "comment": ""}
    as_alice.post(url, {"value": None}, content_type="application/json")
    assert read(as_alice)[1]["turn"]["feedback"] is None


@pytest.mark.django_db(transaction=True)
def test_feedback_on_an_answer_that_is_deleted_meanwhile(
    as_alice: Client, alice: User, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(alice)

    def get_job(*args: Any, **kwargs: Any) -> Job:
        services.delete_session(job.session)
        return job

    monkeypatch.setattr(services, "get_job", get_job)
    url = f"/ai-demo/chat/feedback/{job.public_id}"
    refused = as_alice.post(url, {"value": "up"}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert not Feedback.objects.exists()


def test_feedback_is_refused(
    as_alice: Client, as_bob: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    url = f"/ai-demo/chat/feedback/{run(make_job(alice)).public_id}"
    assert as_bob.post(url, {"value": "up"}, content_type="application/json").status_code == 404
    for wrong in ({}, {"value": "so-so"}, {"value": "up", "comment": "x" * 1001}):
        assert as_alice.post(url, wrong, content_type="application/json").status_code == 400


def test_feedback_goes_with_its_conversation(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    services.give_feedback(run(make_job(alice)), value="up")
    services.delete_session(Session.objects.get(user=alice, key="s"))
    assert not Feedback.objects.exists()


def test_an_edit_cuts_what_follows(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    for text in ("one", "two", "three"):
        run(make_job(alice, text))
    answer = edit(as_alice, read(as_alice)[2]["id"])
    assert answer.status_code == 202
    assert words(as_alice) == ["one", "You said: one", "changed"]
    export = as_alice.get("/ai-demo/chat/session/s/export").json()
    cut = [message["content"] for message in export["messages"] if message.get("cut")]
    assert cut == ["two", "You said: two", "three", "You said: three"]


def test_an_edit_keeps_the_answer_to_an_earlier_message(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    first, second = make_job(alice, "one"), make_job(alice, "two")
    run(first)
    run(second)
    edit(as_alice, read(as_alice)[2]["id"])
    assert words(as_alice) == ["one", "You said: one", "changed"]


def test_an_edit_is_done_once(as_alice: Client, alice: User, make_job: MakeJob, run: Any) -> None:
    run(make_job(alice))
    message = read(as_alice)[0]["id"]
    first = edit(as_alice, message, key="k")
    again = edit(as_alice, message, key="k")
    assert again.json()["job_id"] == first.json()["job_id"]
    run(Job.objects.get(public_id=first.json()["job_id"]))
    assert edit(as_alice, message).status_code == 404


def test_an_edit_is_refused(
    as_alice: Client, as_bob: Client, alice: User, bob: User, make_job: MakeJob, run: Any
) -> None:
    run(make_job(alice))
    said, answered = read(as_alice)
    run(make_job(bob))
    assert edit(as_bob, said["id"]).status_code == 404
    assert edit(as_alice, answered["id"]).status_code == 404
    for wrong in ("1", True, 0, 1.5, 2**63):
        assert edit(as_alice, wrong).status_code == 400
    make_job(alice, "busy")
    assert edit(as_alice, said["id"]).status_code == 409
    assert words(as_alice) == ["hello", "You said: hello", "busy"]


def test_a_cut_question_is_closed(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    run(make_job(alice, workflow="ask"))
    edit(as_alice, read(as_alice)[0]["id"])
    assert words(as_alice) == ["changed"]
    assert as_alice.get(HISTORY).json()["awaiting"] is None


def test_what_was_cut_can_neither_be_retried_nor_used(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    job = run(make_job(alice, "one"))
    failed = run(make_job(alice, "two", workflow="crash"))
    edit(as_alice, read(as_alice)[0]["id"])
    answer = as_alice.post(f"/ai-demo/workflow/retry/{failed.public_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_retryable")
    used = {"session_id": "s", "action_id": job.actions[0]["id"]}
    answer = as_alice.post("/ai-demo/chat/action", used, content_type="application/json")
    assert answer.status_code == 404


def test_a_summary_of_cut_words_is_dropped(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    run(make_job(alice, "one"))
    run(make_job(alice, "two"))
    session = Session.objects.get(user=alice, key="s")
    upto = Message.objects.filter(session=session).order_by("pk")[2].pk
    Session.objects.filter(pk=session.pk).update(summary="They said two.", summary_upto=upto)
    edit(as_alice, read(as_alice)[2]["id"])
    session.refresh_from_db()
    assert (session.summary, session.summary_upto) == ("", 0)


def test_a_summary_of_earlier_words_stays(
    as_alice: Client, alice: User, make_job: MakeJob, run: Any
) -> None:
    run(make_job(alice, "one"))
    run(make_job(alice, "two"))
    first = read(as_alice)[0]["id"]
    Session.objects.filter(user=alice).update(summary="They said one.", summary_upto=first)
    edit(as_alice, read(as_alice)[2]["id"])
    assert Session.objects.get(user=alice).summary == "They said one."
