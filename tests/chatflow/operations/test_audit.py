"""What is kept of the acts of the staff, and that nobody rewrites it."""

import getpass
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client, RequestFactory

from chatflow.models import Token
from chatflow.operations import append_only, audit
from chatflow.operations.models import Act, Stands
from chatflow.workflows.models import Job
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]

LOG = "/admin/chatflow_operations/act/"


def an_act(user: User, **more: Any) -> Act:
    request = RequestFactory().get("/", REMOTE_ADDR="203.0.113.5")
    request.user = user
    return audit.record(request, more.pop("target", user), "Look", "a complaint", **more)


def test_it_works(alice: User, bob: User) -> None:
    row = an_act(alice, target=bob, outcome="Seen.")
    row.refresh_from_db()

    assert (row.who_key, row.who, row.origin) == (str(alice.pk), "alice", "203.0.113.5")
    assert (row.act, row.outcome, row.why) == ("Look", "Seen.", "a complaint")
    assert (row.target_type, row.target_id) == ("auth.user", str(bob.pk))
    assert list(audit.acts_on(bob)) == [row]
    assert not audit.acts_on(alice)
    assert LogEntry.objects.get().change_message == "Look: Seen. “a complaint”"


def test_it_outlives_who_did_it(alice: User) -> None:
    an_act(alice)
    alice.delete()

    assert Act.objects.get().who == "alice"


def test_behind_a_proxy(alice: User, settings: Any) -> None:
    settings.CHATFLOW = {**settings.CHATFLOW, "TRUST_PROXY": True}
    request = RequestFactory().get("/", headers={"X-Forwarded-For": "forged, 198.51.100.7"})
    request.user = alice

    assert audit.record(request, alice, "Look").origin == "198.51.100.7"


def test_at_a_terminal(alice: User) -> None:
    row = audit.record_at_terminal(alice, "Sign-in link")

    assert row.who == getpass.getuser()
    assert row.origin.startswith("terminal of ")


REWRITES: dict[str, Callable[[Act], Any]] = {
    "save": lambda act: act.save(),
    "delete": lambda act: act.delete(),
    "update": lambda act: Act.objects.filter(pk=act.pk).update(who="x"),
    "delete all": lambda act: Act.objects.all().delete(),
    "bulk_update": lambda act: Act.objects.bulk_update([act], ["who"]),
}
STATEMENTS = ("UPDATE {} SET who = 'x'", "DELETE FROM {}", "TRUNCATE {}")


@pytest.mark.parametrize("way", REWRITES)
def test_the_code_can_t_rewrite_it(way: str, alice: User) -> None:
    with pytest.raises(Stands):
        REWRITES[way](an_act(alice))


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_database_refuses_too(statement: str, alice: User) -> None:
    if "TRUNCATE" in statement and connection.vendor == "sqlite":
        pytest.skip("SQLite has none.")
    an_act(alice)

    def refused() -> None:
        with (
            pytest.raises(DatabaseError, match="neither changed nor removed"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement.format(append_only.TABLE))

    refused()
    assert append_only.remove(Act.objects.all()) == 1
    an_act(alice)
    # The guard is up again.
    refused()


def test_flush_empties_it(alice: User, transactional_db: None) -> None:
    an_act(alice)
    call_command("flush", interactive=False, verbosity=0)

    assert not Act.objects.exists()


def test_commands_are_on_record(alice: User, outcomes: None, chat: Chat) -> None:
    job = chat.say(workflow="fail")
    call_command("queue_retry", job.public_id, stdout=StringIO())
    call_command("queue_flush", stdout=StringIO())
    call_command("create_token", "alice", stdout=StringIO())
    call_command("sign_in_link", "alice", stdout=StringIO())
    call_command("revoke_tokens", "alice", stdout=StringIO())

    assert list(Act.objects.order_by("pk").values_list("act", flat=True)) == [
        *("Retry", "Flush", "Make a token", "Make a sign-in link", "Revoke tokens")
    ]
    assert audit.acts_on(job).get().outcome == f"As {Job.objects.get(retry_of=job)}."
    assert {act.act for act in audit.acts_on(alice)} == {"Make a sign-in link", "Revoke tokens"}


def test_the_admin_s_forms_are_on_record(boss: Client, alice: User) -> None:
    boss.post("/admin/chatflow/token/add/", {"user": alice.pk, "scope": "all", "days": 3})
    token = Token.objects.get()
    boss.post(f"/admin/chatflow/token/{token.pk}/delete/", {"post": "yes"})
    made, revoked = Act.objects.order_by("pk")

    assert (made.act, revoked.act) == ("Add token", "Delete token")
    assert made.target_id == revoked.target_id == token.public_id
    assert (made.who, made.origin) == ("boss", "127.0.0.1")


def test_who_may_do_what_is_on_record(boss: Client, alice: User) -> None:
    """Accounts are not ours, and their forms are Django's or the project's."""
    group = Group.objects.create(name="support")
    others = [Group.objects.create(name=name).pk for name in ("one", "two")]
    boss.post(f"/admin/auth/group/{group.pk}/change/", {"name": "helpers"})
    chosen = {"action": "delete_selected", "_selected_action": others, "post": "yes"}
    boss.post("/admin/auth/group/", chosen)
    act, *deleted = Act.objects.order_by("pk")

    assert (act.who, act.act, act.target_id) == ("boss", "Change group", str(group.pk))
    assert act.outcome == "Changed Name."
    assert {(each.act, each.origin) for each in deleted} == {("Delete group", "127.0.0.1")}
    assert sorted(each.target_id for each in deleted) == sorted(map(str, others))
    assert act.origin == "127.0.0.1"


def test_the_staff_s_sign_ins_are_on_record(alice: User) -> None:
    for name, is_staff in (("chief", True), ("guest", False)):
        User.objects.create_user(name, password="correct horse", is_staff=is_staff)
        Client().post("/admin/login/", {"username": name, "password": "correct horse"})
        Client().post("/accounts/login/", {"username": name, "password": "correct horse"})
    acts = Act.objects.filter(act="Sign in")

    assert {(act.who, act.origin) for act in acts} == {("chief", "127.0.0.1")}


def test_its_page(boss: Client, staff: Callable[..., Client], alice: User) -> None:
    act = an_act(alice, outcome="<b>")
    page = boss.get(LOG, {"q": str(alice.pk)}).content.decode()
    for word in ("alice", "Look", "&lt;b&gt;", "a complaint", "203.0.113.5"):
        assert word in page
    own = f"{LOG}{act.pk}/change/"
    assert f"/admin/auth/user/{alice.pk}/change/" in boss.get(own).content.decode()
    assert b"_save" not in boss.get(own).content
    assert boss.get(LOG, {"act": "Look", "who": "alice"}).context["cl"].result_count == 1
    assert boss.get(LOG, {"act": "Other"}).context["cl"].result_count == 0
    assert [boss.post(f"{own[:-7]}delete/").status_code, boss.post(own).status_code] == [403, 403]
    assert staff("view_job").get(LOG).status_code == 403
    assert staff("view_act").get(LOG).status_code == 200
