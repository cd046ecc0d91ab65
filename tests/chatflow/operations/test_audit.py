"""What is kept of the acts of the staff, and that nobody rewrites it."""

import getpass
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import RequestFactory

from chatflow.operations import append_only, audit
from chatflow.operations.models import Act, Stands

pytestmark = pytest.mark.django_db


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
    assert LogEntry.objects.get().change_message == "Look: Seen.: a complaint"


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
    call_command("flush", interactive=False, inhibit_post_migrate=True, verbosity=0)

    assert not Act.objects.exists()
