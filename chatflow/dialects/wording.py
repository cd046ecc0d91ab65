"""What a client is shown that knows nothing but words."""

from typing import Any


def rest(words: str, response: str) -> str | None:
    """Return what is left to say of a job's response behind its streamed words.

    Args:
        words: the streamed ones that stand.
        response: the whole, by the job's last event.

    Returns:
        The rest, which may be empty; None if the response is another text than the words.
    """
    if response.startswith(words):
        return response[len(words) :]
    # Workflows strip what models say.
    return "" if "".join(words.split()) == "".join(response.split()) else None


def choices(awaiting: dict[str, Any] | None) -> str:
    """Return the lines that stand below a question, one for each answer to choose from.

    Args:
        awaiting: the answer that is wanted, if any.
    """
    offered = (awaiting or {}).get("choices", [])
    return "".join(f"\n{place}. {each['label']}" for place, each in enumerate(offered, 1))
