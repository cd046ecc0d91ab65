"""A database of before the apps were called ``chatflow_*`` is migrated without losing anything."""

import pytest
from django.apps import AppConfig, apps
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

import tests
from chatflow.project.former_labels import FORMER, rename_labels
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


def test_who_only_asks_writes_nothing(before: set[Row]) -> None:
    """As new processes do that wait for the migrations, while the old code runs."""
    noted = applied()
    with pytest.raises(SystemExit):
        call_command("migrate", check_unapplied=True, verbosity=0)
    assert applied() == noted


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


def test_content_types_that_todays_code_noted_first_are_replaced(
    before: set[Row], alice: User
) -> None:
    """The former ones stay, which permissions point to."""
    may = Permission.objects.get(codename="change_job")
    alice.user_permissions.add(may)
    ContentType.objects.create(app_label="chatflow_workflows", model="job")

    call_command("migrate", verbosity=0)

    assert applied() == before
    kept = ContentType.objects.get(app_label="chatflow_workflows", model="job")
    assert kept.pk == may.content_type_id
    assert User.objects.get(pk=alice.pk).has_perm("chatflow_workflows.change_job")


@pytest.mark.parametrize(
    "other", ["RENAME TO others_document", "RENAME COLUMN content_hash TO shelf"]
)
def test_an_app_with_the_same_names_of_migrations_is_left_alone(
    before: set[Row], other: str
) -> None:
    """Such as one that was taken out; Chatflow has never been here."""
    noted = MigrationRecorder.Migration.objects.filter(app="knowledge")
    noted.exclude(name="0001_initial").delete()
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE knowledge_document {other}")
    rename_labels(connection)
    assert {app for app, _ in applied()} & {"workflows", "knowledge"} == {"knowledge"}


def test_what_another_app_left_is_not_taken_over_later() -> None:
    other = MigrationRecorder.Migration.objects.create(app="knowledge", name="0001_initial")
    found = applied()
    rename_labels(connection)
    assert applied() == found
    other.refresh_from_db()
    assert other.app == "knowledge"


def test_a_new_database_has_nothing_to_rename() -> None:
    found = applied()
    rename_labels(connection)
    assert applied() == found
