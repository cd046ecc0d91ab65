"""A test case made of a real job: what its conversation recorded, redacted, as JSON."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chatflow.workflows.ai.names import PROMPTED
from chatflow.workflows.models import Job, State, Step
from chatflow.workflows.running.step_keys import Key, is_choice
from chatflow.workflows.testing.redaction import Redaction

FORMAT = 1
# The prefix of a question's name in the record.
ASKED = "ask: "


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The record of a step or a question.

    Args:
        name: in the record, with the steps around it.
        occurrence: 1 for the first of that name.
        run: the number of the attempt that recorded it, over the whole conversation.
        question: it was asked; not one that a step took.
        finished: it was answered.
        text_length: characters of streamed text in front of it.
        result: what came of it; or the answer, where that is the user's own words.
        answer: the user's own words.
        usage: of the model.
    """

    name: str
    occurrence: int
    run: int
    question: bool = False
    finished: bool = True
    text_length: int = 0
    result: Any = None
    answer: str | None = None
    usage: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """A recorded conversation with a workflow.

    Args:
        workflow: its name.
        message: the words that began it.
        input: of the action that began it.
        options: the flags of the send.
        completed: it came to its end, or to an open question; else it failed, say.
        record: its steps and questions, in the order of their recording.
    """

    workflow: str
    message: str
    input: dict[str, Any] | None
    options: dict[str, Any]
    completed: bool
    record: list[Recorded] = field(default_factory=list)

    def dump(self) -> str:
        """Return it as the text of a file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)


def load_case(path: str | Path) -> Case:
    """Return the case in a file that export_job wrote.

    Raises:
        ValueError: it is of another format.
    """
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    if data.pop("format", None) != FORMAT:
        raise ValueError(f"{path} is no test case of the format {FORMAT}: export the job again.")
    record = [Recorded(**each) for each in data.pop("record")]
    return Case(**data, record=record)


def make_case(job: Job, redaction: Redaction) -> Case:
    """Return the conversation that *job* is a turn or a retry of, redacted."""
    root = job.root or job
    turns = Job.objects.filter(pk=root.pk) | Job.objects.filter(root=root)
    last = turns.order_by("pk").last() or root
    in_words = tuple(
        f"{ASKED}{each['prompt']}"
        for each in turns.values_list("awaiting", flat=True)
        if each and each["kind"] == "text"
    )
    steps = [step for step in root.all_steps.order_by("pk") if not is_choice(step.name)]
    runs = list(dict.fromkeys((step.job_id, step.attempt) for step in steps))
    kept: Any = redaction.redact(
        {
            "message": root.text,
            "input": root.input,
            "options": root.flags,
            "record": [_describe(step, in_words) for step in steps],
        }
    )
    kept = redaction.forget(kept)
    keys = _make_keys(steps, redaction)
    record = [
        Recorded(
            name=name,
            occurrence=occurrence,
            run=1 + runs.index((step.job_id, step.attempt)),
            question=step.question,
            finished=step.finished,
            text_length=step.text_length,
            usage=step.usage,
            **result,
        )
        for step, (name, occurrence), result in zip(steps, keys, kept.pop("record"), strict=True)
    ]
    completed = last.state == State.COMPLETED
    return Case(workflow=last.workflow, completed=completed, record=record, **kept)


def _describe(step: Step, in_words: tuple[str, ...]) -> dict[str, Any]:
    """Return a step's result, under a name that says whether the user worded it."""
    # A question may be asked inside of a step.
    if step.question and step.finished and step.name.endswith(in_words):
        return {"answer": step.result}
    if step.usage and isinstance(step.result, dict):
        # A replay asks by itself.
        return {"result": {key: value for key, value in step.result.items() if key != PROMPTED}}
    return {"result": step.result}


def _make_keys(steps: list[Step], redaction: Redaction) -> list[Key]:
    """Return the keys of the steps, redacted; those that are the same then are counted on."""
    keys: list[Key] = []
    for step in steps:
        name, occurrence = redaction.forget(step.name), step.occurrence
        while (name, occurrence) in keys:
            occurrence += 1
        keys.append((name, occurrence))
    return keys
