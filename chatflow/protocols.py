"""The other clients' protocols, to be included at the root of a site, or below a prefix.

``path("", include("chatflow.protocols"))``
"""

from django.urls import include, path

from chatflow.project import installed  # noqa: F401

# isort: split
# The middleware also hears, by a signal, when the database is out.
from chatflow import middleware  # noqa: F401
from chatflow.dialects import served
from chatflow.wire import routes

app_name = routes.PROTOCOLS

# Some have endpoints in common.
modules = dict.fromkeys(module for dialect in served() for module in dialect.endpoints)
urlpatterns = [path("", include(module)) for module in modules]
