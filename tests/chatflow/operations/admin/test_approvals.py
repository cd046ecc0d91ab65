"""What a member of the staff may decide in the admin."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client

from chatflow.workflows import Context
from chatflow.workflows.models import Job
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
        held = Permission.objects.filter(codename__in=[*codenames, "read_texts"])
        user.user_permissions.set(held)
        client = Client()
        client.force_login(user)
        return client

    return sign_in


VIEW = "view_approvalrequest"
CHANGE = "change_approvalrequest"


def decide(client: Client, action: str, **fields: Any) -> list[str]:
    """Choose an action for the only request; return what the admin says."""
    data = {"action": action, "_selected_action": [the_request().pk], **fields}
    answer = client.post(URL, data)
    assert answer.status_code in (200, 302)
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_it_works(chat: Chat, alice: User, carol: SignIn) -> None:
    chat.begin(delete)
    client = carol(VIEW, CHANGE)
    (said,) = decide(client, "approve", reason="it is old")
    run_waiting()

    job = Job.objects.latest("pk")
    assert (job.user, job.response) == (alice, "True by carol: it is old")
    assert job.public_id in said
    request = the_request()
    assert (request.by, request.via, request.reason) == ("carol", "admin", "it is old")
    assert LogEntry.objects.get().change_message == "Approve: it is old"
    page = client.get(f"{URL}{request.pk}/change/").content.decode()
    for word in ("approved", "carol", "it is old", "invoice"):
        assert word in page


def test_rejecting(chat: Chat, carol: SignIn) -> None:
    chat.begin(delete)
    decide(carol(VIEW, CHANGE), "reject", reason="<b>no</b>")
    run_waiting()

    assert Job.objects.latest("pk").response == "False by carol: <b>no</b>"


def test_looking_is_not_deciding(chat: Chat, carol: SignIn) -> None:
    chat.begin(delete)
    client = carol(VIEW)
    assert b"Delete it?" in client.get(URL).content
    decide(client, "approve")

    assert the_request().decided_at is None


def test_what_is_approved_is_shown(chat: Chat, carol: SignIn) -> None:
    """In the list too, as text."""

    def pay(ctx: Context) -> str:
        arguments = {"to": "<i>Bob</i>\u202e", "amount": 5}
        return str(ctx.approve("Pay?", details={"arguments": arguments}).approved)

    chat.begin(pay)
    client = carol(VIEW, CHANGE)
    shown = client.get(URL).content.decode()
    assert "&#x27;to&#x27;: &#x27;&lt;i&gt;Bob&lt;/i&gt;\\u202e&#x27;" in shown
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
    client = carol(VIEW, CHANGE)
    assert b"expired" in client.get(URL).content

    assert decide(client, "approve") == ["Delete it?: The time to decide this is over."]
    assert Job.objects.count() == 1


def test_a_typed_answer(chat: Chat, carol: SignIn) -> None:
    chat.begin(limit)
    client = carol(VIEW, CHANGE)
    assert decide(client, "approve") == ["Which limit?: amount: This field is required."]
    said = decide(client, "approve", answer="{")[-1]
    assert said == "The answer is not JSON."
    assert the_request().decided_at is None
    decide(client, "approve", answer='{"amount": 5}')

    assert the_request().answer == {"amount": 5}
