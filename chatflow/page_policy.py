"""What a page of the site itself may load: less than Swagger's, whose styles stand in its lines."""

from collections.abc import Callable
from typing import cast

from csp.constants import SELF
from csp.decorators import csp_replace
from django.http.response import HttpResponseBase

from chatflow.conf import conf

View = Callable[..., HttpResponseBase]

# A hostile model, whose words are shown, can neither run a script nor call another host.
strict = cast(
    Callable[[View], View],
    csp_replace({"style-src": [SELF], "img-src": [SELF, "data:", *conf.IMAGE_HOSTS]}),
)
