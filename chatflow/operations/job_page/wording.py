"""Plain words for what the rows say."""

import json
from typing import Any

from chatflow.workflows.ai.names import OFFLINE
from chatflow.workflows.models import Event, Job, State

# Characters of a text that stands on the page; the rest is on a page of its own.
SHOWN = 2000
STATES: dict[str, str] = {
    State.QUEUED: "Waiting",
    State.PROCESSING: "Running",
    State.COMPLETED: "Done",
    State.FAILED: "Failed",
    State.TIMEOUT: "Timed out",
    State.CANCELLED: "Cancelled",
}
# Of one that is completed, and whose question is open.
ASKS = "Waiting for the user"
BAR_STATES = {
    "running": "running",
    "waiting": "waiting",
    "finished": "done",
    "stopped": "not finished",
    "failed": "failed",
}
EVENTS: dict[str, str] = {
    Event.Type.STARTED: "attempt began",
    Event.Type.PROGRESS: "progress",
    Event.Type.STEP_STARTED: "step began",
    Event.Type.STEP_FINISHED: "step done",
    Event.Type.DELTA: "words",
    Event.Type.RESTARTED: "words taken back",
    Event.Type.COMPLETED: "done",
    Event.Type.FAILED: "failed",
    Event.Type.TIMEOUT: "ran out of time",
    Event.Type.CANCELLED: "stopped",
}


def state_of(job: Job, *, asks: bool) -> str:
    """Return how a job stands.

    Args:
        job: it.
        asks: its question is open.
    """
    if asks:
        return ASKS
    if job.state == State.PROCESSING and job.cancel_code:
        return "Stopping"
    return STATES[job.state]


def tone_of(job: Job, *, asks: bool) -> str:
    """Return the name of the colour that goes with state_of()."""
    return "asks" if asks else job.state


def decided(job: Job, *, approved: bool) -> str:
    """Return what came of a decision, after which *job* goes on."""
    return f"{'Approved' if approved else 'Rejected'} for the user; it goes on as {job}."


def duration(seconds: float) -> str:
    """Return a length of time as people say it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def money(dollars: float) -> str:
    """Return a cost, which may be a tiny one."""
    return f"${dollars:.2f}" if dollars >= 0.1 or not dollars else f"${dollars:.6f}".rstrip("0")


def usage_facts(usage: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return what is known of the use of models: of one request, or of a whole job."""
    if not usage:
        return []
    models = usage.get("models") or [usage.get("model") or "unknown"]
    tokens = f"{usage.get('input_tokens', 0):,} in, {usage.get('output_tokens', 0):,} out"
    facts = [("Model", ", ".join(map(str, models)))]
    if "requests" in usage:
        facts.append(("Requests", f"{usage['requests']:,}"))
    facts.append(("Tokens", f"about {tokens}" if usage.get("estimated") else tokens))
    if models != [OFFLINE]:
        cost = usage.get("cost_usd")
        facts.append(("Cost", "not known" if cost is None else money(cost)))
    return facts


def as_text(value: Any) -> str:
    """Return recorded JSON for people: a text as it is, what is not too long indented."""
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    # Python's indenting is slow, and of a long one only the beginning is shown.
    return text if len(text) > SHOWN else json.dumps(value, indent=2, ensure_ascii=False)


def cut(text: str) -> tuple[str, bool]:
    """Return as much of a text as the page shows, and whether that isn't all."""
    return (text, False) if len(text) <= SHOWN else (text[:SHOWN] + " …", True)
