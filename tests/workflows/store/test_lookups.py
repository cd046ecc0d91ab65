"""One row and the row that it points to, whatever models these are."""

import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, models
from django.db.models.signals import post_init
from django.test.utils import isolate_apps

from chatflow.models import Access, Token
from chatflow.workflows import clock, services
from chatflow.workflows.models import Job
from chatflow.workflows.store.lookups import find_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def team() -> Iterator[Any]:
    """Make the tables of a team that has people with UUIDs, and members who are people."""
    with isolate_apps("tests"):

        class Person(models.Model):  # noqa: DJ008
            id = models.UUIDField(primary_key=True, default=uuid.uuid4)
            name = models.CharField(max_length=20)
            likes = models.JSONField(default=dict)

            class Meta:
                app_label = "tests"

        class Member(Person):  # noqa: DJ008
            since = models.DateField(null=True)

            class Meta:
                app_label = "tests"

            @classmethod
            def from_db(cls, *args: Any, **kwargs: Any) -> Any:
                found = super().from_db(*args, **kwargs)
                found.is_loaded = True  # type: ignore[attr-defined]
                return found

        class Badge(models.Model):  # noqa: DJ008
            digest = models.CharField(max_length=20, primary_key=True)
            holder = models.ForeignKey(Member, models.CASCADE)

            class Meta:
                app_label = "tests"

        tables = (Person, Member, Badge)
        with connection.schema_editor() as editor:
            for table in tables:
                editor.create_model(table)
        yield SimpleNamespace(Member=Member, Badge=Badge)
        with connection.schema_editor() as editor:
            for table in reversed(tables):
                editor.delete_model(table)


def test_it_works(alice: Any) -> None:
    token, _ = Token.objects.create(alice)

    found = find_with(Token, "user", key=token.digest)

    assert found is not None
    assert found == token
    assert (found.created, found.expiry) == (token.created, token.expiry)
    assert found.user == alice
    assert find_with(Token, "user", key="unknown") is None


def test_whoever_it_is(team: Any) -> None:
    """With a parent table, a UUID for a key, and something to do when it's loaded."""
    ann = team.Member.objects.create(name="Ann", likes={"tea": True})
    badge = team.Badge.objects.create(digest="abc", holder=ann)
    made = []

    def note(sender: Any, instance: Any, **kwargs: Any) -> None:
        made.append(instance)

    post_init.connect(note, sender=team.Member)
    try:
        found = find_with(team.Badge, "holder", key="abc")
    finally:
        post_init.disconnect(note, sender=team.Member)

    assert found is not None
    assert found == badge
    assert found.holder == ann
    assert (found.holder.name, found.holder.likes) == ("Ann", {"tea": True})
    assert found.holder.is_loaded
    assert made == [found.holder]


def test_it_can_be_saved_again(team: Any) -> None:
    ann = team.Member.objects.create(name="Ann")
    team.Badge.objects.create(digest="abc", holder=ann)

    found = find_with(team.Badge, "holder", key="abc")
    assert found is not None
    found.holder.name = "Anna"
    found.holder.save()

    assert team.Member.objects.get().name == "Anna"


def test_it_takes_one_query(alice: Any, django_assert_num_queries: Any) -> None:
    token, _ = Token.objects.create(alice)
    find_with(Token, "user", key=token.digest)

    with django_assert_num_queries(1):
        found = find_with(Token, "user", key=token.digest)
        assert found is not None
        assert found.user.username == "alice"


@pytest.mark.parametrize("has_access", [False, True])
def test_more_rows_as_the_orm_reads_them(alice: Any, has_access: bool) -> None:
    """One of them may be missing: that which points to this one."""
    job = services.start(alice, "Hello", session_key="s").job
    if has_access:
        Access.objects.create(user=alice, links_valid_from=clock.now())
    related = ("user__chatflow_access", "session")

    found = find_with(Job, *related, by="public_id", key=job.public_id)

    expected = Job.objects.select_related(*related).get(pk=job.pk)
    assert found is not None
    for ours, theirs in ((found, expected), (found.user, expected.user)):
        assert_same(ours, theirs)
    assert_same(found.session, expected.session)
    assert hasattr(found.user, "chatflow_access") == has_access


def assert_same(found: models.Model, expected: models.Model) -> None:
    assert found == expected
    assert {**vars(found), "_state": 0} == {**vars(expected), "_state": 0}
    # Django 6.1's way of fetching what is missing is taken for its default.
    assert vars(found._state).keys() == vars(expected._state).keys() - {"fetch_mode"}
