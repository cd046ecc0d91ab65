"""The bars of a timeline as the page shows them: where they lie, and what each opens to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chatflow.operations.job_page.records import Records, Sight
from chatflow.operations.job_page.timeline import TOOL, Bar, Timeline
from chatflow.operations.job_page.wording import BAR_STATES, as_text, cut, duration, usage_facts
from chatflow.operations.roles import HIDDEN
from chatflow.workflows.ai.names import OFFLINE, PROMPTED
from chatflow.workflows.running.step_keys import is_choice

# Steps that the page lists without being asked for all.
LISTED = 100
ALL = 5000
# The width of the drawing, and that of the shortest bar.
WIDTH = 1000
LEAST = 3
DEEPEST = 6
NO_PROMPT = (
    "What it was asked is not kept: it was made of the user's message, the memory of the "
    "conversation, the workflow's instructions, and what the tools above returned."
)
ASKED_AGAIN = "It was asked the same as above, with what the tools have returned since."
NO_INPUT = "A step's arguments are not kept; what it returned is."


@dataclass(frozen=True)
class Text:
    """A text in an open bar.

    Args:
        title: what it is.
        text: as much of it as the page shows.
        more: there is more of it.
    """

    title: str
    text: str
    more: bool = False


@dataclass
class Shown:
    """A bar on the page.

    Args:
        key: what it is called there.
        label: its name in plain words.
        kind, state, depth: as in Bar.
        word: the state in a word.
        took: how long.
        x, width: in the drawing.
        facts: short ones, with their names.
        texts: long ones.
        note: what is not known, and why.
        step: the primary key of the step, where there is a record.
        may_retry: the job can be done again from it on.
    """

    key: str
    label: str
    kind: str
    state: str
    depth: int
    word: str
    took: str
    x: int
    width: int
    facts: list[tuple[str, str]] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    note: str = ""
    step: int | None = None
    may_retry: bool = False


def choose(timeline: Timeline, *, whole: bool = False) -> tuple[list[Bar], int]:
    """Return the bars to list, and how many are left out: the earliest steps."""
    most = ALL if whole else LISTED
    steps = [bar for bar in timeline.bars if bar.depth > 0]
    left_out = len(steps) - most
    if left_out <= 0:
        return timeline.bars, 0
    hidden = {id(bar) for bar in steps[:left_out]}
    return [bar for bar in timeline.bars if id(bar) not in hidden], left_out


def draw(
    timeline: Timeline,
    bars: Sequence[Bar],
    found: Records,
    sight: Sight,
    results: Mapping[int, Any],
) -> list[Shown]:
    """Return the bars as the page shows them.

    Args:
        timeline: where they lie.
        bars: those of it that are listed.
        found: the job, and the rest.
        sight: what may be seen.
        results: by the primary keys of the steps; see records.read_results().
    """
    arguments = _tool_arguments(bars, results)
    shown = [_draw(timeline, bar, found, sight, results, arguments) for bar in bars]
    _add_exception(shown, found, sight)
    return shown


def _draw(
    timeline: Timeline,
    bar: Bar,
    found: Records,
    sight: Sight,
    results: Mapping[int, Any],
    arguments: Mapping[int, Any],
) -> Shown:
    record, job = bar.record, found.job
    begun = timeline.place(bar.start)
    ended = timeline.place(bar.end or timeline.end)
    x = min(WIDTH - LEAST, round(begun * WIDTH))
    shown = Shown(
        key=f"{bar.kind}-{bar.attempt}-{bar.seq}-{record.pk if record else 0}",
        label=_label(bar),
        kind=bar.kind,
        state=bar.state,
        depth=min(bar.depth, DEEPEST),
        word=BAR_STATES[bar.state],
        took="" if bar.kind == "question" else duration(bar.seconds(found.now)),
        x=x,
        width=max(LEAST, round(ended * WIDTH) - x),
    )
    after = (bar.start - job.created_at).total_seconds()
    shown.facts.append(("Began", f"{duration(max(0.0, after))} after the message"))
    if bar.kind == "wait":
        return shown
    if bar.kind == "attempt":
        if bar.state == "stopped" and bar.attempt < job.attempt:
            shown.note = (
                "It did not come to an end: it raised, or its worker was lost or told to stop. "
                "What it had recorded was kept for the next attempt."
            )
        return shown
    if record is None:
        if bar.state != "running" and bar.kind != "call":
            shown.note = "Nothing was recorded: the step did not return."
        return shown
    shown.step = record.pk
    # Not from a question: that would ask its user the same again.
    ended_job = job.is_finished and sight.operate
    shown.may_retry = ended_job and not record.question and not is_choice(record.name)
    shown.facts += usage_facts(record.usage)
    _add_texts(shown, bar, sight, results.get(record.pk), arguments.get(record.pk))
    return shown


def _label(bar: Bar) -> str:
    if bar.kind == "request":
        usage = (bar.record.usage if bar.record else None) or {}
        if usage.get("model") == OFFLINE:
            return "Answer of the offline model"
        return f"AI answer by {usage['model']}" if usage.get("model") else "AI answer"
    if bar.kind == "call":
        return "AI call"
    if bar.kind == "tool":
        return f"Tool {bar.name.removeprefix(TOOL)}"
    return bar.name or "Step"


def _add_texts(shown: Shown, bar: Bar, sight: Sight, result: Any, arguments: Any) -> None:
    record = bar.record
    assert record is not None, "Texts of what has no record."

    def add(title: str, value: Any) -> None:
        if not sight.texts:
            shown.texts.append(Text(title, HIDDEN))
        elif value not in (None, ""):
            shown.texts.append(Text(title, *cut(as_text(value))))

    if bar.kind == "question":
        add("Question", record.name.rpartition("ask: ")[2])
        if record.finished:
            add("Answer", result)
    elif bar.kind == "request":
        asked = result.get(PROMPTED) if isinstance(result, dict) else None
        if asked is None:
            shown.note = NO_PROMPT if sight.texts else ""
        elif "prompt" in asked:
            add("Instructions", asked["instructions"])
            add("Prompt", asked["prompt"])
            shown.facts += _prompt_facts(asked)
        else:
            shown.note = ASKED_AGAIN
        add("Answer", read_answer(result))
    elif bar.kind == "tool":
        add("Input", arguments)
        add("Output", (result or {}).get("result", result) if isinstance(result, dict) else result)
    else:
        add("Output", result)
        shown.note = NO_INPUT


def _prompt_facts(asked: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what else a model was given beside the words."""
    counts = (("memory", "Remembered", "message"), ("files", "With", "file"))
    facts = [
        (title, f"{asked[name]:,} {word}{'' if asked[name] == 1 else 's'}")
        for name, title, word in counts
        if asked[name]
    ]
    return facts + ([("Tools", ", ".join(asked["tools"]))] if asked["tools"] else [])


def read_answer(response: Any) -> str:
    """Return what a model answered, its calls of tools in the form of calls."""
    parts = response.get("parts", []) if isinstance(response, dict) else []
    said = []
    for part in parts:
        if part.get("part_kind") == "tool-call":
            said.append(f"{part.get('tool_name')}({_compact(part.get('args'))})")
        elif part.get("part_kind") == "text":
            said.append(str(part.get("content", "")))
    return "\n\n".join(said)


def _compact(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else as_text(arguments or {})


def _tool_arguments(bars: Sequence[Bar], results: Mapping[int, Any]) -> dict[int, Any]:
    """Return with what tools were called: the answer of the model in front has it, in order."""
    found: dict[int, Any] = {}
    for call in bars:
        if call.kind != "call":
            continue
        asked: dict[str, list[Any]] = {}
        for bar in call.inside:
            if bar.record is None:
                continue
            if bar.kind == "request":
                response = results.get(bar.record.pk)
                parts = response.get("parts", []) if isinstance(response, dict) else []
                for part in parts:
                    if part.get("part_kind") == "tool-call":
                        asked.setdefault(f"{TOOL}{part.get('tool_name')}", []).append(part)
            elif waiting := asked.get(bar.name):
                found[bar.record.pk] = waiting.pop(0).get("args")
    return found


def _add_exception(shown: Sequence[Shown], found: Records, sight: Sight) -> None:
    """Show the exception where it came up: in the innermost bar that failed."""
    job = found.job
    failed = [bar for bar in shown if bar.state == "failed"]
    if failed and (job.traceback or job.error):
        text = job.traceback.strip() or job.error
        failed[-1].texts.append(Text("Exception", text if sight.texts else HIDDEN))
