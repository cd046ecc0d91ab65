"""The models: whether each that may be asked is configured, before the first user asks."""

import asyncio
from collections.abc import Iterator

from chatflow.conf import place
from chatflow.doctor.findings import Finding, Visit, note, ok, problem
from chatflow.workflows.ai import names
from chatflow.workflows.exceptions import first_line


def look(visit: Visit) -> Iterator[Finding]:
    """Make ready to ask each model; none is asked."""
    configured = list(dict.fromkeys([*names.to_try(), *names.allowed()]))
    real = [name for name in configured if name != names.OFFLINE]
    if not real:
        yield note(
            "AI_MODEL is offline.",
            "Chat answers with passages of documents and fixed sentences; no model is asked.",
            "AI_MODEL=openai:gpt-5-mini, and its provider's key; docs/models.md",
        )
        return
    for name in real:
        wrong = asyncio.run(_try(name))
        if wrong:
            yield problem(
                f"{name} can't be asked ({place('AI_MODEL')}): {wrong}",
                "Each message that needs it fails.",
                _key_of(name),
            )
        else:
            yield ok(f"{name} is configured. (It was not asked.)")


async def _try(name: str) -> str:
    try:
        # It imports the provider's SDK, which takes a second.
        from chatflow.workflows.ai.connections import get_connections

        get_connections().get_model(name)
    except Exception as error:
        # As in recorded.find_models(), and whatever else an SDK may raise.
        return first_line(error)
    return ""


def _key_of(name: str) -> str:
    provider = name.partition(":")[0].partition("-")[0].upper()
    return f"{provider}_API_KEY=… in .env or the environment of the web processes and the cluster"
