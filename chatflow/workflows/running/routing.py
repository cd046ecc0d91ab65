"""The workflow that a message is for, and the settings that its job takes on with it."""

import re
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError

from chatflow.workflows.db import atomic
from chatflow.workflows.dialogue import answers
from chatflow.workflows.exceptions import AlreadyQueued
from chatflow.workflows.models import Job, Session, Step
from chatflow.workflows.permissions import workflows_for
from chatflow.workflows.registry import Workflow, get_workflow
from chatflow.workflows.running.step_keys import HANDED_OVER, full_name, is_choice, within
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.changes import change

DEFAULT = "chat"
# What makes a line of jobs, in which users take turns.
LINE = ["queue", "priority", "is_async"]
# The fields that assign() sets.
ASSIGNED = ["workflow", *LINE, "unique_key"]


def route(text: str, options: dict[str, object], workflows: Sequence[Workflow]) -> str:
    """Return the name of the workflow that *text* is for, by its triggers; else plain chat.

    Args:
        text: the user's message.
        options: the flags of send; ``actions: false`` means plain chat.
        workflows: those that the user may use, by name.
    """
    found = find_trigger(text, workflows) if options.get("actions", True) else None
    return found[0].name if found else DEFAULT


def find_trigger(text: str, workflows: Sequence[Workflow]) -> tuple[Workflow, str] | None:
    """Return the first of the workflows that has a trigger in *text*, and the trigger."""
    words = text.lower()
    for workflow in workflows:
        for trigger in workflow.triggers:
            if trigger in words and re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", words):
                return workflow, trigger
    return None


def open_question(session: Session, options: dict[str, object]) -> Job | None:
    """Return the job whose question the session's next message answers, if there is one."""
    return session.open_job if options.get("actions", True) else None


def is_answer(text: str, question: Job) -> bool:
    """Say whether a message is to be taken for the answer to *question*.

    Only one that clearly wants something else is not: help, another workflow, or an answer of its
    own. The question stays open then.

    Args:
        text: the message.
        question: the job that asks.
    """
    awaiting = question.awaiting or {}
    if awaiting.get("anything") or _fits(text, awaiting):
        return True
    if answers.is_help(text):
        return False
    others = [each for each in workflows_for(question) if each.name != question.workflow]
    if any(answers.calls_for(text, trigger) for each in others for trigger in each.triggers):
        return False
    # Where a yes or a no is wanted, a question is unclear, or words for the workflow to read.
    wants_consent = awaiting.get("kind") in ("confirm", "approval")
    return wants_consent or not answers.is_question(text)


def _fits(text: str, awaiting: dict[str, Any]) -> bool:
    """Say whether a message is an answer of the kind that is wanted."""
    match awaiting.get("kind"):
        case "choice":
            return answers.chosen(text, awaiting["choices"]) is not None
        case "confirm":
            return answers.yes_or_no(text) is not None
        case "approval":
            return answers.is_decision(text)
        case "form":
            return text.lstrip().startswith("{")
        case _:
            return bool(awaiting.get("optional")) and answers.is_skip(text)


def route_beside(job: Job, question: Job) -> str:
    """Return the workflow for a message that does not answer *question*, which stays open."""
    name = route(job.text, job.options, workflows_for(job))
    # The words of the question are no reason to begin its workflow once more.
    return DEFAULT if name == question.workflow else name


def continue_from(job: Job, question: Job) -> None:
    """Make *job* the next turn of the conversation that *question* belongs to."""
    root = question.root or question
    job.root = root
    job.workflow = question.workflow
    asked = Step.objects.filter(root=root, question=True, finished=False).first()
    job.text_base = asked.text_length if asked else 0


def assign(job: Job, name: str) -> None:
    """Let *job* be one of the workflow called *name*: with its queue, kind and unique key.

    Raises:
        UnknownWorkflow: there is no workflow of that name.
    """
    workflow = get_workflow(name)
    job.workflow, job.is_async = workflow.name, workflow.is_async
    job.queue, job.priority = workflow.queue, workflow.priority
    job.unique_key = None
    if workflow.unique_key is not None:
        job.unique_key = workflow.unique_key(job.user, job.text)[:255]


def hand_over(job: Job, name: str) -> None:
    """Put a running job back into the queue as one of another workflow, to begin anew.

    The two are one transaction: where a worker is lost before it, the first workflow runs again,
    and its recorded choice is the same.

    Raises:
        Fenced: the attempt doesn't hold the job any more.
        AlreadyQueued: a job with the workflow's unique key is queued or running.
    """
    assign(job, name)
    try:
        with atomic():
            lifecycle.lock_session(job)
            lifecycle.hold(job)
            # The row's own: an earlier try may have assigned the job already.
            line = Job.objects.filter(pk=job.pk).values_list(*LINE).get()
            job.save(update_fields=ASSIGNED)
            _set_steps_aside(job)
            # A stream that shows the jobs of one workflow only has lost this one, or found it.
            change(Session.objects.filter(pk=job.session_id), job.user_id)
            lifecycle.give_back(job, inline=job.inline, anew=_find_line(job) != line)
    except IntegrityError:
        if job.unique_key is None:
            raise
        raise AlreadyQueued from None


def _find_line(job: Job) -> tuple[Any, ...]:
    """Return what says with which others *job* takes turns."""
    return tuple(getattr(job, name) for name in LINE)


def _set_steps_aside(job: Job) -> None:
    """Make all that was recorded a part of the choice: the other workflow doesn't come by it."""
    steps = Step.objects.filter(root=job.conversation_id)
    own = [step for step in steps if not is_choice(step.name)]
    with within(HANDED_OVER):
        for step in own:
            step.name = full_name(step.name)
    Step.objects.bulk_update(own, ["name"])


def reroute(job: Job) -> None:
    """Route a job again when its turn has come, if it had to wait for an earlier one.

    Only now it is known whether the earlier job ended with a question, which this one answers.
    """
    # A job with more events than those of its claims has already begun its work.
    if job.explicit or job.root_id or job.last_seq > job.attempt or not job.waited:
        return
    session = Session.objects.select_related("open_job__root").filter(pk=job.session_id).first()
    question = open_question(session, job.options) if session is not None else None
    is_later = question is not None and question.pk < job.pk
    if question is not None and is_later and is_answer(job.text, question):
        continue_from(job, question)
        assign(job, job.workflow)
        # The answer to its question is no second piece of the same work.
        job.unique_key = None
        # Both or neither: else a worker lost in between leaves the question open for a second.
        with atomic():
            asking = Session.objects.filter(pk=question.session_id, open_job=question)
            change(asking, job.user_id, open_job=None)
            job.save(update_fields=[*ASSIGNED, "root", "text_base"])
