"""The names of models, without pydantic-ai: ``offline``, or ``provider:model``."""

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from chatflow.conf import conf

OFFLINE = "offline"


def to_try(name: str = "") -> list[str]:
    """Return the names of the models to call, in order.

    Args:
        name: the one to call first; by default ``AI_MODEL``.
    """
    names = [name or conf.AI_MODEL, *conf.AI_FALLBACK_MODELS]
    return list(dict.fromkeys(names))


def allowed() -> list[str]:
    """Return the names that a request may choose from."""
    return list(dict.fromkeys([conf.AI_MODEL, *conf.AI_ALLOWED_MODELS]))


def check(names: Sequence[str]) -> None:
    """Check that there are such models, as far as that can be told without calling a provider.

    Raises:
        ImproperlyConfigured: the first name that there is no provider for.
    """
    for name in names:
        if name != OFFLINE and not _has_provider(name):
            raise ImproperlyConfigured(f"There is no model called {name!r}.")


def _has_provider(name: str) -> bool:
    provider, _, model = name.partition(":")
    if not model or not re.fullmatch(r"[a-z0-9/-]+", provider):
        return False
    spec = find_spec("pydantic_ai")
    folder = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
    if (folder / "providers" / f"{provider.replace('-', '_')}.py").exists():
        return True
    # A name of more than one kind of API, such as openai-chat: pydantic-ai itself knows.
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.providers import infer_provider_class

    try:
        infer_provider_class(provider)
    except (ValueError, UserError):
        return False
    except ImportError:
        # It needs a package that isn't installed; the error of the first request names it.
        pass
    return True
