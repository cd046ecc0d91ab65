"""The workflow that a message is for, and the settings that its job takes on with it."""

import re
from typing import Any

from django.db import IntegrityError, transaction

from workflows.exceptions import AlreadyQueued
from workflows.models import Job, Session, Step
from workflows.registry import all_workflows, get_workflow
from workflows.running.step_keys import HANDED_OVER, full_name, is_choice, within
from workflows.store import lifecycle
from workflows.store.changes import change

DEFAULT = "chat"
# What makes a line of jobs, in which users take turns.
LINE = ["queue", "priority", "is_async"]
# The fields that assign() sets.
ASSIGNED = ["workflow", *LINE, "unique_key"]


def route(text: str, options: dict[str, object]) -> str:
    """Return the name of the workflow that *text* is for, by its triggers; else plain chat.

    Args:
        text: the user's message.
        options: the flags of send; ``actions: false`` means plain chat.
    """
    if options.get("actions", True):
        words = text.lower()
        for workflow in all_workflows():
            for trigger in workflow.triggers:
                if re.search(rf"\b{re.escape(trigger)}\b", words):
                    return workflow.name
    return DEFAULT


def open_question(session: Session, options: dict[str, object]) -> Job | None:
    """Return the job whose question the session's next message answers, if there is one."""
    return session.open_job if options.get("actions", True) else None


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
    line = _find_line(job)
    assign(job, name)
    try:
        with transaction.atomic():
            lifecycle.lock_session(job)
            lifecycle.hold(job)
            job.save(update_fields=ASSIGNED)
            _set_steps_aside(job)
            lifecycle.give_back(job, inline=job.inline, anew=_find_line(job) != line)
    except IntegrityError:
        if job.unique_key is None:
            raise
        raise AlreadyQueued from None


def _find_line(job: Job) -> list[Any]:
    """Return what says with which others *job* takes turns."""
    return [getattr(job, name) for name in LINE]


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
    if question is not None and question.pk < job.pk:
        continue_from(job, question)
        assign(job, job.workflow)
        # The answer to its question is no second piece of the same work.
        job.unique_key = None
        # Both or neither: else a worker lost in between leaves the question open for a second.
        with transaction.atomic():
            asking = Session.objects.filter(pk=question.session_id, open_job=question)
            change(asking, job.user_id, open_job=None)
            job.save(update_fields=[*ASSIGNED, "root", "text_base"])
