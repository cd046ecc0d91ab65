"""The API's views: they state their own policy, whatever the project's REST_FRAMEWORK says."""

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.openapi import AutoSchema
from rest_framework.authentication import BaseAuthentication
from rest_framework.metadata import SimpleMetadata
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.settings import APISettings, api_settings
from rest_framework.views import APIView

from chatflow.access.entrance import authenticators, permissions
from chatflow.answers.errors import UNSTORED, Refused, too_large
from chatflow.answers.languages import english
from chatflow.conf import conf
from chatflow.wire.parsers import AlwaysJSON, JSONParser, TextJSONParser
from chatflow.workflows.db import non_atomic_requests

View = Callable[..., Any]

# What the decorators of Django REST framework say of a function, such as @parser_classes.
STATED = ("authentication_classes", "permission_classes", "parser_classes")


class OwnJSONRenderer(JSONRenderer):
    """JSON in the same bytes everywhere."""

    compact = True
    strict = True
    ensure_ascii = False


def schema_class() -> type[AutoSchema]:
    """Return what describes the views: the project's own class, if it is one of drf-spectacular."""
    theirs: Any = api_settings.DEFAULT_SCHEMA_CLASS
    return theirs if issubclass(theirs, AutoSchema) else AutoSchema


# A view of the API. CHATFLOW says who may come in; nothing else of it is anybody's choice.
# (No docstring: the schema would show it.)
class Endpoint(APIView):
    # For all that Django REST framework reads from its settings at a request.
    settings = APISettings({"EXCEPTION_HANDLER": "chatflow.answers.errors.exception_handler"})
    renderer_classes = [OwnJSONRenderer]
    parser_classes = [JSONParser, TextJSONParser]
    content_negotiation_class = AlwaysJSON
    metadata_class = SimpleMetadata
    versioning_class = None
    throttle_classes = []
    # None: those of CHATFLOW.
    authentication_classes: Any = None
    permission_classes: Any = None
    schema = schema_class()()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with english():
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length) > conf.MAX_BODY_BYTES:
            raise Refused(too_large(conf.MAX_BODY_BYTES))
        super().initial(request, *args, **kwargs)

    def finalize_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(*args, **kwargs)
        response.headers.setdefault("Cache-Control", UNSTORED)
        return response

    def get_authenticators(self) -> list[BaseAuthentication]:
        stated = self.authentication_classes
        return [each() for each in (authenticators() if stated is None else stated)]

    def get_permissions(self) -> list[Any]:
        stated = self.permission_classes
        return [each() for each in (permissions() if stated is None else stated)]


def api_view(methods: Sequence[str]) -> Callable[[View], View]:
    """Make an Endpoint of a function, as Django REST framework's decorator makes a view of one.

    Args:
        methods: those that it answers, in capitals.
    """

    def decorate(function: View) -> View:
        def answer(self: Endpoint, *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        members: dict[str, Any] = {
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            # drf-spectacular's decorators stand above, and add to it.
            "kwargs": {"schema": schema_class()},
            "http_method_names": [*(each.lower() for each in methods), "options"],
            **{each.lower(): answer for each in methods},
            **{name: getattr(function, name) for name in STATED if hasattr(function, name)},
        }
        # The engine decides itself what is committed at once, also under ATOMIC_REQUESTS.
        made: Any = type(function.__name__, (Endpoint,), members)
        view: View = non_atomic_requests(made.as_view())
        return view

    return decorate
