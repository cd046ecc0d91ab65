"""What a page of the site itself may load: less than Swagger's, whose styles stand in its lines."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from csp.constants import SELF
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponseBase

from chatflow.conf import conf

View = Callable[..., HttpResponseBase]


def strict(view: View) -> View:
    """Let a page load next to nothing.

    A hostile model, whose words are shown, can neither run a script nor call another host.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        policy = {"style-src": [SELF], "img-src": [SELF, "data:", *conf.IMAGE_HOSTS]}
        return cast(View, csp_replace(policy)(view))(request, *args, **kwargs)

    return wrapped
