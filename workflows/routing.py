"""Which workflow a message is for."""

import re

from django.db import transaction

from workflows.models import Job, Session, Step
from workflows.registry import all_workflows

DEFAULT = "chat"


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


def reroute(job: Job) -> None:
    """Route a job again when its turn has come, if it had to wait for an earlier one.

    Only now it is known whether the earlier job ended with a question, which this one answers.
    """
    # One that has an event has begun as what it is.
    if job.explicit or job.root_id or job.last_seq or not job.waited:
        return
    session = Session.objects.select_related("open_job__root").get(pk=job.session_id)
    question = open_question(session, job.options)
    if question is not None and question.pk < job.pk:
        continue_from(job, question)
        # Both or neither: else a worker lost in between leaves the question open for a second.
        with transaction.atomic():
            Session.objects.filter(pk=session.pk, open_job=question).update(open_job=None)
            job.save(update_fields=["root", "workflow", "text_base"])
