"""Of the checkout's settings these have the database only, and that under another alias."""

from typing import Any

from chatflow.install import APPS
from chatflow.settings import DATABASES, SECRET_KEY, TEMPLATES
from tests.host.apps import SCHEMA

__all__ = ["SECRET_KEY", "TEMPLATES"]

INSTALLED_APPS = [
    *APPS,
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "tests.people",
    "tests.host",
    "tests.host.notes",
]
# As `startproject` writes them.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "chatflow.urls"
STATIC_URL = "/static/"
ALLOWED_HOSTS = ["testserver"]

AUTH_USER_MODEL = "people.Person"
LANGUAGE_CODE = "de"
TIME_ZONE = "Asia/Kolkata"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Chatflow has one of its own; the other has the rest of the team's.
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3"}, "chat": DATABASES["default"]}
DATABASE_ROUTERS = ["tests.host.routers.Router"]
_database: dict[str, Any] = DATABASES["chat"]
_database["ATOMIC_REQUESTS"] = True
_database["TEST"] = {"NAME": "test_host"}
if _database["ENGINE"] == "django.db.backends.postgresql":
    # That `migrate` leaves it alone is seen on SQLite; it takes seconds.
    DATABASES["default"]["TEST"] = {"MIGRATE": False}
    _database.setdefault("OPTIONS", {})["options"] = f"-c search_path={SCHEMA}"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.StaticHTMLRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FileUploadParser"],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.AnonRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"anon": "1/day"},
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "ALLOWED_VERSIONS": ["9"],
    "PAGE_SIZE": 1,
    "COMPACT_JSON": False,
    "UNICODE_JSON": False,
    "EXCEPTION_HANDLER": "tests.host.access.told",
    "UNAUTHENTICATED_USER": None,
}
REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Knox",
    "TOKEN_PREFIX": "team-",
    "SECURE_HASH_ALGORITHM": "hashlib.sha3_512",
    "AUTH_TOKEN_CHARACTER_LENGTH": 40,
}
CHATFLOW = {
    "AUTHENTICATION_CLASSES": [
        "tests.host.access.TeamKey",
        "chatflow.auth.BearerAuthentication",
        "chatflow.auth.CookieAuthentication",
    ],
    "PERMISSION_CLASSES": ["tests.host.access.NotOnLeave"],
}
