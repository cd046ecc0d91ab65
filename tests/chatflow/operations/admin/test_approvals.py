"""What a member of the staff may decide in the admin."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone
from pydantic import BaseModel, Field

from chatflow.operations.admin import approvals
from chatflow.operations.models import Act
from chatflow.workflows import Context, services, workflow
from chatflow.workflows.models import ApprovalRequest, Job
from tests.chatflow.operations.conftest import permissions
from tests.conftest import make_user
from tests.workflows.chat import Chat, run_waiting
from tests.workflows.running.test_approvals import delete, expire, limit, the_request

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]

URL = "/admin/chatflow_workflows/approvalrequest/"
SignIn = Callable[..., Client]


@pytest.fixture
def carol() -> SignIn:
    """Return what signs in Carol of the staff, with permissions such as ``view_job``."""

    def sign_in(*codenames: str) -> Client:
        user = make_user("carol", is_staff=True)
        user.user_permissions.set(permissions(*codenames))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


VIEW = "view_approvalrequest"
CHANGE = "change_approvalrequest"
READ = "read_texts"


def decide(client: Client, action: str, **fields: Any) -> list[str]:
    """Choose an action for the only request; return what the admin says."""
    data = {"action": action, "_selected_action": [the_request().pk], **fields}
    answer = client.post(f"{URL}?state=all", data)
    assert answer.status_code in (200, 302)
    return [str(message) for message in get_messages(answer.wsgi_request)]


def states(client: Client, **query: str) -> list[str]:
    """Return the states of the requests that the list shows."""
    answer = client.get(URL, query)
    assert answer.status_code == 200
    return [approvals.state_of(row) for row in answer.context["cl"].result_list]


def test_it_works(chat: Chat, alice: User, carol: SignIn) -> None:
    chat.begin(delete)
    client = carol(VIEW, CHANGE, READ)
    (said,) = decide(client, "approve", reason="it is old")
    run_waiting()

    job = Job.objects.latest("pk")
    assert (job.user, job.response) == (alice, "True by carol: it is old")
    assert job.public_id in said
    request = the_request()
    assert (request.by, request.via, request.reason) == ("carol", "admin", "it is old")
    outcome = f"Approved for the user; it goes on as {job}."
    assert LogEntry.objects.get().change_message == f"Approve: {outcome}"
    assert (Act.objects.get().outcome, Act.objects.get().why) == (outcome, "")
    assert "carol in the admin" in client.get(URL, {"state": "approved"}).content.decode()
    page = client.get(f"{URL}{request.pk}/change/").content.decode()
    for word in ("approved", "by carol in the admin", "it is old", "invoice"):
        assert word in page
    assert "Approve</button>" not in page


def test_rejecting(chat: Chat, carol: SignIn) -> None:
    chat.begin(delete)
    decide(carol(VIEW, CHANGE), "reject", reason="<b>no</b>")
    run_waiting()

    assert Job.objects.latest("pk").response == "False by carol: <b>no</b>"


def test_looking_is_not_deciding(chat: Chat, carol: SignIn) -> None:
    chat.begin(delete)
    client = carol(VIEW, READ)
    assert b"Delete it?" in client.get(URL).content
    decide(client, "approve")

    assert the_request().decided_at is None


def test_what_is_approved_is_shown(chat: Chat, carol: SignIn) -> None:
    """In the list too, as text."""

    def pay(ctx: Context) -> str:
        arguments = {"to": "<i>Bob</i>\u202e", "amount": 5}
        return str(ctx.approve("Pay?", details={"arguments": arguments}).approved)

    chat.begin(pay)
    client = carol(VIEW, CHANGE, READ)
    shown = client.get(URL).content.decode()
    assert "arguments › to: &lt;i&gt;Bob&lt;/i&gt;\\u202e; arguments › amount: 5" in shown
    page = client.get(f"{URL}{the_request().pk}/change/").content.decode()
    for text in (shown, page):
        assert "Bob" in text
        assert "<i>Bob" not in text


def test_without_the_permission_there_is_nothing(chat: Chat, carol: SignIn) -> None:
    chat.begin(delete)

    assert carol("view_job").get(URL).status_code == 403


def test_what_is_over(chat: Chat, carol: SignIn) -> None:
    chat.begin(delete)
    expire(the_request())
    client = carol(VIEW, CHANGE, READ)
    assert states(client, state="expired") == ["expired"]

    assert decide(client, "approve") == ["Delete it?: The time to decide this is over."]
    assert Job.objects.count() == 1


def test_a_typed_answer(chat: Chat, carol: SignIn) -> None:
    chat.begin(limit)
    client = carol(VIEW, CHANGE, READ)
    assert decide(client, "approve") == ["Which limit?: amount: This field is required."]
    said = decide(client, "approve", answer="{")[-1]
    assert said == "The answer is not JSON."
    assert the_request().decided_at is None
    decide(client, "approve", answer='{"amount": 5}')

    assert the_request().answer == {"amount": 5}


def test_states(chat: Chat, alice: User, carol: SignIn) -> None:
    """What waits comes first, the most urgent at the top."""
    workflow("w")(delete)
    for key in ("approved", "rejected", "expired", "late", "closed", "later", "sooner"):
        Chat(alice, key).say(workflow="w")
    made = {row.session.key: row for row in ApprovalRequest.objects.order_by("pk")}
    for key in ("expired", "late"):
        expire(made[key])
    Chat(alice, "approved").say("yes")
    Chat(alice, "rejected").say("no")
    assert list(services.decisions.pending(alice).filter(session__key="expired")) == []
    ApprovalRequest.objects.filter(pk=made["late"].pk).update(
        approved=None, decided_at=None, via="", reason=""
    )
    services.cancel(Job.objects.get(session__key="closed"))
    ApprovalRequest.objects.filter(pk=made["sooner"].pk).update(
        expires_at=timezone.now() + timedelta(hours=1)
    )
    client = carol(VIEW, READ)

    def keys(**query: str) -> list[str]:
        return [row.session.key for row in client.get(URL, query).context["cl"].result_list]

    assert keys() == ["sooner", "later"]
    for state, found in (
        ("approved", ["approved"]),
        ("rejected", ["rejected"]),
        ("expired", ["late", "expired"]),
        ("closed", ["closed"]),
    ):
        assert keys(state=state) == found
        assert set(states(client, state=state)) == {state}
    assert keys(state="all", days="1") == list(reversed(made))
    assert keys(workflow="w", state="approved", q="alice") == ["approved"]
    assert keys(workflow="other") == []


def decide_there(client: Client, **fields: Any) -> Any:
    return client.post(f"{URL}{the_request().pk}/change/", fields)


class Few(BaseModel):
    n: int = Field(le=3)


class Terms(BaseModel):
    amount: int = Field(title="How much", description="In cents.")
    colour: str = Field("red", json_schema_extra={"enum": ["red", "blue"]})
    quick: bool = False
    note: str | None = None
    tags: list[str] = []


def test_it_is_decided_on_its_page(chat: Chat, alice: User, carol: SignIn) -> None:
    chat.begin(lambda ctx: repr(ctx.approve("Which <terms>?", answer=Terms).answer))
    client = carol(VIEW, CHANGE, READ)
    url = f"{URL}{the_request().pk}/change/"
    page = client.get(url).content.decode()
    for words in ("Which &lt;terms&gt;?", "How much", "In cents.", "alice sees", "As JSON."):
        assert words in page
    wrong = decide_there(client, decision="approve", **{"answer-amount": "many"})
    assert "Enter a whole number." in wrong.content.decode()
    wrong = decide_there(client, decision="approve", reason="kept words")
    assert "This field is required." in wrong.content.decode()
    assert "kept words" in wrong.content.decode()
    assert "Approve it, or reject it." in decide_there(client).content.decode()
    assert the_request().decided_at is None

    filled = {"amount": "5", "colour": "1", "quick": "on", "tags": '["a"]'}
    data = {f"answer-{name}": value for name, value in filled.items()}
    assert decide_there(client, decision="approve", reason="fine", **data).status_code == 302
    run_waiting()
    request = the_request()
    assert request.answer == {"amount": 5, "colour": "blue", "quick": True, "tags": ["a"]}
    assert (request.by, request.via, request.reason) == ("carol", "admin", "fine")
    assert "fine" not in LogEntry.objects.get().change_message
    page = client.get(url).content.decode()
    assert "Approved by carol: fine" in page
    assert "Approve</button>" not in page
    assert decide_there(client, decision="reject").status_code == 302
    assert the_request().approved is True


def test_what_the_schema_refuses_is_shown_beside_its_field(chat: Chat, carol: SignIn) -> None:
    chat.begin(lambda ctx: str(ctx.approve("How many?", answer=Few).answer))
    client = carol(VIEW, CHANGE, READ)
    answer = decide_there(client, decision="approve", **{"answer-n": "4"})
    assert answer.context["form"].errors["n"]
    decide_there(client, decision="reject", **{"answer-n": "4"})
    assert the_request().approved is False


def test_the_page_decides_for_those_alone_who_may(chat: Chat, carol: SignIn, staff: SignIn) -> None:
    chat.begin(delete)
    client = carol(VIEW, READ)
    assert "Approve</button>" not in client.get(f"{URL}{the_request().pk}/change/").content.decode()
    assert decide_there(client, decision="approve").status_code == 403
    assert the_request().decided_at is None
    assert staff("view_job").get(f"{URL}{the_request().pk}/change/").status_code == 403


def test_texts_are_hidden_from_who_may_not_read_them(chat: Chat, carol: SignIn) -> None:
    def pay(ctx: Context) -> str:
        return str(ctx.approve("Pay Zed?", details={"note": "for the secret"}).approved)

    chat.begin(pay, "hush now")
    client = carol(VIEW, CHANGE)
    for url in (URL, f"{URL}{the_request().pk}/change/"):
        page = client.get(url).content.decode()
        assert "(hidden" in page
        assert not [words for words in ("Zed", "the secret", "hush") if words in page]
    (said,) = decide(client, "approve")
    assert "Zed" not in said
