"""The usage of models, in tokens and money."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chatflow.workflows.ai.names import OFFLINE

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse

logger = logging.getLogger(__name__)

Usage = dict[str, Any]

# The median length of a token, to estimate the tokens that nobody counts.
CHARACTERS_PER_TOKEN = 4


def measure(response: "ModelResponse", characters: int) -> Usage:
    """Return the usage of one response: model, tokens, and US dollars if the price is known.

    Args:
        response: of the model. Some servers don't say its tokens; then they are estimated.
        characters: the length of the request.
    """
    usage: Usage = {
        "model": response.model_name or "",
        "input_tokens": response.usage.input_tokens,
        "output_tokens": response.usage.output_tokens,
    }
    if response.model_name == OFFLINE:
        return usage
    if not usage["input_tokens"] and not usage["output_tokens"]:
        said = sum(len(str(getattr(part, "content", part))) for part in response.parts)
        return usage | {
            "input_tokens": characters // CHARACTERS_PER_TOKEN,
            "output_tokens": -(-said // CHARACTERS_PER_TOKEN),
            "estimated": True,
        }
    try:
        if response.usage.cost is None:
            # pydantic-ai would look it up as well, and so would the next who measures.
            response.usage.cost = response.cost().total_price
        usage["cost_usd"] = round(float(response.usage.cost), 8)
    except Exception as error:
        # A model of one's own, or one that is newer than the price list. Whatever the error, a
        # response that is paid for isn't lost over its price.
        logger.info("The price of %s is not known (%s).", response.model_name, error)
    return usage


def total(usages: Iterable[Usage]) -> Usage:
    """Return the sum, as a job's ``usage``; empty where no model was called."""
    parts = list(usages)
    if not parts:
        return {}
    usage: Usage = {
        "requests": len(parts),
        "input_tokens": sum(part["input_tokens"] for part in parts),
        "output_tokens": sum(part["output_tokens"] for part in parts),
        "models": list(dict.fromkeys(part["model"] for part in parts)),
    }
    if any(part.get("estimated") for part in parts):
        usage["estimated"] = True
    if any("cost_usd" in part for part in parts):
        usage["cost_usd"] = round(sum(part.get("cost_usd", 0.0) for part in parts), 8)
    return usage
