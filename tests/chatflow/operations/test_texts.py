"""No page of the operator's room shows words to those who may not read them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.db import transaction
from django.db.models import BinaryField, CharField, JSONField, TextField
from django.test import Client, RequestFactory

from chatflow.operations import groups, overview
from chatflow.operations.admin.confidential import Confidential
from chatflow.workflows.models import Job
from chatflow.workflows.texts import OTHERS, TEXTS
from tests.chatflow.operations.walk import CANARY, addresses, ask, fill, posts

pytestmark = pytest.mark.django_db

OURS = ("chatflow", "chatflow_workflows", "chatflow_knowledge", "chatflow_operations")
JOBS = "/admin/chatflow_workflows/job/"
USAGE = "/admin/chatflow_workflows/dailyusage/"
APPROVALS = "/admin/chatflow_workflows/approvalrequest/"


@pytest.fixture
def member(db: None) -> Callable[..., Client]:
    """Return what signs in a member of one of Chatflow's groups."""

    def sign_in(name: str) -> Client:
        groups.make_groups(apps)
        user = User.objects.create(username=name, is_staff=True)
        user.groups.add(Group.objects.get(name=f"Chatflow: {name}"))
        client = Client(raise_request_exception=True)
        client.force_login(user)
        return client

    return sign_in


def told(answer: Any) -> bool:
    """Say whether an answer has words in it: those of a stream too, and what is said of an act."""
    assert answer.status_code < 500, answer.request["PATH_INFO"]
    # An export of a person is a ZIP.
    body = answer.getvalue() if answer.streaming else answer.content
    said = [str(message) for message in get_messages(answer.wsgi_request)]
    return CANARY in body.decode(errors="replace") + str(answer.headers) + str(said)


def sends(client: Client, address: str, data: dict[str, Any]) -> Any:
    """Send a form, and leave everything as it was. Where it leads to are pages as all others."""
    with transaction.atomic():
        answer = client.post(address, data)
        transaction.set_rollback(True)
    return answer


def test_every_column_is_decided() -> None:
    """Is a new one words, or none? Put it into TEXTS or OTHERS."""
    kinds = (CharField, TextField, JSONField, BinaryField)
    undecided = {
        f"{model._meta.label_lower}.{field.name}"
        for label in OURS
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, kinds) and not field.is_relation
        for name in [model._meta.label_lower]
        if field.name not in (*TEXTS.get(name, ()), *OTHERS.get(name, ()))
    }

    assert not undecided


def test_no_page_shows_words(member: Callable[..., Client], alice: User) -> None:
    rows = [*fill(alice), *ask(alice)]
    viewer, operator, reader = (member(name) for name in ("view", "operate", "administer"))
    pages = [*addresses([alice, *rows]), f"{USAGE}?format=csv&by=user", f"{APPROVALS}?state=all"]
    telling = [address for address in pages if told(reader.get(address))]

    assert f"{JOBS}{rows[1].pk}/change/" in telling
    assert f"{JOBS}{rows[1].pk}/frames/" in telling
    assert len(telling) > 25
    assert not [address for address in pages if told(viewer.get(address))]
    assert not [address for address in telling if told(operator.get(address))]
    # The pages are there.
    for address in (JOBS, f"{JOBS}{rows[1].pk}/change/", "/admin/chatflow_knowledge/document/"):
        assert viewer.get(address).status_code == 200


def test_no_act_tells_words(member: Callable[..., Client], alice: User) -> None:
    """Neither its preview nor what is said when it is done."""
    rows = [*fill(alice), *ask(alice)]
    viewer, operator, reader = (member(name) for name in ("view", "operate", "administer"))
    forms = list(posts(rows))

    assert sum(told(sends(reader, *form)) for form in forms[::4]) > 8
    for who in (viewer, operator):
        assert not [form for form in forms if told(sends(who, *form))]


def test_the_overviews_stream_tells_no_words(member: Callable[..., Client], alice: User) -> None:
    """It has names of the site's own only, for whoever may read texts too."""
    ask(alice)
    audiences = []
    for name in ("view", "operate", "administer"):
        member(name)
        request = RequestFactory().get("/")
        request.user = User.objects.get(username=name)
        audiences.append(overview.audience_of(request, "admin"))

    assert CANARY not in str(overview.render_all(audiences))


def test_rows_are_called_by_their_keys(alice: User) -> None:
    """So a page of Django's, or one that is new, says no words unless it was made to."""
    assert not [row for row in [*fill(alice), *ask(alice)] if CANARY in str(row)]
    pages = {model._meta.label_lower: page for model, page in admin.site._registry.items()}
    assert all(isinstance(pages[name], Confidential) for name in TEXTS if name in pages)


def test_nobody_finds_out_by_asking(member: Callable[..., Client], alice: User) -> None:
    """Whether a row is found would tell its words, a letter at a time."""
    fill(alice)
    viewer, reader = member("view"), member("administer")

    def found(client: Client, **query: str) -> int:
        return len(client.get(JOBS, query).context["jobs"].rows)

    assert (found(reader, q=CANARY), found(viewer, q=CANARY)) == (1, 0)
    # The list has no such filter, and then finds nothing, whoever asks.
    assert [found(who, text__startswith="can") for who in (viewer, reader)] == [0, 0]
    sessions = "/admin/chatflow_workflows/session/"
    by_title = {"title__startswith": "can"}
    assert reader.get(sessions, by_title).context["cl"].result_count == 1
    assert viewer.get(sessions, by_title).status_code == 400
    documents = "/admin/chatflow_knowledge/document/"
    assert viewer.get(documents, by_title).status_code == 400
    assert viewer.get(documents, {"q": CANARY}).context["cl"].result_count == 0
    assert reader.get(documents, {"q": CANARY}).context["cl"].result_count == 1


def test_who_could_read_still_can(alice: User, bob: User) -> None:
    """The upgrade takes nothing away."""
    by_group, other = Group.objects.create(name="support"), Group.objects.create(name="other")
    view = groups._permission(apps, "default", "chatflow_workflows", "job", "view")
    cluster = groups._permission(apps, "default", "chatflow_workflows", "cluster", "view")
    alice.user_permissions.add(view)
    bob.user_permissions.add(cluster)
    by_group.permissions.add(view)
    other.permissions.add(cluster)
    groups.let_readers_read(apps)

    assert User.objects.get(pk=alice.pk).has_perm("chatflow_operations.read_texts")
    assert not User.objects.get(pk=bob.pk).has_perm("chatflow_operations.read_texts")
    held = {group.name for group in Group.objects.filter(permissions__codename="read_texts")}
    assert {"support"} <= held
    assert "other" not in held


def test_nobody_is_overruled() -> None:
    groups.make_groups(apps)
    changed = Group.objects.get(name="Chatflow: view")
    changed.permissions.clear()
    groups.make_groups(apps)

    assert not changed.permissions.exists()
    assert Job._meta.app_label in OURS
