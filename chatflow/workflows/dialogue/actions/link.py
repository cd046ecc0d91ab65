"""A link: the client opens it, and the server has nothing to do."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator

from chatflow.workflows.dialogue.actions.base import Offer, Turn
from chatflow.workflows.exceptions import InvalidForm


def _safe_url(url: str) -> str:
    """Return *url* if it is a web address or a path of this site."""
    # Browsers take a backslash for a slash, and drop control characters from an address.
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise ValueError("a space, a control character or a backslash is in it")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("it can't be read") from None
    is_path = url.startswith("/") and not url.startswith("//")
    if not is_path and not (parts.scheme in ("http", "https") and parts.hostname):
        raise ValueError("it is neither http(s)://… nor a path of this site, /…")
    return url


class Link(Offer):
    """Opens a page."""

    type: Literal["link"]
    url: Annotated[str, AfterValidator(_safe_url)]

    def turn(self, data: dict[str, Any] | None = None) -> Turn:
        raise InvalidForm({"action_id": ["A link is opened, not posted."]})
