"""What is said of a project where something is missing: the line to write, and nothing of ours."""

import importlib
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.conf.urls.i18n import i18n_patterns
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections
from django.urls import include, path
from django.views.generic import RedirectView

from chatflow.install import APPS
from chatflow.project import checks, installed
from chatflow.workflows.cluster.checks import check_cluster
from chatflow.workflows.cluster.defaults import make, set_defaults
from tests.configure import configure

urlpatterns = i18n_patterns(path("team/", include("chatflow.api")))

Check = Callable[[None], list[CheckMessage]]

CHECKS: list[Check] = [
    checks.check_apps,
    checks.check_time_zones,
    checks.check_user_model,
    checks.check_databases,
    checks.check_classes,
    checks.check_sign_ins,
    checks.check_places,
    checks.check_prefixes,
    checks.check_outages,
    checks.check_bodies,
    checks.check_order_of_apps,
    checks.check_included,
    check_cluster,
]


class JobAlone:
    """Leads the jobs' table away from all others."""

    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        return "chat" if model.__name__ == "Job" else None

    db_for_read = db_for_write


class Replica:
    def db_for_read(self, model: type[Any], **hints: Any) -> str | None:
        return "chat"


class Tableless:
    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if app_label == "chatflow_workflows" else None


def leads_by(router: type[Any]) -> Callable[[Any], None]:
    return put(DATABASE_ROUTERS=[f"{__name__}.{router.__name__}"])


def without(settings: Any, name: str) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if not each.endswith(name)]


def name(setting: str, *names: str) -> Callable[[Any], None]:
    return lambda settings: configure(settings, **{setting: [*names]})


def put(**values: Any) -> Callable[[Any], None]:
    def change(settings: Any) -> None:
        for key, value in values.items():
            setattr(settings, key, value)

    return change


def test_the_checkout_lacks_nothing() -> None:
    """Nor is the database asked: pytest would refuse it here."""
    assert [each for check in CHECKS for each in check(None)] == []


@pytest.mark.parametrize(
    ("change", "check", "identity", "told"),
    [
        (put(USE_TZ=False), checks.check_time_zones, "E012", "USE_TZ = True"),
        (
            name("AUTHENTICATION_CLASSES", "team.access.Nothing"),
            checks.check_classes,
            "E016",
            "dotted name",
        ),
        (
            name("PERMISSION_CLASSES", "chatflow.auth.sign_link"),
            checks.check_classes,
            "E016",
            "dotted name",
        ),
        (
            name("AUTHENTICATION_CLASSES", "json.JSONDecoder"),
            checks.check_classes,
            "E016",
            "dotted name",
        ),
        (name("AUTHENTICATION_CLASSES"), checks.check_classes, "E016", "one at least"),
        (
            lambda settings: without(settings, "SessionMiddleware"),
            checks.check_sign_ins,
            "W011",
            "SessionMiddleware",
        ),
        (
            lambda settings: without(settings, "AuthenticationMiddleware"),
            checks.check_sign_ins,
            "W011",
            "AuthenticationMiddleware",
        ),
        (
            put(SESSION_ENGINE="django.contrib.sessions.backends.cache"),
            checks.check_sign_ins,
            "W012",
            "cached_db",
        ),
        (
            put(ROOT_URLCONF="tests.chatflow.project.test_checks"),
            checks.check_places,
            "E019",
            'include("chatflow.api")',
        ),
        (
            lambda settings: without(settings, "service_unavailable"),
            checks.check_outages,
            "W013",
            "chatflow.middleware.service_unavailable",
        ),
        (
            put(DATA_UPLOAD_MAX_MEMORY_SIZE=1000),
            checks.check_bodies,
            "W014",
            "DATA_UPLOAD_MAX_MEMORY_SIZE = 1048576",
        ),
    ],
)
def test_what_is_missing(
    change: Callable[[Any], None], check: Check, identity: str, told: str, settings: Any
) -> None:
    change(settings)
    (found,) = check(None)
    assert found.id == f"chatflow.{identity}"
    assert told in str(found.hint)


def test_other_ways_than_cookies_need_no_sessions(settings: Any) -> None:
    configure(settings, AUTHENTICATION_CLASSES=["chatflow.auth.BearerAuthentication"])
    settings.MIDDLEWARE = []
    assert checks.check_sign_ins(None) == []


def test_apps_that_ours_stand_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "chatflow.project.checks.apps.is_installed", lambda name: "content" not in name
    )
    (found,) = checks.check_apps(None)
    assert (found.id, found.hint) == (
        "chatflow.E011",
        'Write "django.contrib.contenttypes" into INSTALLED_APPS.',
    )
    monkeypatch.setattr(
        "chatflow.project.checks.apps.is_installed", lambda name: "sessions" not in name
    )
    monkeypatch.setattr("chatflow.auth.is_stored", lambda: True)
    assert checks.check_apps(None) == []


def test_users_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare:
        is_authenticated = True

    monkeypatch.setattr(checks, "get_user_model", lambda: Bare)
    (found,) = checks.check_user_model(None)
    assert "USERNAME_FIELD" in found.msg
    assert "AbstractBaseUser" in str(found.hint)


def test_another_kind_of_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "connection", SimpleNamespace(vendor="mysql"))
    (found,) = checks.check_databases(None)
    assert (found.id, "mysql" in found.msg) == ("chatflow.E014", True)


@pytest.mark.parametrize(
    ("router", "told", "hint"),
    [
        (JobAlone, "elsewhere what must be beside them", "db_for_write() and db_for_read()"),
        (Replica, "see at once what it has written", "db_for_read() return 'default'"),
        (Tableless, "keep the tables out of the database 'default'", "allow_migrate()"),
    ],
)
def test_routers_that_scatter_what_belongs_together(
    router: type[Any], told: str, hint: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings, "chat", connections.settings["default"])
    leads_by(router)(settings)
    (found,) = checks.check_databases(None)
    assert found.id == "chatflow.E015"
    assert told in found.msg
    assert re.search(r": \w+\.[A-Z]", found.msg)
    assert hint in str(found.hint)
    # Sessions are only in a table where the project wants it, so another check looks at them.
    scattered = [each.id for each in checks.check_sign_ins(None)]
    assert scattered == ([] if router is Tableless else ["chatflow.E015"])


def test_a_database_that_there_is_not(settings: Any) -> None:
    leads_by(JobAlone)(settings)
    (found,) = checks.check_databases(None)
    assert (found.id, 'DATABASES["chat"]' in str(found.hint)) == ("chatflow.E015", True)


class Executor:
    """Of a database to which the last migrations were not applied."""

    def __init__(self, connection: Any) -> None:
        graph = SimpleNamespace(leaf_nodes=list)
        self.loader = SimpleNamespace(graph=graph)

    def migration_plan(self, targets: Any) -> list[Any]:
        return [(Migration("auth"), False), (Migration("chatflow_workflows"), False)]


class Migration:
    def __init__(self, app_label: str) -> None:
        self.app_label = app_label

    def __str__(self) -> str:
        return f"{self.app_label}.0001_initial"


@pytest.mark.django_db
def test_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_migrations(None) == []
    executor = "django.db.migrations.executor.MigrationExecutor"
    monkeypatch.setattr(executor, Executor)
    (found,) = checks.check_migrations(None)
    assert "lacks 1 of Chatflow's migrations, the first chatflow_workflows.0001" in found.msg

    def lost(connection: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(executor, lost)
    assert checks.check_migrations(None) == []


def test_a_cluster_of_the_projects_own(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody changes what it has written; what can't work is named."""
    theirs = {"name": "team", "redis": {}}
    settings.Q_CLUSTER = theirs
    set_defaults()
    assert settings.Q_CLUSTER == theirs == {"name": "team", "redis": {}}
    monkeypatch.setattr("django_q.conf.Conf.BROKER_CLASS", None)
    (found,) = check_cluster(None)
    assert found.id == "chatflow.E010"
    assert "\"broker_class\": 'chatflow.workflows.cluster.broker.JobBroker'" in str(found.hint)


def test_a_project_without_a_cluster_gets_ours(settings: Any) -> None:
    configure(settings, QUEUE_WORKERS=7)
    del settings.Q_CLUSTER
    set_defaults()
    assert make() == settings.Q_CLUSTER
    assert settings.Q_CLUSTER["workers"] == 7


def test_workers_that_are_no_number(settings: Any) -> None:
    """The apps are loaded all the same, so that the check can say so."""
    configure(settings, QUEUE_WORKERS="two")
    assert make()["workers"] == 2


def test_some_of_the_apps_only(monkeypatch: pytest.MonkeyPatch) -> None:
    config = apps.get_app_config("chatflow")
    names = [name for name in APPS if name != "knox"]
    monkeypatch.setattr(apps, "get_app_configs", lambda: [SimpleNamespace(name=n) for n in names])
    with pytest.raises(ImproperlyConfigured, match=r"lacks knox\. Write INSTALLED_APPS = \[\*APPS"):
        config.import_models()


def test_urls_without_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "is_installed", lambda name: False)
    with pytest.raises(ImproperlyConfigured, match="Write INSTALLED_APPS"):
        importlib.reload(installed)


class RunningTogether:
    """A URLconf whose prefixes lack a slash."""

    urlpatterns = [
        path("team/", include([path("chat", include("chatflow.api"))])),
        path("others", include("chatflow.protocols")),
    ]


def test_prefixes_end_with_a_slash(settings: Any) -> None:
    settings.ROOT_URLCONF = RunningTogether
    assert [(each.id, each.hint) for each in checks.check_prefixes(None)] == [
        ("chatflow.E020", 'Write path("team/chat/", include("chatflow.api")).'),
        ("chatflow.E020", 'Write path("others/", include("chatflow.protocols")).'),
    ]


class WithoutTheApi:
    """A URLconf without the API."""

    urlpatterns = [path("login/", RedirectView.as_view(url="/"))]


def test_the_api_must_be_included(settings: Any) -> None:
    settings.ROOT_URLCONF = WithoutTheApi
    [found] = checks.check_included(None)
    assert (found.id, found.hint) == (
        "chatflow.W016",
        'Write path("chat/", include("chatflow.api")) into its urlpatterns.',
    )


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("/accounts/login/", []),
        ("/accounts/login", []),
        ("login", []),
        ("https://sign-in.example.com/", []),
        ("/nowhere/", ["chatflow.W017"]),
    ],
)
def test_the_sign_in_must_be_somewhere(url: str, ids: list[str], settings: Any) -> None:
    settings.LOGIN_URL = url
    assert [each.id for each in checks.check_included(None)] == ids


def test_the_apps_stand_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    order = [SimpleNamespace(name=name) for name in ("django.contrib.staticfiles", "chatflow")]
    monkeypatch.setattr(apps, "get_app_configs", lambda: order)
    [found] = checks.check_order_of_apps(None)
    assert found.id == "chatflow.W015"
    order.reverse()
    assert checks.check_order_of_apps(None) == []
