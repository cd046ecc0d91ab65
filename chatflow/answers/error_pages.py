"""An error as a page, for people whose browser asked for one."""

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from chatflow.answers.errors import as_response
from chatflow.answers.languages import localized
from chatflow.answers.page_policy import strict
from chatflow.wire.problems import Problem


class ErrorPage(HttpResponse):
    """A page that tells an error of ours, also below the API's path."""


def respond(request: HttpRequest, found: Problem) -> HttpResponse:
    """Answer a browser that opens a page with a page, and everybody else in the envelope."""
    preferred = request.get_preferred_type(["application/json", "text/html"])
    if preferred == "text/html":
        return as_page(request, found)
    return as_response(found, request.path_info)


def as_page(request: HttpRequest, found: Problem) -> HttpResponse:
    return cast(HttpResponse, _page(request, found))


@strict
@localized
def _page(request: HttpRequest, found: Problem) -> HttpResponse:
    # Without the request: the page would look its user up, in a database that may be away.
    content = render_to_string("chatflow/error.html", {"error": found.error})
    return ErrorPage(content, status=found.status, headers=found.headers)
