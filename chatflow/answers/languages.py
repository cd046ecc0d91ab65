"""The languages of the pages. The API speaks English, whatever a browser asks for."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.views.i18n import JSONCatalog

View = Callable[..., HttpResponseBase]


def english() -> translation.override:
    """Return the context of an answer of the API, whatever the project's LANGUAGE_CODE is."""
    return translation.override("en")


def localized(view: View) -> View:
    """Let a page be in the language that its reader's browser asks for."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with translation.override(translation.get_language_from_request(request)):
            response = view(request, *args, **kwargs)
            # A template's words are looked up when it is rendered, which may be later.
            if hasattr(response, "render"):
                response = cast(Any, response).render()
            response.headers["Content-Language"] = translation.get_language() or "en"
        patch_vary_headers(response, ("Accept-Language",))
        return response

    return wrapped


def words() -> dict[str, Any]:
    """Return the scripts' words in the current language, by the English ones."""
    catalog: Any = JSONCatalog()
    catalog.translation = translation.trans_real.DjangoTranslation(
        translation.get_language(), domain="djangojs"
    )
    found: dict[str, Any] = catalog.get_catalog()
    return found
