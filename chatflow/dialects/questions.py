"""A question as plain words, for clients that show text alone."""

from typing import Any


def in_words(response: str, awaiting: dict[str, Any] | None) -> str:
    """Return an answer's text; behind that of a choice stand its labels, one a line.

    Args:
        response: the job's.
        awaiting: what it waits for, if it asks.
    """
    choices = (awaiting or {}).get("choices") or []
    labels = [f"{number}. {choice['label']}" for number, choice in enumerate(choices, 1)]
    return "\n".join([response, *labels])
