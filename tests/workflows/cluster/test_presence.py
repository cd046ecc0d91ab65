"""A cluster's sign of life."""

import os
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError

from tests.workflows.faults import make_outage, make_refusal
from workflows.cluster import presence as module
from workflows.cluster.presence import Presence
from workflows.models import Cluster
from workflows.store import lifecycle
from workflows.store.lifecycle import HOST

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def presence() -> Presence:
    return Presence(workers=3)


def away(**kwargs: Any) -> None:
    raise make_outage("gone")


def test_it_works(presence: Presence) -> None:
    presence.register()
    row = Cluster.objects.get()

    assert (row.pk, row.host, row.pid, row.workers) == (presence.cluster_id, HOST, os.getpid(), 3)
    assert lifecycle.clusters_alive() == 1


def test_it_goes_on_living(presence: Presence) -> None:
    presence.register()
    first = Cluster.objects.get()
    # Two moments may be the same millisecond.
    earlier = first.seen_at - timedelta(seconds=10)
    Cluster.objects.update(seen_at=earlier)
    presence.register()
    second = Cluster.objects.get()

    assert earlier < second.seen_at
    assert first.started_at == second.started_at


def test_it_withdraws_itself_only(presence: Presence) -> None:
    other = Presence(workers=1)
    presence.register()
    other.register()
    presence.withdraw()

    assert [row.pk for row in Cluster.objects.all()] == [other.cluster_id]


def test_a_database_that_is_away(
    presence: Presence, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert presence.trusts_leases()
    presence.do_chore(away, count=False)
    assert "The database is out of reach (gone)" in caplog.text
    assert not presence.trusts_leases()
    monkeypatch.setattr(module, "AFTERMATH", 0.0)

    assert presence.trusts_leases()


@pytest.mark.parametrize("error", [make_refusal("55P03"), DatabaseError("no such column")])
def test_a_chore_that_fails_is_no_outage(
    presence: Presence, caplog: pytest.LogCaptureFixture, error: DatabaseError
) -> None:
    """Leases can be trusted all the same."""

    def fail() -> None:
        raise error

    presence.do_chore(fail)

    assert "A chore was left undone" in caplog.text
    assert presence.trusts_leases()


def test_other_errors_are_not_hidden(presence: Presence) -> None:
    with pytest.raises(ZeroDivisionError):
        presence.do_chore(lambda: 1 / 0)
