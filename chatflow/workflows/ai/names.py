"""The names of models, without pydantic-ai: ``offline``, or ``provider:model``."""

import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from chatflow.conf import conf

OFFLINE = "offline"
# What a recorded response says of the request that it answers: see Request.describe().
PROMPTED = "asked"
# Providers, and variables of the environment of which one must be set for each, as pydantic-ai
# reads them. The others' are left to the first call.
KEYS = {
    "alibaba": ("ALIBABA_API_KEY", "DASHSCOPE_API_KEY"),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "cerebras": ("CEREBRAS_API_KEY",),
    "cohere": ("CO_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks": ("FIREWORKS_API_KEY",),
    "github": ("GITHUB_API_KEY",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "huggingface": ("HF_TOKEN",),
    "mistral": ("MISTRAL_API_KEY",),
    "moonshotai": ("MOONSHOTAI_API_KEY",),
    "nebius": ("NEBIUS_API_KEY",),
    "ollama": ("OLLAMA_BASE_URL",),
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "openai-chat": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "openai-responses": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "openrouter": ("OPENROUTER_API_KEY",),
    "ovhcloud": ("OVHCLOUD_API_KEY",),
    "together": ("TOGETHER_API_KEY",),
    "vercel": ("VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
    "vllm": ("VLLM_BASE_URL",),
    "xai": ("XAI_API_KEY",),
}


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


def missing_key(name: str) -> str:
    """Return the variable without which a model can't be called; empty where none is known."""
    keys = KEYS.get(name.partition(":")[0], ())
    return "" if not keys or any(os.environ.get(each) for each in keys) else keys[0]


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
