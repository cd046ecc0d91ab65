"""What came of a run, for a test to look at."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chatflow.workflows.ai.usage import total
from chatflow.workflows.models import ApprovalRequest, Event, Job, Step
from chatflow.workflows.store.shown import read_words
from chatflow.workflows.testing.stage import Log


class StepRun(NamedTuple):
    """A step that was run; it equals the tuple ``(name, result, runs)``.

    Attributes:
        name: as the workflow calls it.
        result: as it was recorded, in JSON; None where it was not.
        runs: how often its function was called.
    """

    name: str
    result: Any
    runs: int


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Turn:
    """What came of a run, from its first message on.

    Args:
        job: the last job's row.
        jobs: all of them: each answer is a job of its own.
        response: the answer, or the open question.
        state: ``completed``, ``failed``, ``timeout`` or ``cancelled``.
        error: why it failed, in the sentence that the user is shown.
        code: the machine word that goes with it.
        exception: what the workflow raised, where it failed.
        awaiting: what the open question wants; None where none is open.
        steps: those that were run, in the order of their beginning.
        events: the rows of all jobs' logs.
        words: those that were streamed, and still stand.
        actions: the next moves that the answer offers, as clients see them.
        sources: of the answer.
        questions: what the user was asked, approvals aside.
        approvals: the rows of the approvals that were asked for.
        usage: of the models: requests, tokens, models; empty where none was asked.
        prompts: the user's latest words in each request to the scripted model.
        go_on: runs on with more answers; see answer().
    """

    job: Job
    jobs: list[Job]
    response: str
    state: str
    error: str
    code: str
    exception: Exception | None
    awaiting: dict[str, Any] | None
    steps: list[StepRun]
    events: list[Event]
    words: str
    actions: list[dict[str, Any]]
    sources: list[dict[str, Any]]
    questions: list[str]
    approvals: list[ApprovalRequest]
    usage: dict[str, Any]
    prompts: list[str]
    go_on: "GoOn | None"

    def __repr__(self) -> str:
        said = self.response if self.state == "completed" else f"{self.error} {self.exception!r}"
        return f"<Turn {self.state}: {said.strip()}>"

    def answer(self, *answers: Any) -> "Turn":
        """Give answers to the question that was left open, and run on.

        Returns:
            What came of the run, from its first message on.
        """
        __tracebackhide__ = True
        assert self.go_on is not None, "A replay doesn't go on."
        return self.go_on(answers)


# Gives answers to the open question, and returns what came of it all.
GoOn = Callable[[Iterable[Any]], Turn]


def make_turn(
    jobs: Sequence[Job],
    log: Log,
    prompts: Sequence[str] = (),
    go_on: GoOn | None = None,
) -> Turn:
    """Return what came of the jobs, at least one."""
    job = jobs[-1]
    events = [event for each in jobs for event in each.events.order_by("seq")]
    steps = Step.objects.filter(job__in=jobs)
    approvals = ApprovalRequest.objects.filter(session=job.session_id).order_by("pk")
    asked = [each.awaiting for each in jobs if each.awaiting]
    return Turn(
        job=job,
        jobs=list(jobs),
        response=job.response,
        state=job.state,
        error=job.error,
        code=job.code,
        exception=log.errors.get(job.pk) if job.is_unsuccessful else None,
        awaiting=job.awaiting,
        steps=_list_runs(log, {each.conversation_id for each in jobs}),
        events=events,
        words="".join(map(read_words, jobs)),
        actions=job.actions,
        sources=job.sources,
        questions=[each["prompt"] for each in asked if each["kind"] != "approval"],
        approvals=list(approvals),
        usage=total(step.usage for step in steps.order_by("pk") if step.usage),
        prompts=list(prompts),
        go_on=go_on,
    )


def _list_runs(log: Log, roots: set[int]) -> list[StepRun]:
    """Return the steps of the conversations that these jobs began, and not of what else has run."""
    recorded = Step.objects.filter(root__in=roots, finished=True)
    results = {(step.root_id, (step.name, step.occurrence)): step.result for step in recorded}
    return [
        StepRun(name, results.get(place), log.runs[place])
        for place, name in log.names.items()
        if place.root in roots
    ]
