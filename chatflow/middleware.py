"""The middleware of every answer."""

import functools
import logging
import math
import sys
import time
from collections.abc import Callable
from itertools import takewhile
from traceback import walk_tb
from typing import Any

from corsheaders.middleware import CorsMiddleware
from csp.constants import HEADER
from csp.middleware import CSPMiddleware
from csp.utils import build_policy
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signals import got_request_exception
from django.db import DataError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.security import SecurityMiddleware
from django.shortcuts import render
from django.views import defaults

from chatflow import requests
from chatflow.answers.error_pages import ErrorPage, as_page, respond
from chatflow.answers.errors import UNSTORED, as_response, is_for_api, of_status, problem
from chatflow.answers.languages import localized
from chatflow.answers.page_policy import strict
from chatflow.signins import TooManyAtOnce, TooManySignIns
from chatflow.workflows.db import connection
from chatflow.workflows.services import outages

GetResponse = Callable[[HttpRequest], HttpResponseBase]
ProcessException = Callable[[HttpRequest, Exception], HttpResponseBase | None]

# Seconds for which a database connection that was found alive is taken for it.
FRESH = 1.0
# Where probes ask, as urls.py has it.
PROBES = ("/healthz", "/readyz")
# What a query passes on its way to the database.
LIBRARIES = ("django.", "zoneinfo")

logger = logging.getLogger(__name__)


@receiver(got_request_exception)
def note_database_out(sender: Any, request: Any = None, **kwargs: Any) -> None:
    """Remember on the request what is wrong with the database, if it failed because of that."""
    error = sys.exc_info()[1]
    if request is not None and error is not None and outages.is_unavailable(error):
        request.database_out = problem(error)


def service_unavailable(get_response: GetResponse) -> GetResponse:
    """Answer 503 when the database is out, whether a view or an inner middleware met it.

    Django turns an exception of either into a 500 before an outer middleware can catch it, hence
    the signal.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        found = getattr(request, "database_out", None)
        return response if found is None or response.status_code < 500 else respond(request, found)

    return middleware


def envelope(get_response: GetResponse) -> GetResponse:
    """Put whatever Django itself refuses under the API's path into the API's envelope."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        status = response.status_code
        if status < 400 or not is_for_api(request):
            return response
        is_json = response.headers.get("Content-Type") == "application/json"
        is_ours = is_json or isinstance(response, ErrorPage)
        # With DEBUG, Django's own page of a bug says more; a 503 is none of Django's.
        if is_ours or status == 503 or (settings.DEBUG and status == 500):
            return response
        return as_response(of_status(status), request.path_info)

    return middleware


def on_exception(process_exception: ProcessException) -> Callable[[GetResponse], GetResponse]:
    """Return the middleware that does nothing but answer what a view has raised."""

    def make(get_response: GetResponse) -> GetResponse:
        def middleware(request: HttpRequest) -> HttpResponseBase:
            return get_response(request)

        middleware.process_exception = process_exception  # type: ignore[attr-defined]
        return middleware

    return make


@on_exception
def sign_ins_refused(request: HttpRequest, error: Exception) -> HttpResponseBase | None:
    """Say on a page that there are too many sign-ins, whichever page they came from."""
    if not isinstance(error, TooManySignIns | TooManyAtOnce):
        return None
    found = problem(error)
    if is_for_api(request):
        return as_response(found, request.path_info)
    if isinstance(error, TooManyAtOnce):
        return as_page(request, found)
    minutes = math.ceil(error.wait / 60)
    page = too_many_sign_ins(request, minutes)
    page.status_code = found.status
    # As the page says it.
    page.headers["Retry-After"] = str(minutes * 60)
    return page


@on_exception
def refused_values(request: HttpRequest, error: Exception) -> HttpResponseBase | None:
    """Answer 400 in the admin to a value that Django's queries or the database refuse.

    Such as a character that can't be stored, a word for a number, or the year 99999: the admin
    hands on what stands in an address or a form.
    """
    match = request.resolver_match
    if match is None or "admin" not in match.app_names or not is_of_a_value(error):
        return None
    logger.warning("%s %r was refused: %s", request.method, request.path, error)
    return defaults.bad_request(request, error)


def is_of_a_value(error: Exception) -> bool:
    """Say whether a query failed for a value that was given to it, and not in code of the site."""
    if isinstance(error, DataError):
        return True
    if not isinstance(error, ValueError | OverflowError | ValidationError):
        return False
    names = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    of_libraries = takewhile(lambda name: name.startswith(LIBRARIES), reversed(names))
    return any(name.startswith("django.db.") for name in of_libraries)


@strict
@localized
def too_many_sign_ins(request: HttpRequest, minutes: int) -> HttpResponseBase:
    return render(request, "chatflow/too_many_sign_ins.html", {"minutes": minutes})


class AllowedHosts(CommonMiddleware):
    """Refuse hosts that are not in ALLOWED_HOSTS, as Django does, but never a probe.

    Who asks whether a container lives knows its address only, which nobody can name beforehand. No
    address is made of the host there.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info in PROBES else super().process_request(request)


class ContentSecurityPolicy(CSPMiddleware):
    """Put CONTENT_SECURITY_POLICY on every answer, as django-csp does, with two differences."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        # Django's debug pages are styled and scripted in line; not only those of a 404 and a 500.
        if settings.DEBUG and response.status_code >= 400:
            return response
        # django-csp puts the policy together for each answer, which takes as long as a query. No
        # view of the API changes it.
        if response.headers.get("Content-Type") == "application/json":
            response.headers.setdefault(HEADER, _policy())
            return response
        response = super().process_response(request, response)
        if HEADER in response.headers:
            response.headers[HEADER] = _in_order(response.headers[HEADER])
        return response


@functools.cache
def _policy() -> str:
    return _in_order(build_policy())


def _in_order(policy: str) -> str:
    """Return the policy with its directives sorted: django-csp takes them out of a set."""
    return "; ".join(sorted(policy.split("; ")))


def unstored(get_response: GetResponse) -> GetResponse:
    """Let nobody keep an answer, as all are somebody's own, but those that say otherwise."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Cache-Control", UNSTORED)
        return response

    return middleware


def dress(request: HttpRequest, response: HttpResponse) -> None:
    """Put the headers of every answer on one that passes no middleware: a stream, or a refusal."""
    _cors().add_response_headers(request, response)
    _security().process_response(request, response)
    if policy := _policy():
        response.headers.setdefault(HEADER, policy)
    response.headers.setdefault("Cache-Control", UNSTORED)
    if name := requests.present_id():
        response.headers[requests.HEADER] = name


@functools.cache
def _cors() -> CorsMiddleware:
    return CorsMiddleware(lambda request: HttpResponse())


@functools.cache
def _security() -> SecurityMiddleware:
    return SecurityMiddleware(lambda request: HttpResponse())


def trusted_connection(get_response: GetResponse) -> GetResponse:
    """Ask whether the database connection is alive only where that isn't known.

    One to a file that was replaced is closed.

    With CONN_HEALTH_CHECKS Django asks before the first query of every request, which costs a round
    trip. If the database goes away within a second after it was asked, the next request is answered
    with 503, and then it is known.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        outages.leave_replaced()
        own: Any = connection
        trusted = time.monotonic() < getattr(own, "trusted_until", 0.0)
        own.health_check_done = own.health_check_done or trusted
        response = get_response(request)
        if own.health_check_done and not trusted:
            own.trusted_until = time.monotonic() + FRESH
        return response

    return middleware
