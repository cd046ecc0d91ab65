"""Checks of the project that Chatflow is installed in: each names the line to write."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import Error as DatabaseError
from django.db import connections, router
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, is_valid_path, reverse
from django.utils.module_loading import import_string

from chatflow.conf import conf, place
from chatflow.wire import routes
from chatflow.workflows.checks import HTTP
from chatflow.workflows.db import alias, connection, migrating

DATABASES = ("postgresql", "sqlite")
# What the engine calls on a user.
NEEDED = ("USERNAME_FIELD", "get_username", "is_authenticated")
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
SIGN_INS = "django.contrib.auth.middleware.AuthenticationMiddleware"
STATIC_FILES = "django.contrib.staticfiles"
OUTAGES = "chatflow.middleware.service_unavailable"
# Apps of others whose tables must be beside ours.
NEIGHBOURS = ("auth", "contenttypes", "django_q", "knox", "admin")
# How many models a check names.
NAMED = 5


@register
def check_apps(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a project without the apps that ours stand on."""
    return [
        Error(
            f"Chatflow needs {name}.",
            hint=f'Write "{name}" into INSTALLED_APPS.',
            id="chatflow.E011",
        )
        for name in ("django.contrib.auth", "django.contrib.contenttypes")
        if not apps.is_installed(name)
    ]


@register
def check_order_of_apps(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn of a runserver that is another app's: it has no streams."""
    names = [config.name for config in apps.get_app_configs()]
    if STATIC_FILES not in names or names.index("chatflow") < names.index(STATIC_FILES):
        return []
    return [
        checks.Warning(
            f"chatflow stands below {STATIC_FILES}, whose runserver has no streams.",
            hint="Write INSTALLED_APPS = [*APPS, …], with APPS in front.",
            id="chatflow.W015",
        )
    ]


@register
def check_time_zones(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse times without a zone: a lease would end at another hour than it was taken for."""
    if settings.USE_TZ:
        return []
    return [
        Error(
            "Chatflow's times have a zone, and USE_TZ is False.",
            hint="Write USE_TZ = True; TIME_ZONE may be any.",
            id="chatflow.E012",
        )
    ]


@register
def check_user_model(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse users who have no name to sign in with."""
    users = get_user_model()
    missing = [name for name in NEEDED if not hasattr(users, name)]
    if not missing:
        return []
    return [
        Error(
            f"{users.__name__} has no {', no '.join(missing)}.",
            hint=f"Write class {users.__name__}(AbstractBaseUser), or add these to it.",
            obj=users,
            id="chatflow.E013",
        )
    ]


@register
def check_databases(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a kind of database unknown to us, and routers that scatter what belongs together."""
    if alias() not in connections:
        return [
            Error(
                f"DATABASE_ROUTERS lead Chatflow's tables to {alias()!r}, which DATABASES hasn't.",
                hint=f'Write DATABASES["{alias()}"], or let db_for_write() return another name.',
                id="chatflow.E015",
            )
        ]
    found: list[CheckMessage] = []
    if connection.vendor not in DATABASES:
        found.append(
            Error(
                f"Chatflow runs on PostgreSQL and SQLite, not on {connection.vendor}.",
                hint=f'Write such a database into DATABASES["{alias()}"].',
                id="chatflow.E014",
            )
        )
    read = {*_own_models(), get_user_model()}
    return found + _scattered(read, read.union(_neighbours()))


def _scattered(read: Collection[type[Any]], beside: Collection[type[Any]]) -> list[CheckMessage]:
    """Return what is wrong with the way that routers lead models.

    Args:
        read: those of which Chatflow must see at once what was written.
        beside: those whose tables must be beside its own.
    """
    database = alias()
    mistakes = (
        (
            [model for model in beside if router.db_for_write(model) != database],
            f"Chatflow's jobs are in the database {database!r}, and DATABASE_ROUTERS lead elsewhere"
            " what must be beside them, as foreign keys and transactions end with a database",
            f"Let db_for_write() and db_for_read() return {database!r} for these.",
        ),
        (
            [model for model in read if router.db_for_read(model) != router.db_for_write(model)],
            "Chatflow must see at once what it has written, and DATABASE_ROUTERS let it read from"
            " another database, such as a replica, than it writes to",
            f"Let db_for_read() return {database!r} for these, as db_for_write() does.",
        ),
        (
            [
                model
                for model in beside
                if router.db_for_write(model) == database
                and not router.allow_migrate_model(database, model)
            ],
            f"DATABASE_ROUTERS keep the tables out of the database {database!r} in which they are"
            " looked for",
            f"Let allow_migrate() return True for {database!r} and these.",
        ),
    )
    return [
        Error(f"{mistake}: {_names(wrong)}.", hint=hint, id="chatflow.E015")
        for wrong, mistake, hint in mistakes
        if wrong
    ]


def _names(models: Collection[type[Any]]) -> str:
    names = sorted(model._meta.label for model in models)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _own_models() -> Iterator[type[Any]]:
    for config in apps.get_app_configs():
        if _is_ours(config.label):
            yield from config.get_models()


def _neighbours() -> Iterator[type[Any]]:
    """Yield the models to whose rows ours point, and those that point to the same users."""
    for config in apps.get_app_configs():
        if config.label in NEIGHBOURS:
            yield from config.get_models()


def _is_ours(label: str) -> bool:
    return label.partition("_")[0] == "chatflow"


@register(HTTP)
def check_classes(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse classes that aren't there: every request would fail."""
    named = {
        "AUTHENTICATION_CLASSES": (conf.AUTHENTICATION_CLASSES, "authenticate"),
        "PERMISSION_CLASSES": (conf.PERMISSION_CLASSES, "has_permission"),
    }
    found: list[CheckMessage] = [
        Error(
            f"{setting} names {name!r}, but {mistake} ({place(setting)}).",
            hint="Write its dotted name, such as team.access.TeamKey.",
            id="chatflow.E016",
        )
        for setting, (names, method) in named.items()
        for name in names
        if (mistake := _mistake_in_class(name, method))
    ]
    if not conf.AUTHENTICATION_CLASSES:
        found.append(
            Error(
                f"AUTHENTICATION_CLASSES is empty ({place('AUTHENTICATION_CLASSES')}).",
                hint='Write one at least, such as "chatflow.auth.BearerAuthentication".',
                id="chatflow.E016",
            )
        )
    return found


def _mistake_in_class(name: str, method: str) -> str:
    """Say why no request can be looked at by a class; empty where it can."""
    found = _loaded(name)
    if found is None:
        return "there is no such class"
    return "" if callable(getattr(found, method, None)) else f"that has no {method}()"


def _loaded(name: str) -> type[Any] | None:
    try:
        found = import_string(name)
    except ImportError:
        return None
    return found if isinstance(found, type) else None


@register(HTTP)
def check_sign_ins(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where nobody can sign in by a cookie, though that is one of the ways."""
    from rest_framework.authentication import SessionAuthentication

    from chatflow.auth import is_stored, session_model

    kinds = filter(None, map(_loaded, conf.AUTHENTICATION_CLASSES))
    if not any(issubclass(each, SessionAuthentication) for each in kinds):
        return []
    hint = 'Write "{}" into {}, or name no class for cookies in CHATFLOW["AUTHENTICATION_CLASSES"].'
    found: list[CheckMessage] = [
        checks.Warning(
            f"Nobody is signed in by a cookie: there is no {name} in MIDDLEWARE.",
            hint=hint.format(name, "MIDDLEWARE"),
            id="chatflow.W011",
        )
        for name in (SESSIONS, SIGN_INS)
        if not _has_middleware(name)
    ]
    app = "django.contrib.sessions"
    if settings.SESSION_ENGINE.startswith(f"{app}.backends.db") and not apps.is_installed(app):
        found.append(
            Error(
                f"SESSION_ENGINE keeps sessions in a table of {app}, which is not installed.",
                hint=hint.format(app, "INSTALLED_APPS"),
                id="chatflow.E017",
            )
        )
    elif is_stored():
        found += _scattered([session_model()], [session_model()])
    else:
        found.append(
            checks.Warning(
                "The sessions are no rows of the database: who signs out keeps the streams that"
                " are open for STREAM_LINK_TTL at most.",
                hint='Write SESSION_ENGINE = "django.contrib.sessions.backends.cached_db", whose'
                " sessions are in the cache and in the database.",
                id="chatflow.W012",
            )
        )
    return found


@register(Tags.urls)
def check_included(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where the API is nowhere, or its pages lead to a sign-in that is nowhere."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        reverse(f"{routes.API}:chat")
    except NoReverseMatch:
        return [
            checks.Warning(
                f"chatflow.api is nowhere in {settings.ROOT_URLCONF}.",
                hint='Write path("chat/", include("chatflow.api")) into its urlpatterns.',
                id="chatflow.W016",
            )
        ]
    if _leads_somewhere(settings.LOGIN_URL):
        return []
    return [
        checks.Warning(
            f"The chat page sends people to LOGIN_URL, {settings.LOGIN_URL!r}, where nothing is.",
            hint='Write where people sign in, such as LOGIN_URL = "admin:login".',
            id="chatflow.W017",
        )
    ]


def _leads_somewhere(url: Any) -> bool:
    address = resolve_url(url)
    if not address.startswith("/"):
        return True
    return any(is_valid_path(each) for each in (address, f"{address}/"))


@register(Tags.urls)
def check_prefixes(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a prefix without a slash at its end, which would run into the first word behind it."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    return [
        Error(
            f"{included} is below {prefix!r}, so that a path begins with {prefix}{first}.",
            hint=f'Write path("{prefix}/", include("{included}")).',
            id="chatflow.E020",
        )
        for name, included, first in (
            (routes.API, "chatflow.api", "chat/"),
            (routes.PROTOCOLS, "chatflow.protocols", "v1/"),
        )
        for prefix in routes.prefixes(name)
        if prefix and not prefix.endswith("/")
    ]


@register(Tags.urls)
def check_places(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse paths that have a language in them: streams are looked up before one is known."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    includes = {routes.API: "chatflow.api", routes.PROTOCOLS: "chatflow.protocols"}
    return [
        Error(
            f"{included} is below i18n_patterns(), and the API's paths are the same in all"
            " languages.",
            hint=f'Write path("…", include("{included}")) into urlpatterns outside of'
            " i18n_patterns(). The pages are in each browser's language as they are.",
            id="chatflow.E019",
        )
        for name, included in includes.items()
        if routes.is_below_language(name)
    ]


@register(HTTP)
def check_outages(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where a middleware that meets the database before a view does would answer 500."""
    if _has_middleware(OUTAGES):
        return []
    return [
        checks.Warning(
            "While the database is out, what fails before a view is answered with 500 instead of"
            " 503.",
            hint=f'Write "{OUTAGES}" into MIDDLEWARE, above SessionMiddleware.',
            id="chatflow.W013",
        )
    ]


def _has_middleware(wanted: str) -> bool:
    kind = import_string(wanted)
    for name in settings.MIDDLEWARE:
        if name == wanted:
            return True
        found = _loaded(name)
        if found is not None and isinstance(kind, type) and issubclass(found, kind):
            return True
    return False


@register(HTTP)
def check_bodies(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn where Django refuses bodies that MAX_BODY_BYTES allows."""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if most is None or most >= conf.MAX_BODY_BYTES:
        return []
    return [
        checks.Warning(
            f"Django refuses bodies of more than {most} bytes, and MAX_BODY_BYTES is"
            f" {conf.MAX_BODY_BYTES} ({place('MAX_BODY_BYTES')}).",
            hint=f"Write DATA_UPLOAD_MAX_MEMORY_SIZE = {conf.MAX_BODY_BYTES}.",
            id="chatflow.W014",
        )
    ]


@register(deploy=True)
def check_migrations(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a database without our tables, or with those of another version."""
    # It is one of `check --deploy`: no other start needs what writes and reads migrations.
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        # It is away: other checks, and whoever asks it, say so.
        return []
    ours = [str(each) for each, _ in plan if _is_ours(each.app_label)]
    if not ours:
        return []
    return [
        Error(
            f"The database lacks {len(ours)} of Chatflow's migrations, the first {ours[0]}.",
            hint=f"Run {migrating()}",
            id="chatflow.E018",
        )
    ]
