"""Logs as chance makes them, within the engine's own rules."""

from typing import Any

from hypothesis import strategies as st

from chatflow.workflows.models import Event, Job, Session
from tests.chatflow.dialects.contract import NOON, Said

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
SOURCES = st.lists(
    st.fixed_dictionaries({"title": WORDS}, optional={"url": WORDS, "relevance": st.floats(0, 9)}),
    max_size=2,
)
USAGE = {"requests": 1, "input_tokens": 3, "output_tokens": 4, "models": ["m"]}
QUESTIONS: list[dict[str, Any]] = [
    {"kind": "text", "prompt": "Who?", "optional": True},
    {"kind": "confirm", "prompt": "Sure?", "optional": False},
    {
        "kind": "choice",
        "prompt": "Which?",
        "choices": [{"label": "Red", "value": 1}, {"label": "Blue", "value": 2}],
        "optional": False,
    },
    {"kind": "form", "prompt": "Fill in.", "schema": {"type": "object"}, "optional": False},
    {
        "kind": "approval",
        "prompt": "May I?",
        "approval_id": f"approval_{'1' * 32}",
        "details": {},
        "optional": False,
    },
]


def job(**fields: Any) -> Job:
    """Return the job whose logs these are."""
    session = Session(pk=1, key="s")
    return Job(public_id=f"workflow_{'0' * 32}", session=session, created_at=NOON, **fields)


@st.composite
def logs(draw: st.DrawFn) -> list[Said]:
    """Make what happens to a job, to its end."""
    said: list[Said] = [("started", {})]
    words = ""
    for kind in draw(st.lists(st.sampled_from(["delta", "restarted", "progress"]), max_size=12)):
        if kind == "delta":
            delta = draw(WORDS)
            words += delta
            said.append((kind, {"delta": delta}))
        elif kind == "restarted":
            stands = draw(st.integers(0, len(words)))
            words = words[:stands]
            said.append((kind, {"attempt": 2, "text_length": stands}))
        else:
            said.append((kind, {"line": draw(st.sampled_from(["", "Reading", "Writing"]))}))
    return [*said, draw(ends(words))]


@st.composite
def ends(draw: st.DrawFn, words: str) -> Said:
    kind = draw(st.sampled_from(["completed", "failed", "timeout", "cancelled"]))
    used = draw(st.sampled_from([{}, {"usage": USAGE}]))
    if kind != "completed":
        return kind, {"error": "It broke.", "code": "broken", **used}
    asked = draw(st.sampled_from([None, *QUESTIONS]))
    awaiting = {"awaiting": asked} if asked else {}
    response = draw(st.sampled_from([words, f"{words} and so on", f"{words}\n", "Else"]))
    return kind, {
        "response": response or "Hello",
        "actions": draw(st.sampled_from([[], [{"type": "link", "label": "Go", "url": "/x"}]])),
        "sources": draw(SOURCES),
        "metadata": {"workflow": "echo"},
        **awaiting,
        **used,
    }


def events(said: list[Said]) -> list[Event]:
    """Return the events, each with the line of progress that is shown then."""
    line, made = "", []
    for seq, (kind, data) in enumerate(said, 1):
        line = data.get("line") or line
        made.append(
            Event(
                seq=seq,
                type=kind,
                progress=min(99, seq),
                message=line if kind != "completed" else "Completed",
                data=data,
                attempt=1,
                created_at=NOON,
            )
        )
    return made
