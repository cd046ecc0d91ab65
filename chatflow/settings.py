"""Every knob, read from the environment or from `.env`; `.env.example` explains each one."""

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from csp.constants import NONE, SELF, UNSAFE_INLINE

from chatflow.conf import DECLARED
from chatflow.environment import Environment, WrongSetting
from chatflow.install import APPS
from chatflow.kinds import Choice
from chatflow.project.private_file import PrivateConnection

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment(Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env"))

# Chatflow's own, as any project sets them; conf.py has their defaults.
CHATFLOW = env.of(DECLARED)

# For what finds a value wrong later: where it stands, which names are most likely others, and which
# lines count for nothing.
PLACE_OF_SETTING = env.place
MISSPELT_SETTINGS = env.misspelt
OVERRULED_SETTINGS = env.overruled

DEBUG = env.boolean("DEBUG", False)
SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG:
        raise WrongSetting(
            "SECRET_KEY is not set. Put SECRET_KEY=<a long random string> into the environment or "
            "into .env (`make demo` does it for you), or set DEBUG=true while developing."
        )
    SECRET_KEY = "insecure-and-only-for-debugging"
SECRET_KEY_FALLBACKS = env.names("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

# Behind a proxy that sets the X-Forwarded-… headers itself, or takes them away; wire/addresses.py.
if CHATFLOW.get("TRUST_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    USE_X_FORWARDED_HOST = True
# A proxy's prefix to the site's paths, for all requests.
FORCE_SCRIPT_NAME = env.prefix("FORCE_SCRIPT_NAME")

INSTALLED_APPS = [
    *APPS,
    # django.contrib.admin, with the overview for its first page.
    "chatflow.operations.site.OperationsAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "csp",
    "workflows.invoicing",
    *env.apps("EXTRA_APPS"),
]

MIDDLEWARE = [
    "chatflow.requests.identified",
    "chatflow.middleware.trusted_connection",
    "django.middleware.security.SecurityMiddleware",
    "chatflow.serving.static_files.StaticFiles",
    "corsheaders.middleware.CorsMiddleware",
    "chatflow.middleware.unstored",
    "chatflow.middleware.ContentSecurityPolicy",
    "chatflow.middleware.envelope",
    "chatflow.middleware.service_unavailable",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "chatflow.middleware.AllowedHosts",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "chatflow.middleware.sign_ins_refused",
    "chatflow.middleware.refused_values",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "chatflow.urls"
WSGI_APPLICATION = "chatflow.wsgi.application"
ASGI_APPLICATION = "chatflow.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# The database.

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.database("DATABASE_URL", f"sqlite:///{quote(str(BASE_DIR / 'db.sqlite3'))}")
}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # A relative path is one beside manage.py, wherever a process was started: else the web server
    # and the cluster could work on two files.
    if _database["NAME"] != ":memory:":
        _database["NAME"] = str(BASE_DIR / _database["NAME"])
    # One writer at a time: IMMEDIATE makes the others wait for it instead of failing half-way.
    _database.setdefault("OPTIONS", {}).update(
        {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "factory": PrivateConnection,
        }
    )
    # The default test database lives in memory, where no second process can see it.
    _database["TEST"] = {"NAME": str(BASE_DIR / ".test.sqlite3")}
else:
    _database["CONN_HEALTH_CHECKS"] = True
_database["CONN_MAX_AGE"] = 60

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Users.

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["chatflow.signins.Backend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "chatflow:chat"
LOGOUT_REDIRECT_URL = "login"

SESSION_ENGINE = "chatflow.access.sessions"
# Where the proxy in front speaks https only.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.boolean("SECURE_COOKIES", False)
# Another site on this host has cookies of its own, which may have the same names.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = FORCE_SCRIPT_NAME or "/"
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 0)

# HTTP.

# `make demo` and the Procfile read it; one that is wrong is refused by all processes.
env.integer("PORT", 8000, minimum=1, maximum=65_535)
DATA_UPLOAD_MAX_MEMORY_SIZE = CHATFLOW.get("MAX_BODY_BYTES", DECLARED["MAX_BODY_BYTES"].value)

CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS")
# Headers of the OpenAI clients that say what they run on.
STAINLESS = (
    "arch",
    "async",
    "helper-method",
    "lang",
    "os",
    "package-version",
    "poll-helper",
    "custom-poll-interval",
    "read-timeout",
    "retry-count",
    "runtime",
    "runtime-version",
    "timeout",
)
CORS_ALLOW_HEADERS = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "x-csrftoken",
    "x-request-id",
    "traceparent",
    # Other dialects'.
    "a2a-extensions",
    "a2a-version",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "openai-beta",
    "user-agent",
    "x-session-id",
    *(f"x-stainless-{name}" for name in STAINLESS),
]
# A page must see the last one, or OpenAI's client there repeats what must not be repeated.
CORS_EXPOSE_HEADERS = ["Retry-After", "Idempotency-Replayed", "X-Request-ID", "x-should-retry"]

# The pages load nothing from another host. Those of the site itself have no style in line either
# (answers/page_policy.py); Swagger's and the admin's do.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "style-src": [SELF, UNSAFE_INLINE],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# For a team's own views: the API's need none of it (endpoints/views.py).
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "chatflow.auth.BearerAuthentication",
        "chatflow.auth.CookieAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": [
        "chatflow.wire.parsers.JSONParser",
        "chatflow.wire.parsers.TextJSONParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "chatflow.wire.parsers.AlwaysJSON",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "chatflow.answers.errors.exception_handler",
}
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer"}
KNOX_TOKEN_MODEL = "chatflow.Token"
SPECTACULAR_SETTINGS = {
    "TITLE": "Chatflow",
    "DESCRIPTION": "Background AI workflows with live progress for chat applications.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "chatflow.answers.schema.name_server",
    ],
    # There are other fields of that name, with fewer values.
    "ENUM_NAME_OVERRIDES": {
        "StateEnum": "chatflow.workflows.models.State.values",
        "StatusEnum": ["processing", "completed", "failed", "timeout"],
        "ResponseStatusEnum": ["queued", "in_progress", "completed", "failed", "cancelled"],
    },
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    # Nothing is loaded from another host.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
}

STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "chatflow.serving.static_files.HashedStaticFiles"},
}
STATICFILES_DIRS = [BASE_DIR / "static"]
# Only where another server is to serve them, after collectstatic.
STATIC_ROOT = env.text("STATIC_ROOT") or None
# Served straight from the apps' folders, also without DEBUG: no collectstatic before a first run.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
# The pages' languages (answers/languages.py); the API and the admin speak English.
LANGUAGES = [("en", "English"), ("de", "German")]
LOCALE_PATHS = [BASE_DIR / "locale"]


# One object of JSON a line, on standard output; or lines to read, on standard error.
LOG_FORMAT = env.read("LOG_FORMAT", Choice(("plain", "json")), "plain")
_stream = sys.stdout if LOG_FORMAT == "json" else sys.stderr

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {"()": "chatflow.workflows.logs.JsonLines"},
    },
    "handlers": {
        "out": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "stream": _stream},
    },
    "filters": {"refusals": {"()": "chatflow.serving.refusals.Refusals"}},
    "root": {"handlers": ["out"], "level": "WARNING"},
    "loggers": {
        "django.request": {"filters": ["refusals"]},
        "django.security.DisallowedHost": {"filters": ["refusals"]},
        "chatflow.errors": {"filters": ["refusals"]},
        "chatflow": {"level": "INFO"},
        # A line for the start and the end of each attempt; `manage.py dev` shows them.
        "chatflow.workflows.running.journal": {"level": "WARNING"},
        # One line for each task would only repeat the job's rows.
        "django-q": {"level": "WARNING"},
    },
}
if LOG_FORMAT == "json":
    # uvicorn has set up its own before it has loaded this.
    for _name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        LOGGING["loggers"][_name] = {"handlers": ["out"], "level": "INFO", "propagate": False}

# Errors are told to Sentry, from the web processes and the workers, who are forks of what is here.
if SENTRY_DSN := env.text("SENTRY_DSN"):
    try:
        import sentry_sdk
    except ImportError:
        raise WrongSetting("SENTRY_DSN is set: run pip install sentry-sdk, or unset it.") from None
    from chatflow import sentry

    sentry_sdk.init(dsn=SENTRY_DSN, **sentry.OPTIONS)
