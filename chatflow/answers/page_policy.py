"""What a page of the site itself may load: less than Swagger's, whose styles stand in its lines."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urlsplit

from csp.constants import HEADER, NONE, SELF
from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from chatflow.conf import conf

View = Callable[..., HttpResponseBase]

# What the middleware of a policy, django-csp's or Django's own, leaves on a request.
LEFT_BY_MIDDLEWARE = ("csp_nonce", "_csp_nonce")


def strict(view: View) -> View:
    """Let a page load next to nothing.

    A hostile model, whose words are shown, can neither run a script nor call another host. A
    project's own policy is left as it is, but for styles and images; without one, a page has ours.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        own = _own_hosts()
        policy = {"style-src": own, "img-src": [*own, "data:", *conf.IMAGE_HOSTS]}
        response = cast(View, csp_replace(policy)(view))(request, *args, **kwargs)
        if not any(hasattr(request, name) for name in LEFT_BY_MIDDLEWARE):
            policy |= {"default-src": own, "object-src": [NONE], "base-uri": [NONE]}
            response.headers.setdefault(HEADER, _written(policy))
        return response

    return wrapped


def _own_hosts() -> list[str]:
    """Return where the site's own files come from: itself, and the host of STATIC_URL."""
    host = urlsplit(settings.STATIC_URL or "").netloc
    return [SELF, host] if host else [SELF]


def _written(policy: dict[str, list[str]]) -> str:
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in sorted(policy.items()))
