"""The reasoning of models, which is no part of their answers, as it is recorded with them."""

from collections.abc import Iterable
from typing import Any

# In the metadata of a response: reasoning that stood between tags in its text.
REASONING = "reasoning"
# Characters that are kept of it for whoever wants to see it.
LENGTH = 4000
CUT = " […]"


def read_reasoning(responses: Iterable[dict[str, Any]]) -> str:
    """Return the reasoning of the answers to one message, shortened; empty where there is none.

    Args:
        responses: as they are recorded.
    """
    thoughts = (thought.strip() for response in responses for thought in _list_thoughts(response))
    text = "\n\n".join(filter(None, thoughts))
    return text if len(text) <= LENGTH else text[: LENGTH - len(CUT)] + CUT


def _list_thoughts(response: dict[str, Any]) -> list[str]:
    parts = [part for part in response.get("parts", []) if part.get("part_kind") == "thinking"]
    thoughts = [str(part.get("content") or "") for part in parts]
    return [*thoughts, str((response.get("metadata") or {}).get(REASONING, ""))]
