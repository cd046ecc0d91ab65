"""A database of before the apps were called ``chatflow_*`` is migrated without losing anything."""

import pytest
from django.apps import AppConfig, apps
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

import tests
from chatflow.former_labels import FORMER, rename_labels
from chatflow.workflows.models import Session

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

Row = tuple[str, str]


def applied() -> set[Row]:
    return set(MigrationRecorder(connection).applied_migrations())


@pytest.fixture
def before() -> set[Row]:
    """What is applied; from here on it stands under the former labels, with the content types."""
    found = applied()
    for former, label in FORMER.items():
        MigrationRecorder.Migration.objects.filter(app=label).update(app=former)
        ContentType.objects.filter(app_label=label).update(app_label=former)
    assert applied() != found
    return found


def test_nothing_is_applied_again(before: set[Row], alice: User) -> None:
    Session.objects.create(user=alice, key="kept")
    may = Permission.objects.get(codename="change_job")
    alice.user_permissions.add(may)

    call_command("migrate", verbosity=0)

    assert applied() == before
    assert Session.objects.get().key == "kept"
    # The same permission, which now is asked for by today's label.
    assert User.objects.get(pk=alice.pk).has_perm("chatflow_workflows.change_job")
    assert Permission.objects.get(codename="change_job").pk == may.pk


def test_an_app_of_ones_own_keeps_its_label(
    before: set[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(apps.app_configs, "workflows", AppConfig("tests.workflows", tests))
    rename_labels(connection)
    assert {app for app, _ in applied()} & {"workflows", "knowledge"} == {"workflows"}


def test_other_migrations_of_that_label_are_left_alone(before: set[Row]) -> None:
    """Such as of an app that was taken out of the project, and left its rows."""
    MigrationRecorder.Migration.objects.create(app="knowledge", name="0001_bookshelves")
    rename_labels(connection)
    assert {app for app, _ in applied()} & {"workflows", "knowledge"} == {"knowledge"}


def test_a_new_database_has_nothing_to_rename() -> None:
    found = applied()
    rename_labels(connection)
    assert applied() == found
